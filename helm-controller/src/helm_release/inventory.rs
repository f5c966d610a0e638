//! The objects of a release, as the status lists them.

use std::collections::BTreeMap;

use sluice_api::meta::{ResourceInventory, ResourceRef};
use sluice_helm::release::Release;
use sluice_releases::parse;
use sluice_runtime::Severity;
use sluice_runtime::apply::{Object, Tracked};

use super::Context;
use super::release::Request;
use super::run::Run;
use crate::action::crds_of_chart;

/// The entries of the definitions in the `crds` folders of a chart. A chart that cannot be had has none.
pub(crate) async fn of_definitions(context: &Context, run: &Run, request: &Request) -> Vec<ResourceRef> {
    let Ok(chart) = request.chart.take(context).await else { return Vec::new() };
    let definitions = crds_of_chart(&chart, &request.values).unwrap_or_default();
    entries(request, &definitions, run.object.release_namespace()).await
}

/// The objects of a manifest that are no hooks, then the definitions of its chart.
pub(crate) async fn of(
    context: &Context,
    run: &Run,
    request: &Request,
    release: &Release,
    definitions: Vec<ResourceRef>,
) -> ResourceInventory {
    let objects = match parse(&release.manifest) {
        Ok(objects) => objects,
        Err(error) => {
            let message = format!(
                "failed to build inventory for {}/{}: {}",
                release.namespace,
                release.name,
                request.redaction.apply(error.to_string())
            );
            run.event(context, Severity::Warning, "InventoryBuildFailed", message, BTreeMap::new());
            return ResourceInventory::default();
        }
    };
    let mut entries = entries(request, &objects, &release.namespace).await;
    entries.extend(definitions);
    ResourceInventory { entries }
}

/// The entries of objects, but for hooks.
pub(crate) async fn entries(request: &Request, objects: &[Object], namespace: &str) -> Vec<ResourceRef> {
    let cluster = &request.identity.cluster;
    let mut entries = Vec::with_capacity(objects.len());
    for object in objects.iter().filter(|object| object.tag("annotations", "helm.sh/hook").is_empty()) {
        let id = match cluster.resolve(object.api_version(), object.kind()).await {
            Ok(resource) => {
                let mut id = resource.identify(object);
                if resource.namespaced && id.namespace.is_empty() {
                    namespace.clone_into(&mut id.namespace);
                }
                id
            }
            Err(_) => object.id(),
        };
        entries.push(Tracked { id, version: object.version().to_owned() }.to_entry());
    }
    entries
}

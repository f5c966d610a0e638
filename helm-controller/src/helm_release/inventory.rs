//! The objects of a release, as the status lists them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_api::meta::ResourceInventory;
use sluice_helm::release::Release;
use sluice_releases::parse;
use sluice_runtime::Severity;
use sluice_runtime::apply::Tracked;

use super::Context;
use super::release::Request;
use super::run::Run;
use crate::action::crds_of_chart;

/// The objects of a manifest that are no hooks, then those of the chart's `crds` folders.
pub(crate) async fn of(
    context: &Arc<Context>,
    run: &Run,
    request: &Request,
    release: &Release,
) -> ResourceInventory {
    let mut entries = Vec::new();
    let failed = |error: String| {
        let message = format!(
            "failed to build inventory for {}/{}: {}",
            release.namespace,
            release.name,
            request.redaction.apply(error)
        );
        run.event(context, Severity::Warning, "InventoryBuildFailed", message, BTreeMap::new());
    };
    let objects = match parse(&release.manifest) {
        Ok(objects) => objects,
        Err(error) => {
            failed(error.to_string());
            return ResourceInventory { entries };
        }
    };
    // Loaded for the action before, which would have told why it is not.
    let definitions = match request.chart.load(context).await {
        Ok(chart) => crds_of_chart(chart, &request.values).unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let cluster = &request.identity.cluster;
    for mut object in objects.into_iter().chain(definitions) {
        if !object.tag("annotations", "helm.sh/hook").is_empty() {
            continue;
        }
        if let Ok(resource) = cluster.resolve(object.api_version(), object.kind()).await {
            if resource.namespaced && object.namespace().is_empty() {
                object.metadata_mut().insert("namespace".to_owned(), release.namespace.as_str().into());
            }
            let tracked = Tracked { id: resource.identify(&object), version: object.version().to_owned() };
            entries.push(tracked.to_entry());
        } else {
            let tracked = Tracked { id: object.id(), version: object.version().to_owned() };
            entries.push(tracked.to_entry());
        }
    }
    ResourceInventory { entries }
}

//! `diff helmrelease`: what an installation or upgrade would change in the cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use sluice_api::helm::{CrdsPolicy, GROUP};
use sluice_releases::{NAME_LABEL, origin_labels, parse, resolve};
use sluice_runtime::apply::{Applier, Cluster, IgnoreRules, Object, inventory};

use super::diff::{deleted, differences, preview};
use super::release::{self, Built, Lookup, ReleaseArgs};
use crate::app::App;

/// The field manager of the controller whose apply is tried.
const FIELD_MANAGER: &str = "helm-controller";

/// Prints what would change. Returns whether anything would.
pub(super) async fn compare(app: &App, args: &ReleaseArgs) -> Result<bool> {
    let new = args.helmrelease_file.is_some();
    let built = release::built(app, args, Lookup::Cluster { new }).await?;
    let client = app.cluster().await?.client.clone();
    let cluster = Cluster::new(client.clone(), NAME_LABEL);
    let options = preview(FIELD_MANAGER, GROUP, Arc::new(IgnoreRules::compile(&[])?));
    let applier = Applier { cluster: &cluster, client: &client, options: &options };

    let definitions = app.bounded("asking for definitions", definitions(&built, &cluster, &client)).await?;
    let mut changed = differences(app, &applier, definitions, &mut None).await?;
    let namespace = &built.options.namespace;
    let objects = parse(&built.rendered.manifest()).map_err(|error| anyhow!(error))?;
    let work = async { resolve(&cluster, objects, namespace).await.map_err(|error| anyhow!(error)) };
    let mut items = app.bounded("asking for kinds", work).await?;
    for item in &mut items {
        item.own(&built.name, namespace);
    }
    let kept: BTreeSet<_> = items.iter().map(|item| item.id.clone()).collect();
    changed |=
        differences(app, &applier, items.into_iter().map(|item| item.object).collect(), &mut None).await?;
    let old = built.object.status.as_ref().and_then(|status| status.inventory.as_ref());
    for gone in inventory::read(old) {
        // Definitions of the `crds` folder are in the inventory, and never deleted.
        if !kept.contains(&gone.id) && gone.id.kind != "CustomResourceDefinition" {
            deleted(app, &gone)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// The definitions of the `crds` folders that would be written.
async fn definitions(built: &Built, cluster: &Cluster, client: &kube::Client) -> Result<Vec<Object>> {
    let policy = built.crds();
    let mut objects = Vec::new();
    if policy == CrdsPolicy::Skip {
        return Ok(objects);
    }
    let labels = origin_labels(&built.object);
    for (name, file) in built.chart.crds().iter() {
        let found = parse(&file.text()).map_err(|error| anyhow!("{name}: {error}"))?;
        for mut object in found.into_iter().filter(Object::is_crd) {
            object.set_tags("labels", labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
            objects.push(object);
        }
    }
    if policy == CrdsPolicy::Create {
        let requests = sluice_runtime::apply::Requests { client, field_manager: FIELD_MANAGER };
        let mut missing = Vec::new();
        for item in resolve(cluster, objects, "").await.map_err(|error| anyhow!(error))? {
            if requests.find(&item.resource, "", item.object.name()).await?.is_none() {
                missing.push(item.object);
            }
        }
        return Ok(missing);
    }
    Ok(objects)
}

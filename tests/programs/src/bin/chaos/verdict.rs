//! Whether the cluster is what Git and the registries say.

use crate::changes::{Changes, lock};
use crate::fleet::{Fleet, HELM, IMAGE, KUSTOMIZE, LABEL, SOURCE};
use anyhow::{Result, bail};
use kube::api::{DynamicObject, ListParams};
use sluice_tests::condition;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Waits until everything is as it must be; the error says what is not.
pub(crate) async fn settled(fleet: &Fleet, changes: &Changes, patience: Duration) -> Result<()> {
    let begin = Instant::now();
    loop {
        let wrong = match differences(fleet, changes).await {
            Ok(wrong) if wrong.is_empty() => return Ok(()),
            Ok(wrong) => wrong.join("\n  "),
            Err(error) => format!("{error:#}"),
        };
        if begin.elapsed() > patience {
            bail!("not as Git says after {patience:?}:\n  {wrong}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn status(object: &DynamicObject) -> String {
    let mut status = object.data["status"].clone();
    if let Some(fields) = status.as_object_mut() {
        fields.remove("history");
        fields.remove("inventory");
    }
    status.to_string()
}

fn is_ready(object: &DynamicObject) -> bool {
    condition(object, "Ready") == Some("True")
        && condition(object, "Reconciling").is_none()
        && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
}

async fn differences(fleet: &Fleet, changes: &Changes) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let kinds = [
        (SOURCE, "GitRepository"),
        (SOURCE, "OCIRepository"),
        (SOURCE, "Bucket"),
        (SOURCE, "HelmRepository"),
        (SOURCE, "HelmChart"),
        (KUSTOMIZE, "Kustomization"),
        (HELM, "HelmRelease"),
        (IMAGE, "ImageRepository"),
        (IMAGE, "ImagePolicy"),
        (IMAGE, "ImageUpdateAutomation"),
    ];
    let heads: BTreeMap<String, String> = fleet
        .repositories()
        .map(|(name, repository)| Ok((name, repository.git(["rev-parse", "main"])?)))
        .collect::<Result<_>>()?;
    let sources: BTreeMap<String, String> = Fleet::kustomizations().into_iter().collect();
    let mut releases = 0;
    for (version, kind) in kinds {
        for object in fleet.cluster.api(version, kind).await?.list(&ListParams::default()).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            if !is_ready(&object) {
                wrong.push(format!("{kind} {name} is not ready: {}", status(&object)));
                continue;
            }
            let (head, revision) = match kind {
                "GitRepository" => (heads.get(&name), &object.data["status"]["artifact"]["revision"]),
                "Kustomization" => (
                    sources.get(&name).and_then(|s| heads.get(s)),
                    &object.data["status"]["lastAppliedRevision"],
                ),
                _ => (None, &object.data),
            };
            if let Some(head) = head
                && revision.as_str().is_none_or(|revision| !revision.ends_with(head))
            {
                wrong.push(format!("{kind} {name} is at {revision}, and Git at {head}"));
            }
            if kind == "HelmRelease" {
                releases += 1;
                let newest = &object.data["status"]["history"][0];
                if newest["status"] != "deployed" {
                    wrong.push(format!("HelmRelease {name}: {newest}"));
                }
            }
        }
    }
    if releases != changes.releases() {
        wrong.push(format!("there are {releases} HelmReleases"));
    }
    let label = ListParams::default().labels(LABEL);
    let maps = fleet.cluster.api("v1", "ConfigMap").await?.list(&label).await?;
    let found: BTreeMap<String, String> = maps
        .iter()
        .map(|map| {
            let value = map.data["data"]["value"].as_str().unwrap_or_default();
            (map.metadata.name.clone().unwrap_or_default(), value.to_owned())
        })
        .collect();
    let held = lock(&changes.held).clone();
    for (name, value) in &held {
        if found.get(name) != Some(value) {
            wrong.push(format!("ConfigMap {name} must be {value:?} and is {:?}", found.get(name)));
        }
    }
    for name in found.keys().filter(|name| !held.contains_key(*name)) {
        wrong.push(format!("ConfigMap {name} must not be there"));
    }
    let app = fleet.cluster.find("apps/v1", "Deployment", "app").await?;
    let image = app.map(|app| app.data["spec"]["template"]["spec"]["containers"][0]["image"].clone());
    if image.as_ref().and_then(|image| image.as_str()) != Some(&changes.image_of(fleet)) {
        wrong.push(format!("the image must be {} and is {image:?}", changes.image_of(fleet)));
    }
    Ok(wrong)
}

/// No record of a release says that somebody is at work on it.
pub(crate) async fn no_release_is_stuck(fleet: &Fleet) -> Result<Vec<String>> {
    let records = ListParams::default().labels("owner=helm");
    let records = fleet.cluster.api("v1", "Secret").await?.list(&records).await?;
    let status = |record: &DynamicObject| {
        record.metadata.labels.as_ref().and_then(|labels| labels.get("status")).cloned().unwrap_or_default()
    };
    Ok(records
        .iter()
        .filter(|record| !["deployed", "superseded", "failed"].contains(&status(record).as_str()))
        .map(|record| format!("{} is {}", record.metadata.name.clone().unwrap_or_default(), status(record)))
        .collect())
}

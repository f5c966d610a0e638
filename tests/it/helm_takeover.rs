//! From Flux's helm-controller to ours, with nothing done to the releases.

use crate::helm::{HELM, SOURCE, helm_ops};
use anyhow::{Context, Result, ensure};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{condition, wait};

/// Records, snapshots and digests that Flux's own code made; see the README beside it.
const FLUX: &str = include_str!("../fixtures/helm/flux-release.json");

#[tokio::test(flavor = "multi_thread")]
async fn the_first_look_at_a_release_of_flux_does_nothing() -> Result<()> {
    let flux: Value = serde_json::from_str(FLUX)?;
    let records = flux["secrets"].as_array().context("no records")?;
    let namespace = records[0]["metadata"]["namespace"].as_str().context("no namespace")?.to_owned();
    helm_ops("helm-takeover", &[], async |ops| {
        // Flux is gone, and Sluice is not there yet.
        ops.helm.kill();
        let home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        ops.apply(&home.to_string()).await?;
        for record in records {
            ops.apply(&record.to_string()).await?;
        }
        let newest = &flux["history"][0];
        let digest = newest["ociDigest"].as_str().context("no digest")?;
        let served = ops.chart("app", &crate::helm_crash::gated("1.2.3").renamed("shop")).await?;
        ops.hold(SOURCE, "OCIRepository", "app", &served, &format!("1.2.3@{digest}")).await?;
        ops.release(
            "shop",
            json!({
                "releaseName": "shop", "targetNamespace": namespace, "storageNamespace": namespace, "test": {"enable": true},
                "values": flux["values"], "postRenderers": flux["postRenderers"], "commonMetadata": flux["commonMetadata"],
            }),
        )
        .await?;
        ops.patch(HELM, "HelmRelease", "shop", json!({"metadata": {"finalizers": ["finalizers.fluxcd.io"]}})).await?;
        let time = "2026-01-03T03:04:08Z";
        let told = |type_: &str, why: &str, text: &str| {
            json!({"type": type_, "status": "True", "reason": why, "message": text, "lastTransitionTime": time, "observedGeneration": 1})
        };
        let upgraded = format!("Helm upgrade succeeded for release {namespace}/shop.v2 with chart shop@1.2.3+abcdef012345");
        let status = json!({
            "observedGeneration": 1, "lastAttemptedGeneration": 1, "lastAttemptedReleaseAction": "upgrade",
            "lastAttemptedRevision": newest["chartVersion"], "lastAttemptedRevisionDigest": digest,
            "lastAttemptedConfigDigest": newest["configDigest"], "storageNamespace": namespace,
            "observedPostRenderersDigest": flux["observedPostRenderersDigest"],
            "observedCommonMetadataDigest": flux["observedCommonMetadataDigest"], "history": flux["history"],
            "conditions": [
                told("Ready", "TestSucceeded", "Helm test succeeded"), told("Released", "UpgradeSucceeded", &upgraded),
                told("TestSuccess", "TestSucceeded", "Helm test succeeded"),
            ],
        });
        let api = ops.api(HELM, "HelmRelease").await?;
        #[expect(clippy::disallowed_methods, reason = "in the place of Flux")]
        let before =
            api.patch_status("shop", &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await?;
        let secrets = ops.api_in("v1", "Secret", &namespace).await?;
        let versions = async || -> Result<Vec<(String, String)>> {
            let list = secrets.list(&ListParams::default().labels("owner=helm")).await?;
            let of = |text: Option<String>| text.unwrap_or_default();
            Ok(list.into_iter().map(|secret| (of(secret.metadata.name), of(secret.metadata.resource_version))).collect())
        };
        let stored = versions().await?;
        ensure!(stored.len() == 2, "{stored:?}");

        ops.helm.restart().await?;
        let looked = ops.request("shop", &[]).await?;
        let same = |now: &kube::api::DynamicObject| -> Result<()> {
            for field in ["history", "conditions", "lastAttemptedReleaseAction", "lastAttemptedConfigDigest", "lastAttemptedRevision"] {
                let (old, new) = (&before.data["status"][field], &now.data["status"][field]);
                ensure!(old == new, "{field} was {old}, is {new}");
            }
            Ok(())
        };
        same(&looked)?;
        // A change of the object that is none of the release has the digests of renderers and metadata compared, too.
        ops.patch(HELM, "HelmRelease", "shop", json!({"spec": {"interval": "2h"}})).await?;
        let changed = wait::until(&api, "shop", "seen", |object| object.data["status"]["observedGeneration"] == 2).await?;
        ensure!(changed.data["status"]["history"] == before.data["status"]["history"], "{}", changed.data["status"]);
        ensure!(condition(&changed, "Ready") == Some("True"), "{}", changed.data["status"]);
        ensure!(versions().await? == stored, "the records were written");
        let maps = ops.api_in("v1", "ConfigMap", &namespace).await?;
        ensure!(maps.get_opt("shop-config").await?.is_none(), "the chart was applied");

        // The last digit of a record's digest: it is no release of this object any more.
        let mut history = flux["history"].clone();
        let digest = history[0]["digest"].as_str().context("no digest")?.to_owned();
        let (most, last) = digest.split_at(digest.len() - 1);
        history[0]["digest"] = format!("{most}{}", if last == "0" { "1" } else { "0" }).into();
        ops.helm.kill();
        #[expect(clippy::disallowed_methods, reason = "in the place of Flux")]
        api.patch_status("shop", &PatchParams::default(), &Patch::Merge(json!({"status": {"history": history}}))).await?;
        ops.helm.restart().await?;
        wait::until(&api, "shop", "upgraded", |object| object.data["status"]["history"][0]["version"] == 3).await?;

        ops.delete(HELM, "HelmRelease", "shop").await?;
        wait::gone(&api, "shop").await?;
        ensure!(versions().await?.is_empty(), "records are left");
        ops.delete("v1", "Namespace", &namespace).await
    })
    .await
}

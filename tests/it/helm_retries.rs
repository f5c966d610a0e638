//! Releases that are tried again instead of undone, and whose drift is corrected: what fails, and what comes in mid-upgrade.

use crate::helm::{HELM, HelmOps, helm_ops, message, of};
use crate::helm_away::become_ready;
use crate::helm_crash::{gated, stuck};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{condition, wait};

/// A release that is tried again after a time, and whose drift is corrected.
fn spec(again_after: &str, values: Value) -> Value {
    let options = json!({"strategy": {"name": "RetryOnFailure", "retryInterval": again_after}});
    json!({"timeout": "10m", "values": values, "install": options, "upgrade": options,
           "driftDetection": {"mode": "enabled"}})
}

async fn text(ops: &HelmOps, name: &str) -> Result<Value> {
    Ok(ops.get("v1", "ConfigMap", &format!("{name}-config")).await?.data["data"]["text"].clone())
}

/// Lets a hook that runs end so.
async fn end_hook(ops: &HelmOps, name: &str, fate: &str) -> Result<()> {
    let end = json!({"metadata": {"annotations": {"test.sluice.dev/pod": fate}}});
    ops.patch("v1", "Pod", name, end).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_and_drift_that_cannot_be_corrected_is_told() -> Result<()> {
    helm_ops("helm-retries", &["--min-retry-delay=50ms", "--max-retry-delay=500ms"], async |ops| {
        ops.chart("app", &gated("1.0.0")).await?;
        // Each try has a hook that fails or goes well as the case says.
        ops.release(
            "install",
            spec("100ms", json!({"hooks": {"post-install": "run", "post-upgrade": "run"}})),
        )
        .await?;
        ops.release("upgrade", spec("100ms", json!({"text": "first"}))).await?;
        ops.ready("upgrade", 1).await?;
        ops.release("upgrade", spec("100ms", json!({"text": "second", "hooks": {"post-upgrade": "run"}})))
            .await?;
        stuck(ops, "install", 1, "pending-install", "post-install").await?;
        end_hook(ops, "install-post-install", "fail").await?;
        ops.told("install", "InstallFailed", "post-install").await?;
        stuck(ops, "upgrade", 2, "pending-upgrade", "post-upgrade").await?;
        end_hook(ops, "upgrade-post-upgrade", "fail").await?;
        ops.told("upgrade", "UpgradeFailed", "post-upgrade").await?;
        for (name, version) in [("install", 2), ("upgrade", 3)] {
            stuck(ops, name, version, "pending-upgrade", "post-upgrade").await?;
            // The hook of the try before was replaced.
            let hook = format!("{name}-post-upgrade");
            wait::until(&ops.api("v1", "Pod").await?, &hook, "made anew", |pod| {
                pod.metadata.deletion_timestamp.is_none()
                    && pod
                        .metadata
                        .annotations
                        .as_ref()
                        .is_some_and(|all| all["test.sluice.dev/pod"] == "run")
            })
            .await?;
            end_hook(ops, &hook, "complete").await?;
        }
        let install = ops.ready("install", 2).await?;
        ensure!(
            ops.records("install").await? == of(&[(1, "failed"), (2, "deployed")]),
            "{:?}",
            ops.records("install").await?
        );
        let upgrade = ops.ready("upgrade", 3).await?;
        let wanted = of(&[(1, "superseded"), (2, "failed"), (3, "deployed")]);
        ensure!(ops.records("upgrade").await? == wanted, "{:?}", ops.records("upgrade").await?);
        for object in [install, upgrade] {
            let status = &object.data["status"];
            ensure!(condition(&object, "Remediated").is_none(), "undone: {status}");
            for count in ["failures", "installFailures", "upgradeFailures"] {
                ensure!(status[count].as_i64().unwrap_or_default() == 0, "{count}: {status}");
            }
        }

        // Somebody puts an object there that cannot be changed: it is named, and nothing is recorded.
        ops.delete("v1", "ConfigMap", "upgrade-config").await?;
        let fixed = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "upgrade-config"},
                           "immutable": true, "data": {"text": "by hand"}});
        ops.apply(&fixed.to_string()).await?;
        let asked = ops.request("upgrade", &[]).await?;
        let told = message(&asked, "Ready");
        ensure!(
            condition(&asked, "Ready") != Some("True") && told.contains("upgrade-config"),
            "{}",
            asked.data["status"]
        );
        ensure!(text(ops, "upgrade").await? == "by hand");
        ops.delete("v1", "ConfigMap", "upgrade-config").await?;
        ops.request("upgrade", &[]).await?;
        ops.ready("upgrade", 3).await?;
        ops.told("upgrade", "DriftCorrected", "upgrade-config created").await?;
        ensure!(text(ops, "upgrade").await? == "second");
        ensure!(ops.records("upgrade").await? == wanted, "{:?}", ops.records("upgrade").await?);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn news_in_mid_upgrade_come_after_it_however_it_ends() -> Result<()> {
    helm_ops("helm-mid-upgrade", &["--min-retry-delay=50ms", "--max-retry-delay=500ms"], async |ops| {
        ops.chart("app", &gated("1.0.0")).await?;
        ops.chart("other", &gated("1.0.0")).await?;
        let hook = |text: &str| json!({"text": text, "hooks": {"post-upgrade": "run"}});
        let undone = |values: Value| {
            let remediation = json!({"remediation": {"retries": 0, "remediateLastFailure": true}});
            json!({"timeout": "10m", "values": values, "upgrade": remediation})
        };
        let charted = |values: Value| {
            let mut spec = spec("1h", values);
            spec["chartRef"] = json!({"kind": "OCIRepository", "name": "other"});
            spec
        };
        let release = async |name: &str, values: Value| -> Result<()> {
            let spec = match name {
                "undone" => undone(values),
                "chart" => charted(values),
                _ => spec("1h", values),
            };
            ops.release(name, spec).await
        };
        let all = ["values", "chart", "again", "undone"];
        for name in all {
            release(name, json!({"text": "first"})).await?;
        }
        for name in all {
            ops.ready(name, 1).await?;
        }
        for name in &all[..2] {
            release(name, json!({"text": "second", "pods": "unready"})).await?;
        }
        for name in &all[2..] {
            release(name, hook("second")).await?;
        }
        for (name, hook) in all.into_iter().zip(["", "", "post-upgrade", "post-upgrade"]) {
            stuck(ops, name, 2, "pending-upgrade", hook).await?;
        }
        // What belongs to the values before does not become ready by itself, so that what comes now is in mid-upgrade.
        release("values", json!({"text": "third", "pods": "unready"})).await?;
        ops.chart("other", &gated("1.1.0")).await?;
        for name in &all[2..] {
            release(name, json!({"text": "third"})).await?;
            end_hook(ops, &format!("{name}-post-upgrade"), "fail").await?;
        }
        for name in &all[..2] {
            become_ready(ops, name).await.context(*name)?;
            ops.ready(name, 3).await.context(*name)?;
            let wanted = of(&[(1, "superseded"), (2, "superseded"), (3, "deployed")]);
            ensure!(ops.records(name).await? == wanted, "{name}: {:?}", ops.records(name).await?);
        }
        ensure!(text(ops, "values").await? == "third");
        let charted = ops.get(HELM, "HelmRelease", "chart").await?;
        let version = charted.data["status"]["history"][0]["chartVersion"].as_str().unwrap_or_default();
        ensure!(version.starts_with("1.1.0"), "{version}");
        // Nobody waits for the hour after which the old values would have been tried again.
        ops.ready("again", 3).await?;
        let wanted = of(&[(1, "superseded"), (2, "failed"), (3, "deployed")]);
        ensure!(ops.records("again").await? == wanted, "{:?}", ops.records("again").await?);
        ops.ready("undone", 4).await?;
        let wanted = of(&[(1, "superseded"), (2, "failed"), (3, "superseded"), (4, "deployed")]);
        ensure!(ops.records("undone").await? == wanted, "{:?}", ops.records("undone").await?);
        for name in ["again", "undone"] {
            ensure!(text(ops, name).await? == "third", "{name}: {}", text(ops, name).await?);
        }
        Ok(())
    })
    .await
}

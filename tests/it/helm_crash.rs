//! `kill -9` of a helm-controller at each step of each action, and at any moment.

use crate::helm::{FATED, HELM, HOOKS, HelmOps, helm_ops, of};
use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, ListParams};
use serde_json::{Value, json};
use sluice_tests::{TestChart, condition, wait};
use std::time::Duration;

/// A chart with a hook for each event that its values name, of the fate that they say, and with Pods of such a fate.
pub(crate) fn gated(version: &str) -> TestChart {
    TestChart::new("gated", version)
        .file("values.yaml", "hooks: {}\npods: run\ntext: plain\nheld: false\n")
        .file("templates/hooks.yaml", HOOKS)
        .file("templates/deployment.yaml", FATED)
        .file(
            "templates/map.yaml",
            "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
  {{- if .Values.held }}
  finalizers: [test.sluice.dev/held]
  {{- end }}
data: {text: {{ .Values.text | quote }}}
",
        )
}

/// Waits until a revision of a release stands so and, where it is named, a hook of it has begun.
pub(crate) async fn stuck(
    ops: &HelmOps,
    release: &str,
    version: i64,
    status: &str,
    hook: &str,
) -> Result<()> {
    let what = format!("{status} in revision {version}");
    let record = format!("sh.helm.release.v1.{release}.v{version}");
    wait::until(&ops.api("v1", "Secret").await?, &record, &what, |secret| {
        secret.metadata.labels.as_ref().is_some_and(|labels| labels["status"] == status)
    })
    .await?;
    if hook.is_empty() {
        // Past the hooks: the objects are there.
        wait::until(&ops.api("apps/v1", "Deployment").await?, release, "there", |_| true).await?;
    } else {
        let name = format!("{release}-{hook}");
        wait::until(&ops.api("v1", "Pod").await?, &name, "there", |_| true).await?;
    }
    Ok(())
}

/// Waits until a release is ready without a look at how many revisions that took.
async fn healed(ops: &HelmOps, name: &str) -> Result<DynamicObject> {
    wait::until(&ops.api(HELM, "HelmRelease").await?, name, "ready", |object| {
        condition(object, "Ready") == Some("True")
            && condition(object, "Reconciling").is_none()
            && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
    })
    .await
}

/// No record in the namespace says that somebody is at work on it.
async fn nothing_is_pending(ops: &HelmOps) -> Result<()> {
    let records = ops.api("v1", "Secret").await?.list(&ListParams::default().labels("owner=helm")).await?;
    for record in records {
        let status =
            record.metadata.labels.as_ref().map(|labels| labels["status"].as_str()).unwrap_or_default();
        ensure!(
            ["deployed", "superseded", "failed"].contains(&status),
            "{} is {status}",
            record.metadata.name.clone().unwrap_or_default()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_any_step_of_any_action_leaves_nothing_pending() -> Result<()> {
    helm_ops("helm-kill", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &gated("1.0.0")).await?;
        let hook = |event: &str| json!({"hooks": {event: "run"}});
        let installs = [
            ("i-before", hook("pre-install"), "pre-install"),
            ("i-wait", json!({"pods": "unready"}), ""),
            ("i-after", hook("post-install"), "post-install"),
        ];
        let upgrades = [
            ("u-before", hook("pre-upgrade"), "pre-upgrade"),
            ("u-wait", json!({"pods": "unready"}), ""),
            ("u-after", hook("post-upgrade"), "post-upgrade"),
        ];
        // Revisions to go back to, whose hooks and Pods are in the way of that.
        let rollbacks = [
            ("r-before", hook("pre-rollback"), "pre-rollback"),
            ("r-wait", json!({"pods": "unready"}), ""),
            ("r-after", hook("post-rollback"), "post-rollback"),
        ];
        let removals = [
            ("d-before", json!({"hooks": {"pre-install": "fail", "pre-delete": "run"}}), "pre-delete"),
            ("d-wait", json!({"hooks": {"post-install": "fail"}, "held": true}), ""),
            ("d-after", json!({"hooks": {"pre-install": "fail", "post-delete": "run"}}), "post-delete"),
        ];
        let patient = |values: &Value| {
            let remediation = json!({"retries": 1});
            json!({
                "timeout": "5m", "values": values, "upgrade": {"remediation": remediation},
                "install": {"remediation": remediation},
            })
        };
        for (name, ..) in &upgrades {
            ops.release(name, patient(&json!({}))).await?;
        }
        for (name, values, _) in &rollbacks {
            let mut spec = patient(values);
            spec["install"]["disableWait"] = true.into();
            ops.release(name, spec).await?;
        }
        ops.release("gone", patient(&hook("pre-delete"))).await?;
        for name in upgrades.iter().chain(&rollbacks).map(|(name, ..)| *name).chain(["gone"]) {
            ops.ready(name, 1).await?;
        }
        for (name, values, _) in installs.iter().chain(&upgrades).chain(&removals) {
            ops.release(name, patient(values)).await?;
        }
        for (name, ..) in &rollbacks {
            ops.release(name, patient(&json!({"hooks": {"pre-upgrade": "fail"}}))).await?;
        }
        let mut tested = patient(&json!({"hooks": {"test": "run"}}));
        tested["test"] = json!({"enable": true});
        ops.release("tested", tested.clone()).await?;
        ops.delete(HELM, "HelmRelease", "gone").await?;

        for (name, _, hook) in &installs {
            stuck(ops, name, 1, "pending-install", hook).await?;
        }
        for (name, _, hook) in &upgrades {
            stuck(ops, name, 2, "pending-upgrade", hook).await?;
        }
        for (name, _, hook) in &rollbacks {
            stuck(ops, name, 3, "pending-rollback", hook).await?;
        }
        for (name, _, hook) in &removals[..1] {
            stuck(ops, name, 1, "uninstalling", hook).await?;
        }
        stuck(ops, "d-after", 1, "uninstalling", "post-delete").await?;
        wait::until(&ops.api("v1", "ConfigMap").await?, "d-wait-config", "to go", |map| {
            map.metadata.deletion_timestamp.is_some()
        })
        .await?;
        stuck(ops, "gone", 1, "uninstalling", "pre-delete").await?;
        stuck(ops, "tested", 1, "deployed", "test").await?;
        let pods = ops.api("v1", "Pod").await?;
        let before = pods.get("gone-pre-delete").await?.metadata.uid;
        ops.helm.kill();

        // While nobody looks, what was in the way goes.
        let mut names: Vec<&str> = Vec::new();
        for (name, ..) in installs.iter().chain(&upgrades).chain(&rollbacks).chain(&removals) {
            ops.release(name, patient(&json!({"text": "after"}))).await?;
            names.push(name);
        }
        tested["values"] = json!({"hooks": {"test": "complete"}, "text": "after"});
        ops.release("tested", tested).await?;
        names.push("tested");
        ops.patch("v1", "ConfigMap", "d-wait-config", json!({"metadata": {"finalizers": null}})).await?;
        ops.helm.restart().await?;

        // The deletion runs its hook again, and goes on when that has ended.
        wait::until(&pods, "gone-pre-delete", "made anew", |pod| pod.metadata.uid != before).await?;
        let done = json!({"metadata": {"annotations": {"test.sluice.dev/pod": "complete"}}});
        ops.patch("v1", "Pod", "gone-pre-delete", done).await?;
        wait::gone(&ops.api(HELM, "HelmRelease").await?, "gone").await?;
        ensure!(ops.records("gone").await?.is_empty(), "records are left");

        for name in names {
            healed(ops, name).await?;
            let config = ops.get("v1", "ConfigMap", &format!("{name}-config")).await?;
            ensure!(config.data["data"]["text"] == "after", "{name}: {}", config.data);
        }
        nothing_is_pending(ops).await?;
        for (name, ..) in installs.iter().chain(&removals) {
            let records = ops.records(name).await?;
            ensure!(records == of(&[(1, "failed"), (2, "deployed")]), "{name}: {records:?}");
        }
        for (name, ..) in &upgrades {
            let records = ops.records(name).await?;
            ensure!(
                records == of(&[(1, "superseded"), (2, "failed"), (3, "deployed")]),
                "{name}: {records:?}"
            );
        }
        for (name, ..) in &rollbacks {
            let records = ops.records(name).await?;
            let wanted = of(&[(1, "superseded"), (2, "failed"), (3, "failed"), (4, "deployed")]);
            ensure!(records == wanted, "{name}: {records:?}");
        }
        let tested = ops.get(HELM, "HelmRelease", "tested").await?;
        ensure!(condition(&tested, "TestSuccess") == Some("True"), "{}", tested.data["status"]);
        ensure!(ops.records("tested").await? == of(&[(1, "superseded"), (2, "deployed")]));
        ops.told("u-wait", "PendingRelease", "in pending-upgrade state").await?;
        ops.told("d-before", "PendingRelease", "in uninstalling state").await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_gives_up_what_waits_and_the_next_start_goes_on() -> Result<()> {
    helm_ops("helm-stop", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &gated("1.0.0")).await?;
        // One try each: what a shutdown breaks off is none.
        let spec = |values: Value| {
            let remediation = json!({"retries": 0});
            json!({"timeout": "10m", "values": values, "install": {"remediation": remediation},
                   "upgrade": {"remediation": {"retries": 0, "remediateLastFailure": true}}, "test": {"enable": true}})
        };
        for name in ["upgrade", "gone"] {
            ops.release(name, spec(json!({"hooks": {"pre-delete": "run"}}))).await?;
        }
        // A revision to go back to whose hook is in the way.
        let mut back = spec(json!({"hooks": {"pre-rollback": "run"}}));
        back["install"]["disableWait"] = true.into();
        ops.release("rollback", back).await?;
        for name in ["upgrade", "gone", "rollback"] {
            ops.ready(name, 1).await?;
        }
        ops.release("install", spec(json!({"hooks": {"pre-install": "run"}}))).await?;
        ops.release("upgrade", spec(json!({"pods": "unready"}))).await?;
        ops.release("rollback", spec(json!({"hooks": {"pre-upgrade": "fail"}}))).await?;
        ops.release("test", spec(json!({"hooks": {"test": "run"}}))).await?;
        ops.delete(HELM, "HelmRelease", "gone").await?;
        stuck(ops, "install", 1, "pending-install", "pre-install").await?;
        stuck(ops, "upgrade", 2, "pending-upgrade", "").await?;
        stuck(ops, "rollback", 3, "pending-rollback", "pre-rollback").await?;
        stuck(ops, "test", 1, "deployed", "test").await?;
        stuck(ops, "gone", 1, "uninstalling", "pre-delete").await?;

        let pods = ops.api("v1", "Pod").await?;
        let mut before = Vec::new();
        for hook in ["rollback-pre-rollback", "test-test", "gone-pre-delete"] {
            before.push((hook, pods.get(hook).await?.metadata.uid));
        }
        let status = ops.helm.terminate()?;
        ensure!(status.success(), "{status}");
        for (name, wanted) in [
            ("install", of(&[(1, "failed")])),
            ("upgrade", of(&[(1, "deployed"), (2, "failed")])),
            ("rollback", of(&[(1, "deployed"), (2, "failed"), (3, "failed")])),
            ("test", of(&[(1, "deployed")])),
            ("gone", of(&[(1, "uninstalling")])),
        ] {
            ensure!(ops.records(name).await? == wanted, "{name}: {:?}", ops.records(name).await?);
        }
        for (name, failures) in [("install", 0), ("upgrade", 0), ("rollback", 1), ("test", 0)] {
            let status = ops.get(HELM, "HelmRelease", name).await?.data["status"].clone();
            ensure!(status["failures"].as_i64().unwrap_or_default() == failures, "{name}: {status}");
            let newest = &status["history"][0]["status"];
            ensure!(*newest == if name == "test" { "deployed" } else { "failed" }, "{name}: {status}");
        }

        // What was in the way of the upgrade goes. The hooks run again, and this time they end.
        ops.release("upgrade", spec(json!({}))).await?;
        ops.helm.restart().await?;
        for (hook, old) in before {
            wait::until(&pods, hook, "made anew", |pod| pod.metadata.uid != old).await?;
            let done = json!({"metadata": {"annotations": {"test.sluice.dev/pod": "complete"}}});
            ops.patch("v1", "Pod", hook, done).await?;
        }
        healed(ops, "install").await?;
        // What failed to be installed is upgraded, as with Flux.
        let records = ops.records("install").await?;
        ensure!(records == of(&[(1, "failed"), (2, "deployed")]), "{records:?}");
        healed(ops, "upgrade").await?;
        wait::gone(&ops.api(HELM, "HelmRelease").await?, "gone").await?;
        let rolled = ops.until("rollback", "Remediated", "True", "RollbackSucceeded").await?;
        ensure!(condition(&rolled, "Ready") == Some("False"), "{}", rolled.data["status"]);
        let tested = healed(ops, "test").await?;
        ensure!(condition(&tested, "TestSuccess") == Some("True"), "{}", tested.data["status"]);
        nothing_is_pending(ops).await
    })
    .await
}

const ROUNDS: u64 = 15;

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_moments_end_with_the_release_that_is_wanted() -> Result<()> {
    let seed = std::env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_127);
    let mut random = fastrand::Rng::with_seed(seed);
    helm_ops("helm-kills", &["--min-retry-delay=20ms", "--max-retry-delay=200ms"], async |ops| {
        ops.chart("app", &gated("1.0.0")).await?;
        let names = ["one", "two", "three"];
        for round in 0..ROUNDS {
            for name in names {
                // Mostly good, at times with a hook that fails, at times the object itself goes.
                let fate = if random.u8(0..4) == 0 { "fail" } else { "complete" };
                let values = json!({"text": round.to_string(), "hooks": {"pre-install": fate, "pre-upgrade": fate, "post-upgrade": "complete"}});
                let remediation = json!({"remediation": {"retries": 1, "remediateLastFailure": true}});
                ops.release(name, json!({"values": values, "install": remediation, "upgrade": remediation, "test": {"enable": true}}))
                    .await?;
            }
            // Not a wait for something: this is the random moment.
            tokio::time::sleep(Duration::from_millis(random.u64(0..1500))).await;
            ops.helm.kill();
            ops.helm.launch()?;
        }
        ops.helm.ready().await?;
        for name in names {
            ops.release(name, json!({"values": {"text": "last"}})).await?;
        }
        for name in names {
            healed(ops, name).await.with_context(|| format!("SLUICE_SEED={seed}"))?;
            let config = ops.get("v1", "ConfigMap", &format!("{name}-config")).await?;
            ensure!(config.data["data"]["text"] == "last", "{name}: {}; SLUICE_SEED={seed}", config.data);
            let records = ops.records(name).await?;
            let newest = records.last().context("no record")?;
            ensure!(newest.1 == "deployed", "{name}: {records:?}; SLUICE_SEED={seed}");
            ensure!(records.len() <= 6, "{name}: {records:?}; SLUICE_SEED={seed}");
        }
        nothing_is_pending(ops).await.with_context(|| format!("SLUICE_SEED={seed}"))?;
        for name in names {
            ops.delete(HELM, "HelmRelease", name).await?;
        }
        for name in names {
            wait::gone(&ops.api(HELM, "HelmRelease").await?, name).await?;
            ensure!(ops.records(name).await?.is_empty(), "{name}: records are left; SLUICE_SEED={seed}");
            ensure!(ops.find("apps/v1", "Deployment", name).await?.is_none(), "{name} is left; SLUICE_SEED={seed}");
        }
        Ok(())
    })
    .await
}

//! Two replicas of helm-controller: the leader is killed while it installs, upgrades, rolls back, tests and uninstalls.

use crate::helm::{HELM, HOOKS, HelmOps, of};
use crate::helm_away::become_ready;
use crate::helm_crash::{gated, stuck};
use crate::leaders::{SHORT, leads, replica};
use crate::setting::Setting;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{ChartServer, condition, wait};

/// A Job that is done before an installation's other hook begins.
const FIRST: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-first
  annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: '-5'}
spec:
  template:
    metadata: {annotations: {test.sluice.dev/pod: complete}}
    spec: {restartPolicy: Never, containers: [{name: hook, image: example.com/hook}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_from_a_killed_leader_ends_what_it_had_begun() -> Result<()> {
    let setting = Setting::new("helm-leaders").await?;
    let charts = ChartServer::start().await?;
    let first = replica(&setting, "helm-controller", SHORT).await?;
    leads(&first).await?;
    let second = replica(&setting, "helm-controller", SHORT).await?;
    let mut ops = HelmOps { helm: first, charts, setting };
    let outcome = taken_over(&mut ops, || leads(&second)).await;
    outcome.map_err(|error| {
        error.context(format!("--- first\n{}\n--- second\n{}\n---", ops.helm.log_tail(), second.log_tail()))
    })
}

async fn taken_over<F>(ops: &mut HelmOps, second_leads: impl FnOnce() -> F) -> Result<()>
where
    F: Future<Output = Result<std::time::Duration>>,
{
    let chart = gated("1.0.0").file("templates/hooks.yaml", &format!("{HOOKS}---\n{FIRST}"));
    ops.chart("app", &chart).await?;
    // One try each: what a killed leader had begun is none.
    let spec = |values: Value| {
        json!({"timeout": "10m", "values": values, "install": {"remediation": {"retries": 0}},
               "upgrade": {"remediation": {"retries": 0}}})
    };
    ops.release("upgrade", spec(json!({}))).await?;
    ops.release("rollback", spec(json!({"hooks": {"pre-rollback": "run"}}))).await?;
    ops.release("gone", spec(json!({"hooks": {"pre-delete": "run"}}))).await?;
    for name in ["upgrade", "rollback", "gone"] {
        ops.ready(name, 1).await?;
    }
    ops.release("install", spec(json!({"hooks": {"pre-install": "run"}}))).await?;
    ops.release("upgrade", spec(json!({"hooks": {"pre-upgrade": "complete"}, "pods": "unready"}))).await?;
    let mut back = spec(json!({"hooks": {"pre-upgrade": "fail"}}));
    back["upgrade"]["remediation"]["remediateLastFailure"] = true.into();
    ops.release("rollback", back.clone()).await?;
    let mut tested = spec(json!({"hooks": {"test": "run"}}));
    tested["test"] = json!({"enable": true});
    ops.release("test", tested).await?;
    ops.delete(HELM, "HelmRelease", "gone").await?;
    stuck(ops, "install", 1, "pending-install", "pre-install").await?;
    stuck(ops, "upgrade", 2, "pending-upgrade", "").await?;
    stuck(ops, "rollback", 3, "pending-rollback", "pre-rollback").await?;
    stuck(ops, "test", 1, "deployed", "test").await?;
    stuck(ops, "gone", 1, "uninstalling", "pre-delete").await?;
    let (pods, jobs) = (ops.api("v1", "Pod").await?, ops.api("batch/v1", "Job").await?);
    let job = jobs.get("install-first").await?;
    ensure!(job.data["status"]["succeeded"] == 1, "the second hook began before the first was done");
    let mut before = Vec::new();
    for hook in ["test-test", "gone-pre-delete"] {
        before.push((hook, pods.get(hook).await?.metadata.uid));
    }
    let hung = pods.get("rollback-pre-rollback").await?.metadata.uid;
    ops.helm.kill();
    second_leads().await?;

    // The hooks of an unfinished test and of a deletion run once more, and end.
    for (hook, old) in before {
        wait::until(&pods, hook, "made anew", |pod| pod.metadata.uid != old).await.context(hook)?;
        let done = json!({"metadata": {"annotations": {"test.sluice.dev/pod": "complete"}}});
        ops.patch("v1", "Pod", hook, done).await?;
    }
    // An installation that was broken off is gone on with as an upgrade, which has no such hooks.
    ops.ready("install", 2).await?;
    ensure!(ops.records("install").await? == of(&[(1, "failed"), (2, "deployed")]));
    let after = jobs.get("install-first").await?;
    ensure!(after.metadata.uid == job.metadata.uid, "a hook that had succeeded was run once more");

    // What is wanted is tried again; the one who has taken over waits for it.
    let record = "sh.helm.release.v1.upgrade.v3";
    wait::until(&ops.api("v1", "Secret").await?, record, "begun", |_| true).await?;
    ops.told("upgrade", "PendingRelease", "in pending-upgrade state").await?;
    ensure!(
        ops.records("upgrade").await? == of(&[(1, "deployed"), (2, "failed"), (3, "pending-upgrade")]),
        "{:?}",
        ops.records("upgrade").await?
    );
    become_ready(ops, "upgrade").await?;
    ops.ready("upgrade", 3).await?;
    ensure!(ops.records("upgrade").await? == of(&[(1, "superseded"), (2, "failed"), (3, "deployed")]));

    // The rollback is found as one that failed: what is wanted is tried once more, and undone once more.
    let record = "sh.helm.release.v1.rollback.v5";
    wait::until(&ops.api("v1", "Secret").await?, record, "begun", |_| true).await?;
    let done = json!({"metadata": {"annotations": {"test.sluice.dev/pod": "complete"}}});
    let hook = "rollback-pre-rollback";
    wait::until(&pods, hook, "made anew", |pod| {
        pod.metadata.uid != hung && pod.metadata.deletion_timestamp.is_none()
    })
    .await?;
    ops.patch("v1", "Pod", hook, done).await?;
    let rolled = ops.until("rollback", "Stalled", "True", "RetriesExceeded").await?;
    ensure!(condition(&rolled, "Remediated") == Some("True"), "{}", rolled.data["status"]);
    let wanted = of(&[(1, "superseded"), (2, "failed"), (3, "failed"), (4, "failed"), (5, "deployed")]);
    ensure!(ops.records("rollback").await? == wanted, "{:?}", ops.records("rollback").await?);

    let tested = ops.ready("test", 1).await?;
    ensure!(condition(&tested, "TestSuccess") == Some("True"), "{}", tested.data["status"]);
    wait::gone(&ops.api(HELM, "HelmRelease").await?, "gone").await?;
    ensure!(ops.records("gone").await?.is_empty(), "records are left");
    Ok(())
}

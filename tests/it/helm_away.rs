//! An API server that is away or refuses everything while a helm-controller waits, and when it is to record how the wait ended.

use crate::helm::{HELM, HelmOps, message, of};
use crate::helm_crash::{gated, stuck};
use crate::setting::Setting;
use anyhow::{Context as _, Result, ensure};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{ApiCall, ApiFault, ApiProxy, ChartServer, Controller, condition, wait};

/// What becomes of the API server while releases wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Nobody answers.
    Down,
    /// It has no time for anything.
    Refuses,
    /// Records cannot be written, for longer than a request is sent again.
    Records,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_while_things_are_waited_for_costs_no_try() -> Result<()> {
    let setting = Setting::new("helm-waits").await?;
    let proxy = ApiProxy::start(setting.plane, "helm-controller").await?;
    let charts = ChartServer::start().await?;
    let helm = Controller::builder(setting.plane, "helm-controller")?
        .kubeconfig(&proxy.kubeconfig())
        .namespace(&setting.namespace)
        .argument("--min-retry-delay=50ms")
        .argument("--max-retry-delay=500ms");
    let ops = HelmOps { helm: helm.start().await?, charts, setting };
    let outcome = async {
        ops.chart("app", &gated("1.0.0")).await?;
        let troubles =
            [("down", Trouble::Down), ("refuses", Trouble::Refuses), ("records", Trouble::Records)];
        for (name, trouble) in troubles {
            waits(&ops, &proxy, name, trouble).await.with_context(|| name.to_owned())?;
        }
        anyhow::Ok(())
    };
    outcome.await.map_err(|error| error.context(format!("--- helm-controller\n{}\n---", ops.helm.log_tail())))
}

/// A release for each action that waits, all with one try, and what they wait for comes while there is trouble.
async fn waits(ops: &HelmOps, proxy: &ApiProxy, round: &str, trouble: Trouble) -> Result<()> {
    let name = |action: &str| format!("{round}-{action}");
    let spec = |values: Value| {
        json!({"timeout": "10m", "values": values, "install": {"remediation": {"retries": 0}},
               "upgrade": {"remediation": {"retries": 0, "remediateLastFailure": true}}})
    };
    let (install, upgrade, rollback) = (name("install"), name("upgrade"), name("rollback"));
    let (test, removal) = (name("test"), name("removal"));
    ops.release(&upgrade, spec(json!({}))).await?;
    let mut back = spec(json!({"pods": "unready"}));
    back["install"]["disableWait"] = true.into();
    ops.release(&rollback, back).await?;
    ops.release(&removal, spec(json!({"held": true}))).await?;
    for name in [&upgrade, &rollback, &removal] {
        ops.ready(name, 1).await?;
    }
    ops.release(&install, spec(json!({"pods": "unready"}))).await?;
    ops.release(&upgrade, spec(json!({"pods": "unready"}))).await?;
    ops.release(&rollback, spec(json!({"hooks": {"pre-upgrade": "fail"}}))).await?;
    let mut tested = spec(json!({"hooks": {"test": "run"}}));
    tested["test"] = json!({"enable": true});
    ops.release(&test, tested).await?;
    ops.delete(HELM, "HelmRelease", &removal).await?;
    stuck(ops, &install, 1, "pending-install", "").await?;
    stuck(ops, &upgrade, 2, "pending-upgrade", "").await?;
    stuck(ops, &rollback, 3, "pending-rollback", "").await?;
    stuck(ops, &test, 1, "deployed", "test").await?;
    let maps = ops.api("v1", "ConfigMap").await?;
    let map = format!("{removal}-config");
    wait::until(&maps, &map, "to go", |map| map.metadata.deletion_timestamp.is_some()).await?;
    // Past their writes: it is the waiting that is to be disturbed. The Deployment is the last object of the chart.
    for (name, writes) in [(&install, 1), (&upgrade, 2), (&rollback, 2)] {
        let path = format!("/deployments/{name}");
        let is_one = |call: &&ApiCall| call.is_write() && call.path.ends_with(&path) && call.answered;
        seen(proxy, |calls| calls.iter().filter(is_one).count() >= writes).await?;
    }
    let begin = proxy.calls().len();
    match trouble {
        Trouble::Down => proxy.down().await,
        Trouble::Refuses => {
            proxy.disturb(ApiFault::Status(503), usize::MAX, |_| true);
            proxy.expire_watches();
        }
        Trouble::Records => proxy.disturb(ApiFault::Status(503), usize::MAX, is_record_write),
    }
    for name in [&install, &upgrade, &rollback] {
        become_ready(ops, name).await?;
    }
    ops.patch("v1", "ConfigMap", &map, json!({"metadata": {"finalizers": null}})).await?;
    wait::gone(&maps, &map).await?;
    let pods = ops.api("v1", "Pod").await?;
    let pod = format!("{test}-test");
    let before = pods.get(&pod).await?.metadata.uid;
    kubelet(&pods, &pod, json!({"phase": "Succeeded"})).await?;
    match trouble {
        Trouble::Down => proxy.up().await?,
        Trouble::Refuses => {
            let is_one = |call: &&ApiCall| call.fault.is_some();
            seen(proxy, |calls| calls[begin..].iter().filter(is_one).count() > 5).await?;
            proxy.calm();
        }
        Trouble::Records => {
            // All tries of a request are used up, and there is another request.
            for name in [&install, &upgrade, &rollback, &test, &removal] {
                let record = format!("release.v1.{name}.v");
                let is_one = |call: &&ApiCall| call.fault.is_some() && call.path.contains(&record);
                seen(proxy, |calls| calls[begin..].iter().filter(is_one).count() > 6)
                    .await
                    .with_context(|| record.clone())?;
            }
            proxy.calm();
            // The test is run once more, as nobody knows how it ended.
            wait::until(&pods, &pod, "made anew", |pod| {
                pod.metadata.uid != before && pod.data["status"]["phase"] == "Running"
            })
            .await?;
            kubelet(&pods, &pod, json!({"phase": "Succeeded"})).await?;
        }
    }
    let again = trouble == Trouble::Records;
    ops.ready(&install, if again { 2 } else { 1 }).await?;
    ops.ready(&upgrade, if again { 3 } else { 2 }).await?;
    let tested = ops.ready(&test, 1).await?;
    ensure!(condition(&tested, "TestSuccess") == Some("True"), "{}", tested.data["status"]);
    let rolled = ops.until(&rollback, "Stalled", "True", "RetriesExceeded").await?;
    ensure!(condition(&rolled, "Remediated") == Some("True"), "{}", rolled.data["status"]);
    ensure!(message(&rolled, "Ready").ends_with(" succeeded"), "{}", rolled.data["status"]);
    wait::gone(&ops.api(HELM, "HelmRelease").await?, &removal).await?;
    let wanted: [(&String, Vec<(i64, String)>); 5] = if again {
        [
            (&install, of(&[(1, "failed"), (2, "deployed")])),
            (&upgrade, of(&[(1, "superseded"), (2, "failed"), (3, "deployed")])),
            (&rollback, of(&[(1, "superseded"), (2, "failed"), (3, "failed"), (4, "deployed")])),
            (&test, of(&[(1, "deployed")])),
            (&removal, of(&[])),
        ]
    } else {
        [
            (&install, of(&[(1, "deployed")])),
            (&upgrade, of(&[(1, "superseded"), (2, "deployed")])),
            (&rollback, of(&[(1, "superseded"), (2, "failed"), (3, "deployed")])),
            (&test, of(&[(1, "deployed")])),
            (&removal, of(&[])),
        ]
    };
    for (name, wanted) in wanted {
        let records = ops.records(name).await?;
        ensure!(records == wanted, "{name}: {records:?}");
    }
    for name in [&install, &upgrade] {
        let status = ops.get(HELM, "HelmRelease", name).await?.data["status"].clone();
        ensure!(status["failures"].as_i64().unwrap_or_default() == 0, "{name}: {status}");
    }
    Ok(())
}

/// The Pods of a release get ready.
pub(crate) async fn become_ready(ops: &HelmOps, release: &str) -> Result<()> {
    let pods = ops.api("v1", "Pod").await?;
    let list = pods.list(&ListParams::default().labels(&format!("app={release}"))).await?;
    for name in list.into_iter().filter_map(|pod| pod.metadata.name) {
        let conditions: Vec<_> = ["Ready", "ContainersReady", "PodScheduled", "Initialized"]
            .iter()
            .map(|type_| json!({"type": type_, "status": "True", "lastTransitionTime": "2026-11-28T00:00:00Z"}))
            .collect();
        kubelet(&pods, &name, json!({"conditions": conditions})).await?;
    }
    wait::until(&ops.api("apps/v1", "Deployment").await?, release, "ready", |object| {
        let status = &object.data["status"];
        status["observedGeneration"].as_i64() == object.metadata.generation
            && ["replicas", "updatedReplicas", "readyReplicas"].iter().all(|count| status[*count] == 1)
    })
    .await
    .map(drop)
}

/// Writes a part of the status of a Pod, as a kubelet does.
async fn kubelet(pods: &Api<DynamicObject>, name: &str, status: Value) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "as a kubelet does")]
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({"status": status}))).await?;
    Ok(())
}

fn is_record_write(call: &ApiCall) -> bool {
    call.is_write() && call.path.contains("/secrets/sh.helm.release.")
}

/// Waits until the proxy has seen such calls. It can be asked only.
async fn seen(proxy: &ApiProxy, enough: impl Fn(&[ApiCall]) -> bool) -> Result<()> {
    let seen = async {
        while !enough(&proxy.calls()) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(wait::PATIENCE, seen).await.context("the proxy did not see such calls")
}

//! Two replicas of each controller: one leads, the other takes over whatever becomes of the first, and nothing is done twice.

use crate::setting::Setting;
use anyhow::{Context as _, Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{ApiCall, ApiFault, ApiProxy, Controller, of_controller, wait};
use std::time::{Duration, Instant};

/// Leases that a killed leader leaves behind are taken after this time. It is long enough for a leader on a busy machine.
pub(crate) const SHORT: [&str; 3] = [
    "--leader-election-lease-duration=8s",
    "--leader-election-renew-deadline=7s",
    "--leader-election-retry-period=500ms",
];
/// Nobody waits for the end of such a lease here.
const LONG: [&str; 3] = [
    "--leader-election-lease-duration=1h",
    "--leader-election-renew-deadline=50m",
    "--leader-election-retry-period=200ms",
];

/// Each controller, and an object that keeps it busy: what it refers to is not there.
const CONTROLLERS: [(&str, &str, &str, &str); 5] = [
    (
        "source-controller",
        "source.toolkit.fluxcd.io/v1",
        "GitRepository",
        r#"{"url": "http://127.0.0.1:1/x"}"#,
    ),
    (
        "kustomize-controller",
        "kustomize.toolkit.fluxcd.io/v1",
        "Kustomization",
        r#"{"prune": true, "sourceRef": {"kind": "GitRepository", "name": "none"}}"#,
    ),
    (
        "helm-controller",
        "helm.toolkit.fluxcd.io/v2",
        "HelmRelease",
        r#"{"chartRef": {"kind": "OCIRepository", "name": "none"}}"#,
    ),
    (
        "notification-controller",
        "notification.toolkit.fluxcd.io/v1",
        "Receiver",
        r#"{"type": "generic", "secretRef": {"name": "none"}, "resources": [{"kind": "GitRepository", "name": "app"}]}"#,
    ),
    ("image-controller", "image.toolkit.fluxcd.io/v1", "ImageRepository", r#"{"image": "127.0.0.1:1/x"}"#),
];

pub(crate) async fn replica(setting: &Setting, name: &str, lease: [&str; 3]) -> Result<Controller> {
    let mut builder = Controller::builder(setting.plane, name)?
        .namespace(&setting.namespace)
        .argument("--enable-leader-election");
    for argument in lease {
        builder = builder.argument(argument);
    }
    builder.start().await
}

async fn is_leading(controller: &Controller) -> Result<bool> {
    let metrics = controller.metrics().await?;
    Ok(metrics.lines().any(|line| line.starts_with("leader_election_master_status{") && line.ends_with(" 1")))
}

/// Waits until it leads, and returns how long that took.
pub(crate) async fn leads(controller: &Controller) -> Result<Duration> {
    let begin = Instant::now();
    while !is_leading(controller).await? {
        ensure!(begin.elapsed() < wait::PATIENCE, "no leader:\n{}", controller.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(begin.elapsed())
}

/// How many reconciles a replica has begun and ended.
async fn reconciles(controller: &Controller) -> Result<u64> {
    let metrics = controller.metrics().await?;
    let lines = metrics.lines().filter(|line| line.starts_with("controller_runtime_reconcile_total{"));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64)
}

/// Whether a reconcile of a GitRepository has been counted.
async fn works_on(controller: &Controller, name: &str) -> Result<bool> {
    Ok(controller.metrics().await?.contains(&format!("kind=\"GitRepository\",name=\"{name}\"")))
}

/// Makes an object and waits until somebody has looked at it.
async fn busy(setting: &Setting, controller: (&str, &str, &str, &str), name: &str) -> Result<()> {
    let (_, version, kind, spec) = controller;
    let mut spec: Value = serde_json::from_str(spec)?;
    if kind != "Receiver" {
        spec["interval"] = "1h".into();
    }
    let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec});
    setting.apply(&object.to_string()).await?;
    let seen = |object: &DynamicObject| {
        object.data["status"]["conditions"].as_array().is_some_and(|all| !all.is_empty())
    };
    wait::until(&setting.api(version, kind).await?, name, "looked at", seen).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_ends_gives_its_lease_back_and_one_that_is_killed_loses_it() -> Result<()> {
    let setting = Setting::new("leaders").await?;
    let cases = CONTROLLERS.map(|controller| {
        let setting = &setting;
        async move {
            let name = controller.0;
            // Asked to end: the other one takes over although the lease would last for an hour.
            let (mut first, second) = (replica(setting, name, LONG).await?, replica(setting, name, LONG).await?);
            leads(&first).await?;
            busy(setting, controller, "one").await?;
            ensure!(!is_leading(&second).await? && reconciles(&second).await? == 0, "{name}: both work");
            first.terminate()?;
            let graceful = leads(&second).await?;
            busy(setting, controller, "two").await?;
            drop(second);

            // The lease of the last one is its own for an hour, and it was killed: that lease goes.
            let leases = setting.api("coordination.k8s.io/v1", "Lease").await?;
            let lease = leases.get(&format!("{name}-leader-election")).await?;
            ensure!(lease.data["spec"]["leaseTransitions"] == 1, "{name}: {}", lease.data);
            leases.delete(&format!("{name}-leader-election"), &kube::api::DeleteParams::default()).await?;

            let (mut first, second) = (replica(setting, name, SHORT).await?, replica(setting, name, SHORT).await?);
            leads(&first).await?;
            busy(setting, controller, "three").await?;
            ensure!(reconciles(&second).await? == 0, "{name}: both work");
            first.kill();
            let killed = leads(&second).await?;
            busy(setting, controller, "four").await?;
            println!("{name}: taken over {graceful:.1?} after SIGTERM ended it, {killed:.1?} after kill -9 (lease of 8 s)");
            anyhow::Ok(())
        }
    });
    futures::future::try_join_all(cases).await.map(drop)
}

/// What only a leader may do.
fn is_leaders(call: &ApiCall) -> bool {
    call.is_write() && !call.path.contains("/leases") && !call.path.ends_with("/events")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_hangs_writes_nothing_when_it_comes_back() -> Result<()> {
    let setting = Setting::new("leader-hangs").await?;
    let name = "helm-controller";
    let kubeconfig = of_controller(setting.plane, name, Some(&setting.namespace)).await?;
    let proxy = ApiProxy::before(&kubeconfig).await?;
    let mut builder = Controller::builder(setting.plane, name)?
        .kubeconfig(&proxy.kubeconfig())
        .namespace(&setting.namespace)
        .argument("--enable-leader-election");
    for argument in SHORT {
        builder = builder.argument(argument);
    }
    let first = builder.start().await?;
    leads(&first).await?;
    let second = replica(&setting, name, SHORT).await?;

    // It hangs while its first write is under way, so that others would follow.
    let controller = CONTROLLERS[2];
    let delay = ApiFault::Delay(Duration::from_millis(300));
    proxy.disturb(delay, 1, is_leaders);
    let before = proxy.calls().len();
    let work = busy(&setting, controller, "one");
    let hang = async {
        let began = async {
            while !proxy.calls()[before..].iter().any(is_leaders) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(wait::PATIENCE, began).await.context("no write began")?;
        first.pause()?;
        leads(&second).await
    };
    let ((), taken) = tokio::try_join!(work, hang)?;
    let begin = Instant::now();
    while reconciles(&second).await? == 0 {
        ensure!(begin.elapsed() < wait::PATIENCE, "the second replica did nothing:\n{}", second.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let calls = proxy.calls().len();
    first.resume()?;
    let begin = Instant::now();
    while first.is_running() {
        ensure!(begin.elapsed() < wait::PATIENCE, "it goes on:\n{}", first.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let late: Vec<_> = proxy.calls()[calls..].iter().filter(|call| is_leaders(call)).cloned().collect();
    ensure!(late.is_empty(), "it wrote although another one led: {late:?}");
    ensure!(first.log_tail().contains("leadership lost"), "{}", first.log_tail());
    ensure!(is_leading(&second).await?);
    println!(
        "{name}: taken over {taken:.1?} after SIGSTOP (lease of 8 s), ended {:.1?} after SIGCONT",
        begin.elapsed()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_end_before_anything_is_known_ends() -> Result<()> {
    let setting = Setting::new("ends-early").await?;
    let cases = CONTROLLERS.map(|(name, ..)| {
        let setting = &setting;
        async move {
            let kubeconfig = of_controller(setting.plane, name, Some(&setting.namespace)).await?;
            let proxy = ApiProxy::before(&kubeconfig).await?;
            let builder = Controller::builder(setting.plane, name)?
                .kubeconfig(&proxy.kubeconfig())
                .namespace(&setting.namespace)
                .argument("--enable-leader-election");
            let mut controller = builder.start().await?;
            controller.terminate()?;
            // Nothing of ours is ever listed again.
            let is_list = |call: &ApiCall| call.path.contains(".toolkit.fluxcd.io/");
            proxy.disturb(ApiFault::Delay(Duration::from_hours(1)), usize::MAX, is_list);
            let before = proxy.calls().len();
            controller.launch()?;
            let asked = async {
                while !proxy.calls()[before..].iter().any(is_list) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(wait::PATIENCE, asked)
                .await
                .with_context(|| format!("{name} asks for nothing"))?;
            controller.terminate().with_context(|| name.to_owned()).map(drop)
        }
    });
    futures::future::try_join_all(cases).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_share_the_work() -> Result<()> {
    let setting = Setting::new("shards").await?;
    let shard = async |selector: &str| {
        let builder = Controller::builder(setting.plane, "source-controller")?
            .namespace(&setting.namespace)
            .argument("--enable-leader-election")
            .argument(format!("--watch-label-selector={selector}"));
        builder.start().await
    };
    // As the chart makes them: the shard, and all that is of none. Each leads for itself.
    let (shard, rest) =
        tokio::try_join!(shard("sharding.fluxcd.io/key=a"), shard("!sharding.fluxcd.io/key"))?;
    tokio::try_join!(leads(&shard), leads(&rest))?;
    let repository = |name: &str, labels: Value| {
        json!({
            "apiVersion": CONTROLLERS[0].1, "kind": "GitRepository", "metadata": {"name": name, "labels": labels},
            "spec": {"interval": "1h", "url": "http://127.0.0.1:1/x"},
        })
    };
    let api = setting.api(CONTROLLERS[0].1, "GitRepository").await?;
    let seen = |object: &DynamicObject| {
        object.data["status"]["conditions"].as_array().is_some_and(|all| !all.is_empty())
    };
    for (name, labels) in [
        ("sharded", json!({"sharding.fluxcd.io/key": "a"})),
        ("plain", json!({})),
        ("odd", json!({"sharding.fluxcd.io/key": "b"})),
    ] {
        setting.apply(&repository(name, labels).to_string()).await?;
    }
    for name in ["sharded", "plain"] {
        wait::until(&api, name, "looked at", seen).await?;
    }
    for (controller, own, others) in
        [(&shard, "sharded", ["plain", "odd"]), (&rest, "plain", ["sharded", "odd"])]
    {
        // A reconcile counts when it ends, which is after its first write of the status.
        let begin = Instant::now();
        while !works_on(controller, own).await? {
            ensure!(begin.elapsed() < wait::PATIENCE, "nobody worked on {own}:\n{}", controller.log_tail());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for other in others {
            let twice = works_on(controller, other).await?;
            ensure!(!twice, "two shards work on {other}, or one on a shard that is none of its own");
        }
    }
    ensure!(!seen(&api.get("odd").await?), "a shard without a controller was worked on");
    Ok(())
}

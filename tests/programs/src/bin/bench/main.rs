//! `make bench`: one GitRepository and many Kustomizations, each a Deployment, a Service and a ConfigMap in a namespace of
//! its own, with `wait: true`; `make bench-helm-releases`: the same as HelmReleases with a HelmChart each. Measures seconds
//! to all ready, and what each controller costs.

mod objects;
mod report;
mod subject;

use anyhow::{Context, Result};
use clap::Parser;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{Api, DynamicObject};
use objects::deployments;
use report::{Idle, Phase, Report};
use serde_json::json;
use sluice_programs::measure::{PARALLEL, all, apply, is_ready};
use sluice_tests::{Cluster, ControlPlane, Controller, GitServer, Options, Usage, install_crds};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use subject::Subject;

/// Seconds, CPU and memory for many Kustomizations or HelmReleases, on a control plane of its own.
#[derive(Parser)]
struct Arguments {
    /// HelmReleases in the place of Kustomizations.
    #[arg(long)]
    helm_releases: bool,
    /// How many Kustomizations or HelmReleases.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Also write the figures to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Leave out the limit: the same objects created directly.
    #[arg(long)]
    no_limit: bool,
    /// How often everything is reconciled without a change.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Reconciles at the same time in kustomize-controller or helm-controller.
    #[arg(long, default_value_t = 20)]
    concurrent: usize,
}

pub(crate) const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
pub(crate) const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
pub(crate) const HELM: &str = "helm.toolkit.fluxcd.io/v2";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let report = measure(&arguments).await?;
    report.print();
    if let Some(path) = arguments.json {
        std::fs::write(&path, serde_json::to_string_pretty(&report)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

struct Bench {
    plane: ControlPlane,
    cluster: Cluster,
    controllers: Vec<(&'static str, Controller)>,
    count: usize,
    subject: Subject,
}

async fn measure(arguments: &Arguments) -> Result<Report> {
    let count = arguments.count;
    let subject = if arguments.helm_releases { Subject::HelmReleases } else { Subject::Kustomizations };
    report::progress("starting a control plane");
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let client = plane.client().await?;
    install_crds(&client).await?;
    let cluster = Cluster { client, namespace: "flux-system".into() };
    cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}").await?;
    let server = GitServer::start().await?;
    let repository = server.repository("app")?;
    subject.write(&repository, "1.0.0")?;
    let first = repository.commit("First")?;

    let source = Controller::builder(&plane, "source-controller")?.argument("--concurrent=10");
    let (controller, name) = subject.controller();
    let applier = Controller::builder(&plane, controller)?
        .argument(format!("--concurrent={}", arguments.concurrent))
        .argument("--log-level=error");
    let (source, applier) = tokio::try_join!(source.start(), applier.start())?;
    let controllers = vec![("source", source), (name, applier)];
    let bench = Bench { plane, cluster, controllers, count, subject };
    namespaces(&bench, "app").await?;
    report::progress("measuring idle");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = bench.usage()?.into_iter().map(|(name, usage)| (name, Idle::of(usage))).collect();

    let mut phases = Vec::new();
    report::progress("install");
    let created = async {
        bench.cluster.apply(&objects::git_repository(repository.url())).await?;
        apply(&bench.cluster, subject.objects(count)).await
    };
    phases.push(bench.phase("install", created, |object| subject.is_done(object, &first, "1.0.0")).await?);

    report::progress("upgrade");
    subject.write(&repository, "1.1.0")?;
    let second = repository.commit("Second")?;
    let requested = async { bench.cluster.request_reconcile(SOURCE, "GitRepository", "app").await.map(drop) };
    phases.push(bench.phase("upgrade", requested, |object| subject.is_done(object, &second, "1.1.0")).await?);

    for _ in 0..arguments.rounds {
        report::progress("unchanged");
        phases.push(bench.unchanged().await?);
    }

    let limit = if arguments.no_limit { None } else { Some(bench.limit().await?) };
    let peak = bench.usage()?.into_iter().map(|(name, usage)| (name, usage.peak)).collect();
    Ok(Report::new(subject, count, idle, phases, peak, limit))
}

async fn namespaces(bench: &Bench, prefix: &str) -> Result<()> {
    let namespace =
        |index| format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {prefix}-{index}}}}}");
    apply(&bench.cluster, (0..bench.count).map(namespace)).await
}

impl Bench {
    fn usage(&self) -> Result<BTreeMap<&'static str, Usage>> {
        self.controllers.iter().map(|(name, controller)| Ok((*name, controller.usage()?))).collect()
    }

    /// CPU time of the control plane's processes together.
    fn plane_cpu(&self) -> Result<Duration> {
        self.plane.facts().processes.values().map(|id| Ok(Usage::of(*id)?.cpu)).sum()
    }

    /// Asks for a reconcile of all, and waits until each has heard of it.
    async fn unchanged(&self) -> Result<Phase> {
        let request = jiff::Timestamp::now().to_string();
        let (version, kind) = self.subject.kind();
        let api = self.cluster.api(version, kind).await?;
        let patch = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": request}}});
        let requested = async {
            stream::iter(0..self.count)
                .map(|index| objects::patch(&api, objects::name(index), &patch))
                .buffer_unordered(PARALLEL)
                .try_collect::<()>()
                .await
        };
        let heard = |object: &DynamicObject| {
            object.data["status"]["lastHandledReconcileAt"] == request.as_str() && is_ready(object)
        };
        self.phase("unchanged", requested, heard).await
    }

    /// Does something and waits until `good` holds of all Kustomizations or HelmReleases.
    async fn phase(
        &self,
        name: &'static str,
        act: impl Future<Output = Result<()>>,
        good: impl Fn(&DynamicObject) -> bool,
    ) -> Result<Phase> {
        let (usage, plane) = (self.usage()?, self.plane_cpu()?);
        let (version, kind) = self.subject.kind();
        let api = self.cluster.api(version, kind).await?;
        let begin = Instant::now();
        tokio::try_join!(act, all(&api, self.count, good))
            .with_context(|| format!("{name}\n{}", self.controllers[1].1.log_tail()))?;
        let seconds = begin.elapsed().as_secs_f64();
        let cpu = self
            .usage()?
            .into_iter()
            .map(|(name, after)| (name, after.cpu.saturating_sub(usage[name].cpu).as_secs_f64()));
        Ok(Phase {
            name,
            seconds,
            cpu: cpu.collect(),
            plane_cpu: self.plane_cpu()?.saturating_sub(plane).as_secs_f64(),
        })
    }

    /// The same objects created directly, until every Deployment is available: no controller can be faster.
    async fn limit(&self) -> Result<f64> {
        report::progress("the limit");
        namespaces(self, "limit").await?;
        let resource = kube::core::GroupVersionKind::gvk("apps", "v1", "Deployment");
        let (resource, _) = kube::discovery::pinned_kind(&self.cluster.client, &resource).await?;
        let api: Api<DynamicObject> = Api::all_with(self.cluster.client.clone(), &resource);
        let begin = Instant::now();
        let objects: Vec<_> = deployments(self.count, "limit").collect();
        let created = async {
            stream::iter(objects)
                .map(|objects| objects::create(&self.cluster.client, objects))
                .buffer_unordered(PARALLEL)
                .try_collect::<()>()
                .await
        };
        let available = |object: &DynamicObject| {
            object.metadata.namespace.as_deref().is_some_and(|name| name.starts_with("limit-"))
                && object.data["status"]["availableReplicas"] == 1
        };
        tokio::try_join!(created, all(&api, self.count, available))?;
        Ok(begin.elapsed().as_secs_f64())
    }
}

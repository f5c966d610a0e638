//! `make bench-scale`: everything at once on one control plane, in growing numbers. At each size: how long until all is ready,
//! what each controller costs at rest, and how long a commit takes that touches one object and one that touches all.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use futures::TryFutureExt as _;
use kube::api::DynamicObject;
use serde_json::json;
use sluice_programs::measure::{
    self, NAMESPACE, PATIENCE, all, apply, control_plane, is_ready, mebibytes, object, say,
};
use sluice_programs::plot::{Line, svg};
use sluice_tests::{Cluster, Controller, GitServer, Registry, Repository, Sink, Usage, wait};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Seconds, CPU and memory for a large installation, on a control plane of its own.
#[derive(Parser)]
struct Arguments {
    /// How many Kustomizations at the largest size; so for the others.
    #[arg(long, default_value_t = 2000)]
    kustomizations: usize,
    #[arg(long, default_value_t = 500)]
    helm_releases: usize,
    #[arg(long, default_value_t = 200)]
    git_repositories: usize,
    #[arg(long, default_value_t = 200)]
    oci_repositories: usize,
    #[arg(long, default_value_t = 50)]
    alerts: usize,
    /// At how many sizes: each is twice the one before.
    #[arg(long, default_value_t = 4)]
    sizes: u32,
    /// Seconds at rest.
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// Of how many URLs and tags the sources are.
    #[arg(long, default_value_t = 20)]
    different: usize,
    /// The page that gets the table, between its marks; the picture goes beside it.
    #[arg(long)]
    page: Option<PathBuf>,
}

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
const HELM: &str = "helm.toolkit.fluxcd.io/v2";
const ALERTS: &str = "notification.toolkit.fluxcd.io/v1beta3";
const NAMES: [&str; 4] = ["source", "kustomize", "helm", "notification"];

/// One of the times of a row.
type Seconds = fn(&Row) -> f64;

/// What was measured at one size.
struct Row {
    /// Kustomizations, HelmReleases, GitRepositories, OCIRepositories and Alerts.
    counts: [usize; 5],
    install: f64,
    /// Cores and resident MiB at rest, by controller.
    rest: Vec<(f64, f64)>,
    peak: Vec<f64>,
    one: f64,
    everywhere: f64,
    all: f64,
}

struct Bench {
    cluster: Cluster,
    server: GitServer,
    registry: Registry,
    sink: Sink,
    mono: Repository,
    controllers: Vec<Controller>,
    different: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.different > 0 && arguments.sizes > 0, "--different and --sizes must be at least 1");
    let (plane, cluster) = control_plane().await?;
    let (server, registry, sink) =
        (GitServer::start().await?, Registry::start().await?, Sink::start().await?);
    let mono = server.repository("mono")?;
    let notification =
        Controller::builder(&plane, "notification-controller")?.argument("--log-level=error").start().await?;
    let events = format!("--events-addr={}", notification.events());
    let start = |name: &'static str, concurrent: usize| {
        let builder = Controller::builder(&plane, name).map(|builder| {
            let builder = builder.argument(format!("--concurrent={concurrent}")).argument(events.clone());
            builder.argument("--log-level=error").start()
        });
        async { builder?.await }
    };
    let (source, kustomize, helm) = tokio::try_join!(
        start("source-controller", 10),
        start("kustomize-controller", 20),
        start("helm-controller", 20)
    )?;
    let controllers = vec![source, kustomize, helm, notification];
    let bench = Bench { cluster, server, registry, sink, mono, controllers, different: arguments.different };
    bench.begin(&arguments).await?;
    let largest = [
        arguments.kustomizations,
        arguments.helm_releases,
        arguments.git_repositories,
        arguments.oci_repositories,
        arguments.alerts,
    ];
    let mut rows: Vec<Row> = Vec::new();
    for size in 0..arguments.sizes {
        let counts = largest.map(|count| count.div_ceil(1 << (arguments.sizes - 1 - size)));
        let before = rows.last().map_or([0; 5], |row| row.counts);
        let row = bench.size(before, counts, arguments.rest).await?;
        say(&line(&row))?;
        rows.push(row);
    }
    if let Some(page) = &arguments.page {
        write(page, &rows)?;
    }
    Ok(())
}

impl Bench {
    async fn begin(&self, arguments: &Arguments) -> Result<()> {
        for index in 0..arguments.kustomizations {
            self.mono.write(&format!("apps/{index}/kustomization.yaml"), "resources: [map.yaml]\n")?;
            self.write(index, "first")?;
        }
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-map}\ndata: {text: {{ .Values.text | quote }}}\n";
        self.mono.write("chart/Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n")?;
        self.mono.write("chart/values.yaml", "text: none\n")?;
        self.mono.write("chart/templates/map.yaml", map)?;
        self.mono.commit("First")?;
        for index in 0..self.different {
            let repository = self.server.repository(&format!("many-{index}"))?;
            repository.write(
                "app.yaml",
                format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: many-{index}}}\n"),
            )?;
            repository.commit("One")?;
            let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: oci-{index}}}\n");
            self.registry.push_files("bench/app", &format!("1.{index}.0"), &[("app.yaml", &text)]).await?;
        }
        let spec = json!({"interval": "1h", "url": self.mono.url(), "ref": {"branch": "main"}});
        let provider = json!({"type": "generic", "address": self.sink.url("/")});
        let objects =
            [object(SOURCE, "GitRepository", "mono", spec), object(ALERTS, "Provider", "sink", provider)];
        apply(&self.cluster, objects).await
    }

    fn write(&self, index: usize, value: &str) -> Result<()> {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("app-{index}")}, "data": {"value": value}});
        self.mono.write(&format!("apps/{index}/map.yaml"), map.to_string())
    }

    fn usage(&self) -> Result<Vec<Usage>> {
        self.controllers.iter().map(Controller::usage).collect()
    }

    /// Grows to a size and measures there.
    async fn size(&self, before: [usize; 5], counts: [usize; 5], rest: u64) -> Result<Row> {
        let begin = Instant::now();
        self.grow(before, counts).await.map_err(|error| self.explain(error))?;
        let install = begin.elapsed().as_secs_f64();
        // What the creation has left to do is not rest.
        tokio::time::sleep(Duration::from_secs(15)).await;
        let start = self.usage()?;
        tokio::time::sleep(Duration::from_secs(rest)).await;
        let end = self.usage()?;
        let cores = |(start, end): (&Usage, &Usage)| {
            (end.cpu.saturating_sub(start.cpu).as_secs_f64() / rest.max(1) as f64, mebibytes(end.resident))
        };
        let rest = start.iter().zip(&end).map(cores).collect();
        let (one, everywhere) =
            self.commit(counts[0], Some(counts[0] / 2)).await.map_err(|error| self.explain(error))?;
        let (_, all) = self.commit(counts[0], None).await.map_err(|error| self.explain(error))?;
        let peak = self.usage()?.iter().map(|usage| mebibytes(usage.peak)).collect();
        Ok(Row { counts, install, rest, peak, one, everywhere, all })
    }

    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let logs: Vec<String> = self.controllers.iter().map(Controller::log_tail).collect();
        error.context(format!("the controllers said: {}", logs.join("\n")))
    }

    async fn grow(&self, before: [usize; 5], counts: [usize; 5]) -> Result<()> {
        let range = |index: usize| before[index]..counts[index];
        let kustomization = |index: usize| {
            let spec = json!({
                "interval": "1h", "prune": true, "path": format!("./apps/{index}"), "targetNamespace": NAMESPACE,
                "sourceRef": {"kind": "GitRepository", "name": "mono"},
            });
            object(KUSTOMIZE, "Kustomization", &format!("app-{index}"), spec)
        };
        let release = |index: usize| {
            let chart = json!({"chart": "./chart", "interval": "1h", "sourceRef": {"kind": "GitRepository", "name": "mono"}});
            let spec =
                json!({"interval": "1h", "chart": {"spec": chart}, "values": {"text": index.to_string()}});
            object(HELM, "HelmRelease", &format!("release-{index}"), spec)
        };
        let git = |index: usize| {
            let url = format!("{}/many-{}.git", self.server.url(), index % self.different);
            object(
                SOURCE,
                "GitRepository",
                &format!("many-{index}"),
                json!({"url": url, "interval": "1m", "ref": {"branch": "main"}}),
            )
        };
        let oci = |index: usize| {
            let url = format!("oci://{}/bench/app", self.registry.address());
            let tag = format!("1.{}.0", index % self.different);
            object(
                SOURCE,
                "OCIRepository",
                &format!("oci-{index}"),
                json!({"url": url, "interval": "1m", "insecure": true, "ref": {"tag": tag}}),
            )
        };
        let alert = |index: usize| {
            let sources = json!([{"kind": "Kustomization", "name": format!("app-{index}")}, {"kind": "HelmRelease", "name": format!("release-{index}")}]);
            object(
                ALERTS,
                "Alert",
                &format!("alert-{index}"),
                json!({"providerRef": {"name": "sink"}, "eventSources": sources}),
            )
        };
        let mut objects: Vec<String> = range(4).map(alert).collect();
        objects.extend(range(2).map(git).chain(range(3).map(oci)));
        objects.extend(range(0).map(kustomization).chain(range(1).map(release)));
        apply(&self.cluster, objects).await?;
        // One GitRepository more: the large one.
        for (version, kind, count) in [
            (SOURCE, "GitRepository", counts[2] + 1),
            (SOURCE, "OCIRepository", counts[3]),
            (KUSTOMIZE, "Kustomization", counts[0]),
            (HELM, "HelmRelease", counts[1]),
        ] {
            let api = self.cluster.api(version, kind).await?;
            all(&api, count, is_ready).await.with_context(|| kind.to_owned())?;
        }
        Ok(())
    }

    /// Changes one map, or all, and returns the seconds until that one is applied and until all have the commit.
    async fn commit(&self, count: usize, one: Option<usize>) -> Result<(f64, f64)> {
        let value = format!("{count}-{one:?}");
        for index in one.map_or(0..count, |one| one..one + 1) {
            self.write(index, &value)?;
        }
        let commit = self.mono.commit(&value)?;
        let maps = self.cluster.api("v1", "ConfigMap").await?;
        let kustomizations = self.cluster.api(KUSTOMIZE, "Kustomization").await?;
        let begin = Instant::now();
        self.cluster.request_reconcile(SOURCE, "GitRepository", "mono").await?;
        let name = format!("app-{}", one.unwrap_or_default());
        let changed = |map: &DynamicObject| map.data["data"]["value"] == value.as_str();
        let first = wait::until_within(&maps, &name, "changed", PATIENCE, changed)
            .map_ok(|_| begin.elapsed().as_secs_f64());
        let revision = format!("main@sha1:{commit}");
        let at = |object: &DynamicObject| {
            object.data["status"]["lastAppliedRevision"] == revision.as_str() && is_ready(object)
        };
        let every = all(&kustomizations, count, at).map_ok(|()| begin.elapsed().as_secs_f64());
        tokio::try_join!(first, every)
    }
}

fn line(row: &Row) -> String {
    let [kustomizations, releases, git, oci, alerts] = row.counts;
    let controllers: Vec<String> = row
        .rest
        .iter()
        .zip(&row.peak)
        .map(|((cores, now), peak)| format!("{cores:.4} / {now:.0} / {peak:.0}"))
        .collect();
    format!(
        "| {kustomizations} / {releases} / {git} / {oci} / {alerts} | {:.1} | {} | {:.2} | {:.1} | {:.1} |",
        row.install,
        controllers.join(" | "),
        row.one,
        row.everywhere,
        row.all
    )
}

const BEGIN: &str = "<!-- bench-scale -->\n";
const END: &str = "<!-- /bench-scale -->\n";

/// Puts the table and the picture into the page.
fn write(page: &Path, rows: &[Row]) -> Result<()> {
    let x = |row: &Row| row.counts[0] as f64;
    let by = |value: fn(&Row, usize) -> f64| {
        let line = |(index, name): (usize, &&str)| Line {
            name: (*name).into(),
            points: rows.iter().map(|row| (x(row), value(row, index))).collect(),
        };
        NAMES.iter().enumerate().map(line).collect::<Vec<_>>()
    };
    let commits: [(&str, Seconds); 3] =
        [("one, itself", |row| row.one), ("one, all at it", |row| row.everywhere), ("all", |row| row.all)];
    let commits = commits.iter().map(|(name, value)| Line {
        name: (*name).into(),
        points: rows.iter().map(|row| (x(row), value(row))).collect(),
    });
    let picture = svg(
        "Kustomizations, and the others in proportion",
        &[
            ("Resident memory at rest, MiB", by(|row, index| row.rest[index].1)),
            ("CPU at rest, cores", by(|row, index| row.rest[index].0)),
            ("Seconds from a commit until it is applied", commits.collect()),
        ],
    );
    std::fs::write(page.with_extension("svg"), picture)?;
    let mut text = format!(
        "`make bench-scale` on {}. Columns of controllers: cores at rest / MiB resident at rest / peak MiB.\n\n\
         | Kustomizations / HelmReleases / GitRepositories / OCIRepositories / Alerts | from the size before, s | {} | \
         commit to one: it, s | all at it, s | commit to all, s |\n|---|---|---|---|---|---|---|---|---|\n",
        measure::machine(),
        NAMES.join(" | ")
    );
    for row in rows {
        let _ = writeln!(text, "{}", line(row));
    }
    let name = page.with_extension("svg");
    let name = name.file_name().unwrap_or_default().to_string_lossy();
    let _ = write!(text, "\n![Cost over the number of objects]({name})\n");
    measure::replace(page, BEGIN, END, &text)
}

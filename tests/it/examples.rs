//! The repositories under `examples/`, each followed by a cluster from its own `gotk-sync.yaml`: everything becomes ready,
//! and in the one with tenants each attempt to leave one's namespace fails and is told to its own tenant only.

use crate::gitops::{KUSTOMIZE, is_ready, message};
use crate::guides::Guide;
use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::{Value, json};
use sluice_tests::{
    Cluster, ControlPlane, Controller, GitServer, Options, Repository, Sink, account_kubeconfig, binaries,
    condition, documents, reason, wait,
};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

const HELM: &str = "helm.toolkit.fluxcd.io/v2";

/// A cluster with the controllers of an installation, and what they follow.
pub(crate) struct Fleet {
    /// Notification-controller is the first.
    pub(crate) controllers: Vec<Controller>,
    pub(crate) repository: Repository,
    server: GitServer,
    pub(crate) sink: Sink,
    pub(crate) cluster: Cluster,
    plane: ControlPlane,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Installs the controllers with these flags of `sluice install`, and runs them as their accounts with the arguments
    /// of their Deployments.
    pub(crate) async fn start(flags: &str) -> Result<Self> {
        // Definitions, roles and the names of the examples are one of a kind: a control plane of its own.
        let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
        let cluster = Cluster { client: plane.client().await?, namespace: "flux-system".into() };
        let binaries = tokio::task::spawn_blocking(binaries).await??;
        let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
        command.args(["install", "--timeout=3m"]).args(flags.split_whitespace());
        command.env("KUBECONFIG", &plane.facts().kubeconfig).stdin(Stdio::null());
        let output = command.output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = tempfile::tempdir()?;
        let server = GitServer::start().await?;
        let mut fleet = Self {
            controllers: Vec::new(),
            repository: server.repository("fleet")?,
            server,
            sink: Sink::start().await?,
            cluster,
            plane,
            folder,
        };
        fleet.run().await?;
        Ok(fleet)
    }

    async fn run(&mut self) -> Result<()> {
        let mut events = None;
        for name in [
            "notification-controller",
            "source-controller",
            "kustomize-controller",
            "helm-controller",
            "image-controller",
        ] {
            let Some(deployment) = self.cluster.find("apps/v1", "Deployment", name).await? else { continue };
            let account = account_kubeconfig(&self.plane, "flux-system", name, self.folder.path()).await?;
            let mut builder = Controller::builder(&self.plane, name)?
                .kubeconfig(&account)
                .variable("RUNTIME_NAMESPACE", "flux-system");
            let args = &deployment.data["spec"]["template"]["spec"]["containers"][0]["args"];
            for argument in args.as_array().context("no arguments")?.iter().filter_map(Value::as_str) {
                // Nobody serves the names of the cluster here, and /data is not ours.
                if !["--storage-", "--events-addr"].iter().any(|own| argument.starts_with(own)) {
                    builder = builder.argument(argument);
                }
            }
            if let Some(events) = &events {
                builder = builder.argument(format!("--events-addr={events}"));
            }
            let controller = builder.start().await?;
            if name == "notification-controller" {
                events = Some(controller.events());
            }
            self.controllers.push(controller);
        }
        Ok(())
    }

    /// Puts an example into the repository, with addresses that are served here, and follows one of its clusters.
    pub(crate) async fn follow(
        &self,
        example: &str,
        cluster: &str,
        addresses: &[(&str, &str)],
    ) -> Result<String> {
        let root = sluice_tests::workspace().join("examples").join(example);
        let mut files = Vec::new();
        walk(&root, &mut files)?;
        for file in files {
            let mut text = std::fs::read_to_string(&file)?;
            // Who may read is not the matter here.
            text = text.replace("  secretRef:\n    name: flux-system\n", "");
            text = text.replace("ssh://git@git.example.com/platform/fleet", self.repository.url());
            for (public, here) in addresses {
                text = text.replace(public, here);
            }
            self.repository.write(&file.strip_prefix(&root)?.display().to_string(), text)?;
        }
        let commit = self.repository.commit(&format!("Follow {example}"))?;
        let sync = self.repository.work().join(format!("clusters/{cluster}/flux-system/gotk-sync.yaml"));
        self.cluster.apply(&std::fs::read_to_string(sync)?).await?;
        Ok(commit)
    }

    async fn ready(&self, version: &str, kind: &str, namespace: &str, name: &str) -> Result<()> {
        let api = self.cluster.api_in(version, kind, namespace).await?;
        wait::until(&api, name, "ready", is_ready).await.map(drop)
    }

    /// Of an administrator.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.plane.facts().kubeconfig
    }

    /// Adds to an error what the controllers said last.
    pub(crate) fn explain(&self, outcome: Result<()>) -> Result<()> {
        let logs = || self.controllers.iter().map(Controller::log_tail).collect::<Vec<_>>().join("\n---\n");
        outcome.with_context(logs)
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_repository_serves_a_cluster_and_the_spokes_of_a_hub() -> Result<()> {
    let fleet = Fleet::start("").await?;
    let outcome = monorepo_and_hub(&fleet).await;
    fleet.explain(outcome)
}

async fn monorepo_and_hub(fleet: &Fleet) -> Result<()> {
    fleet.follow("monorepo", "production", &[]).await?;
    for name in ["flux-system", "infrastructure", "apps"] {
        fleet.ready(KUSTOMIZE, "Kustomization", "flux-system", name).await?;
    }
    fleet.ready(HELM, "HelmRelease", "flux-system", "cache").await?;
    let shop = fleet.cluster.api_in("apps/v1", "Deployment", "shop").await?.get("shop").await?;
    ensure!(shop.data["spec"]["replicas"] == 3, "{:?}", shop.data);
    let container = &shop.data["spec"]["template"]["spec"]["containers"][0];
    ensure!(container["env"][1]["value"] == "production", "{container}");
    let cache = fleet.cluster.api_in("apps/v1", "Deployment", "infrastructure").await?.get("cache").await?;
    ensure!(cache.data.to_string().contains("64mb"), "{:?}", cache.data);
    guides_of_one_repository(fleet).await?;

    // Without its root all of it goes.
    fleet.cluster.delete(KUSTOMIZE, "Kustomization", "flux-system").await?;
    let namespaces = fleet.cluster.api("v1", "Namespace").await?;
    for name in ["shop", "infrastructure"] {
        wait::gone(&namespaces, name).await?;
    }

    // The spoke is this cluster too, by a kubeconfig in a Secret.
    let kubeconfig = std::fs::read_to_string(&fleet.plane.facts().kubeconfig)?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "berlin-kubeconfig"}, "stringData": {"value": kubeconfig}});
    fleet.cluster.apply(&secret.to_string()).await?;
    fleet.follow("hub-and-spoke", "hub", &[]).await?;
    fleet.cluster.request_reconcile("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system").await?;
    let kustomizations = fleet.cluster.api(KUSTOMIZE, "Kustomization").await?;
    wait::until(&kustomizations, "berlin", "ready", is_ready).await?;
    let agent = fleet.cluster.api_in("apps/v1", "Deployment", "agent").await?.get("agent").await?;
    ensure!(agent.metadata.labels.context("no labels")?["example.com/site"] == "berlin");
    Guide { page: "guides/hub-and-spoke.md", ..Guide::default() }.run(fleet).await
}

/// What the guides tell to do where a cluster follows the example of one repository.
async fn guides_of_one_repository(fleet: &Fleet) -> Result<()> {
    fleet.repository.git(["update-ref", "refs/remotes/origin/main", "HEAD"])?;
    let pages = [
        Guide {
            page: "guides/bootstrap.md",
            elsewhere: &[
                "sluice bootstrap ",
                "sluice pull artifact ",
                "sluice push artifact ",
                "sluice logs ",
            ],
            ..Guide::default()
        },
        Guide { page: "guides/monorepo.md", elsewhere: &["sluice bootstrap "], ..Guide::default() },
        Guide { page: "guides/ci.md", ..Guide::default() },
        Guide {
            page: "guides/helm.md",
            instead: &[("--helmrelease-file=cache.yaml", "--helmrelease-file=infrastructure/cache.yaml")],
            ..Guide::default()
        },
        Guide {
            page: "getting-started.md",
            instead: &[("Kustomization/podinfo", "Kustomization/apps")],
            elsewhere: &["sluice bootstrap ", "sluice install ", "sluice uninstall", "sluice logs "],
            ..Guide::default()
        },
        Guide {
            page: "guides/migrating-from-flux.md",
            elsewhere: &["sluice bootstrap ", "sluice migrate flux "],
            ..Guide::default()
        },
    ];
    for page in pages {
        page.run(fleet).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_of_the_example_cannot_leave_their_namespaces_and_hear_of_their_own_failures() -> Result<()> {
    let fleet = Fleet::start("--multi-tenancy").await?;
    let outcome = tenants(&fleet).await;
    fleet.explain(outcome)
}

/// Changes fields; null takes one away.
fn overlay(all: &mut Value, change: &Value) {
    let Some(fields) = all.as_object_mut() else { return };
    for (key, value) in change.as_object().into_iter().flatten() {
        if value.is_null() {
            fields.remove(key);
        } else {
            fields.insert(key.clone(), value.clone());
        }
    }
}

/// What dev-team puts into its own repository: objects of Flux in its namespace, each to reach into another one. With
/// the reason and a part of the message by which it is refused.
fn attempts() -> Vec<(Value, &'static str, &'static str)> {
    let object = |version: &str, kind: &str, name: &str, spec: Value| json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec});
    let sync = |name: &str, spec: Value| {
        let mut all = json!({"interval": "10m", "timeout": "1m", "prune": true, "path": "./evil",
            "serviceAccountName": "dev-team", "sourceRef": {"kind": "GitRepository", "name": "apps"}});
        overlay(&mut all, &spec);
        object(KUSTOMIZE, "Kustomization", name, all)
    };
    let release = |name: &str, spec: Value| {
        let source = json!({"kind": "GitRepository", "name": "apps"});
        let mut all = json!({"interval": "10m", "timeout": "1m", "serviceAccountName": "dev-team",
            "chart": {"spec": {"chart": "./chart", "sourceRef": source, "reconcileStrategy": "Revision"}}});
        overlay(&mut all, &spec);
        object(HELM, "HelmRelease", name, all)
    };
    let theirs = json!({"kind": "GitRepository", "name": "apps", "namespace": "ops-team"});
    vec![
        (sync("map-elsewhere", json!({})), "ReconciliationFailed", "forbidden"),
        (
            sync("target-elsewhere", json!({"path": "./harmless", "targetNamespace": "ops-team"})),
            "ReconciliationFailed",
            "forbidden",
        ),
        (
            sync("source-elsewhere", json!({"sourceRef": theirs})),
            "AccessDenied",
            "cross-namespace references have been blocked",
        ),
        (
            sync("as-nobody", json!({"path": "./harmless", "serviceAccountName": null})),
            "ReconciliationFailed",
            "forbidden",
        ),
        (
            sync(
                "as-the-platform",
                json!({"path": "./harmless", "serviceAccountName": "kustomize-controller"}),
            ),
            "ReconciliationFailed",
            "forbidden",
        ),
        (sync("cluster-admin", json!({"path": "./admin"})), "ReconciliationFailed", "forbidden"),
        (sync("remote-base", json!({"path": "./remote"})), "BuildFailed", ""),
        (release("release-elsewhere", json!({"targetNamespace": "ops-team"})), "InstallFailed", "forbidden"),
        (release("release-as-nobody", json!({"serviceAccountName": null})), "StateError", "forbidden"),
        (
            release("chart-elsewhere", json!({"chart": {"spec": {"chart": "./chart", "sourceRef": theirs}}})),
            "AccessDenied",
            "cross-namespace references are not allowed",
        ),
    ]
}

fn write_attempts(dev: &Repository, attempts: &[(Value, &str, &str)]) -> Result<()> {
    let map = |namespace: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: evil{namespace}}}\ndata: {{a: b}}\n")
    };
    dev.write("harmless/map.yaml", map(""))?;
    dev.write("evil/map.yaml", map(", namespace: ops-team"))?;
    dev.write("admin/binding.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: evil}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: dev-team, namespace: dev-team}]\n")?;
    dev.write("remote/kustomization.yaml", "resources: ['http://127.0.0.1:1/evil.yaml']\n")?;
    dev.write("chart/Chart.yaml", "apiVersion: v2\nname: evil\nversion: 0.1.0\n")?;
    dev.write("chart/templates/map.yaml", map(""))?;
    let objects: Vec<Value> = attempts.iter().map(|(object, ..)| object.clone()).collect();
    let spy = json!({"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert", "metadata": {"name": "spy"},
        "spec": {"eventSeverity": "info", "providerRef": {"name": "alerts"},
                 "eventSources": [{"kind": "Kustomization", "name": "*", "namespace": "ops-team"}]}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects.into_iter().chain([spy]).collect::<Vec<_>>()});
    dev.write("staging/attempts.yaml", list.to_string())
}

async fn tenants(fleet: &Fleet) -> Result<()> {
    let (dev, ops) = (fleet.server.repository("dev")?, fleet.server.repository("ops")?);
    for (tenant, repository) in [("dev-team", &dev), ("ops-team", &ops)] {
        let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {tenant}}}\n");
        repository.write("staging/map.yaml", map)?;
        repository.commit("Honest work")?;
    }
    let sink = fleet.sink.url("");
    let addresses = [
        ("https://git.example.com/dev-team/apps", dev.url()),
        ("https://git.example.com/ops-team/apps", ops.url()),
        ("https://alerts.example.com", sink.trim_end_matches('/')),
    ];
    fleet.follow("multi-tenancy", "staging", &addresses).await?;
    fleet.ready(KUSTOMIZE, "Kustomization", "flux-system", "tenants").await?;
    for tenant in ["dev-team", "ops-team"] {
        fleet.ready(KUSTOMIZE, "Kustomization", tenant, "apps").await?;
        let maps = fleet.cluster.api_in("v1", "ConfigMap", tenant).await?;
        ensure!(maps.get_opt(tenant).await?.is_some(), "{tenant} has not got its own");
    }

    let attempts = attempts();
    write_attempts(&dev, &attempts)?;
    dev.commit("Everything that leads elsewhere")?;
    let team = Cluster { client: fleet.cluster.client.clone(), namespace: "dev-team".into() };
    team.request_reconcile("source.toolkit.fluxcd.io/v1", "GitRepository", "apps").await?;
    let mut wrong = Vec::new();
    for (object, why, says) in &attempts {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        let api = team.api(text("/apiVersion"), kind).await?;
        let ended = wait::until(&api, name, "refused", |object| {
            condition(object, "Ready") == Some("False")
                && !["ArtifactFailed", "DependencyNotReady", "SourceNotReady"]
                    .contains(&reason(object, "Ready").unwrap_or_default())
        })
        .await?;
        if reason(&ended, "Ready") != Some(why) || !message(&ended).contains(says) {
            wrong.push(format!("{kind} {name}: {:?} {}", reason(&ended, "Ready"), message(&ended)));
        }
        if kind == "Kustomization" {
            // Its own tenant hears of it.
            fleet
                .sink
                .wait(name, |delivery| {
                    delivery.path == "/dev-team" && delivery.json()["involvedObject"]["name"] == name
                })
                .await?;
        }
    }
    ensure!(wrong.is_empty(), "not refused as they should be:\n{}", wrong.join("\n"));
    nothing_got_out(fleet).await?;

    // A failure of the neighbour is told to the neighbour.
    ops.write(
        "staging/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ops-team}\ndata: {a: 1}\n",
    )?;
    ops.commit("A number where a text belongs")?;
    let team = Cluster { client: fleet.cluster.client.clone(), namespace: "ops-team".into() };
    team.request_reconcile("source.toolkit.fluxcd.io/v1", "GitRepository", "apps").await?;
    let of_ops =
        |delivery: &sluice_tests::Delivery| delivery.json()["involvedObject"]["namespace"] == "ops-team";
    fleet
        .sink
        .wait("the failure of ops-team", |delivery| delivery.path == "/ops-team" && of_ops(delivery))
        .await?;
    let strays = fleet.sink.count(|delivery| (delivery.path == "/dev-team") == of_ops(delivery));
    ensure!(strays == 0, "{strays} alerts came to another tenant");
    Guide {
        page: "guides/multi-tenancy.md",
        elsewhere: &["sluice install ", "sluice bootstrap "],
        ..Guide::default()
    }
    .run(fleet)
    .await
}

/// Everything that the attempts would have made is not there.
async fn nothing_got_out(fleet: &Fleet) -> Result<()> {
    let maps =
        fleet.cluster.api_in("v1", "ConfigMap", "ops-team").await?.list(&ListParams::default()).await?;
    let names: Vec<_> = maps.iter().filter_map(|map| map.metadata.name.as_deref()).collect();
    ensure!(names.iter().all(|name| ["kube-root-ca.crt", "ops-team"].contains(name)), "{names:?}");
    let secrets =
        fleet.cluster.api_in("v1", "Secret", "ops-team").await?.list(&ListParams::default()).await?;
    ensure!(secrets.items.is_empty(), "a release was recorded there");
    let bindings = fleet.cluster.api("rbac.authorization.k8s.io/v1", "ClusterRoleBinding").await?;
    ensure!(bindings.get_opt("evil").await?.is_none(), "the tenant rules the cluster");
    Ok(())
}

#[test]
fn every_manifest_of_the_examples_can_be_read() -> Result<()> {
    let mut files = Vec::new();
    walk(&sluice_tests::workspace().join("examples"), &mut files)?;
    let manifests = files.iter().filter(|file| {
        file.extension().is_some_and(|extension| extension == "yaml")
            && !file.components().any(|part| part.as_os_str() == "templates")
    });
    for file in manifests {
        documents(&std::fs::read_to_string(file)?).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

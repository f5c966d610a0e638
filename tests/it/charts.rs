//! A Helm repository, a registry and a Git repository with charts, and what the real helm makes of them.

use crate::gitops::{GitOps, SOURCE, gitops, message};
use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{FileServer, Registry, condition, reason, wait};
use std::path::{Path, PathBuf};

/// The chart `name` in a folder.
pub(crate) fn write_chart(folder: &Path, name: &str, version: &str, more: &str) -> Result<()> {
    let chart = folder.join(name);
    std::fs::create_dir_all(chart.join("templates"))?;
    let metadata = format!("apiVersion: v2\nname: {name}\nversion: {version}\n{more}");
    std::fs::write(chart.join("Chart.yaml"), metadata)?;
    std::fs::write(chart.join("values.yaml"), "replicas: 1\nkeep: true\n")?;
    std::fs::write(chart.join("values-more.yaml"), "replicas: 5\n")?;
    std::fs::write(
        chart.join("templates/map.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {replicas: {{ .Values.replicas | quote }}}\n",
    )?;
    Ok(())
}

/// The real helm.
pub(crate) async fn helm() -> Result<PathBuf> {
    Ok(tokio::task::spawn_blocking(|| sluice_reference::tool("helm")).await?)
}

/// Packs versions of `name` into the server's folder and makes the index.
pub(crate) fn publish(helm: &Path, server: &FileServer, name: &str, versions: &[&str]) -> Result<()> {
    let work = tempfile::tempdir()?;
    let folder = server.folder().display().to_string();
    for version in versions {
        write_chart(work.path(), name, version, "")?;
        let chart = work.path().join(name).display().to_string();
        Registry::run(helm, &["package", &chart, "--destination", &folder])?;
    }
    Registry::run(helm, &["repo", "index", &folder]).map(drop)
}

impl GitOps {
    /// Applies an object of the source group.
    pub(crate) async fn source_object(&self, kind: &str, name: &str, spec: Value) -> Result<()> {
        let object = json!({"apiVersion": SOURCE, "kind": kind, "metadata": {"name": name}, "spec": spec});
        self.apply(&object.to_string()).await.map(drop)
    }

    /// Applies a HelmChart of a source.
    pub(crate) async fn chart(&self, name: &str, kind: &str, source: &str, more: Value) -> Result<()> {
        let mut spec = json!({"interval": "1h", "sourceRef": {"kind": kind, "name": source}});
        if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
            spec.extend(more);
        }
        self.source_object("HelmChart", name, spec).await
    }

    /// The file of an object's artifact.
    pub(crate) fn file(&self, object: &DynamicObject) -> Result<PathBuf> {
        let path = object.data["status"]["artifact"]["path"].as_str().context("no artifact")?;
        Ok(self.source.storage().join(path))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_of_a_repository_are_chosen_fetched_and_changed() -> Result<()> {
    gitops("charts", async |ops| {
        let (helm, server) = (helm().await?, FileServer::start().await?);
        publish(&helm, &server, "app", &["1.0.0", "1.1.0", "2.0.0-rc.1"])?;
        ops.source_object("HelmRepository", "charts", json!({"url": server.url(), "interval": "1h"})).await?;
        for (name, more) in [
            ("any", json!({"chart": "app"})),
            ("old", json!({"chart": "app", "version": "1.0.x"})),
            ("pre", json!({"chart": "app", "version": ">1.5.0-0"})),
            ("more", json!({"chart": "app", "valuesFiles": ["values.yaml", "values-more.yaml"]})),
            ("none", json!({"chart": "absent"})),
            ("range", json!({"chart": "app", "version": ">=7"})),
        ] {
            ops.chart(name, "HelmRepository", "charts", more).await?;
        }
        let any = ops.has("HelmChart", "any", "1.1.0").await?;
        ensure!(message(&any) == "pulled 'app' chart with version '1.1.0'", "{}", message(&any));
        ensure!(
            std::fs::read(ops.file(&any)?)? == std::fs::read(server.folder().join("app-1.1.0.tgz"))?,
            "the archive is not the one that was published"
        );
        ops.has("HelmChart", "old", "1.0.0").await?;
        ops.has("HelmChart", "pre", "2.0.0-rc.1").await?;
        let more = ops.has("HelmChart", "more", "1.1.0+1").await?;
        ensure!(
            message(&more)
                == "packaged 'app' chart with version '1.1.0+1' and merged values files [values.yaml values-more.yaml]",
            "{}",
            message(&more)
        );
        let rendered = Registry::run(&helm, &["template", "r", &ops.file(&more)?.display().to_string()])?;
        ensure!(rendered.contains("replicas: \"5\""), "{rendered}");
        for name in ["none", "range"] {
            let failed = ops.fails(SOURCE, "HelmChart", name, "InvalidChartReference").await?;
            ensure!(condition(&failed, "Stalled") == Some("True"), "{name} is not stalled");
            let hints = message(&failed).contains("(nearest: 2.0.0-rc.1, 1.1.0, 1.0.0)");
            ensure!(hints == (name == "range"), "{}", message(&failed));
        }

        // A new version reaches those who want it, by the watch; nobody downloads what did not change.
        ensure!(server.answers("/index.yaml") == [200], "{:?}", server.answers("/index.yaml"));
        ops.reconcile_kind(SOURCE, "HelmRepository", "charts").await?;
        ensure!(server.answers("/index.yaml") == [200, 304], "{:?}", server.answers("/index.yaml"));
        publish(&helm, &server, "app", &["1.2.0", "7.0.0"])?;
        ops.reconcile_kind(SOURCE, "HelmRepository", "charts").await?;
        ops.has("HelmChart", "any", "7.0.0").await?;
        ops.has("HelmChart", "range", "7.0.0").await?;
        ops.has("HelmChart", "old", "1.0.0").await?;
        ensure!(server.answers("/app-1.0.0.tgz") == [200], "{:?}", server.answers("/app-1.0.0.tgz"));

        // What is not what the index says is refused, and the last good chart stays.
        publish(&helm, &server, "app", &["7.1.0"])?;
        let tampered = server.folder().join("app-7.1.0.tgz");
        let mut bytes = std::fs::read(&tampered)?;
        let last = bytes.len() - 9;
        bytes[last] ^= 1;
        std::fs::write(&tampered, bytes)?;
        ops.reconcile_kind(SOURCE, "HelmRepository", "charts").await?;
        let failed = ops.fails(SOURCE, "HelmChart", "any", "ChartPullError").await?;
        ensure!(message(&failed).contains("not that of the index"), "{}", message(&failed));
        ensure!(failed.data["status"]["artifact"]["revision"] == "7.0.0");
        std::fs::write(server.folder().join("index.yaml"), "entries: [")?;
        ops.request_reconcile(SOURCE, "HelmRepository", "charts").await?;
        let failed = ops.fails(SOURCE, "HelmRepository", "charts", "IndexationFailed").await?;
        ensure!(failed.data["status"]["artifact"].is_object());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_of_repositories_go_to_their_own_host_only() -> Result<()> {
    gitops("chart-logins", async |ops| {
        let (helm, server) = (helm().await?, FileServer::start().await?);
        let other = FileServer::start().await?;
        publish(&helm, &other, "app", &["1.0.0"])?;
        let index = std::fs::read_to_string(other.folder().join("index.yaml"))?;
        std::fs::write(
            server.folder().join("index.yaml"),
            index.replace("- app-1.0.0.tgz", &format!("- {}/app-1.0.0.tgz", other.url())),
        )?;
        server.set_login("user", "s3cr3t");
        ops.secret("login", json!({"username": "user", "password": "s3cr3t"})).await?;
        ops.secret("half", json!({"username": "user"})).await?;
        ops.secret("wrong", json!({"username": "user", "password": "wr0ng"})).await?;
        let repository = |secret: Option<&str>, more: Value| {
            let mut spec = json!({"url": server.url(), "interval": "1h"});
            if let Some(secret) = secret {
                spec["secretRef"] = json!({"name": secret});
            }
            if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
                spec.extend(more);
            }
            spec
        };
        ops.source_object("HelmRepository", "own", repository(Some("login"), json!({}))).await?;
        ops.source_object("HelmRepository", "anonymous", repository(None, json!({}))).await?;
        ops.source_object("HelmRepository", "half", repository(Some("half"), json!({}))).await?;
        ops.chart("app", "HelmRepository", "own", json!({"chart": "app"})).await?;
        ops.has("HelmChart", "app", "1.0.0").await?;
        ensure!(!other.got_credentials("/app-1.0.0.tgz"), "the other host got the credentials");
        let failed = ops.fails(SOURCE, "HelmRepository", "anonymous", "Failed").await?;
        ensure!(message(&failed).contains("401 Unauthorized"), "{}", message(&failed));
        ops.fails(SOURCE, "HelmRepository", "half", "AuthenticationFailed").await?;
        // Another tenant gets nothing of an index and a chart that the controller has for the first.
        ops.source_object("HelmRepository", "stranger", repository(Some("wrong"), json!({}))).await?;
        ops.chart("stranger", "HelmRepository", "stranger", json!({"chart": "app"})).await?;
        let failed = ops.fails(SOURCE, "HelmRepository", "stranger", "Failed").await?;
        ensure!(message(&failed).contains("401 Unauthorized"), "{}", message(&failed));
        let chart = ops.fails(SOURCE, "HelmChart", "stranger", "NoSourceArtifact").await?;
        for object in [failed, chart] {
            ensure!(object.data["status"]["artifact"].is_null(), "{}", object.data["status"]);
        }

        ops.source_object(
            "HelmRepository",
            "pass",
            repository(Some("login"), json!({"passCredentials": true})),
        )
        .await?;
        ops.chart("passed", "HelmRepository", "pass", json!({"chart": "app"})).await?;
        ops.has("HelmChart", "passed", "1.0.0").await?;
        ensure!(other.got_credentials("/app-1.0.0.tgz"), "passCredentials does nothing");

        // An answer without end, and a bomb.
        server.misbehave("/index.yaml", Some(sluice_tests::Misbehaviour::Endless));
        ops.request_reconcile(SOURCE, "HelmRepository", "own").await?;
        let failed = ops.fails(SOURCE, "HelmRepository", "own", "Failed").await?;
        ensure!(message(&failed).contains("exceeds '52428800' bytes limit"), "{}", message(&failed));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_in_registries_need_no_index() -> Result<()> {
    gitops("chart-registry", async |ops| {
        let (helm, registry) = (helm().await?, Registry::start_closed().await?);
        let (user, password) = Registry::login();
        let work = tempfile::tempdir()?;
        let config = work.path().join("login.json").display().to_string();
        let login = ["registry", "login", registry.address(), "-u", user, "-p", password, "--plain-http"];
        Registry::run(&helm, &[&login[..], &["--registry-config", &config]].concat())?;
        for version in ["0.1.0", "0.2.0+build.7"] {
            write_chart(work.path(), "app", version, "")?;
            let chart = work.path().join("app").display().to_string();
            let folder = work.path().display().to_string();
            Registry::run(&helm, &["package", &chart, "--destination", &folder])?;
            let archive = work.path().join(format!("app-{version}.tgz")).display().to_string();
            let target = format!("oci://{}/charts", registry.address());
            Registry::run(&helm, &["push", &archive, &target, "--plain-http", "--registry-config", &config])?;
        }
        ops.secret("login", json!({"username": user, "password": password})).await?;
        let spec = |secret: &str| {
            json!({
                "url": format!("oci://{}/charts", registry.address()), "type": "oci", "interval": "1h",
                "secretRef": {"name": secret}, "insecure": true,
            })
        };
        ops.source_object("HelmRepository", "closed", spec("login")).await?;
        ops.chart("exact", "HelmRepository", "closed", json!({"chart": "app", "version": "0.1.0"})).await?;
        ops.chart("newest", "HelmRepository", "closed", json!({"chart": "app"})).await?;
        ops.chart("absent", "HelmRepository", "closed", json!({"chart": "nope", "version": "1.0.0"})).await?;
        ops.has("HelmChart", "exact", "0.1.0").await?;
        let newest = ops.has("HelmChart", "newest", "0.2.0+build.7").await?;
        Registry::run(&helm, &["template", "r", &ops.file(&newest)?.display().to_string()])?;
        ops.fails(SOURCE, "HelmChart", "absent", "ChartPullError").await?;
        // The repository itself has no status at all.
        let api = ops.api(SOURCE, "HelmRepository").await?;
        wait::until(&api, "closed", "without status", |object| {
            object.data["status"].as_object().is_none_or(|status| status.is_empty())
                && object.metadata.finalizers.as_ref().is_none_or(|all| all.is_empty())
        })
        .await?;

        // Somebody without the right credentials gets nothing, though the chart was fetched before.
        ops.secret("wrong", json!({"username": user, "password": "wr0ng"})).await?;
        ops.source_object("HelmRepository", "wrong", spec("wrong")).await?;
        ops.chart("denied", "HelmRepository", "wrong", json!({"chart": "app", "version": "0.1.0"})).await?;
        let failed = ops.fails(SOURCE, "HelmChart", "denied", "ChartPullError").await?;
        ensure!(
            message(&failed).contains("401") && !message(&failed).contains("wr0ng"),
            "{}",
            message(&failed)
        );
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_in_git_are_packed_with_their_dependencies() -> Result<()> {
    gitops("chart-git", async |ops| {
        let (helm, server) = (helm().await?, FileServer::start().await?);
        publish(&helm, &server, "remote", &["1.4.0", "2.0.0"])?;
        let work = ops.repository.work().to_owned();
        write_chart(&work.join("charts"), "library", "0.3.0", "")?;
        let dependencies = format!(
            "dependencies:\n- {{name: library, version: '>=0.1', repository: 'file://../library'}}\n\
             - {{name: remote, version: 1.x, repository: '{}', alias: other}}\n",
            server.url()
        );
        write_chart(&work.join("charts"), "app", "1.0.0", &dependencies)?;
        std::fs::write(work.join("production.yaml"), "replicas: 9\n")?;
        let first = ops.repository.commit("Charts")?;
        ops.git_repository(json!({})).await?;
        ops.stored("app", &format!("main@sha1:{first}")).await?;
        ops.chart("plain", "GitRepository", "app", json!({"chart": "charts/app"})).await?;
        let more = json!({
            "chart": "./charts/app", "reconcileStrategy": "Revision",
            "valuesFiles": ["charts/app/values.yaml", "production.yaml", "absent.yaml"],
            "ignoreMissingValuesFiles": true,
        });
        ops.chart("revision", "GitRepository", "app", more).await?;
        ops.chart("absent", "GitRepository", "app", json!({"chart": "charts/none"})).await?;
        let plain = ops.has("HelmChart", "plain", "1.0.0").await?;
        let shown = Registry::run(&helm, &["show", "all", &ops.file(&plain)?.display().to_string()])?;
        ensure!(shown.contains("name: app"), "{shown}");
        let digest = plain.data["status"]["artifact"]["digest"].clone();
        let revision = ops.has("HelmChart", "revision", &format!("1.0.0+{}.1", &first[..12])).await?;
        ensure!(
            revision.data["status"]["observedValuesFiles"]
                == json!(["charts/app/values.yaml", "production.yaml"])
        );
        let rendered = Registry::run(&helm, &["template", "r", &ops.file(&revision)?.display().to_string()])?;
        ensure!(rendered.contains("replicas: \"9\""), "{rendered}");
        for part in ["app/templates", "app/charts/library/templates", "app/charts/other/templates"] {
            ensure!(rendered.contains(part), "{part} is missing: {rendered}");
        }
        let failed = ops.fails(SOURCE, "HelmChart", "absent", "InvalidChartReference").await?;
        ensure!(!message(&failed).contains("/tmp"), "{}", message(&failed));

        // A commit that does not touch the version makes a new chart only where revisions count.
        std::fs::write(work.join("readme.txt"), "x")?;
        let second = ops.push("More").await?;
        ops.has("HelmChart", "revision", &format!("1.0.0+{}.1", &second[..12])).await?;
        let again = ops.reconcile_kind(SOURCE, "HelmChart", "plain").await?;
        ensure!(again.data["status"]["artifact"]["digest"] == digest, "packed again");
        ensure!(reason(&again, "Ready") == Some("ChartPackageSucceeded"));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_read_once_for_all_charts_in_it() -> Result<()> {
    gitops("chart-many", async |ops| {
        let work = ops.repository.work().to_owned();
        let names: Vec<String> = (0..6).map(|number| format!("chart-{number}")).collect();
        for name in &names {
            write_chart(&work.join("charts"), name, "1.0.0", "")?;
        }
        let first = ops.repository.commit("Charts")?;
        ops.git_repository(json!({})).await?;
        ops.stored("app", &format!("main@sha1:{first}")).await?;
        for name in &names {
            let strategy = if name == "chart-5" { "Revision" } else { "ChartVersion" };
            let more = json!({"chart": format!("charts/{name}"), "reconcileStrategy": strategy});
            ops.chart(name, "GitRepository", "app", more).await?;
        }
        let version = |commit: &str| format!("1.0.0+{}", &commit[..12]);
        let mut before = Vec::new();
        for name in &names[..5] {
            before.push(ops.has("HelmChart", name, "1.0.0").await?.data["status"]["artifact"].clone());
        }
        ops.has("HelmChart", "chart-5", &version(&first)).await?;
        let read = source_reads(ops).await?;

        std::fs::write(work.join("charts/chart-0/values.yaml"), "replicas: 3\n")?;
        write_chart(&work.join("charts"), "chart-1", "1.1.0", "")?;
        let second = format!("main@sha1:{}", ops.push("More").await?);
        let api = ops.api(SOURCE, "HelmChart").await?;
        let mut after = Vec::new();
        for name in &names {
            let object = wait::until(&api, name, "ready at the second commit", |object| {
                object.data["status"]["observedSourceArtifactRevision"] == second.as_str()
                    && crate::gitops::is_ready(object)
            });
            after.push(object.await?.data["status"]["artifact"].clone());
        }
        ensure!(source_reads(ops).await? == read + 1, "{}", source_reads(ops).await? - read);
        ensure!(after[1]["revision"] == "1.1.0", "{}", after[1]);
        ensure!(after[5]["revision"] == version(&second["main@sha1:".len()..]).as_str(), "{}", after[5]);
        for other in [0, 2, 3, 4] {
            ensure!(after[other] == before[other], "{} was packed again", names[other]);
        }
        Ok(())
    })
    .await
}

/// How often the source-controller has read an artifact for charts in it.
async fn source_reads(ops: &GitOps) -> Result<u64> {
    let metrics = ops.source.metrics().await?;
    let count = metrics.lines().find_map(|line| line.strip_prefix("sluice_chart_source_reads_total "));
    Ok(count.with_context(|| metrics.clone())?.parse()?)
}

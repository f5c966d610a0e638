//! What a GitRepository can point at, and what a look at an unchanged one costs.

use crate::gitops::{SOURCE, gitops, is_ready, login, message};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{Access, Fault, GitServer, Operation, wait};
use std::process::Command;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_revision_costs_no_fetch_and_keeps_the_artifact() -> Result<()> {
    gitops("unchanged", async |ops| {
        ops.repository.write("a.txt", "a")?;
        let commit = ops.repository.commit("One")?;
        ops.git_repository(json!({})).await?;
        let revision = format!("main@sha1:{commit}");
        let first = ops.stored("app", &revision).await?;
        let fetches = ops.server.count(Operation::Fetch);
        ensure!(fetches > 0, "{:?}", ops.server.requests());
        let second = ops.reconcile_kind(SOURCE, "GitRepository", "app").await?;
        ensure!(ops.server.count(Operation::Fetch) == fetches, "{:?}", ops.server.requests());
        ensure!(is_ready(&second) && second.data["status"]["artifact"] == first.data["status"]["artifact"]);
        Ok(())
    })
    .await
}

/// Waits until the server was asked so many times.
async fn looked(server: &GitServer, count: usize) -> Result<()> {
    let begin = Instant::now();
    while server.count(Operation::Advertise) < count {
        ensure!(begin.elapsed() < wait::PATIENCE, "{:#?}", server.requests());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_interval_brings_another_look_also_after_a_failure() -> Result<()> {
    gitops("interval", async |ops| {
        ops.repository.write("a.txt", "a")?;
        let commit = ops.repository.commit("One")?;
        ops.git_repository(json!({"interval": "1s"})).await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        looked(&ops.server, 4).await?;
        ops.server.inject(Fault::Status(503));
        let count = ops.server.count(Operation::Advertise);
        looked(&ops.server, count + 3).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_reference_finds_its_commit() -> Result<()> {
    gitops("references", async |ops| {
        let repository = &ops.repository;
        repository.write("version", "1.0.0")?;
        let first = repository.commit("First")?;
        repository.tag("v1.0.0")?;
        repository.write("version", "1.1.0")?;
        let second = repository.commit("Second")?;
        repository.tag("v1.1.0")?;
        repository.branch("feature")?;
        repository.write("version", "2.0.0-rc.1")?;
        let third = repository.commit("Third")?;
        repository.tag("v2.0.0-rc.1")?;
        repository.git(["update-ref", "refs/pull/1/head", &third])?;
        repository.checkout("main")?;

        let cases: &[(&str, Value, String)] = &[
            ("branch", json!({"branch": "feature"}), format!("feature@sha1:{third}")),
            ("tag", json!({"tag": "v1.0.0"}), format!("v1.0.0@sha1:{first}")),
            ("semver", json!({"semver": "1.x"}), format!("v1.1.0@sha1:{second}")),
            ("pre-release", json!({"semver": ">=1.0.0-0"}), format!("v2.0.0-rc.1@sha1:{third}")),
            ("name", json!({"name": "refs/heads/feature"}), format!("refs/heads/feature@sha1:{third}")),
            ("pull-request", json!({"name": "refs/pull/1/head"}), format!("refs/pull/1/head@sha1:{third}")),
            ("commit", json!({"commit": first}), format!("sha1:{first}")),
            ("commit-of-branch", json!({"branch": "main", "commit": first}), format!("main@sha1:{first}")),
        ];
        for (name, reference, _) in cases {
            ops.git_repository_named(name, repository.url(), json!({"ref": reference})).await?;
        }
        for (name, _, revision) in cases {
            ops.stored(name, revision).await.with_context(|| (*name).to_owned())?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_found_in_the_history_where_only_tips_are_given() -> Result<()> {
    gitops("tips", async |ops| {
        let server = GitServer::builder().old_protocol().start().await?;
        let repository = server.repository("app")?;
        repository.git(["config", "uploadpack.allowReachableSHA1InWant", "false"])?;
        repository.write("version", "1")?;
        let first = repository.commit("First")?;
        repository.branch("feature")?;
        repository.write("version", "2")?;
        let second = repository.commit("Second")?;
        repository.write("version", "3")?;
        repository.commit("Third")?;
        repository.checkout("main")?;
        repository.write("version", "4")?;
        let tip = repository.commit("Fourth")?;
        // What git says to somebody who does not have it is the reason for the detour.
        let elsewhere = tempfile::tempdir()?;
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.current_dir(&elsewhere).args(["-c", "protocol.version=0"]).args(arguments).output()
        };
        ensure!(git(&["init", "--quiet"])?.status.success());
        let refused = git(&["fetch", repository.url(), &second])?;
        ensure!(!refused.status.success(), "{refused:?}");

        let cases = [
            ("deep", json!({"commit": second}), format!("sha1:{second}")),
            (
                "deep-of-branch",
                json!({"branch": "feature", "commit": second}),
                format!("feature@sha1:{second}"),
            ),
            ("shared", json!({"branch": "main", "commit": first}), format!("main@sha1:{first}")),
            ("tip", json!({"branch": "main"}), format!("main@sha1:{tip}")),
        ];
        for (name, reference, _) in &cases {
            ops.git_repository_named(name, repository.url(), json!({"ref": reference})).await?;
        }
        for (name, _, revision) in &cases {
            ops.stored(name, revision).await.with_context(|| (*name).to_owned())?;
        }
        let elsewhere = json!({"ref": {"branch": "main", "commit": second}});
        ops.git_repository_named("elsewhere", repository.url(), elsewhere).await?;
        let failed = ops.fails(SOURCE, "GitRepository", "elsewhere", "GitOperationFailed").await?;
        ensure!(message(&failed).contains(&second), "{}", message(&failed));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_login_and_trust_works() -> Result<()> {
    gitops("logins", async |ops| {
        let basic = Access::Basic("user".into(), "pass".into());
        let bearer = Access::Bearer("token".into());
        let servers = [
            ("basic", GitServer::builder().access(basic.clone()).start().await?, basic.clone()),
            ("bearer", GitServer::builder().tls().access(bearer.clone()).start().await?, bearer),
            ("ca", GitServer::builder().tls().start().await?, Access::Open),
            (
                "certificate",
                GitServer::builder().client_certificates().access(basic.clone()).start().await?,
                basic,
            ),
        ];
        let mut expected = Vec::new();
        for (name, server, access) in &servers {
            let repository = server.repository("app")?;
            repository.write("a.txt", *name)?;
            let commit = repository.commit("One")?;
            let mut secret = login(access);
            if let Some(ca) = server.ca() {
                secret["ca.crt"] = json!(ca);
            }
            if *name == "certificate" {
                let (certificate, key) = server.client_certificate().context("no certificate")?;
                (secret["tls.crt"], secret["tls.key"]) = (json!(certificate), json!(key));
            }
            ops.secret(name, secret).await?;
            ops.git_repository_named(name, repository.url(), json!({"secretRef": {"name": name}})).await?;
            expected.push((*name, format!("main@sha1:{commit}")));
        }
        for (name, revision) in expected {
            ops.stored(name, &revision).await.context(name)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ignored_is_not_in_the_artifact() -> Result<()> {
    gitops("ignored", async |ops| {
        for file in ["keep/a.yaml", "drop/b.yaml", "keep/c.jpg", ".github/workflow.yaml"] {
            ops.repository.write(file, "x: y\n")?;
        }
        let names = async |commit: &str| -> Result<Vec<String>> {
            ops.stored("app", &format!("main@sha1:{commit}")).await?;
            let folder = ops.source.storage().join("gitrepository").join(&ops.namespace).join("app");
            let output =
                Command::new("tar").arg("-tzf").arg(folder.join(format!("{commit}.tar.gz"))).output()?;
            let mut names: Vec<String> = String::from_utf8(output.stdout)?.lines().map(Into::into).collect();
            names.retain(|name| name.contains('.') && name != ".");
            Ok(names)
        };
        let commit = ops.repository.commit("Some files")?;
        ops.git_repository(json!({})).await?;
        let by_default = names(&commit).await?;
        ensure!(by_default == ["drop/b.yaml", "keep/a.yaml"], "{by_default:?}");

        // Rules of one's own take the place of those for images and CI.
        ops.repository.write(".sourceignore", "/drop\n")?;
        let commit = ops.push("Rules of our own").await?;
        let own = names(&commit).await?;
        ensure!(!own.iter().any(|name| name.starts_with("drop")), "{own:?}");
        ensure!(own.iter().any(|name| name == "keep/c.jpg"), "{own:?}");

        // `spec.ignore` comes after the file, and a change of it is a reason to fetch.
        ops.patch(SOURCE, "GitRepository", "app", json!({"spec": {"ignore": "!/drop\n"}})).await?;
        let repositories = ops.api(SOURCE, "GitRepository").await?;
        wait::until(&repositories, "app", "stored with the new rules", |object| {
            is_ready(object) && object.data["status"]["observedIgnore"] == "!/drop\n"
        })
        .await?;
        let again = names(&commit).await?;
        ensure!(again.iter().any(|name| name == "drop/b.yaml"), "{again:?}");
        Ok(())
    })
    .await
}

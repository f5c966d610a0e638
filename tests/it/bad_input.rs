//! What goes wrong is said in a condition with its reason; the others go on, and what ran stays.

use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, gitops, is_ready, login, message, uid};
use anyhow::{Context, Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{Access, Fault, condition};
use std::net::TcpListener;
use std::os::unix::fs::symlink;

const MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: map}, data: {key: value}}\n";

/// A Kustomization that works, to see that it goes on.
async fn with_bystander(ops: &GitOps) -> Result<()> {
    ops.repository.write("bystander/map.yaml", MAP)?;
    ops.repository.write("app/map.yaml", MAP.replace("name: map", "name: app"))?;
    let commit = ops.repository.commit("A bystander")?;
    ops.git_repository(json!({})).await?;
    ops.kustomization("bystander", json!({"path": "./bystander"})).await?;
    ops.applied("bystander", &commit).await.map(drop)
}

async fn bystander_goes_on(ops: &GitOps) -> Result<()> {
    let bystander = ops.reconcile("bystander").await?;
    ensure!(is_ready(&bystander), "{}", bystander.data["status"]);
    ops.get("v1", "ConfigMap", "map").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_fetched_says_why() -> Result<()> {
    gitops("bad-source", async |ops| {
        with_bystander(ops).await?;
        ops.server.repository("empty")?;
        // A port on which nobody listens.
        let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let url = ops.repository.url().to_owned();
        let missing = url.replace("app.git", "missing.git");
        let empty = url.replace("app.git", "empty.git");
        let cases: &[(&str, &str, Value, &str, &str)] = &[
            ("unreachable", &format!("http://{nobody}/app.git"), json!({}), "GitOperationFailed", "connect"),
            ("missing", &missing, json!({}), "GitOperationFailed", "not found"),
            ("unknown-branch", &url, json!({"ref": {"branch": "nowhere"}}), "GitOperationFailed", "nowhere"),
            ("unknown-tag", &url, json!({"ref": {"tag": "v9.9.9"}}), "GitOperationFailed", "v9.9.9"),
            ("no-version", &url, json!({"ref": {"semver": ">=9.0.0"}}), "GitOperationFailed", ">=9.0.0"),
            ("empty", &empty, json!({}), "EmptyGitRepository", "git repository is empty"),
            ("no-secret", &url, json!({"secretRef": {"name": "nobody"}}), "AuthenticationFailed", "nobody"),
        ];
        for (name, url, spec, _, _) in cases {
            ops.git_repository_named(name, url, spec.clone()).await?;
        }
        for (name, _, _, reason, words) in cases {
            let failed = ops.fails(SOURCE, "GitRepository", name, reason).await.context(*name)?;
            let text = message(&failed);
            ensure!(text.to_lowercase().contains(&words.to_lowercase()), "{name}: {text}");
            ensure!(condition(&failed, "FetchFailed") == Some("True"), "{name}: {}", failed.data["status"]);
            ensure!(failed.data["status"]["artifact"].is_null(), "{name}: {}", failed.data["status"]);
        }
        bystander_goes_on(ops).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_keeps_the_artifact_that_was_there_and_what_runs() -> Result<()> {
    gitops("bad-login", async |ops| {
        with_bystander(ops).await?;
        let right = Access::Basic("user".into(), "right-password".into());
        ops.server.set_access(right.clone());
        ops.secret("login", json!({"username": "user", "password": "wrong-password"})).await?;
        ops.git_repository(json!({"secretRef": {"name": "login"}})).await?;
        let failed = ops.fails(SOURCE, "GitRepository", "app", "GitOperationFailed").await?;
        ensure!(
            !failed.data["status"]["artifact"].is_null(),
            "the artifact is gone: {}",
            failed.data["status"]
        );
        let said = format!("{}{}", failed.data["status"], ops.source.log_tail());
        ensure!(!said.contains("wrong-password"), "a password is shown: {said}");
        bystander_goes_on(ops).await?;

        ops.secret("login", login(&right)).await?;
        ops.repository.write("app/second.yaml", MAP.replace("name: map", "name: second"))?;
        let commit = ops.push("After the login is right").await?;
        ops.applied("bystander", &commit).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_cannot_be_built_or_applied_leaves_what_runs() -> Result<()> {
    gitops("bad-commit", async |ops| {
        with_bystander(ops).await?;
        let good = ops.repository.head()?;
        ops.kustomization("app", json!({"path": "./app"})).await?;
        ops.applied("app", &good).await?;
        let before = uid(&ops.get("v1", "ConfigMap", "app").await?)?;

        let extra = "app/extra.yaml";
        let deployment =
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: refused}\nspec: {replicas: -1}\n";
        let cases: &[(&str, &str, &str, &str)] = &[
            ("YAML that does not parse", "a: [1,\nb: }", "BuildFailed", "extra.yaml"),
            ("no kind", "apiVersion: v1\nmetadata: {name: x}\n", "BuildFailed", "extra.yaml"),
            ("refused by the API server", deployment, "ReconciliationFailed", "refused"),
            (
                "kind that is not installed",
                "{apiVersion: nowhere.example.com/v1, kind: Unknown, metadata: {name: x}}",
                "ReconciliationFailed",
                "Unknown",
            ),
        ];
        for (what, content, reason, words) in cases {
            ops.repository.write(extra, content)?;
            // What runs would be pruned if this commit counted.
            ops.repository.remove("app/map.yaml")?;
            ops.push(what).await?;
            let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", reason).await.context(*what)?;
            let text = message(&failed);
            ensure!(text.contains(words), "{what}: {text}");
            let status = &failed.data["status"];
            ensure!(
                status["lastAppliedRevision"] == format!("main@sha1:{good}").as_str(),
                "{what}: {status}"
            );
            let map = ops.get("v1", "ConfigMap", "app").await.with_context(|| format!("{what}: pruned"))?;
            ensure!(uid(&map)? == before, "{what}: made anew");
            ops.told("Kustomization", "app", what, |type_, why, text| {
                type_ == "Warning" && why == *reason && text.contains(words)
            })
            .await?;
            bystander_goes_on(ops).await.context(*what)?;

            ops.repository.remove(extra)?;
            ops.repository.write("app/map.yaml", MAP.replace("name: map", "name: app"))?;
            let commit = ops.push("Put right").await?;
            ops.applied("app", &commit).await.context(*what)?;
            ops.repository.git(["reset", "--quiet", "--hard", &good])?;
            ops.request_reconcile(SOURCE, "GitRepository", "app").await?;
            ops.applied("app", &good).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_there_or_leaves_the_repository_is_refused() -> Result<()> {
    gitops("bad-path", async |ops| {
        with_bystander(ops).await?;
        symlink("../../../../../../etc", ops.repository.work().join("out"))?;
        ops.repository.write("escape/kustomization.yaml", "resources: [../../../../../../etc/hosts]\n")?;
        ops.repository.write("file/kustomization.yaml", "resources: [link.yaml]\n")?;
        symlink("/etc/hosts", ops.repository.work().join("file/link.yaml"))?;
        let commit = ops.push("Ways out").await?;
        ops.applied("bystander", &commit).await?;
        let cases: &[(&str, &str, &str, &str)] = &[
            ("missing", "./nowhere", "ArtifactFailed", "nowhere"),
            ("symlink", "./out", "ArtifactFailed", "out"),
            ("escape", "./escape", "BuildFailed", ""),
            ("file", "./file", "BuildFailed", ""),
        ];
        for (name, path, _, _) in cases {
            ops.kustomization(name, json!({"path": path})).await?;
        }
        for (name, _, reason, words) in cases {
            let failed = ops.fails(KUSTOMIZE, "Kustomization", name, reason).await.context(*name)?;
            let text = message(&failed);
            ensure!(text.contains(words), "{name}: {text}");
            ensure!(!text.contains("localhost"), "{name}: the content of a file outside is shown: {text}");
        }
        // This one is joined to the root and can never leave it: it is the root itself.
        ops.kustomization("above", json!({"path": "../..", "prune": false})).await?;
        let above = ops.fails(KUSTOMIZE, "Kustomization", "above", "BuildFailed").await?;
        ensure!(!message(&above).is_empty());
        bystander_goes_on(ops).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_that_is_not_what_the_status_says_is_refused() -> Result<()> {
    gitops("bad-digest", async |ops| {
        with_bystander(ops).await?;
        let commit = ops.repository.head()?;
        let digest = format!("sha256:{}", "0".repeat(64));
        let status = json!({"status": {"artifact": {"digest": digest}}});
        let sources = ops.api(SOURCE, "GitRepository").await?;
        #[expect(clippy::disallowed_methods, reason = "as whoever may write to the status does")]
        sources.patch_status("app", &PatchParams::default(), &Patch::Merge(&status)).await?;
        ops.kustomization("late", json!({"path": "./app"})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "late", "ArtifactFailed").await?;
        let text = message(&failed);
        ensure!(text.contains("digest") || text.contains("checksum"), "{text}");
        ensure!(ops.find("v1", "ConfigMap", "app").await?.is_none(), "it was applied");

        // The source-controller notices, and fetches it again.
        ops.reconcile_kind(SOURCE, "GitRepository", "app").await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        ops.reconcile("late").await?;
        ops.applied("late", &commit).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_for_a_moment_is_tried_again() -> Result<()> {
    gitops("moment", async |ops| {
        with_bystander(ops).await?;
        for fault in [Fault::Status(503), Fault::Cut, Fault::Status(429)] {
            ops.server.inject(fault);
        }
        ops.repository.write("bystander/second.yaml", MAP.replace("name: map", "name: second"))?;
        let commit = ops.push("While the server fails").await?;
        let applied = ops.applied("bystander", &commit).await;
        applied.map(drop).with_context(|| format!("{:#?}", ops.server.requests()))
    })
    .await
}

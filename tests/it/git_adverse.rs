//! Histories that are rewritten and servers that mean ill: the last good artifact stays, and is what the status says.

use crate::gitops::{GitOps, SOURCE, gitops, login, message};
use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use serde_json::json;
use sluice_tests::{Access, Fault, GitServer, Operation, wait};
use std::io::Write as _;
use std::process::{Command, Stdio};

const KIND: &str = "GitRepository";

/// The digest of bytes as a status has it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut hasher = sluice_artifact::Algorithm::Sha256.hasher();
    hasher.update(bytes);
    hasher.finish().to_string()
}

/// Reads an object's artifact as a consumer does, and compares it with its digest.
pub(crate) async fn serves_its_artifact(object: &DynamicObject) -> Result<()> {
    let artifact = &object.data["status"]["artifact"];
    let url = artifact["url"].as_str().with_context(|| format!("no artifact: {}", object.data["status"]))?;
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build()?;
    let bytes = client.get(url).send().await?.error_for_status()?.bytes().await?;
    let digest = digest(&bytes);
    ensure!(
        artifact["digest"] == digest.as_str(),
        "the digest of what is served is {digest}, not {}",
        artifact["digest"]
    );
    Ok(())
}

/// Waits until an object has failed, and checks that it still has the artifact of a revision.
async fn fails_and_keeps(ops: &GitOps, name: &str, reason: &str, words: &str, revision: &str) -> Result<()> {
    let repositories = ops.api(SOURCE, KIND).await?;
    let failed = wait::until(&repositories, name, &format!("failed by '{words}'"), |object| {
        sluice_tests::reason(object, "Ready") == Some(reason) && message(object).contains(words)
    })
    .await?;
    let kept = &failed.data["status"]["artifact"]["revision"];
    ensure!(*kept == revision, "{name} has {kept}, not {revision}");
    serves_its_artifact(&failed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rewritten_histories_are_followed_and_what_is_gone_keeps_its_artifact() -> Result<()> {
    gitops("rewritten", async |ops| {
        let repository = &ops.repository;
        repository.write("a.txt", "a")?;
        let first = repository.commit("One")?;
        repository.tag("v1")?;
        repository.branch("feature")?;
        repository.checkout("main")?;
        ops.git_repository(json!({})).await?;
        ops.git_repository_named("tag", repository.url(), json!({"ref": {"tag": "v1"}})).await?;
        ops.git_repository_named("branch", repository.url(), json!({"ref": {"branch": "feature"}})).await?;
        for (name, short) in [("app", "main"), ("tag", "v1"), ("branch", "feature")] {
            ops.stored(name, &format!("{short}@sha1:{first}")).await?;
        }

        // A branch that shares nothing with what it was, and a tag that moved along.
        repository.git(["checkout", "--quiet", "--orphan", "anew"])?;
        repository.write("b.txt", "b")?;
        let second = repository.commit("Anew")?;
        repository.git(["branch", "--force", "main", &second])?;
        repository.checkout("main")?;
        repository.git(["tag", "--force", "--annotate", "-m", "again", "v1", &second])?;
        repository.git(["branch", "--quiet", "-D", "feature"])?;
        for name in ["app", "tag", "branch"] {
            ops.request_reconcile(SOURCE, KIND, name).await?;
        }
        for (name, short) in [("app", "main"), ("tag", "v1")] {
            serves_its_artifact(&ops.stored(name, &format!("{short}@sha1:{second}")).await?).await?;
        }
        let gone = "couldn't find remote ref \"refs/heads/feature\"";
        fails_and_keeps(ops, "branch", "GitOperationFailed", gone, &format!("feature@sha1:{first}")).await?;

        // It comes back.
        repository.git(["branch", "feature", &second])?;
        ops.request_reconcile(SOURCE, KIND, "branch").await?;
        ops.stored("branch", &format!("feature@sha1:{second}")).await.map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_hangs_or_closes_leaves_the_last_artifact() -> Result<()> {
    gitops("bad-server", async |ops| {
        ops.repository.write("a.txt", "a")?;
        let mut commit = ops.repository.commit("One")?;
        ops.git_repository(json!({"timeout": "2s"})).await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        let cases: &[(Operation, Fault, &str)] = &[
            (Operation::Advertise, Fault::Status(500), "unexpected HTTP status 500"),
            (Operation::ListReferences, Fault::Status(502), "unexpected HTTP status 502"),
            (Operation::Fetch, Fault::Status(500), "unexpected HTTP status 500"),
            (Operation::Advertise, Fault::Hang, "context deadline exceeded"),
            (Operation::ListReferences, Fault::Cut, "unable to list remote"),
            (Operation::Fetch, Fault::Hang, "unable to clone"),
            (Operation::Fetch, Fault::Cut, "unable to clone"),
        ];
        for (index, (operation, fault, words)) in cases.iter().enumerate() {
            let kept = format!("main@sha1:{commit}");
            ops.server.misbehave(Some((*operation, fault.clone())));
            ops.repository.write("a.txt", format!("change {index}"))?;
            commit = ops.push("A change").await?;
            let what = format!("{operation:?} {fault:?}");
            fails_and_keeps(ops, "app", "GitOperationFailed", words, &kept).await.context(what.clone())?;
            ops.server.misbehave(None);
            ops.request_reconcile(SOURCE, KIND, "app").await?;
            serves_its_artifact(&ops.stored("app", &format!("main@sha1:{commit}")).await.context(what)?)
                .await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_takes_no_login_along() -> Result<()> {
    gitops("redirect", async |ops| {
        let access = Access::Basic("user".into(), "pass".into());
        let other = GitServer::start().await?;
        let repository = other.repository("app")?;
        repository.write("a.txt", "elsewhere")?;
        let commit = repository.commit("Elsewhere")?;
        ops.repository.commit("Here")?;
        ops.server.set_access(access.clone());
        ops.server.misbehave(Some((Operation::Advertise, Fault::Redirect(other.url()))));
        ops.secret("login", login(&access)).await?;
        ops.git_repository(json!({"secretRef": {"name": "login"}})).await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        ensure!(
            ops.server.requests().iter().all(|request| request.authorized),
            "{:?}",
            ops.server.requests()
        );
        let seen = other.requests();
        ensure!(!seen.is_empty() && seen.iter().all(|request| !request.authorized), "{seen:?}");

        // One that wants the login gets none either.
        other.set_access(access);
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        let revision = format!("main@sha1:{commit}");
        fails_and_keeps(ops, "app", "GitOperationFailed", "authentication required", &revision).await?;
        ensure!(other.requests().iter().all(|request| !request.authorized), "{:?}", other.requests());
        Ok(())
    })
    .await
}

/// Makes a commit of a tree of raw entries the head of `main`.
fn push_raw(ops: &GitOps, entries: &[(&str, &str)]) -> Result<String> {
    let served = ops.repository.served();
    let git = |arguments: &[&str], input: &[u8]| -> Result<String> {
        let mut child = Command::new("git")
            .arg("--git-dir")
            .arg(served)
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no pipe")?.write_all(input)?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "git {arguments:?}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let blob = git(&["hash-object", "-w", "--stdin"], b"content")?;
    let mut tree = Vec::new();
    for (mode, name) in entries {
        tree.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        for at in (0..40).step_by(2) {
            tree.push(u8::from_str_radix(&blob[at..at + 2], 16)?);
        }
    }
    let tree = git(&["hash-object", "-w", "-t", "tree", "--literally", "--stdin"], &tree)?;
    let commit = git(&["commit-tree", "-m", "hostile", &tree], b"")?;
    git(&["update-ref", "refs/heads/main", &commit], b"")?;
    Ok(commit)
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_of_bad_faith_are_refused_and_nothing_escapes() -> Result<()> {
    gitops("bad-tree", async |ops| {
        ops.repository.write("a.txt", "a")?;
        let commit = ops.repository.commit("One")?;
        ops.git_repository(json!({})).await?;
        let kept = format!("main@sha1:{commit}");
        ops.stored("app", &kept).await?;
        for name in ["..", "../../escaped", ".git", ".GiT", "/etc/passwd", "git~1", "a\\..\\..\\b"] {
            push_raw(ops, &[("100644", name)])?;
            ops.request_reconcile(SOURCE, KIND, "app").await?;
            let shown = format!("{name:?} has a forbidden name");
            fails_and_keeps(ops, "app", "ArchiveOperationFailed", &shown, &kept).await.context(name)?;
        }
        push_raw(ops, &[("100644", "twice"), ("100644", "twice")])?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        fails_and_keeps(ops, "app", "ArchiveOperationFailed", "\"twice\" is there twice", &kept).await?;
        for mode in ["20666", "60666", "10666"] {
            push_raw(ops, &[(mode, "device")])?;
            ops.request_reconcile(SOURCE, KIND, "app").await?;
            fails_and_keeps(ops, "app", "ArchiveOperationFailed", "device", &kept).await.context(mode)?;
        }
        // Names that differ in nothing but their case are two files.
        let commit = push_raw(ops, &[("100644", "README"), ("100644", "readme")])?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        let stored = ops.stored("app", &format!("main@sha1:{commit}")).await?;
        serves_its_artifact(&stored).await?;
        let path = stored.data["status"]["artifact"]["path"].as_str().context("no path")?;
        let output = Command::new("tar").arg("-tzf").arg(ops.source.storage().join(path)).output()?;
        let names = String::from_utf8(output.stdout)?;
        ensure!(
            names.lines().eq(["./", "README", "readme"]) || names.lines().eq([".", "README", "readme"]),
            "{names}"
        );
        let left: Vec<_> = walk(&ops.source.storage())?;
        ensure!(left.iter().all(|file| file.ends_with(".tar.gz") || file.ends_with(".lock")), "{left:?}");
        Ok(())
    })
    .await
}

/// All files below a folder.
fn walk(folder: &std::path::Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(walk(&path)?) } else { files.push(path.display().to_string()) }
    }
    Ok(files)
}

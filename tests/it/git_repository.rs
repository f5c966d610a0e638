//! The life of a GitRepository: storage, suspension, deletion, includes, submodules, signatures.

use crate::gitops::{GitOps, SOURCE, gitops, is_ready, message};
use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use serde_json::json;
use sluice_tests::{Operation, condition, reason, wait};
use std::path::PathBuf;
use std::process::Command;

const KIND: &str = "GitRepository";

/// The folder of an object's artifacts.
fn folder(ops: &GitOps, name: &str) -> PathBuf {
    ops.source.storage().join("gitrepository").join(&ops.namespace).join(name)
}

/// What is in the artifact of an object.
fn listed(ops: &GitOps, object: &DynamicObject) -> Result<Vec<String>> {
    let path = object.data["status"]["artifact"]["path"].as_str().context("no artifact")?;
    let output = Command::new("tar").arg("-tzf").arg(ops.source.storage().join(path)).output()?;
    ensure!(output.status.success(), "{path} is no archive");
    Ok(String::from_utf8(output.stdout)?.lines().map(|line| line.trim_end_matches('/').to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_downloads_nothing_and_damage_is_repaired() -> Result<()> {
    gitops("storage", async |ops| {
        ops.repository.write("a.txt", "a")?;
        let commit = ops.repository.commit("One")?;
        ops.git_repository(json!({})).await?;
        let revision = format!("main@sha1:{commit}");
        let stored = ops.stored("app", &revision).await?;
        let file = folder(ops, "app").join(format!("{commit}.tar.gz"));
        let written = std::fs::metadata(&file)?.modified()?;
        let fetches = ops.server.count(Operation::Fetch);

        ops.source.kill();
        ops.source.restart().await?;
        ops.reconcile_kind(SOURCE, KIND, "app").await?;
        ensure!(std::fs::metadata(&file)?.modified()? == written, "written again");
        ensure!(ops.server.count(Operation::Fetch) == fetches, "{:?}", ops.server.requests());

        let good = std::fs::read(&file)?;
        std::fs::write(&file, b"damaged")?;
        ops.reconcile_kind(SOURCE, KIND, "app").await?;
        let repaired = ops.stored("app", &revision).await?;
        ensure!(std::fs::read(&file)? == good, "the same tree gave other bytes");
        let digest = |object: &DynamicObject| object.data["status"]["artifact"]["digest"].clone();
        ensure!(digest(&repaired) == digest(&stored));
        ops.told(KIND, "app", "of the damage", |type_, reason, _| {
            type_ == "Warning" && reason == "ArtifactVerificationFailed"
        })
        .await?;

        std::fs::remove_file(&file)?;
        ops.reconcile_kind(SOURCE, KIND, "app").await?;
        ops.stored("app", &revision).await?;
        ensure!(std::fs::read(&file)? == good);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_object_is_left_alone_and_a_deleted_one_leaves_nothing() -> Result<()> {
    gitops("suspend", async |ops| {
        let first = ops.repository.commit("One")?;
        ops.git_repository(json!({})).await?;
        ops.stored("app", &format!("main@sha1:{first}")).await?;
        let suspend = |value: bool| json!({"spec": {"suspend": value}});
        ops.patch(SOURCE, KIND, "app", suspend(true)).await?;
        let second = ops.push("Two").await?;
        let repositories = ops.api(SOURCE, KIND).await?;
        let suspended = wait::until(&repositories, "app", "the request seen, though suspended", |object| {
            object.data["status"]["lastHandledReconcileAt"].is_string() && is_ready(object)
        })
        .await?;
        ensure!(suspended.data["status"]["artifact"]["revision"] == format!("main@sha1:{first}").as_str());
        ops.patch(SOURCE, KIND, "app", suspend(false)).await?;
        ops.stored("app", &format!("main@sha1:{second}")).await?;

        ops.patch(SOURCE, KIND, "app", suspend(true)).await?;
        ops.delete(SOURCE, KIND, "app").await?;
        wait::gone(&repositories, "app").await?;
        ensure!(!folder(ops, "app").exists(), "artifacts are left");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_replaces_the_artifact_and_old_ones_go() -> Result<()> {
    gitops("revisions", async |ops| {
        let mut commits = vec![ops.repository.commit("One")?];
        ops.git_repository(json!({})).await?;
        for subject in ["Two", "Three", "A subject that is much longer than fifty characters, which is cut"] {
            ops.stored("app", &format!("main@sha1:{}", commits[commits.len() - 1])).await?;
            // The same content again would be no news.
            ops.repository.write("subject.txt", subject)?;
            commits.push(ops.push(subject).await?);
        }
        ops.stored("app", &format!("main@sha1:{}", commits[3])).await?;
        ops.reconcile_kind(SOURCE, KIND, "app").await?;
        let left = std::fs::read_dir(folder(ops, "app"))?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, _>>()?;
        let archives: Vec<&String> = left.iter().filter(|name| name.ends_with(".tar.gz")).collect();
        ensure!(archives.len() == 2 && left.len() == 4, "{left:?}");
        let cut = "stored artifact for commit 'A subject that is much longer than fifty character...'";
        ops.told(KIND, "app", cut, |_, reason, text| reason == "NewArtifact" && text == cut).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn includes_wait_for_their_source_and_are_copied_in() -> Result<()> {
    gitops("includes", async |ops| {
        ops.repository.write("own.txt", "own")?;
        let commit = ops.repository.commit("One")?;
        let other = ops.server.repository("other")?;
        other.write("deep/file.txt", "file")?;
        other.write("beside.txt", "beside")?;
        let included = other.commit("Other")?;
        let include = json!([
            {"repository": {"name": "other"}, "fromPath": "deep", "toPath": "vendor/deep"},
            {"repository": {"name": "other"}},
        ]);
        ops.git_repository(json!({"include": include})).await?;
        ops.fails(SOURCE, KIND, "app", "NotFound").await?;
        ops.git_repository_named("other", other.url(), json!({})).await?;
        ops.stored("other", &format!("main@sha1:{included}")).await?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        let stored = ops.stored("app", &format!("main@sha1:{commit}")).await?;
        let names = listed(ops, &stored)?;
        for name in ["own.txt", "vendor/deep/file.txt", "other/beside.txt", "other/deep/file.txt"] {
            ensure!(names.iter().any(|listed| listed == name), "{name} is missing: {names:?}");
        }

        other.write("beside.txt", "changed")?;
        let included = other.commit("Changed")?;
        ops.request_reconcile(SOURCE, KIND, "other").await?;
        ops.stored("other", &format!("main@sha1:{included}")).await?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        let repositories = ops.api(SOURCE, KIND).await?;
        let again = wait::until(&repositories, "app", "another digest", |object| {
            is_ready(object)
                && object.data["status"]["artifact"]["digest"] != stored.data["status"]["artifact"]["digest"]
        })
        .await?;
        ensure!(
            again.data["status"]["artifact"]["revision"] == stored.data["status"]["artifact"]["revision"]
        );
        ensure!(again.data["status"]["includedArtifacts"].as_array().is_some_and(|all| all.len() == 2));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_and_submodules_are_taken_as_asked() -> Result<()> {
    gitops("shapes", async |ops| {
        let library = ops.server.repository("library")?;
        library.write("lib.txt", "lib")?;
        library.commit("Library")?;
        for file in ["apps/dev/a.txt", "apps/devil/b.txt", "top.txt"] {
            ops.repository.write(file, "x")?;
        }
        ops.repository.commit("Files")?;
        ops.repository.write(
            ".gitmodules",
            "[submodule \"library\"]\n\tpath = apps/library\n\turl = ../library.git\n",
        )?;
        ops.repository.git(["add", "--all", "."])?;
        let cacheinfo = format!("160000,{},apps/library", library.head()?);
        ops.repository.git(["update-index", "--add", "--cacheinfo", &cacheinfo])?;
        ops.repository.git(["commit", "--quiet", "-m", "A submodule"])?;
        let revision = format!("main@sha1:{}", ops.repository.head()?);

        ops.git_repository_named("plain", ops.repository.url(), json!({})).await?;
        ops.git_repository_named("modules", ops.repository.url(), json!({"recurseSubmodules": true})).await?;
        let sparse = json!({"sparseCheckout": ["./apps/dev"]});
        ops.git_repository_named("sparse", ops.repository.url(), sparse).await?;
        let absent = json!({"sparseCheckout": ["apps/nowhere"]});
        ops.git_repository_named("absent", ops.repository.url(), absent).await?;

        let has = |names: &[String], name: &str| names.iter().any(|listed| listed == name);
        let plain = listed(ops, &ops.stored("plain", &revision).await?)?;
        ensure!(has(&plain, "apps/library") && !has(&plain, "apps/library/lib.txt"), "{plain:?}");
        let modules = listed(ops, &ops.stored("modules", &revision).await?)?;
        ensure!(has(&modules, "apps/library/lib.txt") && has(&modules, "top.txt"), "{modules:?}");
        let sparse = listed(ops, &ops.stored("sparse", &revision).await?)?;
        ensure!(sparse == [".", "apps", "apps/dev", "apps/dev/a.txt"], "{sparse:?}");
        let failed = ops.fails(SOURCE, KIND, "absent", "GitOperationFailed").await?;
        ensure!(message(&failed).contains("'apps/nowhere' does not exist"), "{}", message(&failed));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_signed_by_a_known_key_is_published() -> Result<()> {
    gitops("verify", async |ops| {
        let keys = tempfile::tempdir()?;
        for name in ["known", "unknown"] {
            let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", name];
            let made = Command::new("ssh-keygen").args(arguments).current_dir(keys.path()).status();
            if made.is_err() {
                eprintln!("ssh-keygen is not installed: nothing is verified");
                return Ok(());
            }
        }
        let signed_with = |key: &str| -> Result<String> {
            let key = keys.path().join(key).display().to_string();
            ops.repository.git(["config", "gpg.format", "ssh"])?;
            ops.repository.git(["config", "user.signingkey", &key])?;
            ops.repository.git(["commit", "--quiet", "--allow-empty", "-S", "-m", "Signed"])?;
            ops.repository.head()
        };
        let good = signed_with("known")?;
        ops.repository.git(["tag", "-s", "-m", "Release", "v1.0.0"])?;
        let public = std::fs::read_to_string(keys.path().join("known.pub"))?;
        ops.secret("keys", json!({"author.sshpub": public})).await?;
        let verify = |mode: &str| json!({"mode": mode, "secretRef": {"name": "keys"}});
        ops.git_repository(json!({"verify": verify("HEAD")})).await?;
        let tagged = json!({"ref": {"tag": "v1.0.0"}, "verify": verify("TagAndHEAD")});
        ops.git_repository_named("tag", ops.repository.url(), tagged).await?;
        let stored = ops.stored("app", &format!("main@sha1:{good}")).await?;
        ensure!(condition(&stored, "SourceVerified") == Some("True"), "{}", stored.data["status"]);
        ensure!(stored.data["status"]["sourceVerificationMode"] == "HEAD");
        let tag = ops.stored("tag", &format!("v1.0.0@sha1:{good}")).await?;
        ensure!(condition(&tag, "SourceVerified") == Some("True"), "{}", tag.data["status"]);

        signed_with("unknown")?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        let failed = ops.fails(SOURCE, KIND, "app", "VerificationError").await?;
        ensure!(condition(&failed, "SourceVerified") == Some("False"));
        ensure!(reason(&failed, "SourceVerified") == Some("VerificationError"));
        let revision = &failed.data["status"]["artifact"]["revision"];
        ensure!(*revision == format!("main@sha1:{good}").as_str(), "published: {revision}");

        ops.repository.commit("Not signed")?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        let repositories = ops.api(SOURCE, KIND).await?;
        let failed = wait::until(&repositories, "app", "refused as not signed", |object| {
            message(object).contains("the commit is not signed")
        })
        .await?;
        ensure!(failed.data["status"]["artifact"]["revision"] == format!("main@sha1:{good}").as_str());

        let better = signed_with("known")?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        ops.stored("app", &format!("main@sha1:{better}")).await?;
        ops.told(KIND, "app", "of the signature", |type_, reason, _| {
            type_ == "Warning" && reason == "VerificationError"
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_one_repository_share_what_is_fetched_and_lose_nothing_with_the_temporary_folder()
-> Result<()> {
    gitops("shared", async |ops| {
        ops.repository.write("a/a.txt", "a")?;
        ops.repository.write("b/b.txt", "b")?;
        let first = ops.repository.commit("One")?;
        ops.repository.tag("v1.0.0")?;
        let names = ["whole", "part", "tag", "range"];
        let specs = [
            json!({}),
            json!({"sparseCheckout": ["a"]}),
            json!({"ref": {"tag": "v1.0.0"}}),
            json!({"ref": {"semver": "1.x"}}),
        ];
        for (name, spec) in names.iter().zip(&specs) {
            ops.git_repository_named(name, ops.repository.url(), spec.clone()).await?;
        }
        for (name, short) in names.iter().zip(["main", "main", "v1.0.0", "v1.0.0"]) {
            ops.stored(name, &format!("{short}@sha1:{first}")).await?;
        }
        // The commit, and the tag that names it.
        let fetches = ops.server.count(Operation::Fetch);
        ensure!(fetches <= 2, "{fetches} fetches: {:?}", ops.server.requests());

        let temporary = ops.source.storage().with_file_name("tmp");
        for entry in std::fs::read_dir(&temporary)? {
            std::fs::remove_file(entry?.path())?;
        }
        ops.repository.write("a/more.txt", "more")?;
        let second = ops.repository.commit("Two")?;
        for name in ["whole", "part"] {
            ops.request_reconcile(SOURCE, KIND, name).await?;
            let stored = ops.stored(name, &format!("main@sha1:{second}")).await?;
            let names = listed(ops, &stored)?;
            ensure!(names.contains(&"a/more.txt".to_owned()), "{names:?}");
            ensure!(names.contains(&"b/b.txt".to_owned()) == (name == "whole"), "{names:?}");
        }
        ensure!(ops.server.count(Operation::Fetch) == fetches + 1, "{:?}", ops.server.requests());
        Ok(())
    })
    .await
}

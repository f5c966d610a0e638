//! The storage: full, read-only, and as Flux's controller has left it.

use crate::git_adverse::{digest, serves_its_artifact};
use crate::gitops::{GitOps, SOURCE, gitops, message};
use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{Controller, Operation, reason, wait};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const KIND: &str = "GitRepository";

/// A small disk. It goes with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` for those who may not mount one.
    fn mount(size: &str) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let options = format!("size={size},mode=700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()).output();
        Ok(mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder)))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Lets nobody write, or everybody again.
    fn remount(&self, option: &str) -> Result<()> {
        let status =
            Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(self.path()).status()?;
        ensure!(status.success(), "remount,{option}: {status}");
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_or_read_only_disk_leaves_the_artifact_that_was_there() -> Result<()> {
    let Some(disk) = SmallDisk::mount("1m")? else {
        eprintln!("only root may mount a small disk: nothing is tested");
        return Ok(());
    };
    gitops("disk", async |ops| {
        let source = Controller::builder(ops.plane, "source-controller")?
            .namespace(&ops.namespace)
            .argument(format!("--storage-path={}", disk.path().display()));
        ops.source.terminate()?;
        ops.source = source.start().await?;
        ops.repository.write("a.txt", "a")?;
        let first = ops.repository.commit("One")?;
        ops.git_repository(json!({})).await?;
        ops.stored("app", &format!("main@sha1:{first}")).await?;

        // Bytes that do not compress.
        let mut random = fastrand::Rng::with_seed(1);
        let large: Vec<u8> = (0..2 << 20).map(|_| random.u8(..)).collect();
        ops.repository.write("large.bin", large)?;
        ops.push("More than the disk holds").await?;
        keeps(ops, "No space left on device", &first).await?;
        let left = fs::read_dir(disk.path().join("gitrepository").join(&ops.namespace).join("app"))?;
        let left: Vec<_> =
            left.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
        ensure!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");
        ops.repository.remove("large.bin")?;
        let second = ops.push("It fits again").await?;
        ops.stored("app", &format!("main@sha1:{second}")).await?;

        disk.remount("ro")?;
        ops.repository.write("a.txt", "b")?;
        let third = ops.push("While nobody can write").await?;
        keeps(ops, "Read-only file system", &second).await?;
        // It is also served, and known to be intact, after a restart.
        ops.source.terminate()?;
        ops.source.restart().await?;
        keeps(ops, "Read-only file system", &second).await?;
        disk.remount("rw")?;
        ops.request_reconcile(SOURCE, KIND, "app").await?;
        serves_its_artifact(&ops.stored("app", &format!("main@sha1:{third}")).await?).await
    })
    .await
}

/// Waits until the storage has failed, and reads the artifact of a commit.
async fn keeps(ops: &GitOps, words: &str, commit: &str) -> Result<()> {
    let failed = wait::until(&ops.api(SOURCE, KIND).await?, "app", words, |object| {
        reason(object, "StorageOperationFailed").is_some() && message(object).contains(words)
    })
    .await?;
    let artifact = &failed.data["status"]["artifact"];
    ensure!(artifact["revision"] == format!("main@sha1:{commit}").as_str(), "{artifact}");
    serves_its_artifact(&failed).await
}

/// An archive that another program made: other bytes than ours for the same content.
fn foreign_archive(path: &Path) -> Result<String> {
    let content = tempfile::tempdir()?;
    fs::write(content.path().join("a.txt"), "a")?;
    fs::create_dir_all(path.parent().context("no folder")?)?;
    let status = Command::new("tar").arg("-czf").arg(path).arg("-C").arg(content.path()).arg(".").status()?;
    ensure!(status.success());
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    fs::write(format!("{}.lock", path.display()), "")?;
    Ok(digest(&fs::read(path)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_flux_has_stored_is_served_and_not_fetched_again() -> Result<()> {
    gitops("flux-storage", async |ops| {
        ops.repository.write("a.txt", "a")?;
        let commit = ops.repository.commit("One")?;
        ops.repository.tag("v1.2.0")?;
        ops.source.terminate()?;
        let references = [
            ("branch", json!({"branch": "main"}), format!("main@sha1:{commit}")),
            ("tag", json!({"tag": "v1.2.0"}), format!("v1.2.0@sha1:{commit}")),
            ("range", json!({"semver": "1.x"}), format!("v1.2.0@sha1:{commit}")),
            ("name", json!({"name": "refs/heads/main"}), format!("refs/heads/main@sha1:{commit}")),
            ("commit", json!({"commit": commit}), format!("sha1:{commit}")),
        ];
        let mut before = Vec::new();
        for (name, reference, revision) in &references {
            let relative = format!("gitrepository/{}/{name}/{commit}.tar.gz", ops.namespace);
            let digest = foreign_archive(&ops.source.storage().join(&relative))?;
            let artifact = json!({
                "digest": digest, "lastUpdateTime": "2026-01-01T00:00:00Z", "path": relative,
                "revision": revision, "size": fs::metadata(ops.source.storage().join(&relative))?.len(),
                "url": format!("http://source-controller.flux-system.svc.cluster.local./{relative}"),
            });
            flux_wrote(ops, name, reference, &artifact).await?;
            before.push((*name, revision, artifact));
        }
        ops.source.restart().await?;
        for (name, revision, artifact) in before {
            ops.reconcile_kind(SOURCE, KIND, name).await?;
            let stored = ops.stored(name, revision).await?;
            let now = &stored.data["status"]["artifact"];
            for field in ["digest", "lastUpdateTime", "path", "revision", "size"] {
                ensure!(now[field] == artifact[field], "{name}: {field} is {}", now[field]);
            }
            serves_its_artifact(&stored).await.context(name)?;
            let news = |(_, reason, _): &(String, String, String)| reason == "NewArtifact";
            let events = ops.events(KIND, name).await?;
            ensure!(!events.iter().any(news), "{name}: {events:?}");
        }
        ensure!(ops.server.count(Operation::Fetch) == 0, "{:?}", ops.server.requests());
        Ok(())
    })
    .await
}

/// A GitRepository with the status that Flux's controller gives it.
async fn flux_wrote(ops: &GitOps, name: &str, reference: &Value, artifact: &Value) -> Result<DynamicObject> {
    let api = ops.api(SOURCE, KIND).await?;
    let object = json!({
        "apiVersion": SOURCE, "kind": KIND, "metadata": {"name": name, "finalizers": ["finalizers.fluxcd.io"]},
        "spec": {"interval": "1h", "url": ops.repository.url(), "ref": reference},
    });
    api.patch(name, &PatchParams::apply("flux").force(), &Patch::Apply(&object)).await?;
    let revision = artifact["revision"].as_str().context("no revision")?;
    let condition = |type_: &str| {
        json!({"type": type_, "status": "True", "reason": "Succeeded", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z", "message": format!("stored artifact for revision '{revision}'")})
    };
    let status = json!({"apiVersion": SOURCE, "kind": KIND, "status": {
        "observedGeneration": 1, "artifact": artifact, "conditions": [condition("Ready"), condition("ArtifactInStorage")],
    }});
    #[expect(clippy::disallowed_methods, reason = "as Flux's controller has written it")]
    let written = api
        .patch_status(name, &PatchParams::apply("source-controller").force(), &Patch::Apply(&status))
        .await?;
    Ok(written)
}

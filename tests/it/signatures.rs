//! Signatures that the real cosign makes. Building it takes minutes, so that these cases are only part of
//! `make test-cosign`; what it once made is among the fixtures of `crates/signature` and part of every run.

use crate::charts::{helm, write_chart};
use crate::gitops::{GitOps, SOURCE, gitops, message};
use crate::oci_repository::{KIND, LAYER, Upstream, archive};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{Registry, condition};
use std::path::PathBuf;
use std::process::Command;

/// The program, and keys named `known` and `other` that were made by it.
struct Cosign {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Cosign {
    async fn start() -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| sluice_reference::tool("cosign")).await?;
        let cosign = Self { program, folder: tempfile::tempdir()? };
        for name in ["known", "other"] {
            cosign.run(&["generate-key-pair", "--output-key-prefix", name])?;
        }
        Ok(cosign)
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.program);
        let command = command.args(arguments).current_dir(self.folder.path());
        let output = command.env("COSIGN_PASSWORD", "").env("HOME", self.folder.path()).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Signs with the key `known`, in the new layout or in the old one.
    fn sign(&self, target: &str, new: bool) -> Result<()> {
        let (username, password) = Registry::login();
        let layout = format!("--new-bundle-format={new}");
        let offline = ["--use-signing-config=false", "--tlog-upload=false"];
        let login = ["--registry-username", username, "--registry-password", password];
        let sign = ["sign", "--yes", "--key", "known.key", &layout, "--allow-http-registry"];
        self.run(&[&sign[..], &offline, &login, &[target]].concat())
    }

    fn public(&self, name: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join(name))?)
    }
}

/// Secrets with the keys and the login.
async fn secrets(ops: &GitOps, cosign: &Cosign, upstream: &Upstream) -> Result<()> {
    let keys = json!({"other.pub": cosign.public("other.pub")?, "known.pub": cosign.public("known.pub")?});
    ops.secret("keys", keys).await?;
    ops.secret("stranger", json!({"other.pub": cosign.public("other.pub")?})).await?;
    ops.secret("empty", json!({"note": "x"})).await?;
    let (username, password) = Registry::login();
    ops.secret("login", json!({"username": username, "password": password})).await?;
    let docker = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "pull"}, "stringData": upstream.docker_config(password),
    });
    ops.apply(&docker.to_string()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cosign takes minutes to build: make test-cosign"]
async fn artifacts_that_the_real_cosign_signed_are_verified_in_both_layouts() -> Result<()> {
    gitops("cosign", async |ops| {
        let (cosign, upstream) = (Cosign::start().await?, Upstream::start().await?);
        secrets(ops, &cosign, &upstream).await?;
        let mut digests = Vec::new();
        for (tag, layout) in [("old", Some(false)), ("new", Some(true)), ("unsigned", None)] {
            let layer = (LAYER, archive(&[("a.yaml", &format!("a: {tag}\n"))])?);
            let digest = upstream.push(tag, &[layer]).await?;
            if let Some(new) = layout {
                cosign.sign(&format!("{}/org/app@{digest}", upstream.registry.address()), new)?;
            }
            digests.push((tag, digest));
        }
        let create = async |name: &str, tag: &str, secret: &str| {
            let spec = json!({
                "url": upstream.url(), "interval": "1h", "insecure": true, "secretRef": {"name": "pull"},
                "ref": {"tag": tag}, "verify": {"provider": "cosign", "secretRef": {"name": secret}},
            });
            ops.source_object(KIND, name, spec).await
        };
        create("old", "old", "keys").await?;
        create("new", "new", "keys").await?;
        create("unsigned", "unsigned", "keys").await?;
        create("stranger-old", "old", "stranger").await?;
        create("stranger-new", "new", "stranger").await?;
        create("empty", "new", "empty").await?;
        for (name, digest) in digests.iter().take(2) {
            let stored = ops.has(KIND, name, &format!("{name}@{digest}")).await?;
            ensure!(condition(&stored, "SourceVerified") == Some("True"), "{name}");
        }
        for name in ["unsigned", "stranger-old", "stranger-new", "empty"] {
            let failed = ops.fails(SOURCE, KIND, name, "VerificationError").await?;
            let said = message(&failed);
            ensure!(said.contains("no matching signatures were found for"), "{name}: {said}");
            ensure!(failed.data["status"]["artifact"].is_null(), "{name} was stored");
        }
        // What was signed and is then replaced under its tag is not taken; the last good artifact stays.
        upstream.push("new", &[(LAYER, archive(&[("a.yaml", "a: tampered\n")])?)]).await?;
        ops.request_reconcile(SOURCE, KIND, "new").await?;
        let failed = ops.fails(SOURCE, KIND, "new", "VerificationError").await?;
        let (_, digest) = &digests[1];
        ensure!(failed.data["status"]["artifact"]["revision"] == format!("new@{digest}"), "{}", failed.data);
        ensure!(ops.file(&failed)?.is_file(), "the last good artifact went");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cosign takes minutes to build: make test-cosign"]
async fn charts_that_the_real_cosign_signed_are_verified() -> Result<()> {
    gitops("cosign-chart", async |ops| {
        let (cosign, upstream) = (Cosign::start().await?, Upstream::start().await?);
        secrets(ops, &cosign, &upstream).await?;
        let (helm, work) = (helm().await?, tempfile::tempdir()?);
        let (username, password) = Registry::login();
        let address = upstream.registry.address();
        let folder = work.path().display().to_string();
        for version in ["1.0.0", "1.1.0", "2.0.0"] {
            write_chart(work.path(), "app", version, "")?;
            Registry::run(&helm, &["package", &format!("{folder}/app"), "--destination", &folder])?;
            let (archive, target) =
                (format!("{folder}/app-{version}.tgz"), format!("oci://{address}/charts"));
            let login = ["--plain-http", "--username", username, "--password", password];
            Registry::run(&helm, &[&["push", &archive, &target][..], &login].concat())?;
        }
        cosign.sign(&format!("{address}/charts/app:1.0.0"), false)?;
        cosign.sign(&format!("{address}/charts/app:1.1.0"), true)?;
        let url = format!("oci://{address}/charts");
        let spec = json!({"url": url, "type": "oci", "insecure": true, "secretRef": {"name": "login"}});
        ops.source_object("HelmRepository", "charts", spec).await?;
        let chart = async |name: &str, version: &str, secret: &str| {
            let more: Value = json!({
                "chart": "app", "version": version,
                "verify": {"provider": "cosign", "secretRef": {"name": secret}},
            });
            ops.chart(name, "HelmRepository", "charts", more).await
        };
        chart("old", "1.0.0", "keys").await?;
        chart("new", "1.1.0", "keys").await?;
        chart("unsigned", "2.0.0", "keys").await?;
        chart("stranger", "1.1.0", "stranger").await?;
        for (name, version) in [("old", "1.0.0"), ("new", "1.1.0")] {
            let stored = ops.has("HelmChart", name, version).await?;
            ensure!(
                condition(&stored, "SourceVerified") == Some("True"),
                "{name}: {}",
                stored.data["status"]
            );
        }
        for name in ["unsigned", "stranger"] {
            let failed = ops.fails(SOURCE, "HelmChart", name, "VerificationError").await?;
            let said = message(&failed);
            ensure!(said.contains("no matching signatures were found for"), "{name}: {said}");
            ensure!(failed.data["status"]["artifact"].is_null(), "{name} was stored");
        }
        Ok(())
    })
    .await
}

//! Signatures without keys: certificates and a log of a small Sigstore of our own, in both layouts. `make test-cosign` shows
//! that the real cosign takes them for good, too.

use crate::gitops::{GitOps, SOURCE, gitops, message};
use crate::oci_repository::{KIND, LAYER, Upstream, archive};
use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};
use sluice_reference::sigstore::{Signer, Sigstore};
use sluice_tests::{Registry, condition};

const RELEASE: Signer<'static> = Signer {
    subject: "https://git.test/acme/app/.github/workflows/release.yml@refs/tags/v1",
    issuer: "https://issuer.test",
};

fn sigstore() -> Result<Sigstore> {
    Sigstore::new().map_err(|error| anyhow!("{error}"))
}

/// An artifact for each layout, and one that is not signed. Returns their digests.
async fn signed(upstream: &Upstream, sigstore: &Sigstore) -> Result<[String; 3]> {
    let push = async |tag: &str| {
        upstream.push(tag, &[(LAYER, archive(&[("a.yaml", &format!("a: {tag}\n"))])?)]).await
    };
    let digests = [push("old").await?, push("new").await?, push("unsigned").await?];
    upstream.sign(&digests[0], sigstore, RELEASE, false).await?;
    upstream.sign(&digests[1], sigstore, RELEASE, true).await?;
    Ok(digests)
}

async fn prepare(ops: &GitOps, upstream: &Upstream, sigstore: &Sigstore) -> Result<()> {
    ops.secret("root", json!({"trusted_root.json": sigstore.trusted_root()})).await?;
    ops.secret("garbage", json!({"trusted_root.json": "s3cret"})).await?;
    ops.secret("empty", json!({"other.json": "{}"})).await?;
    let (_, password) = Registry::login();
    let docker = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "pull"}, "stringData": upstream.docker_config(password),
    });
    ops.apply(&docker.to_string()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_are_taken_of_the_identities_that_an_offline_root_certifies() -> Result<()> {
    gitops("keyless", async |ops| {
        let (sigstore, upstream) = (sigstore()?, Upstream::start().await?);
        let [old, new, _] = signed(&upstream, &sigstore).await?;
        prepare(ops, &upstream, &sigstore).await?;
        let create = async |name: &str, tag: &str, root: Option<&str>, identities: Value| {
            let mut verify = json!({"provider": "cosign", "matchOIDCIdentity": identities});
            if let Some(root) = root {
                verify["trustedRootSecretRef"] = json!({"name": root});
            }
            let spec = json!({
                "url": upstream.url(), "interval": "1h", "insecure": true, "secretRef": {"name": "pull"},
                "ref": {"tag": tag}, "verify": verify,
            });
            ops.source_object(KIND, name, spec).await
        };
        let acme = json!([{"issuer": "^https://issuer.test$", "subject": "^https://git.test/acme/.*$"}]);
        let other = json!([{"issuer": "^https://issuer.test$", "subject": "^https://git.test/other/.*$"}]);
        for (name, tag, root, identities) in [
            ("old", "old", Some("root"), &acme),
            ("new", "new", Some("root"), &acme),
            ("other-old", "old", Some("root"), &other),
            ("other-new", "new", Some("root"), &other),
            ("public", "new", None, &acme),
            ("unsigned", "unsigned", Some("root"), &acme),
            ("garbage", "new", Some("garbage"), &acme),
            ("empty", "new", Some("empty"), &acme),
            ("pattern", "new", Some("root"), &json!([{"issuer": "(", "subject": "x"}])),
        ] {
            create(name, tag, root, identities.clone()).await?;
        }
        for (name, digest) in [("old", &old), ("new", &new)] {
            let revision = format!("{name}@{digest}");
            let stored = ops.has(KIND, name, &revision).await?;
            ensure!(
                condition(&stored, "SourceVerified") == Some("True"),
                "{name}: {}",
                stored.data["status"]
            );
        }
        let stranger =
            format!("the signature is of '{}', for whom '{}' vouched", RELEASE.subject, RELEASE.issuer);
        for (name, words) in [
            ("other-old", stranger.as_str()),
            ("other-new", &stranger),
            ("public", "the log entry is of no log that is trusted"),
            ("unsigned", "no matching signatures were found for"),
            ("garbage", "/garbage': 'trusted_root.json': the trusted root cannot be used"),
            ("empty", "/empty': key 'trusted_root.json' is missing"),
            ("pattern", "the identity cannot be matched: issuer '('"),
        ] {
            let failed = ops.fails(SOURCE, KIND, name, "VerificationError").await?;
            let said = message(&failed);
            ensure!(
                said.contains("failed to verify the signature using provider 'cosign keyless': "),
                "{said}"
            );
            ensure!(said.contains(words) && !said.contains("s3cret"), "{name}: {said}");
            ensure!(failed.data["status"]["artifact"].is_null(), "{name} was stored");
        }
        // What is put in the place of a signed artifact is not taken; the last good one stays.
        upstream.push("new", &[(LAYER, archive(&[("a.yaml", "a: tampered\n")])?)]).await?;
        ops.request_reconcile(SOURCE, KIND, "new").await?;
        let failed = ops.fails(SOURCE, KIND, "new", "VerificationError").await?;
        ensure!(failed.data["status"]["artifact"]["revision"] == format!("new@{new}"), "{}", failed.data);
        ensure!(ops.file(&failed)?.is_file(), "the last good artifact went");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cosign takes minutes to build: make test-cosign"]
async fn the_real_cosign_takes_what_the_tests_sign_without_keys() -> Result<()> {
    let (sigstore, upstream) = (sigstore()?, Upstream::start().await?);
    let [old, new, unsigned] = signed(&upstream, &sigstore).await?;
    let program = tokio::task::spawn_blocking(|| sluice_reference::tool("cosign")).await?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("trusted_root.json");
    std::fs::write(&root, sigstore.trusted_root())?;
    let verify = |digest: &str, new: bool, subject: &str| {
        let (username, password) = Registry::login();
        let mut command = std::process::Command::new(&program);
        command.arg("verify").arg("--trusted-root").arg(&root).env("HOME", folder.path());
        command.args(["--certificate-oidc-issuer", RELEASE.issuer, "--certificate-identity", subject]);
        command.args(["--offline", "--allow-http-registry", &format!("--new-bundle-format={new}")]);
        command.args(["--registry-username", username, "--registry-password", password]);
        command.arg(format!("{}/org/app@{digest}", upstream.registry.address()));
        let output = command.output()?;
        anyhow::Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    for (digest, new) in [(&old, false), (&new, true)] {
        let (good, said) = verify(digest, new, RELEASE.subject)?;
        ensure!(good, "{said}");
        let (good, _) = verify(digest, new, "https://git.test/other")?;
        ensure!(!good, "cosign takes anybody's");
    }
    ensure!(!verify(&unsigned, true, RELEASE.subject)?.0, "cosign takes what nobody signed");
    Ok(())
}

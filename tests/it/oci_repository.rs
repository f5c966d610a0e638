//! What an OCIRepository makes of artifacts in the real registry.

use crate::gitops::{SOURCE, gitops, is_ready, message};
use anyhow::{Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_oci::{
    Client, ClientOptions, Credentials, Descriptor, INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, Manifest,
    Reference, Upload,
};
use sluice_reference::notation::{self, Notary};
use sluice_reference::sigstore::{Signer, Sigstore};
use sluice_tests::{Registry, condition, wait};
use std::io::Write as _;
use std::process::Command;

pub(crate) const KIND: &str = "OCIRepository";
const CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";

/// A registry that wants a login, and a client that has it.
pub(crate) struct Upstream {
    pub(crate) registry: Registry,
    client: Client,
}

impl Upstream {
    pub(crate) async fn start() -> Result<Self> {
        Self::of(Registry::start_closed().await?)
    }

    /// With a client that has all that the registry may want.
    pub(crate) fn of(registry: Registry) -> Result<Self> {
        let (username, password) = Registry::login();
        let options = ClientOptions {
            credentials: Credentials::Basic { username: username.into(), password: password.into() },
            ca: registry.ca().map(|ca| ca.as_bytes().to_vec()),
            certificate: registry
                .client_certificate()
                .map(|(certificate, key)| (certificate.into(), key.into())),
            ..ClientOptions::default()
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let reference = Reference::parse(&format!("{}/any", registry.address()))?;
        let client = Client::new(&reference.registry, options)?;
        Ok(Self { registry, client })
    }

    /// Pushes layers under a tag, as `flux push artifact` lays them out. Returns the digest.
    pub(crate) async fn push(&self, tag: &str, layers: &[(&str, Vec<u8>)]) -> Result<String> {
        let reference = Reference::parse(&format!("{}/org/app:{tag}", self.registry.address()))?;
        let repository = &reference.repository;
        let config = self.client.push_blob(repository, CONFIG, &Upload::Bytes(b"{}".to_vec())).await?;
        let mut descriptors = Vec::new();
        for (media_type, content) in layers {
            let upload = Upload::Bytes(content.clone());
            descriptors.push(self.client.push_blob(repository, media_type, &upload).await?);
        }
        let annotation =
            |key: &str, value: &str| (format!("org.opencontainers.image.{key}"), value.to_owned());
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
            config,
            layers: descriptors,
            annotations: [
                annotation("source", "https://git.example.test/app"),
                annotation("revision", "main@sha1:1234"),
            ]
            .into(),
            ..Manifest::default()
        };
        Ok(self.client.push_manifest(&reference, &manifest).await?)
    }

    /// Signs an artifact without a key, in the older layout or in the newer one.
    pub(crate) async fn sign(
        &self,
        digest: &str,
        sigstore: &Sigstore,
        signer: Signer<'_>,
        new: bool,
    ) -> Result<()> {
        let artifact = Reference::parse(&format!("{}/org/app", self.registry.address()))?;
        let (repository, hex) = (artifact.repository.clone(), digest.trim_start_matches("sha256:"));
        let blob = async |media_type: &str, content: &[u8]| {
            self.client.push_blob(&repository, media_type, &Upload::Bytes(content.to_vec())).await
        };
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| anyhow::anyhow!("{error}");
        if !new {
            let text = Sigstore::text(&artifact.to_string(), digest);
            let mut layer = blob("application/vnd.dev.cosign.simplesigning.v1+json", &text).await?;
            layer.annotations = sigstore.annotations(signer, &text).map_err(failed)?;
            let manifest = Manifest {
                schema_version: 2,
                media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
                config: blob("application/vnd.oci.image.config.v1+json", b"{}").await?,
                layers: vec![layer],
                ..Manifest::default()
            };
            self.client.push_manifest(&artifact.with_tag(&format!("sha256-{hex}.sig")), &manifest).await?;
            return Ok(());
        }
        let bundle = sigstore.bundle(signer, digest).map_err(failed)?.to_string();
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        self.refer(digest, kind, kind, bundle.as_bytes()).await
    }

    /// Signs an artifact as notation does.
    pub(crate) async fn notarize(&self, digest: &str, notary: &Notary) -> Result<()> {
        let artifact = Reference::parse(&format!("{}/org/app", self.registry.address()))?;
        let signed = self.client.resolve(&artifact.with_digest(digest)).await?;
        let envelope = notary.sign(&signed.media_type, digest, signed.bytes.len() as u64);
        let envelope = envelope.map_err(|error| anyhow::anyhow!("{error}"))?;
        self.refer(digest, notation::ARTIFACT_TYPE, notation::ENVELOPE, envelope.as_bytes()).await
    }

    /// Pushes an artifact of one layer that refers to another one.
    async fn refer(&self, digest: &str, kind: &str, media_type: &str, content: &[u8]) -> Result<()> {
        let artifact = Reference::parse(&format!("{}/org/app", self.registry.address()))?;
        let (repository, hex) = (&artifact.repository, digest.trim_start_matches("sha256:"));
        let signed = self.client.resolve(&artifact.with_digest(digest)).await?;
        let of = |digest: &str, size: usize| Descriptor {
            media_type: MANIFEST_MEDIA_TYPE.to_owned(),
            digest: digest.to_owned(),
            size: size as u64,
            ..Descriptor::default()
        };
        let empty = Upload::Bytes(b"{}".to_vec());
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
            artifact_type: Some(kind.to_owned()),
            config: self.client.push_blob(repository, "application/vnd.oci.empty.v1+json", &empty).await?,
            layers: vec![
                self.client.push_blob(repository, media_type, &Upload::Bytes(content.to_vec())).await?,
            ],
            subject: Some(of(digest, signed.bytes.len())),
            ..Manifest::default()
        };
        let bytes = serde_json::to_vec(&manifest)?;
        let at = artifact.with_digest(&sluice_oci::digest(&bytes));
        let own = self.client.push_manifest_bytes(&at, MANIFEST_MEDIA_TYPE, bytes.clone()).await?;
        // The registry keeps no list of what refers to what: the tag for that is made by whoever pushes.
        let referrer = Descriptor { artifact_type: manifest.artifact_type, ..of(&own, bytes.len()) };
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": [referrer]});
        let at = artifact.with_tag(&format!("sha256-{hex}"));
        self.client.push_manifest_bytes(&at, INDEX_MEDIA_TYPE, index.to_string().into_bytes()).await?;
        Ok(())
    }

    pub(crate) fn url(&self) -> String {
        format!("oci://{}/org/app", self.registry.address())
    }

    /// How often a blob was fetched.
    fn fetched(&self, digest: &str) -> usize {
        let log = self.registry.log();
        log.lines()
            .filter(|line| line.contains("response completed"))
            .filter(|line| {
                line.contains("\"http.request.method\":\"GET\"") && line.contains(&format!("/blobs/{digest}"))
            })
            .count()
    }

    pub(crate) fn docker_config(&self, password: &str) -> Value {
        let (username, _) = Registry::login();
        let auths = json!({self.registry.address(): {"username": username, "password": password}});
        json!({".dockerconfigjson": json!({"auths": auths}).to_string()})
    }
}

/// A tar.gz of these files; names are taken as they are.
pub(crate) fn archive(files: &[(&str, &str)]) -> Result<Vec<u8>> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if let Some(target) = content.strip_prefix("-> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_link_name(target)?;
        }
        header.set_cksum();
        tar.append(&header, if content.starts_with("-> ") { &[][..] } else { content.as_bytes() })?;
    }
    let mut gzip = tar.into_inner()?;
    gzip.flush()?;
    Ok(gzip.finish()?)
}

fn names(file: &std::path::Path) -> Result<Vec<String>> {
    let output = Command::new("tar").arg("-tzf").arg(file).output()?;
    ensure!(output.status.success(), "{} is no archive", file.display());
    Ok(String::from_utf8(output.stdout)?.lines().map(|line| line.trim_end_matches('/').to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_are_found_selected_and_kept() -> Result<()> {
    gitops("oci", async |ops| {
        let upstream = Upstream::start().await?;
        let (_, password) = Registry::login();
        let secret = |name: &str, data: Value| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
                "metadata": {"name": name}, "stringData": data,
            })
        };
        ops.apply(&secret("pull", upstream.docker_config(password)).to_string()).await?;
        ops.apply(&secret("wrong", upstream.docker_config("wr0ng")).to_string()).await?;
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "puller"},
            "imagePullSecrets": [{"name": "pull"}],
        });
        ops.apply(&account.to_string()).await?;

        let files = archive(&[("a.yaml", "a: 1\n"), ("link", "-> a.yaml"), ("docs/b.md", "b"), ("c.jpg", "c")])?;
        let first = upstream.push("v1.0.0", &[(LAYER, files.clone())]).await?;
        let other = b"{\"sbom\": true}".to_vec();
        let layer = archive(&[("a.yaml", "a: 2\n")])?;
        let blob = sluice_oci::digest(&layer);
        let layers = [(LAYER, layer), ("application/json", other.clone())];
        let second = upstream.push("v1.1.0", &layers).await?;
        let third = upstream.push("2.0.0-nightly", &[(LAYER, files.clone())]).await?;
        upstream.push("latest", &[(LAYER, archive(&[("../escape", "x")])?)]).await?;
        upstream.push("broken", &[(LAYER, b"no archive".to_vec())]).await?;

        let create = async |name: &str, more: Value| {
            let mut spec = json!({"url": upstream.url(), "interval": "1h", "secretRef": {"name": "pull"}});
            if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
                spec.extend(more);
                spec.retain(|_, value| !value.is_null());
            }
            ops.source_object(KIND, name, spec).await
        };
        create("tag", json!({"ref": {"tag": "v1.0.0"}, "secretRef": null, "serviceAccountName": "puller"})).await?;
        create("range", json!({"ref": {"semver": "1.x"}})).await?;
        let filter = json!({"ref": {"semver": ">0.0.0-0", "semverFilter": ".*-nightly$"}});
        create("filter", filter).await?;
        create("digest", json!({"ref": {"digest": first, "tag": "latest"}})).await?;
        let copy = json!({"mediaType": "application/json", "operation": "copy"});
        create("copy", json!({"ref": {"tag": "v1.1.0"}, "layerSelector": copy})).await?;
        create("ignore", json!({"ref": {"tag": "v1.0.0"}, "ignore": "/docs\n"})).await?;
        create("escape", json!({})).await?;
        create("broken", json!({"ref": {"tag": "broken"}})).await?;
        create("absent", json!({"ref": {"tag": "absent"}})).await?;
        create("nothing", json!({"ref": {"tag": "v1.0.0"}, "layerSelector": {"mediaType": "x/y"}})).await?;
        create("tagged", json!({"url": format!("{}:v1.0.0", upstream.url())})).await?;
        create("anonymous", json!({"ref": {"tag": "v1.0.0"}, "secretRef": null})).await?;
        create("denied", json!({"ref": {"tag": "v1.0.0"}, "secretRef": {"name": "wrong"}})).await?;

        let tag = ops.has(KIND, "tag", &format!("v1.0.0@{first}")).await?;
        let names_of = |object: &DynamicObject| names(&ops.file(object)?);
        ensure!(names_of(&tag)? == [".", "a.yaml", "docs", "docs/b.md"], "{:?}", names_of(&tag)?);
        ensure!(message(&tag) == format!("stored artifact for digest 'v1.0.0@{first}'"), "{}", message(&tag));
        let status = &tag.data["status"];
        ensure!(status["artifact"]["metadata"]["org.opencontainers.image.revision"] == "main@sha1:1234");
        ensure!(status["artifact"]["path"].as_str().is_some_and(|path| path.ends_with(&format!("/{first}.tar.gz"))));
        ensure!(status["url"].as_str().is_some_and(|url| url.ends_with("/latest.tar.gz")));
        ops.has(KIND, "range", &format!("v1.1.0@{second}")).await?;
        ops.has(KIND, "filter", &format!("2.0.0-nightly@{third}")).await?;
        ops.has(KIND, "digest", &first).await?;
        let copied = ops.has(KIND, "copy", &format!("v1.1.0@{second}")).await?;
        ensure!(std::fs::read(ops.file(&copied)?)? == other);
        let ignoring = ops.has(KIND, "ignore", &format!("v1.0.0@{first}")).await?;
        // Own patterns stand in for the default ones.
        ensure!(names_of(&ignoring)? == [".", "a.yaml", "c.jpg"], "{:?}", names_of(&ignoring)?);

        for (name, reason, text) in [
            ("escape", "OCIArtifactLayerOperationFailed", "\"../escape\" has an invalid name"),
            ("broken", "OCIArtifactLayerOperationFailed", "failed to extract layer contents"),
            ("nothing", "OCIArtifactLayerOperationFailed", "failed to find layer with media type 'x/y'"),
            ("absent", "OCIArtifactPullFailed", "404 Not Found: MANIFEST_UNKNOWN"),
            ("tagged", "URLInvalid", "remove ':v1.0.0'"),
            ("anonymous", "OCIArtifactPullFailed", "401 Unauthorized"),
            ("denied", "OCIArtifactPullFailed", "401 Unauthorized"),
        ] {
            let failed = ops.fails(SOURCE, KIND, name, reason).await?;
            let said = message(&failed);
            ensure!(said.contains(text) && !said.contains("wr0ng"), "{name}: {said}");
        }
        let tagged = ops.get(SOURCE, KIND, "tagged").await?;
        ensure!(condition(&tagged, "Stalled") == Some("True"));

        // What did not change is not fetched again; what did, is, unless it is no good: then the last good one stays.
        let again = ops.reconcile_kind(SOURCE, KIND, "range").await?;
        ensure!(is_ready(&again) && upstream.fetched(&blob) == 1, "{}", upstream.fetched(&blob));
        upstream.push("v1.2.0", &[(LAYER, b"no archive".to_vec())]).await?;
        ops.request_reconcile(SOURCE, KIND, "range").await?;
        let failed = ops.fails(SOURCE, KIND, "range", "OCIArtifactLayerOperationFailed").await?;
        ensure!(failed.data["status"]["artifact"]["revision"] == format!("v1.1.0@{second}"));
        let good = upstream.push("v1.3.0", &[(LAYER, files)]).await?;
        ops.request_reconcile(SOURCE, KIND, "range").await?;
        ops.has(KIND, "range", &format!("v1.3.0@{good}")).await?;
        let told = format!(
            "stored artifact with revision 'v1.3.0@{good}' from '{}', origin source 'https://git.example.test/app', \
             origin revision 'main@sha1:1234'",
            upstream.url()
        );
        ops.told(KIND, "range", &told, |_, reason, text| reason == "NewArtifact" && text == told).await?;
        ops.delete(SOURCE, KIND, "tag").await?;
        wait::gone(&ops.api(SOURCE, KIND).await?, "tag").await?;
        ensure!(!ops.file(&tag)?.exists(), "the artifact is left");
        Ok(())
    })
    .await
}

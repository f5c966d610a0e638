//! Where images go: to a registry, or into a file.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use sluice_oci::{Client, ClientOptions, Credentials, DockerConfig, MANIFEST_MEDIA_TYPE, Reference, Upload};
use tar::{Builder, EntryType};

use super::content::{CONFIG, Image};
use super::layer::header;

/// A registry, and the path of the images in it.
pub(super) struct Registry {
    prefix: String,
    client: Client,
}

impl Registry {
    /// Images get the names `prefix/NAME`.
    pub(super) fn new(prefix: &str, credentials: Option<Credentials>, insecure: bool) -> Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prefix = prefix.trim_end_matches('/').to_owned();
        let reference = Reference::parse(&format!("{prefix}/x"))?;
        let credentials = match credentials {
            Some(credentials) => credentials,
            None => of_docker(&reference)?,
        };
        let options = ClientOptions { credentials, insecure, ..ClientOptions::default() };
        Ok(Self { prefix, client: Client::new(&reference.registry, options)? })
    }

    /// Pushes an image; returns its name with its digest.
    pub(super) async fn push(&self, name: &str, tag: &str, image: &Image<'_>) -> Result<String> {
        let reference = Reference::parse(&format!("{}/{name}:{tag}", self.prefix))?;
        let repository = &reference.repository;
        self.client.push_blob(repository, CONFIG, &Upload::Bytes(image.config.clone())).await?;
        let manifest = image.manifest();
        for (layer, descriptor) in image.layers().zip(&manifest.layers) {
            let upload = Upload::File(layer.path().to_owned());
            self.client.push_blob(repository, &descriptor.media_type, &upload).await?;
        }
        let digest = self.client.push_manifest(&reference, &manifest).await?;
        Ok(format!("{reference}@{digest}"))
    }
}

/// What Docker's configuration has for a registry.
fn of_docker(reference: &Reference) -> Result<Credentials> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(std::env::home_dir()?.join(".docker")));
    let Some(path) = folder.map(|folder| folder.join("config.json")) else {
        return Ok(Credentials::Anonymous);
    };
    let Ok(config) = fs::read(&path) else { return Ok(Credentials::Anonymous) };
    let config = DockerConfig::parse(&config).with_context(|| path.display().to_string())?;
    Ok(config.find(&reference.registry, &reference.repository).unwrap_or_default())
}

/// Writes an image as an OCI layout into `folder/NAME.tar`.
pub(super) fn write_layout(folder: &Path, name: &str, tag: &str, image: &Image<'_>) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{name}.tar"));
    let mut archive = Builder::new(BufWriter::new(File::create(&path)?));
    let manifest = image.manifest();
    let bytes = serde_json::to_vec(&manifest)?;
    let digest = sluice_oci::digest(&bytes);
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{"mediaType": MANIFEST_MEDIA_TYPE, "digest": digest, "size": bytes.len(),
            "annotations": {"org.opencontainers.image.ref.name": tag, "io.containerd.image.name": format!("sluice/{name}:{tag}")}}],
    });
    let mut put = |name: &str, content: &[u8]| {
        archive.append_data(&mut header(EntryType::Regular, 0o644, content.len() as u64), name, content)
    };
    put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    put("index.json", &serde_json::to_vec(&index)?)?;
    put(&blob(&digest), &bytes)?;
    put(&blob(&manifest.config.digest), &image.config)?;
    let mut written = BTreeSet::new();
    for layer in image.layers().filter(|layer| written.insert(layer.digest.clone())) {
        let file = File::open(layer.path())?;
        archive.append_data(&mut header(EntryType::Regular, 0o644, layer.size), blob(&layer.digest), file)?;
    }
    archive.into_inner()?.into_inner()?.sync_all()?;
    Ok(path)
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

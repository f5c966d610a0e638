//! What is in an image, and what is said of it. Docker's way to the same is the Dockerfile at the root.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sluice_oci::{Descriptor, MANIFEST_MEDIA_TYPE, Manifest};

use super::layer::{Layer, NOBODY, Owner, Writer};
use super::program;

pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Where programs lie in an image.
const FOLDER: &str = "usr/local/bin";

/// An image that is made.
pub(super) struct Image<'b> {
    pub(super) config: Vec<u8>,
    base: &'b Layer,
    own: Vec<Layer>,
}

/// The layer of all images: whom to trust, who runs, where to write.
pub(super) fn base() -> Result<Layer> {
    let mut layer = Writer::new()?;
    layer.bytes("etc/group", format!("root:x:0:\nnobody:x:{NOBODY}:\n").as_bytes())?;
    layer.bytes("etc/nsswitch.conf", b"hosts: files dns\n")?;
    let users =
        format!("root:x:0:0:root:/:/sbin/nologin\nnobody:x:{NOBODY}:{NOBODY}:nobody:/tmp:/sbin/nologin\n");
    layer.bytes("etc/passwd", users.as_bytes())?;
    layer.bytes("etc/ssl/certs/ca-certificates.crt", authorities().as_bytes())?;
    layer.folder("data", 0o755, Owner::Nobody)?;
    layer.folder("tmp", 0o1777, Owner::Root)?;
    layer.finish()
}

/// Mozilla's list of authorities, as the lock file pins it.
fn authorities() -> String {
    let pem = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|certificate| {
        let text = BASE64_STANDARD.encode(certificate);
        let lines: Vec<String> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    });
    pem.collect()
}

impl<'b> Image<'b> {
    /// The image `name` of these programs.
    pub(super) fn new(
        name: &str,
        programs: &[&str],
        folder: &Path,
        tag: &str,
        base: &'b Layer,
    ) -> Result<Self> {
        let mut architectures = BTreeSet::new();
        let mut files = BTreeSet::new();
        let mut layer = Writer::new()?;
        for program in programs {
            let path = folder.join(program);
            let (architecture, needed) = program::needs(&path)?;
            architectures.insert(architecture);
            files.extend(needed);
            layer.program(&format!("{FOLDER}/{program}"), &path)?;
        }
        let mut own = Vec::new();
        if !files.is_empty() {
            let mut libraries = Writer::new()?;
            for file in files {
                libraries.program(file.display().to_string().trim_start_matches('/'), &file)?;
            }
            own.push(libraries.finish()?);
        }
        own.push(layer.finish()?);
        let mut architectures = architectures.into_iter();
        let (Some(architecture), None) = (architectures.next(), architectures.next()) else {
            bail!("the programs are for several machines");
        };
        let mut image = Self { config: Vec::new(), base, own };
        image.config = serde_json::to_vec(&image.describe(name, architecture, tag, programs.len() > 1))?;
        Ok(image)
    }

    pub(super) fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::once(self.base).chain(&self.own)
    }

    fn describe(&self, name: &str, architecture: &str, tag: &str, several: bool) -> Value {
        let path = format!("/{FOLDER}/{name}");
        let start = if several { "Cmd" } else { "Entrypoint" };
        let plain: Vec<&str> = self.layers().map(|layer| layer.plain.as_str()).collect();
        json!({
            "architecture": architecture, "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": format!("{NOBODY}:{NOBODY}"), "WorkingDir": "/tmp", start: [path],
                "Env": [format!("PATH=/{FOLDER}"), "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
                "Labels": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": tag},
            },
            "rootfs": {"type": "layers", "diff_ids": plain},
        })
    }

    /// The manifest, with the configuration under its digest.
    pub(super) fn manifest(&self) -> Manifest {
        let config = Descriptor {
            media_type: CONFIG.to_owned(),
            digest: sluice_oci::digest(&self.config),
            size: self.config.len() as u64,
            ..Descriptor::default()
        };
        let layer = |layer: &Layer| Descriptor {
            media_type: LAYER.to_owned(),
            digest: layer.digest.clone(),
            size: layer.size,
            ..Descriptor::default()
        };
        Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
            config,
            layers: self.layers().map(layer).collect(),
            ..Manifest::default()
        }
    }
}

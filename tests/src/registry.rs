//! The distribution registry on loopback.

use crate::child::Child;
use anyhow::{Context, Result, bail};
use sluice_oci::{Client, ClientOptions, MANIFEST_MEDIA_TYPE, Manifest, Reference, Upload};
use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A registry in memory. It ends with this value.
#[derive(Debug)]
pub struct Registry {
    address: String,
    _process: Child,
    folder: tempfile::TempDir,
}

/// The user that a closed registry knows.
const USER: &str = "user";
/// His password, and its hash with the lowest cost.
const PASSWORD: &str = "s3cr3t";
const HASH: &str = "$2y$04$WIhEtj8y147d2i47ZEERtO4uCMEW3EWUVbET34OCMdKlfm2OWc4We";

impl Registry {
    /// Starts one that is open to everybody.
    pub async fn start() -> Result<Self> {
        Self::launch(false).await
    }

    /// Starts one that wants [`Registry::login`].
    pub async fn start_closed() -> Result<Self> {
        Self::launch(true).await
    }

    /// User and password.
    pub fn login() -> (&'static str, &'static str) {
        (USER, PASSWORD)
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The name of an image in it, such as `127.0.0.1:5000/org/app`.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Pushes an image of next to nothing under some tags to an open registry; each differs.
    pub async fn push(&self, name: &str, tags: &[&str]) -> Result<()> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let reference = Reference::parse(&self.image(name))?;
        let client = Client::new(&reference.registry, ClientOptions::default())?;
        let config = Upload::Bytes(b"{}".to_vec());
        let media_type = "application/vnd.oci.image.config.v1+json";
        let config = client.push_blob(&reference.repository, media_type, &config).await?;
        for tag in tags {
            let manifest = Manifest {
                schema_version: 2,
                media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
                config: config.clone(),
                annotations: [("tag".to_owned(), (*tag).to_owned())].into(),
                ..Manifest::default()
            };
            client.push_manifest(&reference.with_tag(tag), &manifest).await?;
        }
        Ok(())
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn launch(closed: bool) -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| sluice_reference::tool("registry")).await?;
        let folder = tempfile::tempdir()?;
        let mut config = "version: 0.1\nlog: {level: info, formatter: json}\nstorage: {inmemory: {}, delete: {enabled: true}}\n\
            http: {addr: 127.0.0.1:0, debug: {addr: ''}}\n"
            .to_owned();
        if closed {
            let path = folder.path().join("htpasswd");
            fs::write(&path, format!("{USER}:{HASH}\n"))?;
            config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path.display()));
        }
        let path = folder.path().join("config.yml");
        fs::write(&path, config)?;
        let log = folder.path().join("log");
        let file = File::create(&log)?;
        let process = Child::start(&program, |command| {
            command.arg("serve").arg(&path).env("OTEL_TRACES_EXPORTER", "none");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        })?;
        let begin = Instant::now();
        loop {
            let text = fs::read_to_string(&log)?;
            if let Some((_, rest)) = text.split_once("listening on ") {
                let address: String =
                    rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
                return Ok(Self { address, _process: process, folder });
            }
            if process.exited().is_some() || begin.elapsed() > Duration::from_secs(30) {
                bail!("the registry did not start: {text}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs a program with these arguments against it, and gives what it printed.
    pub fn run(program: &std::path::Path, arguments: &[&str]) -> Result<String> {
        let output = std::process::Command::new(program)
            .args(arguments)
            .output()
            .with_context(|| format!("{} cannot be run", program.display()))?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

//! The distribution registry on loopback.

use crate::certificates::Certificates;
use crate::child::Child;
use crate::token_server::{ISSUER, SERVICE, TokenServer, User};
use anyhow::{Context, Result, bail};
use sluice_artifact::Archive;
use sluice_oci::{Client, ClientOptions, MANIFEST_MEDIA_TYPE, Manifest, Reference, Upload};
use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How a registry is to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegistryBuilder {
    access: Access,
    tls: bool,
    client_certificates: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Access {
    #[default]
    Open,
    Login,
    Tokens,
}

impl RegistryBuilder {
    /// It wants [`Registry::login`].
    pub fn closed(mut self) -> Self {
        self.access = Access::Login;
        self
    }

    /// It wants tokens, which a service of its own gives to [`Registry::login`] for all repositories, and to
    /// [`Registry::tenant`] for those below `tenant/`.
    pub fn tokens(mut self) -> Self {
        self.access = Access::Tokens;
        self
    }

    /// It speaks TLS, with a certificate of [`Registry::ca`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// It speaks TLS, and only to those who have [`Registry::client_certificate`].
    pub fn client_certificates(mut self) -> Self {
        self.client_certificates = true;
        self.tls()
    }

    /// Starts it.
    pub async fn start(self) -> Result<Registry> {
        Registry::launch(self).await
    }
}

/// A registry in memory. It ends with this value.
#[derive(Debug)]
pub struct Registry {
    address: String,
    _process: Child,
    folder: tempfile::TempDir,
    certificates: Option<Certificates>,
    tokens: Option<TokenServer>,
}

/// The user that a closed registry knows.
const USER: &str = "user";
/// His password, and its hash with the lowest cost.
const PASSWORD: &str = "s3cr3t";
const HASH: &str = "$2y$04$WIhEtj8y147d2i47ZEERtO4uCMEW3EWUVbET34OCMdKlfm2OWc4We";
/// The users of a registry with tokens.
const USERS: [User; 2] = [
    User { name: USER, password: PASSWORD, refresh: "refresh-all", prefix: "" },
    User { name: "tenant", password: "t3nant", refresh: "refresh-tenant", prefix: "tenant/" },
];

impl Registry {
    /// How it is to be.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// Starts one that is open to everybody.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Starts one that wants [`Registry::login`].
    pub async fn start_closed() -> Result<Self> {
        Self::builder().closed().start().await
    }

    /// User and password.
    pub fn login() -> (&'static str, &'static str) {
        (USER, PASSWORD)
    }

    /// Another user, and his password, who may see less where the registry wants tokens.
    pub fn tenant() -> (&'static str, &'static str) {
        (USERS[1].name, USERS[1].password)
    }

    /// The refresh token of [`Registry::login`].
    pub fn refresh_token() -> &'static str {
        USERS[0].refresh
    }

    /// The CA of a registry with TLS, as PEM.
    pub fn ca(&self) -> Option<&str> {
        self.certificates.as_ref().map(|certificates| certificates.ca.as_str())
    }

    /// A certificate that it lets in, and its key, as PEM.
    pub fn client_certificate(&self) -> Option<(&str, &str)> {
        let certificates = self.certificates.as_ref()?;
        Some((certificates.client.0.as_str(), certificates.client.1.as_str()))
    }

    /// For whom tokens were asked so far, and for what: `user scope`.
    pub fn asked_for_tokens(&self) -> Vec<String> {
        self.tokens.as_ref().map(TokenServer::asked).unwrap_or_default()
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

    /// Pushes files as an artifact in Flux's layout to an open registry.
    pub async fn push_files(&self, name: &str, tag: &str, files: &[(&str, &str)]) -> Result<()> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let reference = Reference::parse(&self.image(name))?;
        let client = Client::new(&reference.registry, ClientOptions::default())?;
        let mut archive = Archive::new(Vec::new());
        for (path, content) in files {
            archive.file(path.as_bytes(), false, content.len() as u64, content.as_bytes())?;
        }
        let repository = &reference.repository;
        let upload = async |kind: &str, bytes: Vec<u8>| {
            let media_type = format!("application/vnd.cncf.flux.{kind}");
            client.push_blob(repository, &media_type, &Upload::Bytes(bytes)).await
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
            config: upload("config.v1+json", b"{}".to_vec()).await?,
            layers: vec![upload("content.v1.tar+gzip", archive.finish()?).await?],
            ..Manifest::default()
        };
        client.push_manifest(&reference.with_tag(tag), &manifest).await?;
        Ok(())
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn launch(settings: RegistryBuilder) -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| sluice_reference::tool("registry")).await?;
        let folder = tempfile::tempdir()?;
        let file = |name: &str, content: &str| -> Result<String> {
            let path = folder.path().join(name);
            fs::write(&path, content)?;
            Ok(path.display().to_string())
        };
        let certificates = if settings.tls { Some(Certificates::new()?) } else { None };
        let mut tls = String::new();
        if let Some(certificates) = &certificates {
            let (certificate, key) = &certificates.server;
            tls = format!(
                ", tls: {{certificate: {}, key: {}",
                file("tls.crt", certificate)?,
                file("tls.key", key)?
            );
            if settings.client_certificates {
                tls.push_str(&format!(", clientcas: [{}]", file("ca.crt", &certificates.ca)?));
            }
            tls.push('}');
        }
        let mut config = format!(
            "version: 0.1\nlog: {{level: info, formatter: json}}\nstorage: {{inmemory: {{}}, delete: {{enabled: true}}}}\n\
             http: {{addr: 127.0.0.1:0, debug: {{addr: ''}}{tls}}}\n"
        );
        let mut tokens = None;
        match settings.access {
            Access::Open => {}
            Access::Login => {
                let path = file("htpasswd", &format!("{USER}:{HASH}\n"))?;
                config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {path}}}}}\n"));
            }
            Access::Tokens => {
                let server = TokenServer::start(USERS.to_vec()).await?;
                let (realm, bundle) = (&server.realm, file("tokens.crt", &server.certificate)?);
                let known = format!("service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {bundle}");
                config.push_str(&format!("auth: {{token: {{realm: '{realm}', {known}}}}}\n"));
                tokens = Some(server);
            }
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
                return Ok(Self { address, _process: process, folder, certificates, tokens });
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

//! Names of artifacts, and logging in at their registry.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use serde_json::json;
use sluice_cloud::registry::{Cloud, Login, login};
use sluice_cloud::{AzureIdentity, GcpLogin, Tokens};
use sluice_oci::{Client, ClientOptions, Credentials, DockerConfig, Reference};

use crate::app::App;
use crate::failure::hinted;
use crate::web;

/// Flags of all verbs that talk to a registry.
#[derive(Args)]
pub(crate) struct RegistryArgs {
    /// Who gives out credentials.
    #[arg(long, value_enum, default_value_t = Provider::Generic)]
    provider: Provider,
    /// User and password for the registry, or a token; else Docker's configuration is read.
    #[arg(long, value_name = "USER[:PASSWORD]", hide_env_values = true)]
    creds: Option<String>,
}

/// Flag of all verbs but `tag`.
#[derive(Args)]
pub(crate) struct InsecureArgs {
    /// Allow plain HTTP, and certificates that nobody vouches for.
    #[arg(long)]
    pub(crate) insecure_registry: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Provider {
    Generic,
    Aws,
    Azure,
    Gcp,
}

impl Provider {
    /// Whose login it is, if it is that of a cloud.
    fn cloud(self) -> Option<Cloud> {
        match self {
            Provider::Generic => None,
            Provider::Aws => Some(Cloud::Aws(None)),
            Provider::Azure => Some(Cloud::Azure(AzureIdentity::Ambient)),
            Provider::Gcp => Some(Cloud::Gcp(GcpLogin::Ambient)),
        }
    }
}

/// The artifact that a URL names.
pub(crate) fn parse(url: &str) -> Result<Reference> {
    if !url.starts_with("oci://") {
        bail!("{url:?} must begin with oci://, such as oci://ghcr.io/org/manifests/app:v1");
    }
    Reference::parse(url).with_context(|| format!("{url:?} cannot be read"))
}

impl RegistryArgs {
    /// A client for the registry of an artifact; logs in at the cloud where one gives out credentials.
    pub(crate) async fn client(&self, app: &App, reference: &Reference, insecure: bool) -> Result<Client> {
        let credentials = match self.provider.cloud() {
            Some(cloud) => app.bounded("logging in", self.login(&cloud, reference)).await?,
            None => self.credentials(reference)?,
        };
        let options = ClientOptions { credentials, insecure, ..ClientOptions::default() };
        Ok(Client::new(&reference.registry, options)?)
    }

    /// As whoever the surroundings say: variables, files and roles, where the cloud's own programs look too.
    async fn login(&self, cloud: &Cloud, reference: &Reference) -> Result<Credentials> {
        if self.creds.is_some() {
            bail!("--creds and --provider {} exclude each other", self.provider_name());
        }
        let (http, tokens) = (web::client(None)?, Tokens::new(8, Duration::from_hours(1)));
        let found = login(&http, &tokens, reference.registry.as_str(), cloud).await;
        let Login { username, password } = found.map_err(|error| {
            hinted(
                anyhow::Error::new(error).context(format!("failed to log in at {}", reference.registry)),
                "who you are is looked for in the provider's own variables, files and roles; or log in with the \
                 provider's own program, which writes Docker's configuration, and leave --provider away",
            )
        })?;
        Ok(Credentials::Basic { username, password })
    }

    /// The name of who gives out credentials.
    pub(crate) fn provider_name(&self) -> &'static str {
        match self.provider {
            Provider::Generic => "generic",
            Provider::Aws => "aws",
            Provider::Azure => "azure",
            Provider::Gcp => "gcp",
        }
    }

    /// What --creds are in Docker's configuration, for a Secret.
    pub(crate) fn docker_config(&self, reference: &Reference) -> Result<Option<String>> {
        let Some(creds) = &self.creds else { return Ok(None) };
        let Some((username, password)) = creds.split_once(':') else {
            bail!("--creds must be user:password, as the cluster is to have them too");
        };
        Ok(Some(docker_config_of(reference.registry.as_str(), username, password)))
    }

    fn credentials(&self, reference: &Reference) -> Result<Credentials> {
        if let Some(given) = &self.creds {
            return Ok(match given.split_once(':') {
                Some((username, password)) => {
                    Credentials::Basic { username: username.to_owned(), password: password.to_owned() }
                }
                None => Credentials::Bearer(given.clone()),
            });
        }
        docker_credentials(reference)
    }
}

/// What Docker's configuration has for the registry of an artifact.
pub(crate) fn docker_credentials(reference: &Reference) -> Result<Credentials> {
    let Some(path) = docker_config() else { return Ok(Credentials::Anonymous) };
    let Ok(json) = std::fs::read(&path) else { return Ok(Credentials::Anonymous) };
    let config = DockerConfig::parse(&json).with_context(|| path.display().to_string())?;
    Ok(config.find(&reference.registry, &reference.repository).unwrap_or_default())
}

/// Docker's configuration with the credentials of one registry.
pub(crate) fn docker_config_of(registry: &str, username: &str, password: &str) -> String {
    let auth = BASE64_STANDARD.encode(format!("{username}:{password}"));
    json!({"auths": {registry: {"username": username, "password": password, "auth": auth}}}).to_string()
}

fn docker_config() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(std::env::home_dir()?.join(".docker")))?;
    Some(folder.join("config.json"))
}

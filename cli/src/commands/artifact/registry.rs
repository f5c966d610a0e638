//! Names of artifacts, and logging in at their registry.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use serde_json::json;
use sluice_oci::{Client, ClientOptions, Credentials, DockerConfig, Reference};

use crate::failure::hinted;

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

/// The artifact that a URL names.
pub(crate) fn parse(url: &str) -> Result<Reference> {
    if !url.starts_with("oci://") {
        bail!("{url:?} must begin with oci://, such as oci://ghcr.io/org/manifests/app:v1");
    }
    Reference::parse(url).with_context(|| format!("{url:?} cannot be read"))
}

impl RegistryArgs {
    /// A client for the registry of an artifact.
    pub(crate) fn client(&self, reference: &Reference, insecure: bool) -> Result<Client> {
        let options =
            ClientOptions { credentials: self.credentials(reference)?, insecure, ..ClientOptions::default() };
        Ok(Client::new(&reference.registry, options)?)
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
        if self.provider != Provider::Generic {
            let error = anyhow!("this provider is not supported yet");
            return Err(hinted(
                error,
                "log in with the provider's own program, which writes Docker's configuration",
            ));
        }
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

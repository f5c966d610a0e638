//! Who asks where no credentials are given.

use std::pin::Pin;
use std::time::Duration;

use sluice_cloud::{AwsLogin, AzureIdentity, GcpLogin, Tokens};

/// What is looked up when a file needs it.
pub type Lookup<'l, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'l>>;

/// How to log in at a Vault with the token of somebody whom it trusts.
pub struct VaultLogin {
    /// Where to log in, below `/v1/`.
    pub path: String,
    /// The role at the Vault.
    pub role: String,
    /// The token.
    pub jwt: String,
}

/// Who asks the services where no credentials are given. What is not said is the process itself.
pub trait Surroundings: Send + Sync {
    /// What is temporary, kept.
    fn tokens(&self) -> &Tokens;

    /// The identity at Amazon. `region` and `endpoint` are those of the token service.
    fn aws(&self, region: String, endpoint: Option<String>) -> Lookup<'_, AwsLogin> {
        Box::pin(std::future::ready(Ok(AwsLogin::Ambient { region, endpoint })))
    }

    /// The identity at Google.
    fn gcp(&self) -> Lookup<'_, GcpLogin> {
        Box::pin(std::future::ready(Ok(GcpLogin::Ambient)))
    }

    /// The identity at Microsoft.
    fn azure(&self) -> Lookup<'_, AzureIdentity> {
        Box::pin(std::future::ready(Ok(AzureIdentity::Ambient)))
    }

    /// How to log in at the Vault with this address; not at all where it is none of those that may be used.
    fn vault<'l>(&'l self, _address: &'l str) -> Lookup<'l, Option<VaultLogin>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// The process itself.
pub struct Process(Tokens);

impl Default for Process {
    fn default() -> Self {
        Self(Tokens::new(16, Duration::from_mins(10)))
    }
}

impl Surroundings for Process {
    fn tokens(&self) -> &Tokens {
        &self.0
    }
}

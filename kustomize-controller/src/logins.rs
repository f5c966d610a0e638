//! As whom key management services are asked where a Kustomization gives no credentials.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::Api;
use serde::Deserialize;
use sluice_access::{Denied, Identities};
use sluice_api::source::CloudProvider;
use sluice_cloud::registry::Cloud;
use sluice_cloud::{AwsLogin, AzureIdentity, GcpLogin, Tokens};
use sluice_kms::{Lookup, Surroundings, VaultLogin};
use sluice_runtime::errors;

/// The key of the ConfigMap that lists Vault servers.
const CONFIG_KEY: &str = "config.yaml";

/// Who decrypts, and at which Vaults tokens of ServiceAccounts log in.
pub(crate) struct Logins {
    client: Client,
    identities: Identities,
    /// Namespace and name of the ConfigMap with the Vaults that may be used.
    vaults: Option<(String, String)>,
}

impl Logins {
    pub(crate) fn new(client: Client, identities: Identities, vaults: Option<(String, String)>) -> Self {
        Self { client, identities, vaults }
    }

    /// As whom a Kustomization of a namespace asks; `account` is the ServiceAccount that it names, if any.
    pub(crate) fn of(self: &Arc<Self>, namespace: &str, account: &str) -> Arc<dyn Surroundings> {
        Arc::new(Asker { logins: self.clone(), namespace: namespace.to_owned(), account: account.to_owned() })
    }

    async fn instance(&self, address: &str) -> Result<Option<Instance>, String> {
        let Some((namespace, name)) = &self.vaults else { return Ok(None) };
        let failed = |problem: String| {
            format!("SOPS Vault ConfigMap '{namespace}/{name}', set with --sops-vault-configmap: {problem}")
        };
        let found = Api::<ConfigMap>::namespaced(self.client.clone(), namespace).get(name).await;
        let found = found.map_err(|error| failed(errors::describe(&error)))?;
        let data = found.data.unwrap_or_default();
        let text =
            data.get(CONFIG_KEY).ok_or_else(|| failed(format!("the key '{CONFIG_KEY}' is missing")))?;
        let config =
            Config::parse(text).map_err(|error| failed(format!("the key '{CONFIG_KEY}': {error}")))?;
        Ok(config.instances.into_iter().find(|instance| same(&instance.address, address)))
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// The Vaults that may be used.
#[derive(Debug, Deserialize, PartialEq, Eq)]
struct Config {
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Instance {
    address: String,
    login_path: String,
}

impl Config {
    fn parse(text: &str) -> Result<Self, String> {
        let value = sluice_yaml::read(text).map_err(|error| error.to_string())?;
        let json = sluice_yaml::json::to_string(&value).map_err(|error| error.to_string())?;
        let config: Self = serde_json::from_str(&json).map_err(|error| error.to_string())?;
        for (index, Instance { address, login_path }) in config.instances.iter().enumerate() {
            let url = address.parse::<http::Uri>().ok().filter(|url| url.host().is_some());
            if !url.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https"))) {
                return Err(format!("instances[{index}].address: {address:?} is no URL"));
            }
            let parts = login_path.trim_matches('/').split('/');
            if parts.clone().any(|part| matches!(part, "" | "." | ".."))
                || login_path.contains(['?', '#', '%', '\\'])
            {
                return Err(format!("instances[{index}].loginPath: {login_path:?} is no path of a login"));
            }
        }
        Ok(config)
    }
}

/// One Kustomization.
struct Asker {
    logins: Arc<Logins>,
    namespace: String,
    account: String,
}

impl Asker {
    async fn at(&self, provider: CloudProvider) -> Result<Cloud, String> {
        self.logins.identities.at(&self.namespace, provider, &self.account).await.map_err(told)
    }
}

fn told(denied: Denied) -> String {
    match denied {
        Denied::Gate => "the feature gate ObjectLevelWorkloadIdentity is closed".to_owned(),
        Denied::Problem(problem) => problem,
    }
}

impl Surroundings for Asker {
    fn tokens(&self) -> &Tokens {
        self.logins.identities.tokens()
    }

    fn aws(&self, region: String, endpoint: Option<String>) -> Lookup<'_, AwsLogin> {
        Box::pin(async move {
            Ok(match self.at(CloudProvider::Aws).await? {
                Cloud::Aws(Some(role)) => {
                    AwsLogin::WebIdentity { role: role.role, token: role.token, region, endpoint }
                }
                _ => AwsLogin::Ambient { region, endpoint },
            })
        })
    }

    fn gcp(&self) -> Lookup<'_, GcpLogin> {
        Box::pin(async {
            Ok(match self.at(CloudProvider::Gcp).await? {
                Cloud::Gcp(login) => login,
                _ => GcpLogin::Ambient,
            })
        })
    }

    fn azure(&self) -> Lookup<'_, AzureIdentity> {
        Box::pin(async {
            Ok(match self.at(CloudProvider::Azure).await? {
                Cloud::Azure(identity) => identity,
                _ => AzureIdentity::Ambient,
            })
        })
    }

    fn vault<'l>(&'l self, address: &'l str) -> Lookup<'l, Option<VaultLogin>> {
        Box::pin(async move {
            let Some(instance) = self.logins.instance(address).await? else { return Ok(None) };
            let token = self.logins.identities.token(&self.namespace, &self.account, &instance.address).await;
            let ((namespace, account), jwt) = token.map_err(told)?;
            Ok(Some(VaultLogin { path: instance.login_path, role: format!("{namespace}_{account}"), jwt }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_vaults_is_read_and_what_is_wrong_is_named() {
        let good =
            "instances:\n- address: https://vault.example.com:8200\n  loginPath: auth/kubernetes/login\n";
        let config = Config::parse(good).unwrap();
        assert!(same(&config.instances[0].address, "https://vault.example.com:8200/"));
        assert_eq!(config.instances[0].login_path, "auth/kubernetes/login");
        assert_eq!(Config::parse("{}").unwrap(), Config { instances: vec![] });
        for (text, says) in [
            ("instances: [{address: x, loginPath: a}]", "instances[0].address"),
            ("instances: [{address: 'https://v', loginPath: ../sys}]", "instances[0].loginPath"),
            ("instances: [{address: 'https://v', loginPath: ''}]", "instances[0].loginPath"),
            ("instances: [{address: 'https://v'}]", "loginPath"),
            ("instances: 5", "invalid type"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}

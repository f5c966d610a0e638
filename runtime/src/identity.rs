//! With whose rights, and to which cluster, something is applied: impersonation and kubeconfigs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::HeaderValue;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use sha2::{Digest, Sha256};
use sluice_api::meta::KubeConfigReference;

use crate::apply::Cluster;
pub use crate::remote::Clouds;
use crate::remote::Reference;
use crate::{client, errors};

/// Keys of a kubeconfig Secret that are tried when none is named.
const DEFAULT_KEYS: [&str; 2] = ["value", "value.yaml"];

/// Rules about identities.
#[derive(Clone, Debug)]
pub struct Rules {
    /// ServiceAccount for objects that name none.
    pub default_service_account: String,
    /// ServiceAccount whose tokens open other clusters, for ConfigMaps that name none.
    pub default_kubeconfig_service_account: String,
    /// Whether a kubeconfig may name a program.
    pub allow_exec: bool,
    /// Whether a kubeconfig may skip the verification of the server.
    pub allow_insecure: bool,
}

/// Where and as whom to apply.
#[derive(Clone)]
pub struct Identity {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// The client with the rights to use.
    pub client: Client,
}

/// Clusters by kubeconfig, as long as somebody applies there, and the own one.
pub struct Identities {
    own: Arc<Cluster>,
    managed: &'static str,
    rules: Rules,
    clouds: Option<Arc<dyn Clouds>>,
    remote: Mutex<HashMap<[u8; 32], Weak<Cluster>>>,
}

impl Identities {
    /// Identities of a controller. `managed` is the label that all its objects carry, see [`Cluster::new`].
    pub fn new(own: Arc<Cluster>, managed: &'static str, rules: Rules) -> Self {
        Self { own, managed, rules, clouds: None, remote: Mutex::default() }
    }

    /// With clusters of clouds, which know accounts by their identities there.
    #[must_use]
    pub fn with_clouds(self, clouds: Arc<dyn Clouds>) -> Self {
        Self { clouds: Some(clouds), ..self }
    }

    /// The cluster that the controller runs in.
    pub fn own(&self) -> &Cluster {
        &self.own
    }

    /// The ServiceAccount to act as, if any, given the one that an object names.
    pub fn service_account<'a>(&'a self, named: &'a str) -> Option<&'a str> {
        [named, self.rules.default_service_account.as_str()].into_iter().find(|name| !name.is_empty())
    }

    /// Cluster and rights of an object of a namespace, with the ServiceAccount and kubeconfig that it names.
    pub async fn of(
        &self,
        namespace: &str,
        account: &str,
        kube_config: Option<&KubeConfigReference>,
    ) -> Result<Identity, String> {
        if let Some(name) = self.service_account(account) {
            crate::check_name("ServiceAccount", name)?;
        }
        let cluster = match kube_config {
            None => self.own.clone(),
            Some(reference) => match (&reference.secret_ref, &reference.config_map_ref) {
                (Some(secret), None) => self.by_secret(namespace, &secret.name, &secret.key).await?,
                // Boxed since it is large, rare, and part of every run.
                (None, Some(map)) => Box::pin(self.by_config_map(namespace, &map.name)).await?,
                _ => {
                    return Err("exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified".to_owned());
                }
            },
        };
        let client = match self.service_account(account) {
            None => cluster.client().clone(),
            Some(name) => {
                impersonate(cluster.client(), &format!("system:serviceaccount:{namespace}:{name}"))?
            }
        };
        Ok(Identity { cluster, client })
    }

    /// The cluster that a Secret with a kubeconfig leads to.
    async fn by_secret(&self, namespace: &str, name: &str, key: &str) -> Result<Arc<Cluster>, String> {
        crate::check_name("Secret", name)?;
        let secret = Api::<Secret>::namespaced(self.own.client().clone(), namespace)
            .get(name)
            .await
            .map_err(|error| {
                format!(
                    "unable to read KubeConfig secret '{namespace}/{name}' error: {}",
                    errors::describe(&error)
                )
            })?;
        let data = secret.data.unwrap_or_default();
        let found = match key {
            "" => DEFAULT_KEYS.iter().find_map(|key| data.get(*key)),
            key => data.get(key),
        };
        let Some(text) = found else {
            let key = if key.is_empty() { DEFAULT_KEYS[0] } else { key };
            return Err(format!(
                "KubeConfig secret '{namespace}/{name}' does not contain a '{key}' key with a kubeconfig"
            ));
        };
        let cluster = self.remote(Sha256::digest(&text.0).into(), self.connect(&text.0)).await;
        cluster.map_err(|error| format!("KubeConfig secret '{namespace}/{name}' cannot be used: {error}"))
    }

    /// The cluster that a ConfigMap leads to.
    async fn by_config_map(&self, namespace: &str, name: &str) -> Result<Arc<Cluster>, String> {
        let own = self.own.client();
        let account = &self.rules.default_kubeconfig_service_account;
        let reference = Reference::read(own, namespace, name, account).await?;
        self.remote(reference.digest(), reference.connect(own.clone(), self.clouds.clone())).await
    }

    /// The cluster that is known by this digest of everything that gives access, or one that is connected to.
    async fn remote(
        &self,
        digest: [u8; 32],
        connect: impl Future<Output = Result<Client, String>>,
    ) -> Result<Arc<Cluster>, String> {
        if let Some(known) = self.lock().get(&digest).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let cluster = Arc::new(Cluster::new(connect.await?, self.managed));
        let mut remote = self.lock();
        remote.retain(|_, cluster| cluster.strong_count() > 0);
        remote.insert(digest, Arc::downgrade(&cluster));
        Ok(cluster)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Weak<Cluster>>> {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, text: &[u8]) -> Result<Client, String> {
        let text = std::str::from_utf8(text).map_err(|_| "the kubeconfig is not UTF-8 text".to_owned())?;
        let mut kubeconfig = parse(text)?;
        self.sanitize(&mut kubeconfig);
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| errors::chain(&error))?;
        config.connect_timeout = Some(Duration::from_secs(30));
        client::connect(config).map_err(|error| errors::describe(&error))
    }

    /// Drops what would let the author of a kubeconfig read files or run programs here, or act as somebody else.
    fn sanitize(&self, kubeconfig: &mut Kubeconfig) {
        for auth in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
            auth.token_file = None;
            auth.client_certificate = None;
            auth.client_key = None;
            auth.impersonate = None;
            auth.impersonate_groups = None;
            auth.auth_provider = None;
            if !self.rules.allow_exec {
                auth.exec = None;
            }
        }
        for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
            cluster.certificate_authority = None;
            if !self.rules.allow_insecure {
                cluster.insecure_skip_tls_verify = None;
            }
        }
    }
}

/// Reads a kubeconfig.
fn parse(text: &str) -> Result<Kubeconfig, String> {
    Kubeconfig::from_yaml(text).map_err(|error| errors::describe_kubeconfig(&error))
}

/// A client that acts as a user, on the connections of another one.
fn impersonate(client: &Client, user: &str) -> Result<Client, String> {
    let value = HeaderValue::from_str(user).map_err(|_| format!("{user:?} is no name of a user"))?;
    let base = client.clone();
    let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
        request.headers_mut().insert("Impersonate-User", value.clone());
        let base = base.clone();
        async move { base.send(request).await }
    });
    Ok(Client::new(service, client.default_namespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_kubeconfig_tells_nothing_of_its_content() {
        for text in
            ["users:\n- name: a\n  user: {token: Top-Secret, x: [}\n", "users: Top-Secret\n", "clusters: {"]
        {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains("line ") && !error.contains("Secret") && !error.contains("clusters"),
                "{error}"
            );
        }
    }
}

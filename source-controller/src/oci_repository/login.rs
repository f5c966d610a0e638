//! From spec and Secrets to a client for the registry.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt as _;
use kube::api::Api;
use sluice_api::source::{CloudProvider, OCIRepository};
use sluice_http::{Options, Proxy, Tls};
use sluice_oci::{Client, ClientOptions, Credentials, DockerConfig, Reference};
use sluice_runtime::errors::{chain, describe};

use crate::Shared;
use crate::chart_repository::DOCKER_CONFIG;
use crate::source::Failure;
use sluice_access::Denied;
use sluice_access::SecretData;

fn refused(problem: impl std::fmt::Display) -> Failure {
    Failure::fetch("AuthenticationFailed", format!("failed to get credential: {problem}"))
}

/// The client for an object's registry.
pub(super) async fn client(
    shared: &Shared,
    object: &OCIRepository,
    reference: &Reference,
) -> Result<Arc<Client>, Failure> {
    let spec = &object.spec;
    let namespace = object.namespace().unwrap_or_default();
    let docker = pull_secrets(shared, object, &namespace).await?;
    let read = async |name: &str| {
        let secret = SecretData::read(&shared.manager.client, &namespace, name).await;
        secret.map_err(|error| Failure::fetch("AuthenticationFailed", chain(&error)))
    };
    let invalid = |secret: &SecretData, problem: &dyn std::fmt::Display| {
        Failure::fetch("AuthenticationFailed", format!("invalid secret '{}': {problem}", secret.name))
    };
    let mut tls = Tls::default();
    if let Some(reference) = &spec.cert_secret_ref {
        let secret = read(&reference.name).await?;
        tls = Tls::read(|key| secret.bytes(&[key])).map_err(|error| invalid(&secret, &error))?;
        if tls.is_empty() {
            let problem = "it has neither 'ca.crt' nor the pair 'tls.crt' and 'tls.key'";
            return Err(invalid(&secret, &problem));
        }
    }
    let mut proxy = None;
    if let Some(reference) = &spec.proxy_secret_ref {
        let secret = read(&reference.name).await?;
        let found = Proxy::read(|key| secret.bytes(&[key])).map_err(|error| invalid(&secret, &error))?;
        proxy = Some(found.with_login().ok_or_else(|| invalid(&secret, &"key 'address' is no URL"))?);
    }
    let credentials = match docker {
        Some(docker) => docker.find(&reference.registry, &reference.repository),
        None if spec.provider() != CloudProvider::Generic => {
            let failed = |problem| Failure::fetch("AuthenticationFailed", problem);
            let lenient = spec.insecure || tls.authorities.is_some();
            let account = &spec.service_account_name;
            shared.identities.refuse_middlemen(account, proxy.is_some(), lenient).map_err(failed)?;
            let proxy = proxy.clone().map(plain);
            let options = Options { proxy, proxies_plain: false, ..Options::default() };
            let http = shared.http.get(&options);
            let http = http.map_err(|error| failed(chain(&error)))?;
            let host = reference.registry.to_string();
            let login = shared.identities.registry(&http, &namespace, spec.provider(), account, &host).await;
            Some(login.map_err(|denied| match denied {
                Denied::Gate => Failure::gate(),
                Denied::Problem(problem) => failed(problem),
            })?)
        }
        None => None,
    };
    let options = ClientOptions {
        credentials: credentials.unwrap_or(Credentials::Anonymous),
        insecure: spec.insecure,
        ca: tls.authorities,
        certificate: tls.identity,
        proxy,
        ..ClientOptions::default()
    };
    let client = shared.registries.get(&shared.http, &reference.registry, options);
    client.map_err(|error| Failure::fetch("AuthenticationFailed", chain(&error)))
}

/// A proxy whose login is in its URL.
fn plain(address: String) -> Proxy {
    Proxy { address, username: None, password: None }
}

/// The pull secrets of the spec and of its ServiceAccount together; `None` where there are none.
async fn pull_secrets(
    shared: &Shared,
    object: &OCIRepository,
    namespace: &str,
) -> Result<Option<DockerConfig>, Failure> {
    let spec = &object.spec;
    let client = &shared.manager.client;
    let mut names: Vec<String> = spec.secret_ref.iter().map(|reference| reference.name.clone()).collect();
    if !spec.service_account_name.is_empty() {
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
        let account = accounts.get(&spec.service_account_name).await.map_err(|error| {
            let name = &spec.service_account_name;
            refused(format!("failed to get service account '{namespace}/{name}': {}", describe(&error)))
        })?;
        let secrets = account.image_pull_secrets.into_iter().flatten();
        names.extend(secrets.map(|secret| secret.name).filter(|name| !name.is_empty()));
    }
    let mut all: Option<DockerConfig> = None;
    for name in names {
        let secret =
            SecretData::read(client, namespace, &name).await.map_err(|error| refused(chain(&error)))?;
        let json = secret
            .bytes(&[DOCKER_CONFIG])
            .ok_or_else(|| refused(format!("secret '{}': key '{DOCKER_CONFIG}' is missing", secret.name)))?;
        let config = DockerConfig::parse(json)
            .map_err(|error| refused(format!("secret '{}': {}", secret.name, chain(&error))))?;
        match &mut all {
            Some(all) => all.merge(config),
            None => all = Some(config),
        }
    }
    Ok(all)
}

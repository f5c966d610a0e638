//! From spec and Secrets to a client of a registry.

use std::sync::Arc;

use sluice_access::{Denied, SecretData, SecretError, image_pull_secrets};
use sluice_api::image::ImageRepositorySpec;
use sluice_api::meta::FEATURE_GATE_DISABLED_REASON;
use sluice_api::source::CloudProvider;
use sluice_http::{Options, Proxy, Tls};
use sluice_oci::{ClientOptions, Credentials, DockerConfig, Reference};
use sluice_runtime::errors::chain;

use crate::Shared;
use crate::progress::Failure;
use crate::registries::SharedClient;

/// A client for the registry of an image.
pub(crate) async fn client(
    shared: &Arc<Shared>,
    namespace: &str,
    spec: &ImageRepositorySpec,
    image: &Reference,
) -> Result<Arc<SharedClient>, Failure> {
    let read = |name: String| async move {
        let secret = SecretData::read(&shared.manager.client, namespace, &name).await;
        secret.map_err(|error| authentication(&error))
    };
    let mut options = ClientOptions { insecure: spec.insecure, ..ClientOptions::default() };
    if let Some(reference) = &spec.cert_secret_ref {
        let secret = read(reference.name.clone()).await?;
        let tls = Tls::read(|key| secret.bytes(&[key]));
        let tls = tls.map_err(|error| authentication(&secret.invalid(error.to_string())))?;
        (options.ca, options.certificate) = (tls.authorities, tls.identity);
    }
    let mut proxy = None;
    if let Some(reference) = &spec.proxy_secret_ref {
        let secret = read(reference.name.clone()).await?;
        let invalid = |problem: String| authentication(&secret.invalid(problem));
        let found = Proxy::read(|key| secret.bytes(&[key])).map_err(|error| invalid(error.to_string()))?;
        let url = found.with_login().ok_or_else(|| invalid("key 'address' is no URL".to_owned()))?;
        (options.proxy, proxy) = (Some(url), Some(found));
    }
    if spec.provider() != CloudProvider::Generic {
        let lenient = spec.insecure || options.ca.is_some();
        let middlemen =
            shared.identities.refuse_middlemen(&spec.service_account_name, proxy.is_some(), lenient);
        middlemen.map_err(|problem| refused(&problem))?;
    }
    options.credentials = credentials(shared, namespace, spec, image, proxy).await?;
    shared.registries.client(&image.registry, options).map_err(|error| authentication(&error))
}

async fn credentials(
    shared: &Arc<Shared>,
    namespace: &str,
    spec: &ImageRepositorySpec,
    image: &Reference,
    proxy: Option<Proxy>,
) -> Result<Credentials, Failure> {
    let provider = spec.provider();
    if provider != CloudProvider::Generic {
        let options = Options { proxy, proxies_plain: false, ..Options::default() };
        let http = shared.http.get(&options).map_err(|error| authentication(&error))?;
        let (account, host) = (&spec.service_account_name, image.registry.to_string());
        let login = shared.identities.registry(&http, namespace, provider, account, &host).await;
        return login.map_err(|denied| match denied {
            Denied::Gate => {
                let message = "to use spec.serviceAccountName for provider authentication please enable the \
                               ObjectLevelWorkloadIdentity feature gate in the controller";
                Failure::stalled(FEATURE_GATE_DISABLED_REASON, message)
            }
            Denied::Problem(problem) => refused(&problem),
        });
    }
    let client = &shared.manager.client;
    let mut names: Vec<String> = spec.secret_ref.iter().map(|reference| reference.name.clone()).collect();
    if !spec.service_account_name.is_empty() {
        let pulled = image_pull_secrets(client, namespace, &spec.service_account_name).await;
        names.extend(pulled.map_err(|error| authentication(&error))?);
    }
    let mut found = None;
    for name in names {
        let secret =
            SecretData::read(client, namespace, &name).await.map_err(|error| authentication(&error))?;
        let config = docker_config(&secret).map_err(|error| authentication(&error))?;
        found = found.or_else(|| config.find(&image.registry, &image.repository));
    }
    Ok(found.unwrap_or_default())
}

/// The logins in a Secret; none if it is of another type.
fn docker_config(secret: &SecretData) -> Result<DockerConfig, SecretError> {
    let missing = |key: &str| secret.invalid(format!("key '{key}' is missing"));
    let json = match secret.type_() {
        "kubernetes.io/dockerconfigjson" => {
            let key = ".dockerconfigjson";
            secret.bytes(&[key]).ok_or_else(|| missing(key))?.to_vec()
        }
        // The older form is what the newer one has under "auths".
        "kubernetes.io/dockercfg" => {
            let key = ".dockercfg";
            let entries = secret.bytes(&[key]).ok_or_else(|| missing(key))?;
            [b"{\"auths\":", entries, b"}"].concat()
        }
        _ => return Ok(DockerConfig::default()),
    };
    DockerConfig::parse(&json).map_err(|error| secret.invalid(chain(&error)))
}

fn authentication(error: &(dyn std::error::Error + 'static)) -> Failure {
    refused(&chain(error))
}

fn refused(problem: &str) -> Failure {
    Failure::new("AuthenticationFailed", format!("failed to configure authentication options: {problem}"))
}

#[cfg(test)]
mod tests {
    use sluice_oci::Registry;

    use super::*;

    fn found(type_: &str, entries: &[(&str, &str)]) -> Option<Credentials> {
        docker_config(&SecretData::example(type_, entries))
            .unwrap()
            .find(&Registry::new("ghcr.io"), "org/app")
    }

    #[test]
    fn both_types_of_pull_secrets_hold_logins_and_others_none() {
        let login = Some(Credentials::Basic { username: "u".into(), password: "p".into() });
        let new = r#"{"auths": {"ghcr.io": {"username": "u", "password": "p"}}}"#;
        let old = r#"{"ghcr.io": {"username": "u", "password": "p"}}"#;
        assert_eq!(found("kubernetes.io/dockerconfigjson", &[(".dockerconfigjson", new)]), login);
        assert_eq!(found("kubernetes.io/dockercfg", &[(".dockercfg", old)]), login);
        assert_eq!(found("Opaque", &[(".dockerconfigjson", new)]), None);
        let empty = docker_config(&SecretData::example("kubernetes.io/dockercfg", &[])).unwrap_err();
        assert_eq!(empty.to_string(), "secret 'ns/auth': key '.dockercfg' is missing");
    }
}

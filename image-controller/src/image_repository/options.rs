//! From spec and Secrets to a client of a registry.

use std::sync::Arc;

use sluice_api::image::ImageRepositorySpec;
use sluice_api::meta::FEATURE_GATE_DISABLED_REASON;
use sluice_api::source::CloudProvider;
use sluice_oci::{ClientOptions, Credentials, DockerConfig, Reference};
use sluice_runtime::errors::chain;

use crate::Shared;
use crate::flags::OBJECT_LEVEL_WORKLOAD_IDENTITY;
use crate::progress::Failure;
use crate::registries::SharedClient;
use crate::secret::{SecretData, SecretError, image_pull_secrets};

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
    let credentials = credentials(shared, namespace, spec, image).await?;
    let mut options = ClientOptions { credentials, insecure: spec.insecure, ..ClientOptions::default() };
    if let Some(reference) = &spec.cert_secret_ref {
        let secret = read(reference.name.clone()).await?;
        options.ca = secret.bytes(&["ca.crt", "caFile"]).map(<[u8]>::to_vec);
        options.certificate = secret.certificate().map_err(|error| authentication(&error))?;
    }
    if let Some(reference) = &spec.proxy_secret_ref {
        let secret = read(reference.name.clone()).await?;
        options.proxy = Some(proxy(&secret).map_err(|error| authentication(&error))?);
    }
    shared.registries.client(&image.registry, options).map_err(|error| authentication(&error))
}

async fn credentials(
    shared: &Arc<Shared>,
    namespace: &str,
    spec: &ImageRepositorySpec,
    image: &Reference,
) -> Result<Credentials, Failure> {
    let provider = spec.provider();
    if provider != CloudProvider::Generic {
        if !spec.service_account_name.is_empty() && !shared.gates.enabled(OBJECT_LEVEL_WORKLOAD_IDENTITY) {
            let message = "to use spec.serviceAccountName for provider authentication please enable the \
                           ObjectLevelWorkloadIdentity feature gate in the controller";
            return Err(Failure::stalled(FEATURE_GATE_DISABLED_REASON, message));
        }
        let message = format!(
            "failed to configure authentication options: the provider '{}' is not supported yet by Sluice; use a \
             secretRef with provider generic",
            provider.as_str()
        );
        return Err(Failure::stalled("AuthenticationFailed", message));
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

fn proxy(secret: &SecretData) -> Result<String, SecretError> {
    let address = secret.text("address")?.filter(|address| !address.is_empty());
    let address = address.ok_or_else(|| secret.invalid("key 'address' is missing"))?;
    let mut url = reqwest::Url::parse(&address)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https" | "socks5"))
        .ok_or_else(|| secret.invalid("key 'address' must begin with http://, https:// or socks5://"))?;
    if let Some(username) = secret.text("username")? {
        let _ = url.set_username(&username);
    }
    if let Some(password) = secret.text("password")? {
        let _ = url.set_password(Some(&password));
    }
    Ok(url.into())
}

fn authentication(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(
        "AuthenticationFailed",
        format!("failed to configure authentication options: {}", chain(error)),
    )
}

#[cfg(test)]
mod tests {
    use sluice_oci::Registry;

    use super::*;

    fn found(type_: &str, entries: &[(&str, &str)]) -> Option<Credentials> {
        docker_config(&SecretData::of(type_, entries)).unwrap().find(&Registry::new("ghcr.io"), "org/app")
    }

    #[test]
    fn both_types_of_pull_secrets_hold_logins_and_others_none() {
        let login = Some(Credentials::Basic { username: "u".into(), password: "p".into() });
        let new = r#"{"auths": {"ghcr.io": {"username": "u", "password": "p"}}}"#;
        let old = r#"{"ghcr.io": {"username": "u", "password": "p"}}"#;
        assert_eq!(found("kubernetes.io/dockerconfigjson", &[(".dockerconfigjson", new)]), login);
        assert_eq!(found("kubernetes.io/dockercfg", &[(".dockercfg", old)]), login);
        assert_eq!(found("Opaque", &[(".dockerconfigjson", new)]), None);
        let empty = docker_config(&SecretData::of("kubernetes.io/dockercfg", &[])).unwrap_err();
        assert_eq!(empty.to_string(), "secret 'ns/auth': key '.dockercfg' is missing");
    }

    #[test]
    fn a_proxy_carries_its_login() {
        let of = |entries: &[(&str, &str)]| proxy(&SecretData::of("Opaque", entries));
        let login = [("address", "http://p:3128"), ("username", "u"), ("password", "a@b")];
        assert_eq!(of(&login).unwrap(), "http://u:a%40b@p:3128/");
        assert!(of(&[("address", "ftp://p")]).is_err() && of(&[]).is_err());
    }
}

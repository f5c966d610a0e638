//! From spec and Secrets to a remote with its credentials.

use kube::ResourceExt as _;
use sluice_api::source::{GitProvider, GitRepository};
use sluice_git::{Credentials, Proxy, Remote, RemoteUrl, Scheme, Tls};
use sluice_github::{App, Tokens};
use sluice_runtime::errors::chain;

use super::failure;
use crate::Shared;
use crate::flags::OBJECT_LEVEL_WORKLOAD_IDENTITY;
use crate::secret::SecretData;
use crate::source::{Failure, Retry};

/// The remote of an object, and the GitHub App as which it logs in there.
pub(super) async fn remote(
    shared: &Shared,
    tokens: &Tokens,
    object: &GitRepository,
) -> Result<(Remote, Option<App>), Failure> {
    let url = RemoteUrl::parse(&object.spec.url).map_err(|error| failure::url(&error))?;
    let namespace = object.namespace().unwrap_or_default();
    let client = &shared.manager.client;
    let proxy = match &object.spec.proxy_secret_ref {
        Some(reference) => {
            let secret = SecretData::read(client, &namespace, &reference.name).await;
            Some(proxy(&secret.map_err(|error| failure::secret("proxy", &error))?)?)
        }
        None => None,
    };
    let secret = match &object.spec.secret_ref {
        Some(reference) => {
            let secret = SecretData::read(client, &namespace, &reference.name).await;
            Some(secret.map_err(|error| failure::secret("authentication", &error))?)
        }
        None => None,
    };
    provider(shared, object, secret.as_ref())?;
    if let (GitProvider::GitHub, Some(secret)) = (object.spec.provider.unwrap_or_default(), &secret) {
        let (app, tls) = (app(&url, secret)?, tls(&url, secret)?);
        let work = token(shared, tokens, &app, secret, proxy.clone());
        let token = tokio::time::timeout(object.spec.timeout().to_std(), work).await;
        let late = || failure::authentication("authentication", "GitHub did not answer in time");
        let password = token.unwrap_or_else(|_| Err(late()))?;
        let credentials = Credentials::Basic { username: sluice_github::USERNAME.to_owned(), password };
        return Ok((Remote { url, credentials, tls, proxy }, Some(app)));
    }
    let (credentials, tls) = match &secret {
        Some(secret) => (credentials(&url, secret)?, tls(&url, secret)?),
        None if url.scheme() == Scheme::Ssh => {
            let message = "an SSH URL needs a secretRef with 'identity' and 'known_hosts'";
            return Err(failure::authentication("authentication", message));
        }
        None => (Credentials::None, Tls::default()),
    };
    Ok((Remote { url, credentials, tls, proxy }, None))
}

fn app(url: &RemoteUrl, secret: &SecretData) -> Result<App, Failure> {
    let invalid = |problem: String| {
        failure::authentication("authentication", &format!("secret '{}': {problem}", secret.name))
    };
    if url.scheme() == Scheme::Ssh {
        return Err(invalid("a GitHub App logs in over HTTPS, but the URL is one of SSH".to_owned()));
    }
    App::read(|key| secret.bytes(&[key])).map_err(|error| invalid(error.to_string()))
}

/// A token of the App, by the proxy and with the certificates of the object.
async fn token(
    shared: &Shared,
    tokens: &Tokens,
    app: &App,
    secret: &SecretData,
    proxy: Option<Proxy>,
) -> Result<String, Failure> {
    let invalid = |problem: String| {
        failure::authentication("authentication", &format!("secret '{}': {problem}", secret.name))
    };
    let tls = Tls::read(|key| secret.bytes(&[key])).map_err(|error| invalid(error.to_string()))?;
    let options = sluice_http::Options { tls, proxy, redirects: false, ..sluice_http::Options::default() };
    let client = shared.http.get(&options).map_err(|error| invalid(error.to_string()))?;
    tokens.get(app, &client).await.map_err(|error| invalid(chain(&error)))
}

fn provider(shared: &Shared, object: &GitRepository, secret: Option<&SecretData>) -> Result<(), Failure> {
    let spec = &object.spec;
    let provider = spec.provider.unwrap_or_default();
    if !spec.service_account_name.is_empty() && !shared.gates.enabled(OBJECT_LEVEL_WORKLOAD_IDENTITY) {
        return Err(Failure::gate());
    }
    let app = secret.filter(|secret| App::is_meant(|key| secret.bytes(&[key])));
    match (provider, secret, app) {
        (GitProvider::Generic, _, Some(secret)) => {
            let name = &secret.name;
            let message = format!("secretRef '{name}' has github app data but provider is not set to github");
            Err(failure::provider(Retry::Backoff, message))
        }
        (GitProvider::Generic, ..) => Ok(()),
        (GitProvider::GitHub, None, _) => Err(failure::provider(Retry::Never, GITHUB_DATA)),
        (GitProvider::GitHub, Some(_), None) => Err(failure::provider(Retry::Backoff, GITHUB_DATA)),
        (GitProvider::GitHub, Some(_), Some(_)) => Ok(()),
        (provider, ..) => {
            let message = format!("the provider '{}' is not supported yet by Sluice", provider.as_str());
            Err(failure::provider(Retry::Never, message))
        }
    }
}

const GITHUB_DATA: &str = "secretRef with github app data must be specified when provider is set to github";

fn proxy(secret: &SecretData) -> Result<Proxy, Failure> {
    let invalid =
        |error| failure::authentication("proxy", &format!("invalid proxy secret '{}': {error}", secret.name));
    Proxy::read(|key| secret.bytes(&[key])).map_err(invalid)
}

fn credentials(url: &RemoteUrl, secret: &SecretData) -> Result<Credentials, Failure> {
    let text = |key: &str| secret.text(key).map_err(|error| failure::secret("authentication", &error));
    let invalid = |message: String| failure::authentication("authentication", &message);
    let name = &secret.name;
    if url.scheme() == Scheme::Ssh {
        let required = |key: &str| {
            text(key)?.filter(|value| !value.is_empty()).ok_or_else(|| {
                invalid(format!("secret '{name}': key '{key}' is missing, which an SSH URL needs"))
            })
        };
        return Ok(Credentials::Ssh {
            identity: required("identity")?,
            known_hosts: required("known_hosts")?,
            passphrase: text("password")?,
        });
    }
    if let Some(token) = text("bearerToken")?.filter(|token| !token.is_empty()) {
        if url.user().is_some() || url.password().is_some() {
            return Err(invalid(format!(
                "secret '{name}': key 'bearerToken' cannot be used together with user and password in the URL"
            )));
        }
        return Ok(Credentials::Bearer(token));
    }
    match (text("username")?, text("password")?) {
        (Some(username), password) if !username.is_empty() => {
            Ok(Credentials::Basic { username, password: password.unwrap_or_default() })
        }
        (_, Some(_)) => Err(invalid(format!("secret '{name}': key 'password' is there without 'username'"))),
        _ => Ok(Credentials::None),
    }
}

fn tls(url: &RemoteUrl, secret: &SecretData) -> Result<Tls, Failure> {
    if url.scheme() != Scheme::Https {
        return Ok(Tls::default());
    }
    let invalid =
        |error| failure::authentication("authentication", &format!("secret '{}': {error}", secret.name));
    Tls::read(|key| secret.bytes(&[key])).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RemoteUrl {
        RemoteUrl::parse(text).unwrap()
    }

    #[test]
    fn secrets_become_credentials() {
        let https = url("https://h/r");
        let of = |entries: &[(&str, &str)]| credentials(&https, &SecretData::of(entries)).unwrap();
        let basic = Credentials::Basic { username: "u".into(), password: "p".into() };
        assert_eq!(of(&[("username", "u"), ("password", "p")]), basic);
        assert_eq!(
            of(&[("username", "u"), ("password", "p"), ("bearerToken", "t")]),
            Credentials::Bearer("t".into())
        );
        assert_eq!(of(&[("ca.crt", "x")]), Credentials::None);
    }

    #[test]
    fn half_of_a_pair_is_named_and_no_value_shown() {
        let message = |text: &str, entries: &[(&str, &str)]| {
            let secret = SecretData::of(entries);
            let url = url(text);
            let failure = credentials(&url, &secret).err().or_else(|| tls(&url, &secret).err()).unwrap();
            assert_eq!(failure.reason, "AuthenticationFailed");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
            failure.message
        };
        assert!(
            message("https://h/r", &[("password", "s3cret")])
                .contains("secret 'ns/auth': key 'password' is there without 'username'")
        );
        assert!(message("https://h/r", &[("tls.crt", "s3cret")]).contains("without 'tls.key'"));
        assert!(message("ssh://git@h/r", &[("identity", "s3cret")]).contains("key 'known_hosts' is missing"));
        assert!(message("ssh://git@h/r", &[("known_hosts", "s3cret")]).contains("key 'identity' is missing"));
        assert!(message("https://u:s3cret@h/r", &[("bearerToken", "s3cret")]).contains("key 'bearerToken'"));
    }
}

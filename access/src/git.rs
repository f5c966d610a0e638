//! From a GitRepository, its Secrets and its identity to a remote with credentials.

use kube::ResourceExt as _;
use sluice_api::source::{CloudProvider, GitProvider, GitRepository};
use sluice_cloud::git::GitLogin;
use sluice_git::{Credentials, Proxy, Remote, RemoteUrl, Scheme, Tls};
use sluice_github::{App, Tokens};
use sluice_http::Clients;
use sluice_runtime::errors::chain;

use crate::identity::{Denied, Identities};
use crate::secret::{SecretData, SecretError};

/// What logging in needs.
pub struct Access<'a> {
    /// The API server, for Secrets.
    pub client: &'a kube::Client,
    /// For requests to GitHub and to clouds.
    pub http: &'a Clients,
    /// Tokens of GitHub Apps.
    pub tokens: &'a Tokens,
    /// Who objects are at clouds.
    pub identities: &'a Identities,
}

/// What a Secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `spec.secretRef`.
    Authentication,
    /// `spec.proxySecretRef`.
    Proxy,
}

impl Purpose {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Authentication => "authentication",
            Purpose::Proxy => "proxy",
        }
    }
}

/// Why there is no remote. No text holds a value of a Secret.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// `spec.url`.
    #[error(transparent)]
    Url(sluice_git::Error),
    /// A Secret is not there or cannot be used.
    #[error("{problem}")]
    Secret {
        /// Which.
        purpose: Purpose,
        /// What is wrong with it.
        problem: String,
    },
    /// `spec.serviceAccountName` with the gate closed.
    #[error("a ServiceAccount cannot be named while the feature gate for that is closed")]
    Gate,
    /// Provider and Secret do not go together.
    #[error("{message}")]
    Provider {
        /// Whether a change of the Secret can mend it.
        mendable: bool,
        /// What does not.
        message: String,
    },
}

/// The remote of an object, and the GitHub App as which it logs in there.
pub async fn remote(
    access: &Access<'_>,
    object: &GitRepository,
) -> Result<(Remote, Option<App>), RemoteError> {
    let url = RemoteUrl::parse(&object.spec.url).map_err(RemoteError::Url)?;
    let namespace = object.namespace().unwrap_or_default();
    let proxy = match &object.spec.proxy_secret_ref {
        Some(reference) => {
            let secret = SecretData::read(access.client, &namespace, &reference.name).await;
            let secret = secret.map_err(|error| refused(Purpose::Proxy, &error))?;
            Some(proxy(&secret)?)
        }
        None => None,
    };
    let secret = match &object.spec.secret_ref {
        Some(reference) => {
            let secret = SecretData::read(access.client, &namespace, &reference.name).await;
            Some(secret.map_err(|error| unusable(&error))?)
        }
        None => None,
    };
    provider(access, object, secret.as_ref())?;
    if let (GitProvider::GitHub, Some(secret)) = (object.spec.provider.unwrap_or_default(), &secret) {
        let (app, tls) = (app(&url, secret)?, tls(&url, secret)?);
        let work = token(access, &app, secret, proxy.clone());
        let token = tokio::time::timeout(object.spec.timeout().to_std(), work).await;
        let late = || invalid("GitHub did not answer in time".to_owned());
        let password = token.unwrap_or_else(|_| Err(late()))?;
        let credentials = Credentials::Basic { username: sluice_github::USERNAME.to_owned(), password };
        return Ok((Remote { url, credentials, tls, proxy }, Some(app)));
    }
    let cloud = match object.spec.provider.unwrap_or_default() {
        GitProvider::Azure => Some(CloudProvider::Azure),
        GitProvider::Aws => Some(CloudProvider::Aws),
        _ => None,
    };
    if let Some(cloud) = cloud {
        let tls = secret.as_ref().map_or_else(|| Ok(Tls::default()), |secret| tls(&url, secret))?;
        let account = &object.spec.service_account_name;
        let middlemen =
            access.identities.refuse_middlemen(account, proxy.is_some(), tls.authorities.is_some());
        middlemen.map_err(invalid)?;
        let work = identity(access, object, cloud, &url, proxy.clone());
        let credentials = tokio::time::timeout(object.spec.timeout().to_std(), work).await;
        let late = || invalid("the cloud did not answer in time".to_owned());
        let credentials = credentials.unwrap_or_else(|_| Err(late()))?;
        return Ok((Remote { url: url.without_login(), credentials, tls, proxy }, None));
    }
    let (credentials, tls) = match &secret {
        Some(secret) => (credentials(&url, secret)?, tls(&url, secret)?),
        None if url.scheme() == Scheme::Ssh => {
            let message = "an SSH URL needs a secretRef with 'identity' and 'known_hosts'";
            return Err(invalid(message.to_owned()));
        }
        None => (Credentials::None, Tls::default()),
    };
    Ok((Remote { url, credentials, tls, proxy }, None))
}

fn refused(purpose: Purpose, error: &SecretError) -> RemoteError {
    RemoteError::Secret { purpose, problem: chain(error) }
}

fn unusable(error: &SecretError) -> RemoteError {
    refused(Purpose::Authentication, error)
}

fn invalid(problem: String) -> RemoteError {
    RemoteError::Secret { purpose: Purpose::Authentication, problem }
}

/// The login that a cloud gives to the identity of the object or of this process.
async fn identity(
    access: &Access<'_>,
    object: &GitRepository,
    provider: CloudProvider,
    url: &RemoteUrl,
    proxy: Option<Proxy>,
) -> Result<Credentials, RemoteError> {
    if url.scheme() != Scheme::Https || url.port() != 443 {
        let provider = provider.as_str();
        return Err(invalid(format!("the provider '{provider}' needs an https URL without a port")));
    }
    let options = sluice_http::Options {
        proxy,
        proxies_plain: false,
        redirects: false,
        ..sluice_http::Options::default()
    };
    let client = access.http.get(&options).map_err(|error| invalid(error.to_string()))?;
    let namespace = object.namespace().unwrap_or_default();
    let (account, path) = (&object.spec.service_account_name, url.path());
    let login = access.identities.git(&client, &namespace, provider, account, (url.host(), &path));
    match login.await {
        Ok(GitLogin::Basic { username, password }) => Ok(Credentials::Basic { username, password }),
        Ok(GitLogin::Bearer(token)) => Ok(Credentials::Bearer(token)),
        Err(Denied::Gate) => Err(RemoteError::Gate),
        Err(Denied::Problem(problem)) => Err(invalid(problem)),
    }
}

fn app(url: &RemoteUrl, secret: &SecretData) -> Result<App, RemoteError> {
    if url.scheme() == Scheme::Ssh {
        let problem = "a GitHub App logs in over HTTPS, but the URL is one of SSH";
        return Err(unusable(&secret.invalid(problem)));
    }
    App::read(|key| secret.bytes(&[key])).map_err(|error| unusable(&secret.invalid(error.to_string())))
}

/// A token of the App, by the proxy and with the certificates of the object.
async fn token(
    access: &Access<'_>,
    app: &App,
    secret: &SecretData,
    proxy: Option<Proxy>,
) -> Result<String, RemoteError> {
    let invalid = |problem: String| unusable(&secret.invalid(problem));
    let tls = Tls::read(|key| secret.bytes(&[key])).map_err(|error| invalid(error.to_string()))?;
    let options = sluice_http::Options { tls, proxy, redirects: false, ..sluice_http::Options::default() };
    let client = access.http.get(&options).map_err(|error| invalid(error.to_string()))?;
    access.tokens.get(app, &client).await.map_err(|error| invalid(chain(&error)))
}

fn provider(
    access: &Access<'_>,
    object: &GitRepository,
    secret: Option<&SecretData>,
) -> Result<(), RemoteError> {
    let spec = &object.spec;
    let provider = spec.provider.unwrap_or_default();
    if !spec.service_account_name.is_empty() && !access.identities.gate() {
        return Err(RemoteError::Gate);
    }
    let app = secret.filter(|secret| App::is_meant(|key| secret.bytes(&[key])));
    let wrong = |mendable, message: String| Err(RemoteError::Provider { mendable, message });
    match (provider, secret, app) {
        (GitProvider::GitHub, Some(_), Some(_)) => Ok(()),
        (GitProvider::GitHub, secret, _) => wrong(secret.is_some(), GITHUB_DATA.to_owned()),
        (_, _, Some(secret)) => {
            let name = &secret.name;
            wrong(true, format!("secretRef '{name}' has github app data but provider is not set to github"))
        }
        _ => Ok(()),
    }
}

const GITHUB_DATA: &str = "secretRef with github app data must be specified when provider is set to github";

fn proxy(secret: &SecretData) -> Result<Proxy, RemoteError> {
    let problem = |error| format!("invalid proxy secret '{}': {error}", secret.name);
    Proxy::read(|key| secret.bytes(&[key]))
        .map_err(|error| RemoteError::Secret { purpose: Purpose::Proxy, problem: problem(error) })
}

fn credentials(url: &RemoteUrl, secret: &SecretData) -> Result<Credentials, RemoteError> {
    let text = |key: &str| secret.text(key).map_err(|error| unusable(&error));
    let invalid = |problem: String| unusable(&secret.invalid(problem));
    if url.scheme() == Scheme::Ssh {
        let required = |key: &str| {
            let value = text(key)?.filter(|value| !value.is_empty());
            value.ok_or_else(|| invalid(format!("key '{key}' is missing, which an SSH URL needs")))
        };
        return Ok(Credentials::Ssh {
            identity: required("identity")?,
            known_hosts: required("known_hosts")?,
            passphrase: text("password")?,
        });
    }
    if let Some(token) = text("bearerToken")?.filter(|token| !token.is_empty()) {
        if url.user().is_some() || url.password().is_some() {
            let problem = "key 'bearerToken' cannot be used together with user and password in the URL";
            return Err(invalid(problem.to_owned()));
        }
        return Ok(Credentials::Bearer(token));
    }
    match (text("username")?, text("password")?) {
        (Some(username), password) if !username.is_empty() => {
            Ok(Credentials::Basic { username, password: password.unwrap_or_default() })
        }
        (_, Some(_)) => Err(invalid("key 'password' is there without 'username'".to_owned())),
        _ => Ok(Credentials::None),
    }
}

fn tls(url: &RemoteUrl, secret: &SecretData) -> Result<Tls, RemoteError> {
    if url.scheme() != Scheme::Https {
        return Ok(Tls::default());
    }
    Tls::read(|key| secret.bytes(&[key])).map_err(|error| unusable(&secret.invalid(error.to_string())))
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
        let of =
            |entries: &[(&str, &str)]| credentials(&https, &SecretData::example("Opaque", entries)).unwrap();
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
            let secret = SecretData::example("Opaque", entries);
            let url = url(text);
            let failure = credentials(&url, &secret).err().or_else(|| tls(&url, &secret).err()).unwrap();
            let message = failure.to_string();
            assert!(!message.contains("s3cret"), "{message}");
            message
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

//! From the spec of a HelmRepository and its Secrets to a repository that can be asked.

use sluice_api::source::{CloudProvider, HelmRepositorySpec, HelmRepositoryType};
use sluice_http::Tls;
use sluice_oci::{ClientOptions, Credentials, DockerConfig, Reference};
use sluice_runtime::errors::chain;

use super::{HttpRepository, OciRepository, Repository};
use crate::Shared;
use sluice_access::Denied;
use sluice_access::SecretData;

/// Key of Secrets of the type `kubernetes.io/dockerconfigjson`.
pub(crate) const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// Why a repository cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessError {
    /// Its URL is no good.
    Url(String),
    /// Its Secrets are not there or no good.
    Authentication(String),
}

/// What a repository's URL and Secrets amount to.
#[derive(Clone, Default)]
pub(crate) struct Access {
    pub(crate) basic: Option<(String, String)>,
    pub(crate) docker: Option<DockerConfig>,
    pub(crate) tls: Tls,
    pub(crate) insecure: bool,
    /// Whether other hosts get the credentials too.
    pub(crate) pass_credentials: bool,
}

impl Access {
    /// Reads the Secrets of a repository.
    pub(crate) async fn read(
        shared: &Shared,
        namespace: &str,
        spec: &HelmRepositorySpec,
    ) -> Result<Self, AccessError> {
        let client = &shared.manager.client;
        let read = async |name: &str| {
            let secret = SecretData::read(client, namespace, name).await;
            secret.map_err(|error| AccessError::Authentication(chain(&error)))
        };
        let mut access = Access {
            insecure: spec.insecure && is_oci(spec),
            pass_credentials: spec.pass_credentials,
            ..Access::default()
        };
        if let Some(reference) = &spec.secret_ref {
            let secret = read(&reference.name).await?;
            access.login(&secret, is_oci(spec))?;
        } else if is_oci(spec) && spec.provider() != CloudProvider::Generic {
            access.basic = Some(cloud_login(shared, namespace, spec).await?);
        }
        if let Some(reference) = &spec.cert_secret_ref {
            let secret = read(&reference.name).await?;
            let tls = Tls::read(|key| secret.bytes(&[key]));
            let invalid =
                |problem: String| AccessError::Authentication(format!("secret '{}': {problem}", secret.name));
            access.tls = tls.map_err(|error| invalid(error.to_string()))?;
            if access.tls.is_empty() {
                return Err(invalid(
                    "it has neither 'ca.crt' nor the pair 'tls.crt' and 'tls.key'".to_owned(),
                ));
            }
        }
        Ok(access)
    }

    fn login(&mut self, secret: &SecretData, oci: bool) -> Result<(), AccessError> {
        let invalid = |problem: String| {
            AccessError::Authentication(format!("invalid '{}' secret data: {problem}", secret.name))
        };
        if oci && let Some(json) = secret.bytes(&[DOCKER_CONFIG]) {
            self.docker = Some(DockerConfig::parse(json).map_err(|error| invalid(chain(&error)))?);
            return Ok(());
        }
        let text = |key| secret.text(key).map_err(|error| AccessError::Authentication(chain(&error)));
        match (text("username")?, text("password")?) {
            (Some(username), Some(password)) if !username.is_empty() && !password.is_empty() => {
                self.basic = Some((username, password));
            }
            (None, None) => {}
            _ => return Err(invalid("required fields 'username' and 'password'".to_owned())),
        }
        self.tls = Tls::read(|key| secret.bytes(&[key])).map_err(|error| invalid(error.to_string()))?;
        Ok(())
    }

    fn credentials(&self, reference: &Reference) -> Result<Credentials, AccessError> {
        if let Some((username, password)) = &self.basic {
            return Ok(Credentials::Basic { username: username.clone(), password: password.clone() });
        }
        match &self.docker {
            Some(docker) => docker.find(&reference.registry, &reference.repository).ok_or_else(|| {
                let registry = &reference.registry;
                let message = format!("no auth config for '{registry}' in the docker-registry Secret");
                AccessError::Authentication(message)
            }),
            None => Ok(Credentials::Anonymous),
        }
    }
}

/// User and password for a cloud's registry.
async fn cloud_login(
    shared: &Shared,
    namespace: &str,
    spec: &HelmRepositorySpec,
) -> Result<(String, String), AccessError> {
    let reference = Reference::parse(&format!("{}/chart", spec.url.trim_end_matches('/')));
    let reference = reference.map_err(|error| AccessError::Url(chain(&error)))?;
    let http = shared.http.get(&sluice_http::Options::default());
    let http = http.map_err(|error| AccessError::Authentication(chain(&error)))?;
    let (provider, host) = (spec.provider(), reference.registry.to_string());
    match shared.identities.registry(&http, namespace, provider, "", &host).await {
        Ok(Credentials::Basic { username, password }) => Ok((username, password)),
        Ok(_) => Err(AccessError::Authentication("the cloud gave no password".to_owned())),
        Err(Denied::Problem(problem)) => Err(AccessError::Authentication(problem)),
        Err(Denied::Gate) => Err(AccessError::Authentication("the gate is closed".to_owned())),
    }
}

fn is_oci(spec: &HelmRepositorySpec) -> bool {
    spec.type_() == HelmRepositoryType::Oci
}

/// The repository at a URL.
pub(crate) fn open(shared: &Shared, url: &str, access: Access) -> Result<Repository, AccessError> {
    if url.starts_with("oci://") {
        let base = url.trim_end_matches('/');
        // The repository's path is completed by the chart's name.
        let reference = Reference::parse(&format!("{base}/chart"));
        let reference = reference.map_err(|error| AccessError::Url(chain(&error)))?;
        let credentials = access.credentials(&reference)?;
        let options = ClientOptions {
            credentials,
            insecure: access.insecure,
            ca: access.tls.authorities,
            certificate: access.tls.identity,
            ..ClientOptions::default()
        };
        let client = shared.registries.get(&shared.http, &reference.registry, options);
        let client = client.map_err(|error| AccessError::Authentication(chain(&error)))?;
        return Ok(Repository::Oci(OciRepository::new(client, base)));
    }
    let parsed = reqwest::Url::parse(url).map_err(|error| AccessError::Url(error.to_string()))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(AccessError::Url(format!("scheme \"{}\" not supported", parsed.scheme())));
    }
    let options = sluice_http::Options {
        // A repository without TLS may point to charts with it.
        tls: access.tls,
        ..sluice_http::Options::default()
    };
    let http = shared.http.get(&options).map_err(|error| AccessError::Authentication(chain(&error)))?;
    Ok(Repository::Http(HttpRepository::new(http, parsed, access.basic, access.pass_credentials)))
}

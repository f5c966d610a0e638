//! From the spec of a Bucket and its Secrets to a store that can be asked.

use kube::ResourceExt as _;
use sluice_api::source::{Bucket, BucketSpec, CloudProvider, StsProvider};
use sluice_bucket::{Azure, AzureLogin, Error, GCS_SCOPE, Gcs, S3, Store};
use sluice_cloud::hosts;
use sluice_cloud::registry::{Cloud, Role};
use sluice_cloud::{AwsLogin, AzureIdentity, Error as CloudError, GcpLogin, Keys, Ldap, ServiceAccountKey};
use sluice_http::{Options, Proxy, Tls};

use super::{azure, failure};
use crate::Shared;
use crate::source::Failure;
use sluice_access::Denied;
use sluice_access::SecretData;

/// The store of an object.
pub(super) async fn store(shared: &Shared, object: &Bucket) -> Result<Store, Failure> {
    let spec = &object.spec;
    check(spec)?;
    let tokens = shared.identities.tokens();
    let namespace = object.namespace().unwrap_or_default();
    let read = async |name: &str| {
        let secret = SecretData::read(&shared.manager.client, &namespace, name).await;
        secret.map_err(|error| failure::secret(&error))
    };
    let secret = match &spec.secret_ref {
        Some(reference) => Some(read(&reference.name).await?),
        None => None,
    };
    let proxy = match &spec.proxy_secret_ref {
        Some(reference) => {
            let secret = read(&reference.name).await?;
            Some(
                Proxy::read(|key| secret.bytes(&[key]))
                    .map_err(|error| failure::data(&secret.name, error))?,
            )
        }
        None => None,
    };
    let certificates = match &spec.cert_secret_ref {
        Some(reference) if spec.provider() == CloudProvider::Generic => tls(&read(&reference.name).await?)?,
        _ => Tls::default(),
    };
    // Content comes from the bucket's server only: one that leads elsewhere could have this controller read, and publish,
    // what only it can reach.
    let options = Options { tls: certificates, proxy, redirects: false, ..Options::default() };
    let http = |options: &Options| {
        shared.http.get(options).map_err(|error| failure::authentication(error.to_string()))
    };
    let client = http(&options)?;
    // Services on the machine that tell credentials are never asked by way of a tenant's proxy.
    let logins = http(&Options { proxies_plain: false, ..options.clone() })?;
    let invalid = |error: Error| failure::listing(spec, &error);
    // What a token service says is about credentials, whatever it is.
    let refused = |error: CloudError| failure::authentication(error.to_string());
    // Without a Secret, that of a ServiceAccount or of this process.
    let ambient = async || {
        let found = shared.identities.at(&namespace, spec.provider(), &spec.service_account_name).await;
        found.map_err(|denied| match denied {
            Denied::Gate => Failure::gate(),
            Denied::Problem(problem) => failure::authentication(problem),
        })
    };
    match spec.provider() {
        CloudProvider::Generic | CloudProvider::Aws => {
            let mut service = logins;
            let login = match (secret, &spec.sts) {
                (Some(secret), _) => AwsLogin::Keys(keys(&secret)?),
                (None, Some(sts)) if sts.provider == StsProvider::Ldap => {
                    let certificates = match &sts.cert_secret_ref {
                        Some(reference) => tls(&read(&reference.name).await?)?,
                        None => Tls::default(),
                    };
                    service = http(&Options { tls: certificates, ..options.clone() })?;
                    let reference = sts.secret_ref.as_ref().map(|reference| reference.name.as_str());
                    let message = "spec.sts.secretRef is required for the 'ldap' STS provider";
                    let name =
                        reference.ok_or_else(|| Failure::stalled("InvalidSTSConfiguration", message))?;
                    AwsLogin::Ldap(ldap(&read(name).await?, &sts.endpoint)?)
                }
                (None, sts) if spec.provider() == CloudProvider::Aws => {
                    if let Some(sts) = sts.as_ref().filter(|sts| !hosts::is_token_service(&sts.endpoint)) {
                        let message = format!(
                            "spec.sts.endpoint '{}' is no token service of Amazon's: the identity of the controller or of a \
                             ServiceAccount is not shown to it",
                            sts.endpoint
                        );
                        return Err(Failure::stalled("InvalidSTSConfiguration", &message));
                    }
                    let (region, endpoint) =
                        (spec.region.clone(), sts.as_ref().map(|sts| sts.endpoint.clone()));
                    match ambient().await? {
                        Cloud::Aws(Some(Role { role, token })) => {
                            AwsLogin::WebIdentity { role, token, region, endpoint }
                        }
                        _ => AwsLogin::Ambient { region, endpoint },
                    }
                }
                (None, _) => AwsLogin::Anonymous,
            };
            let keys = login.keys(&service, tokens).await.map_err(refused)?;
            let store = S3::new(client, &spec.endpoint, spec.insecure, &spec.bucket_name, &spec.region, keys);
            store.map(Store::S3).map_err(invalid)
        }
        CloudProvider::Gcp => {
            let login = match secret {
                Some(secret) => {
                    let key = secret.bytes(&["serviceaccount"]);
                    let key =
                        key.ok_or_else(|| failure::data(&secret.name, "required fields: 'serviceaccount'"))?;
                    let key = ServiceAccountKey::parse(key);
                    GcpLogin::Key(key.map_err(|error| failure::data(&secret.name, error))?)
                }
                None => match ambient().await? {
                    Cloud::Gcp(login) => login,
                    _ => GcpLogin::Ambient,
                },
            };
            let token = login.token(&logins, tokens, GCS_SCOPE).await.map_err(refused)?;
            Ok(Store::Gcs(Gcs::new(client, None, &spec.bucket_name, token)))
        }
        CloudProvider::Azure => {
            let login = match (&secret, ambient) {
                (None, ambient) if !spec.service_account_name.is_empty() => match ambient().await? {
                    Cloud::Azure(identity) => AzureLogin::As(identity),
                    _ => azure::login(None, &spec.endpoint)?,
                },
                _ => azure::login(secret.as_ref(), &spec.endpoint)?,
            };
            let own = matches!(
                login,
                AzureLogin::Given(_)
                    | AzureLogin::As(AzureIdentity::Secret { .. } | AzureIdentity::Certificate { .. })
            );
            if !own && !hosts::is_blob_storage(&spec.endpoint) {
                return Err(failure::authentication(format!(
                    "the endpoint '{}' is no host of Azure Blob Storage: the identity of the controller or of a ServiceAccount \
                     is not shown to it; name a Secret with credentials for it",
                    spec.endpoint
                )));
            }
            let credentials = login.credentials(&logins, tokens).await;
            let credentials = credentials.map_err(|error| failure::authentication(error.to_string()))?;
            let store = Azure::new(client, &spec.endpoint, &spec.bucket_name, credentials);
            store.map(Store::Azure).map_err(invalid)
        }
    }
}

/// What can never work as the spec stands.
fn check(spec: &BucketSpec) -> Result<(), Failure> {
    let stalled = |message: &str| Err(Failure::stalled("InvalidSTSConfiguration", message));
    let Some(sts) = &spec.sts else { return Ok(()) };
    // The API server refuses these too, but not for objects that are older than its rules.
    match (spec.provider(), sts.provider) {
        (CloudProvider::Aws, StsProvider::Aws) | (CloudProvider::Generic, StsProvider::Ldap) => Ok(()),
        (CloudProvider::Aws, _) => {
            stalled("'aws' is the only supported STS provider for the 'aws' Bucket provider")
        }
        (CloudProvider::Generic, _) => {
            stalled("'ldap' is the only supported STS provider for the 'generic' Bucket provider")
        }
        _ => stalled("STS configuration is only supported for the 'aws' and 'generic' Bucket providers"),
    }
}

fn tls(secret: &SecretData) -> Result<Tls, Failure> {
    let tls = Tls::read(|key| secret.bytes(&[key])).map_err(|error| failure::data(&secret.name, error))?;
    if tls.is_empty() {
        let problem = "it has neither 'ca.crt' nor the pair 'tls.crt' and 'tls.key'";
        return Err(failure::data(&secret.name, problem));
    }
    Ok(tls)
}

fn keys(secret: &SecretData) -> Result<Keys, Failure> {
    let text = |key| secret.text(key).map_err(|error| failure::secret(&error));
    match (text("accesskey")?, text("secretkey")?) {
        (Some(access_key), Some(secret_key)) if !access_key.is_empty() && !secret_key.is_empty() => {
            Ok(Keys { access_key, secret_key, session_token: None })
        }
        _ => Err(failure::data(&secret.name, "required fields 'accesskey' and 'secretkey'")),
    }
}

fn ldap(secret: &SecretData, endpoint: &str) -> Result<Ldap, Failure> {
    let text = |key| secret.text(key).map_err(|error| failure::secret(&error));
    match (text("username")?, text("password")?) {
        (Some(username), Some(password)) if !username.is_empty() && !password.is_empty() => {
            Ok(Ldap { endpoint: endpoint.to_owned(), username, password })
        }
        _ => Err(failure::data(&secret.name, "required fields 'username' and 'password'")),
    }
}

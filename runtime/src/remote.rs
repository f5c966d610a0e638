//! Clusters that a ConfigMap leads to: where they are, and a ServiceAccount of this cluster whose tokens they accept, or
//! whose identity at a cloud they do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Uri};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, PostParams};
use kube::client::Body;
use kube::{Client, Config};
use sha2::{Digest, Sha256};
use sluice_api::source::CloudProvider;
use sluice_cloud::clusters::{self, ClusterName};
use sluice_cloud::registry::Cloud;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::{client, errors};

/// How long a token is good that is asked for, in seconds.
const LIFE: i64 = 3600;
/// How long a token is used: whoever gets it checks its end by a clock of his own.
const USE: Duration = Duration::from_mins(45);

/// Who accounts are at the clouds.
pub trait Clouds: Send + Sync {
    /// Who a ServiceAccount of a namespace is; without a name, who this process is. The error is a message.
    fn identity<'c>(
        &'c self,
        namespace: &'c str,
        provider: CloudProvider,
        account: &'c str,
    ) -> BoxFuture<'c, Result<Cloud, String>>;

    /// What is temporary.
    fn tokens(&self) -> &sluice_cloud::Tokens;

    /// By what the clouds are asked.
    fn http(&self) -> &reqwest::Client;
}

/// Whose tokens a cluster accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Provider {
    /// Those of accounts of this cluster.
    Generic,
    /// Those of a cloud. Whose cluster it is, if that is said.
    Cloud(CloudProvider, Option<ClusterName>),
}

/// What a ConfigMap of `spec.kubeConfig.configMapRef` says, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    namespace: String,
    provider: Provider,
    /// The cloud says where its cluster is.
    address: Option<Uri>,
    authorities: Option<String>,
    audiences: Vec<String>,
    /// Without a name the process asks.
    account: String,
}

impl Reference {
    /// Reads the ConfigMap with the rights of `client`. `default_account`: where it names no ServiceAccount.
    pub(crate) async fn read(
        client: &Client,
        namespace: &str,
        name: &str,
        default_account: &str,
    ) -> Result<Self, String> {
        crate::check_name("ConfigMap", name)?;
        let found = Api::<ConfigMap>::namespaced(client.clone(), namespace).get(name).await;
        let found = found.map_err(|error| {
            let error = errors::describe(&error);
            format!("unable to read KubeConfig ConfigMap '{namespace}/{name}' error: {error}")
        })?;
        Self::parse(namespace, &found.data.unwrap_or_default(), default_account)
            .map_err(|error| format!("KubeConfig ConfigMap '{namespace}/{name}': {error}"))
    }

    fn parse(
        namespace: &str,
        data: &BTreeMap<String, String>,
        default_account: &str,
    ) -> Result<Self, String> {
        let text = |key: &str| data.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
        let (address, authorities) = (text("address"), text("ca.crt"));
        let cluster =
            |parse: fn(&str) -> Result<ClusterName, sluice_cloud::Error>, always: bool| match text("cluster")
            {
                Some(name) => parse(name).map(Some).map_err(|error| format!("the key 'cluster': {error}")),
                None if always || address.is_none() || authorities.is_none() => {
                    let instead = if always { "" } else { " unless 'address' and 'ca.crt' are given" };
                    Err(format!("the key 'cluster' is missing, which this provider needs{instead}"))
                }
                None => Ok(None),
            };
        let provider = match text("provider") {
            Some("generic") => Provider::Generic,
            // A token of Amazon's is for one cluster.
            Some("aws") => Provider::Cloud(CloudProvider::Aws, cluster(ClusterName::eks, true)?),
            Some("azure") => Provider::Cloud(CloudProvider::Azure, cluster(ClusterName::aks, false)?),
            Some("gcp") => Provider::Cloud(CloudProvider::Gcp, cluster(ClusterName::gke, false)?),
            Some(provider) => {
                return Err(format!("unknown provider '{provider}': it must be aws, azure, gcp or generic"));
            }
            None => return Err("the key 'provider' is missing".to_owned()),
        };
        if address.is_none() && provider == Provider::Generic {
            return Err("the key 'address' is missing, which the provider 'generic' needs".to_owned());
        }
        let audiences: Vec<_> = data.get("audiences").map_or(Vec::new(), |list| {
            list.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        });
        let account = text("serviceAccountName").unwrap_or(default_account);
        if account.is_empty() && address.is_some() {
            // This process' own token never goes to an address that somebody chooses.
            return Err(
                "the key 'serviceAccountName' is missing, and --default-kubeconfig-service-account is not set".to_owned(),
            );
        }
        if !account.is_empty() {
            crate::check_name("ServiceAccount", account)?;
        }
        let audiences =
            if audiences.is_empty() { address.map(str::to_owned).into_iter().collect() } else { audiences };
        Ok(Self {
            namespace: namespace.to_owned(),
            provider,
            audiences,
            address: address.map(secure).transpose()?,
            authorities: authorities.map(str::to_owned),
            account: account.to_owned(),
        })
    }

    /// Stands for everything that gives access.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let address = self.address.as_ref().map(Uri::to_string).unwrap_or_default();
        let authorities = self.authorities.as_deref().unwrap_or_default();
        let provider = format!("{:?}", self.provider);
        let fixed = ["configMapRef", &provider, &self.namespace, &self.account, &address, authorities];
        for part in fixed.into_iter().chain(self.audiences.iter().map(String::as_str)) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// A client for that cluster. `own` asks for the tokens of accounts, `clouds` for those of clouds.
    pub(crate) async fn connect(
        self,
        own: Client,
        clouds: Option<Arc<dyn Clouds>>,
    ) -> Result<Client, String> {
        let (mut address, mut authorities) = (self.address.clone(), self.authorities.clone());
        if let Provider::Cloud(provider, cluster) = &self.provider
            && (address.is_none() || authorities.is_none())
        {
            let clouds = clouds.as_ref().ok_or_else(|| closed(*provider))?;
            let cluster = cluster.as_ref().ok_or("the key 'cluster' is missing")?;
            let who = clouds.identity(&self.namespace, *provider, &self.account).await?;
            let place = cluster.place(clouds.http(), clouds.tokens(), &who).await;
            let place =
                place.map_err(|error| format!("cannot find the cluster: {}", errors::chain(&error)))?;
            if address.is_none() {
                address = Some(secure(&place.address)?);
            }
            authorities.get_or_insert(place.authorities);
        }
        let mut config = Config::new(address.ok_or("the key 'address' is missing")?);
        if let Some(pem) = &authorities {
            let ends = ["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"];
            if !ends.iter().all(|end| pem.contains(end)) {
                return Err(
                    "the key 'ca.crt' of the KubeConfig ConfigMap has no certificate in PEM".to_owned()
                );
            }
            config.root_cert = Some(certificates(pem)?);
        }
        config.connect_timeout = Some(Duration::from_secs(30));
        config.read_timeout = Some(Duration::from_mins(6));
        let client = client::connect(config).map_err(|error| errors::describe(&error))?;
        let tokens = Arc::new(Tokens { own, clouds, reference: self, current: Mutex::default() });
        // A wrong account is told before anything is tried.
        tokens.get().await?;
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |mut request: Request<Body>| {
            let (client, tokens) = (client.clone(), tokens.clone());
            async move {
                let token = tokens.get().await.map_err(|error| kube::Error::Service(error.into()))?;
                request.headers_mut().insert(AUTHORIZATION, token);
                client.send(request).await
            }
        });
        Ok(Client::new(service, namespace))
    }
}

/// An address to which a token may go.
fn secure(address: &str) -> Result<Uri, String> {
    let uri = address.parse::<Uri>().map_err(|error| format!("the address {address:?}: {error}"))?;
    if uri.scheme_str() != Some("https") || uri.host().is_none() {
        return Err(format!("the address {address:?} is no https URL: a token would go there in the clear"));
    }
    Ok(uri)
}

fn closed(provider: CloudProvider) -> String {
    format!("the provider '{}' cannot be used here", provider.as_str())
}

/// The certificates of a text in PEM, in DER.
fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|found| found.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the key 'ca.crt' of the KubeConfig ConfigMap: {error}"))
}

/// The tokens of an account, one after the other.
struct Tokens {
    own: Client,
    clouds: Option<Arc<dyn Clouds>>,
    reference: Reference,
    current: Mutex<Option<(HeaderValue, Instant)>>,
}

impl Tokens {
    async fn get(&self) -> Result<HeaderValue, String> {
        let mut current = self.current.lock().await;
        if let Some((token, until)) = &*current
            && *until > Instant::now()
        {
            return Ok(token.clone());
        }
        let (token, life) = match &self.reference.provider {
            Provider::Generic => (self.of_account().await?, USE),
            Provider::Cloud(provider, cluster) => self.of_cloud(*provider, cluster.as_ref()).await?,
        };
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "the token for the cluster is no text of a header".to_owned())?;
        header.set_sensitive(true);
        *current = Some((header.clone(), Instant::now() + life));
        Ok(header)
    }

    async fn of_account(&self) -> Result<String, String> {
        let Reference { namespace, account, audiences, .. } = &self.reference;
        let failed =
            |error: String| format!("cannot get a token of ServiceAccount '{namespace}/{account}': {error}");
        let spec = TokenRequestSpec {
            audiences: Some(audiences.clone()),
            expiration_seconds: Some(LIFE),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let accounts = Api::<ServiceAccount>::namespaced(self.own.clone(), namespace);
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let answer = answer.map_err(|error| failed(errors::describe(&error)))?;
        let token = answer.status.and_then(|status| status.token);
        token.ok_or_else(|| failed("the answer has none".to_owned()))
    }

    async fn of_cloud(
        &self,
        provider: CloudProvider,
        cluster: Option<&ClusterName>,
    ) -> Result<(String, Duration), String> {
        let clouds = self.clouds.as_ref().ok_or_else(|| closed(provider))?;
        let Reference { namespace, account, .. } = &self.reference;
        let who = clouds.identity(namespace, provider, account).await?;
        let token = clusters::token(clouds.http(), clouds.tokens(), &who, cluster).await;
        let token = token.map_err(|error| {
            format!("cannot get a token of {} for the cluster: {}", provider.as_str(), errors::chain(&error))
        })?;
        Ok((token.value, token.life))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data: &[(&str, &str)], default: &str) -> Result<Reference, String> {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Reference::parse("apps", &data, default)
    }

    #[test]
    fn the_address_is_the_audience_unless_others_are_named() {
        let base = [("provider", "generic"), ("address", "https://prod.example.com:6443")];
        let found = parse(&base, "deployer").unwrap();
        assert_eq!((found.audiences, found.account), (vec![base[1].1.to_owned()], "deployer".to_owned()));
        let more = [base[0], base[1], ("audiences", "a\n\n b \n"), ("serviceAccountName", "own")];
        let found = parse(&more, "deployer").unwrap();
        assert_eq!(
            (found.audiences, found.account),
            (vec!["a".to_owned(), "b".to_owned()], "own".to_owned())
        );
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let generic = ("provider", "generic");
        let address = ("address", "https://prod.example.com");
        for (data, says) in [
            (vec![], "the key 'provider' is missing"),
            (vec![("provider", "aws"), ("cluster", "arn")], "'arn' is no ARN of a cluster"),
            (vec![("provider", "aws"), address, ("ca.crt", "x")], "the key 'cluster' is missing"),
            (vec![("provider", "gcp"), address], "unless 'address' and 'ca.crt' are given"),
            (vec![("provider", "gcp"), address, ("ca.crt", "x")], "the key 'serviceAccountName' is missing"),
            (vec![("provider", "moon")], "unknown provider 'moon'"),
            (vec![generic], "the key 'address' is missing"),
            (
                vec![generic, ("address", "http://prod.example.com"), ("serviceAccountName", "deployer")],
                "is no https URL",
            ),
            (vec![generic, address], "the key 'serviceAccountName' is missing"),
            (vec![generic, address, ("serviceAccountName", "../x")], "is not a valid name"),
        ] {
            let error = parse(&data, "").unwrap_err();
            assert!(error.contains(says), "{data:?}: {error}");
        }
    }

    #[test]
    fn a_cluster_of_a_cloud_is_found_by_its_name() {
        let arn = ("cluster", "arn:aws:eks:eu-west-1:123456789012:cluster/prod");
        let found = parse(&[("provider", "aws"), arn], "").unwrap();
        let name = ClusterName::Eks { region: "eu-west-1".to_owned(), name: "prod".to_owned() };
        assert_eq!(found.provider, Provider::Cloud(CloudProvider::Aws, Some(name)));
        assert_eq!((found.address.as_ref(), found.account.as_str()), (None, ""));
        let gke = ("cluster", "projects/p/locations/l/clusters/c");
        assert_ne!(found.digest(), parse(&[("provider", "gcp"), gke], "").unwrap().digest());
    }

    #[test]
    fn connections_are_shared_only_by_those_with_the_same_access() {
        let base = [("provider", "generic"), ("address", "https://a"), ("serviceAccountName", "x")];
        let one = parse(&base, "").unwrap();
        assert_eq!(one.digest(), parse(&base, "other").unwrap().digest());
        let other = [base[0], base[1], ("serviceAccountName", "y")];
        assert_ne!(one.digest(), parse(&other, "").unwrap().digest());
        let elsewhere = Reference { namespace: "other".to_owned(), ..parse(&base, "").unwrap() };
        assert_ne!(one.digest(), elsewhere.digest());
    }
}

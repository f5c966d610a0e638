//! Identities at the clouds: that of this process, and those of ServiceAccounts.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, PostParams};
use reqwest::Client;
use sluice_api::source::CloudProvider;
use sluice_cloud::git::GitLogin;
use sluice_cloud::registry::{Cloud, Role, login};
use sluice_cloud::{AzureIdentity, Error, GcpLogin, Token, Tokens};
use sluice_oci::Credentials;
use sluice_runtime::errors::{chain, describe};

/// The gate that lets objects name a ServiceAccount as which to log in at a cloud.
pub const OBJECT_LEVEL_WORKLOAD_IDENTITY: &str = "ObjectLevelWorkloadIdentity";

/// Why there is no identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// An object names a ServiceAccount, and the gate for that is closed.
    Gate,
    /// The identity, or what it is to be exchanged for, cannot be had.
    Problem(String),
}

const AWS_ROLE: &str = "eks.amazonaws.com/role-arn";
const AZURE_CLIENT: &str = "azure.workload.identity/client-id";
const AZURE_TENANT: &str = "azure.workload.identity/tenant-id";
const GCP_ACCOUNT: &str = "iam.gke.io/gcp-service-account";
const GCP_PROVIDER: &str = "gcp.auth.fluxcd.io/workload-identity-provider";

/// Who objects are at the clouds.
pub struct Identities {
    client: kube::Client,
    tokens: Tokens,
    gate: bool,
    default_account: String,
}

impl Identities {
    /// `gate`: whether objects may name a ServiceAccount. `default_account` is that of objects that name none; without
    /// it they are who this process is. `tokens` keeps what is temporary.
    pub fn new(
        client: kube::Client,
        tokens: Tokens,
        gate: bool,
        default_account: String,
    ) -> Result<Self, String> {
        if !default_account.is_empty() && !gate {
            return Err(format!(
                "--default-service-account needs --feature-gates={OBJECT_LEVEL_WORKLOAD_IDENTITY}=true"
            ));
        }
        Ok(Identities { client, tokens, gate, default_account })
    }

    /// What is temporary.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Whether objects may name a ServiceAccount.
    pub fn gate(&self) -> bool {
        self.gate
    }

    /// Whether an object that names this account, or none, is who this process is. What it is then must be shown to nobody
    /// whom the object chooses.
    pub fn is_own(&self, account: &str) -> bool {
        account.is_empty() && self.default_account.is_empty()
    }

    /// Refuses to have this process show who it is where the object's proxy can play the host: `lenient` means that the
    /// object also says whose certificates are good, or that any is.
    pub fn refuse_middlemen(&self, account: &str, proxy: bool, lenient: bool) -> Result<(), String> {
        if self.is_own(account) && proxy && lenient {
            return Err("the identity of the controller is not used where an object has both a proxy of its own \
                        and certificate authorities of its own or 'insecure': leave out one of them, or log in by a Secret or a ServiceAccount"
                .to_owned());
        }
        Ok(())
    }

    /// Logs in at the registry `host` of a cloud.
    pub async fn registry(
        &self,
        http: &Client,
        namespace: &str,
        provider: CloudProvider,
        account: &str,
        host: &str,
    ) -> Result<Credentials, Denied> {
        let identity = self.at(namespace, provider, account).await?;
        let found = login(http, &self.tokens, host, &identity).await;
        let found = found.map_err(|error| denied(provider, &error))?;
        Ok(Credentials::Basic { username: found.username, password: found.password })
    }

    /// Logs in at the Git service of a cloud, for the repository at a host and a path.
    pub(crate) async fn git(
        &self,
        http: &Client,
        namespace: &str,
        provider: CloudProvider,
        account: &str,
        (host, path): (&str, &str),
    ) -> Result<GitLogin, Denied> {
        let identity = self.at(namespace, provider, account).await?;
        let found = sluice_cloud::git::login(http, &self.tokens, host, path, &identity).await;
        found.map_err(|error| denied(provider, &error))
    }

    /// The identity at a cloud: that of the ServiceAccount, or of the one that is the default, or of the process.
    pub async fn at(&self, namespace: &str, provider: CloudProvider, account: &str) -> Result<Cloud, Denied> {
        if !account.is_empty() && !self.gate {
            return Err(Denied::Gate);
        }
        let account = if account.is_empty() { &self.default_account } else { account };
        if account.is_empty() {
            return Ok(match provider {
                CloudProvider::Gcp => Cloud::Gcp(GcpLogin::Ambient),
                CloudProvider::Azure => Cloud::Azure(AzureIdentity::Ambient),
                _ => Cloud::Aws(None),
            });
        }
        let problem = |problem: String| {
            Denied::Problem(format!(
                "failed to get identity of service account '{namespace}/{account}': {problem}"
            ))
        };
        sluice_runtime::check_name("ServiceAccount", account).map_err(problem)?;
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let found = accounts.get(account).await.map_err(|error| problem(describe(&error)))?;
        let annotation = |key: &str| {
            let value = found.annotations().get(key).filter(|value| !value.is_empty()).cloned();
            value.ok_or_else(|| problem(format!("annotation '{key}' is missing")))
        };
        let token = async |audience: &str| {
            let uid = found.uid().unwrap_or_default();
            self.token_of((namespace, account, &uid), audience).await.map_err(problem)
        };
        Ok(match provider {
            CloudProvider::Azure => Cloud::Azure(AzureIdentity::Federated {
                authority: std::env::var("AZURE_AUTHORITY_HOST").unwrap_or_default(),
                tenant: annotation(AZURE_TENANT)?,
                client: annotation(AZURE_CLIENT)?,
                token: token("api://AzureADTokenExchange").await?,
            }),
            CloudProvider::Gcp => {
                let provider = annotation(GCP_PROVIDER)?;
                let token = token(&format!("https://iam.googleapis.com/{provider}")).await?;
                Cloud::Gcp(GcpLogin::Federated { provider, token, account: annotation(GCP_ACCOUNT).ok() })
            }
            _ => Cloud::Aws(Some(Role {
                role: annotation(AWS_ROLE)?,
                token: token("sts.amazonaws.com").await?,
            })),
        })
    }
}

fn denied(provider: CloudProvider, error: &Error) -> Denied {
    Denied::Problem(format!("failed to get credential from {}: {}", provider.as_str(), chain(error)))
}

impl Identities {
    /// Name and token for an audience: of the ServiceAccount, or of the one that is the default, or of the one that this
    /// process runs as. The name is its namespace and its own.
    pub async fn token(
        &self,
        namespace: &str,
        account: &str,
        audience: &str,
    ) -> Result<((String, String), String), Denied> {
        if !account.is_empty() && !self.gate {
            return Err(Denied::Gate);
        }
        let account = if account.is_empty() { &self.default_account } else { account };
        let (namespace, account) = match account {
            "" => self.own_account().await.map_err(Denied::Problem)?,
            account => (namespace.to_owned(), account.to_owned()),
        };
        let problem = |problem: String| {
            Denied::Problem(format!(
                "failed to get token of service account '{namespace}/{account}': {problem}"
            ))
        };
        sluice_runtime::check_name("ServiceAccount", &account).map_err(problem)?;
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &namespace);
        let found = accounts.get(&account).await.map_err(|error| problem(describe(&error)))?;
        let uid = found.uid().unwrap_or_default();
        let token = self.token_of((&namespace, &account, &uid), audience).await.map_err(problem)?;
        Ok(((namespace, account), token))
    }

    /// A token of an account, told by namespace, name and uid.
    async fn token_of(&self, account: (&str, &str, &str), audience: &str) -> Result<String, String> {
        let (namespace, name, uid) = account;
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let key = ["service-account", namespace, name, uid, audience];
        let token = self.tokens.get(&key, request(&accounts, name, audience)).await;
        token.map_err(|error| chain(&error))
    }

    /// The ServiceAccount of this process, as the API server knows it.
    async fn own_account(&self) -> Result<(String, String), String> {
        let review = Api::<SelfSubjectReview>::all(self.client.clone());
        let answer = review.create(&PostParams::default(), &SelfSubjectReview::default()).await;
        let answer =
            answer.map_err(|error| format!("failed to ask who this process is: {}", describe(&error)))?;
        let name = answer.status.and_then(|status| status.user_info?.username).unwrap_or_default();
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        let account =
            account.ok_or_else(|| format!("this process is '{name}', which is no ServiceAccount"))?;
        Ok((account.0.to_owned(), account.1.to_owned()))
    }
}

/// Asks the API server for a token of a ServiceAccount.
async fn request(accounts: &Api<ServiceAccount>, name: &str, audience: &str) -> Result<Token, Error> {
    let audiences = Some(vec![audience.to_owned()]);
    let spec = TokenRequestSpec { audiences, ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
    let answer = answer.map_err(|error| Error::Credentials(describe(&error)))?;
    let status = answer.status.unwrap_or_default();
    let value = status.token.filter(|token| !token.is_empty());
    let value = value.ok_or_else(|| Error::Credentials("the API server gave no token".to_owned()))?;
    let life = status.expiration_timestamp.map(|end| end.0.duration_since(Timestamp::now()));
    let life = life.and_then(|life| Duration::try_from(life).ok()).unwrap_or_default();
    Ok(Token { value, life })
}

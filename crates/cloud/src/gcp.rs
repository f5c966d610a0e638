//! Logging in at Google.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use serde::Deserialize;

use crate::tokens::Token;
use crate::{Error, Tokens, http};

/// The scope that allows all that an account may do.
pub(crate) const PLATFORM_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_SERVICE: &str = "https://oauth2.googleapis.com/token";
const EXCHANGE: &str = "https://sts.googleapis.com/v1/token";
const CREDENTIALS: &str = "https://iamcredentials.googleapis.com";
const METADATA_HOST: &str = "metadata.google.internal";

/// The key of a service account, as Google's console gives it out.
#[derive(Clone, Deserialize)]
pub struct ServiceAccountKey {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    token_uri: String,
}

impl std::fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServiceAccountKey({})", self.client_email)
    }
}

impl ServiceAccountKey {
    /// Reads the JSON.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        // The parser's own words could quote the key.
        serde_json::from_slice(json).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::Credentials(format!("the service account's key is no JSON of that form ({place})"))
        })
    }
}

/// How to log in.
#[derive(Clone, Debug)]
pub enum GcpLogin {
    /// Not at all.
    Anonymous,
    /// With the key of a service account.
    Key(ServiceAccountKey),
    /// As an account of an identity that Google trusts, such as one of a cluster.
    Federated {
        /// The provider, `projects/…/workloadIdentityPools/…/providers/…`.
        provider: String,
        /// The identity's token.
        token: String,
        /// The service account to act as; the identity itself when there is none.
        account: Option<String>,
    },
    /// As what surrounds the process says: a key file, or the machine's account.
    Ambient,
}

impl GcpLogin {
    /// The token for a scope, if there is one.
    pub async fn token(
        &self,
        client: &Client,
        tokens: &Tokens,
        scope: &str,
    ) -> Result<Option<String>, Error> {
        match self {
            GcpLogin::Anonymous => Ok(None),
            GcpLogin::Key(key) => key_token(client, tokens, key, scope).await.map(Some),
            GcpLogin::Federated { provider, token, account } => {
                let account = account.as_deref().unwrap_or_default();
                let key = ["federated", provider, token, account, scope];
                tokens.get(&key, federated(client, provider, token, account, scope)).await.map(Some)
            }
            GcpLogin::Ambient => {
                if let Ok(path) = std::env::var("GOOGLE_APPLICATION_CREDENTIALS") {
                    let json = tokio::fs::read(&path).await;
                    let json =
                        json.map_err(|error| Error::Credentials(format!("cannot read {path}: {error}")))?;
                    return key_token(client, tokens, &ServiceAccountKey::parse(&json)?, scope)
                        .await
                        .map(Some);
                }
                let host = std::env::var("GCE_METADATA_HOST").unwrap_or_else(|_| METADATA_HOST.to_owned());
                tokens.get(&["gce", &host, scope], metadata(client, &host, scope)).await.map(Some)
            }
        }
    }
}

async fn key_token(
    client: &Client,
    tokens: &Tokens,
    key: &ServiceAccountKey,
    scope: &str,
) -> Result<String, Error> {
    let service = if key.token_uri.is_empty() { TOKEN_SERVICE } else { &key.token_uri };
    tokens
        .get(&["gcp", service, &key.client_email, &key.private_key, scope], async {
            let now = Timestamp::now().as_second();
            let claims = serde_json::json!({
                "iss": key.client_email, "scope": scope, "aud": service, "iat": now, "exp": now + 3600,
            });
            let header = serde_json::json!({"kid": key.private_key_id});
            let assertion = sluice_jwt::sign(&claims, &header, key.private_key.as_bytes())?;
            let form = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", assertion.as_str()),
            ];
            access_token(http::send(client, || http::post_form(client, service, &form)).await?).await
        })
        .await
}

async fn metadata(client: &Client, host: &str, scope: &str) -> Result<Token, Error> {
    let url =
        format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={scope}");
    let response = http::send(client, || {
        let mut request = http::get(&url)?;
        http::header(&mut request, "metadata-flavor", "Google", false)?;
        Ok(request)
    });
    let response = tokio::time::timeout(Duration::from_secs(10), response).await;
    let none = || Error::Credentials("no Google credentials were found".to_owned());
    access_token(
        response
            .map_err(|_| none())?
            .map_err(|error| Error::Credentials(format!("no Google credentials were found: {error}")))?,
    )
    .await
}

/// A token for an identity of another issuer: exchanged, then for the account that it may act as.
async fn federated(
    client: &Client,
    provider: &str,
    token: &str,
    account: &str,
    scope: &str,
) -> Result<Token, Error> {
    let audience = format!("//iam.googleapis.com/{provider}");
    // Acting as an account needs the wider scope.
    let first = if account.is_empty() { scope } else { PLATFORM_SCOPE };
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("audience", audience.as_str()),
        ("scope", first),
        ("subject_token", token),
    ];
    let exchanged = http::send(client, || http::post_form(client, EXCHANGE, &form)).await?;
    let exchanged = access_token(exchanged).await?;
    if account.is_empty() {
        return Ok(exchanged);
    }
    let account = http::encode(account, false);
    let url = format!("{CREDENTIALS}/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
    let body = serde_json::json!({"scope": [scope]}).to_string();
    let response = http::send(client, || {
        let mut request = http::post_json(&url, "application/json", &body)?;
        http::header(&mut request, "authorization", &format!("Bearer {}", exchanged.value), true)?;
        Ok(request)
    });
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        access_token: String,
        expire_time: Timestamp,
    }
    let answer = http::read(response.await?, http::MAX_PAGE).await?;
    let problem = "the answer has no access token".to_owned();
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| Error::Answer { url, problem })?;
    let life = Duration::try_from(answer.expire_time.duration_since(Timestamp::now())).unwrap_or_default();
    Ok(Token { value: answer.access_token, life })
}

/// Reads the answer of a token service.
pub(crate) async fn access_token(response: reqwest::Response) -> Result<Token, Error> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        #[serde(default)]
        expires_in: serde_json::Value,
    }
    let url = http::display(response.url());
    let body = http::read(response, http::MAX_PAGE).await?;
    let problem = "the answer has no access token".to_owned();
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| Error::Answer { url, problem })?;
    // Some services write the number as a text.
    let seconds = match &answer.expires_in {
        serde_json::Value::String(text) => text.parse().unwrap_or_default(),
        value => value.as_u64().unwrap_or_default(),
    };
    Ok(Token { value: answer.access_token, life: Duration::from_secs(seconds) })
}

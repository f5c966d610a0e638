//! Google Cloud Storage, by its JSON API.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use serde::Deserialize;

use crate::store::{Opened, Page};
use crate::tokens::Token;
use crate::{Error, Object, Tokens, http, jwt};

const ENDPOINT: &str = "https://storage.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";
const TOKEN_SERVICE: &str = "https://oauth2.googleapis.com/token";
const METADATA_HOST: &str = "metadata.google.internal";

/// One bucket at Google Cloud Storage.
#[derive(Debug)]
pub struct Gcs {
    http: Client,
    base: String,
    bucket: String,
    token: Option<String>,
}

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
pub enum GcsLogin {
    /// Not at all.
    Anonymous,
    /// With the key of a service account.
    Key(ServiceAccountKey),
    /// As what surrounds the process says: a key file, or the machine's account.
    Ambient,
}

impl GcsLogin {
    /// The token to send along, if there is one.
    pub async fn token(&self, client: &Client, tokens: &Tokens) -> Result<Option<String>, Error> {
        self.token_for(client, tokens, SCOPE).await
    }

    /// The token for another service of Google's, by its scope.
    pub async fn token_for(
        &self,
        client: &Client,
        tokens: &Tokens,
        scope: &str,
    ) -> Result<Option<String>, Error> {
        match self {
            GcsLogin::Anonymous => Ok(None),
            GcsLogin::Key(key) => key_token(client, tokens, key, scope).await.map(Some),
            GcsLogin::Ambient => {
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
            let header = serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": key.private_key_id});
            let assertion = jwt::sign(&header, &claims, &key.private_key)?;
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    items: Vec<Item>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    name: String,
    etag: String,
    generation: String,
    #[serde(default)]
    size: String,
}

impl Gcs {
    /// The bucket, at Google's own endpoint unless another is given (a URL).
    pub fn new(http: Client, endpoint: Option<&str>, bucket: &str, token: Option<String>) -> Self {
        let base = endpoint.unwrap_or(ENDPOINT).trim_end_matches('/');
        let base = format!("{base}/storage/v1/b/{}/o", http::encode(bucket, false));
        Gcs { http, base, bucket: bucket.to_owned(), token }
    }

    async fn send(&self, url: &str) -> Result<reqwest::Response, Error> {
        http::send(&self.http, || {
            let mut request = http::get(url)?;
            if let Some(token) = &self.token {
                http::header(&mut request, "authorization", &format!("Bearer {token}"), true)?;
            }
            Ok(request)
        })
        .await
    }

    async fn json<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, Error> {
        let response = self.send(url).await?;
        let url = http::display(response.url());
        let body = http::read(response, http::MAX_PAGE).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Answer { url, problem: error.to_string() })
    }

    pub(crate) async fn page(&self, prefix: &str, marker: Option<&str>) -> Result<Page, Error> {
        let mut url = format!(
            "{}?fields=items(name,etag,generation,size),nextPageToken&prefix={}",
            self.base,
            http::encode(prefix, false)
        );
        if let Some(marker) = marker {
            url.push_str(&format!("&pageToken={}", http::encode(marker, false)));
        }
        let list: List = match self.json(&url).await {
            Err(Error::Status { status: 404, .. }) => return Err(Error::NoBucket(self.bucket.clone())),
            other => other?,
        };
        let object = |item: Item| {
            let size = item.size.parse().unwrap_or_default();
            (item.name, Object { etag: item.etag, size, generation: Some(item.generation) })
        };
        Ok(Page { objects: list.items.into_iter().map(object).collect(), next: list.next_page_token })
    }

    pub(crate) async fn open(&self, key: &str, object: &Object) -> Result<Opened, Error> {
        let url = format!("{}/{}", self.base, http::encode(key, false));
        if let Some(generation) = &object.generation {
            match self.send(&format!("{url}?alt=media&generation={generation}")).await {
                Ok(response) => return Ok(Opened { etag: Some(object.etag.clone()), response }),
                Err(error) if !error.is_not_found() => return Err(error),
                Err(_) => {}
            }
        }
        // It was written anew since it was listed.
        let now: Item = self.json(&format!("{url}?fields=etag,generation,size")).await?;
        let response = self.send(&format!("{url}?alt=media&generation={}", now.generation)).await?;
        Ok(Opened { etag: Some(now.etag), response })
    }
}

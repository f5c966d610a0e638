//! GitHub Apps: a token of an installation, for the key of the App.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::http::{Client, Error as HttpError, Request};
use super::secret::{Data, text};
use super::{Error, Target};

/// The keys of a GitHub App in a Secret.
#[derive(Clone)]
pub(crate) struct App {
    id: String,
    key: Vec<u8>,
    installation: Installation,
    base: Option<String>,
}

#[derive(Clone)]
enum Installation {
    Id(String),
    Owner(String),
}

impl App {
    /// Reads the keys. None when the App or its key is not there.
    pub(crate) fn read(data: &Data) -> Result<Option<Self>, String> {
        let (Some(id), Some(key)) = (text(data, "githubAppID")?, data.get("githubAppPrivateKey")) else {
            return Ok(None);
        };
        let installation =
            match (text(data, "githubAppInstallationID")?, text(data, "githubAppInstallationOwner")?) {
                (Some(id), None) => Installation::Id(id.trim().to_owned()),
                (None, Some(owner)) => Installation::Owner(owner.trim().to_owned()),
                _ => {
                    return Err("a GitHub App needs exactly one of the keys 'githubAppInstallationID' and \
                                'githubAppInstallationOwner'"
                        .to_owned());
                }
            };
        let base = text(data, "githubAppBaseURL")?.map(|base| base.trim().to_owned());
        Ok(Some(Self { id: id.trim().to_owned(), key: key.clone(), installation, base }))
    }

    fn jwt(&self) -> Result<String, Error> {
        let now = Timestamp::now().as_second();
        let claims = json!({"iat": now - 60, "exp": now + 540, "iss": self.id});
        crate::jose::sign(&claims, None, &self.key)
            .map_err(|problem| Error::Config(format!("the GitHub App cannot sign in: {problem}")))
    }

    fn api(&self, path: &str) -> Result<Url, Error> {
        let base = self.base.as_deref().filter(|base| !base.is_empty()).unwrap_or("https://api.github.com");
        let url = Url::parse(&format!("{}/{path}", base.trim_end_matches('/')));
        url.map_err(|error| Error::Config(format!("the key 'githubAppBaseURL': {error}")))
    }

    fn identity(&self) -> [u8; 32] {
        let (kind, which) = match &self.installation {
            Installation::Id(id) => ("id", id),
            Installation::Owner(owner) => ("owner", owner),
        };
        let mut digest = Sha256::new();
        for part in [
            self.id.as_bytes(),
            kind.as_bytes(),
            which.as_bytes(),
            self.api("").map(String::from).unwrap_or_default().as_bytes(),
            &self.key,
        ] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// Tokens that are good for some more minutes, by what they were made of: whoever has the key may have the token.
static TOKENS: LazyLock<Mutex<Tokens>> = LazyLock::new(Mutex::default);
type Tokens = HashMap<[u8; 32], (String, Timestamp)>;
const MAX_TOKENS: usize = 100;
/// A token is not used in its last minutes, in seconds.
const MARGIN: i64 = 300;

#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_at: Timestamp,
}

/// The token for GitHub's API: of the Secret, or of the App.
pub(crate) async fn token(http: &Client, target: &Target) -> Result<String, Error> {
    let Some(app) = &target.credentials.app else {
        let token = target.credentials.token_or_password();
        return token.map(str::to_owned).ok_or_else(|| {
            Error::Config(format!("provider type '{}' needs a Secret with the key 'token'", target.type_))
        });
    };
    let (identity, now) = (app.identity(), Timestamp::now());
    let fresh = |until: &Timestamp| until.as_second() - now.as_second() > MARGIN;
    if let Some((token, _)) =
        TOKENS.lock().unwrap_or_else(PoisonError::into_inner).get(&identity).filter(|(_, until)| fresh(until))
    {
        return Ok(token.clone());
    }
    let jwt = app.jwt()?;
    let installation = match &app.installation {
        Installation::Id(id) => id.clone(),
        Installation::Owner(owner) => installation_of(http, app, owner, &jwt).await?,
    };
    let request = Request::get(app.api(&format!("app/installations/{installation}/access_tokens"))?);
    let answer: Answer = ask(http, request.method(Method::POST).bearer(Some(&jwt))?).await?;
    let mut tokens = TOKENS.lock().unwrap_or_else(PoisonError::into_inner);
    tokens.retain(|_, (_, until)| fresh(until));
    if tokens.len() < MAX_TOKENS {
        tokens.insert(identity, (answer.token.clone(), answer.expires_at));
    }
    Ok(answer.token)
}

async fn installation_of(http: &Client, app: &App, owner: &str, jwt: &str) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Found {
        id: u64,
    }
    let mut problem = None;
    for kind in ["orgs", "users"] {
        let request = Request::get(app.api(&format!("{kind}/{owner}/installation"))?).bearer(Some(jwt))?;
        match ask::<Found>(http, request).await {
            Ok(found) => return Ok(found.id.to_string()),
            Err(error) => problem = Some(error),
        }
    }
    Err(problem.unwrap_or_else(|| Error::Config(format!("the GitHub App is not installed for '{owner}'"))))
}

/// The name under which a GitHub App comments.
pub(crate) async fn bot(http: &Client, target: &Target) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct Slug {
        slug: String,
    }
    let Some(app) = &target.credentials.app else { return Ok(None) };
    let found: Slug = ask(http, Request::get(app.api("app")?).bearer(Some(&app.jwt()?))?).await?;
    Ok(Some(format!("{}[bot]", found.slug)))
}

async fn ask<T: for<'a> Deserialize<'a>>(http: &Client, request: Request) -> Result<T, Error> {
    let request = request.header("accept", "application/vnd.github+json")?;
    let answer = http.fetch(request).await?;
    serde_json::from_slice(&answer)
        .map_err(|error| HttpError::Refused(format!("GitHub's answer is not understood: {error}")).into())
}

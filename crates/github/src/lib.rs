//! Logging in at GitHub as an App: its key signs a statement of who it is, and GitHub gives a token of one installation
//! for it, which is good for an hour.
//!
//! [`App`] is read from plain bytes by key, [`App::token`] asks for a token with a client of the caller's, and [`Tokens`]
//! keeps those that are still good. The crate knows nothing of Kubernetes.

mod data;
mod statement;
mod tokens;

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use data::{App, DataError};
pub use tokens::Tokens;

use data::Installation;
use statement::statement;

/// The user name that goes with a token.
pub const USERNAME: &str = "x-access-token";
/// Answers are much smaller.
const MAX_ANSWER: usize = 1 << 20;
/// So much of GitHub's own words is shown.
const MAX_WORDS: usize = 300;

/// A token of an installation. Debug output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub value: String,
    /// How long it is good.
    pub life: Duration,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({:?})", self.life)
    }
}

/// Why there is no token. No text holds a key or a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key cannot be used.
    #[error("key 'githubAppPrivateKey': {0}")]
    Key(sluice_jwt::Error),
    /// GitHub refused.
    #[error("{method} {url}: {status}{}", words(.message))]
    Refused {
        /// The request's method.
        method: Method,
        /// Its URL.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// GitHub's words.
        message: String,
    },
    /// The App is not there.
    #[error("the GitHub App is not installed for '{0}', neither as an organization nor as a user")]
    NotInstalled(String),
    /// GitHub was not reached.
    #[error("cannot reach {host}")]
    Transport {
        /// Who.
        host: String,
        /// Why.
        source: reqwest::Error,
    },
    /// An answer that makes no sense.
    #[error("{url}: {problem}")]
    Answer {
        /// The request's URL.
        url: String,
        /// What is wrong.
        problem: String,
    },
}

impl Error {
    /// Whether another try may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Refused { status, .. } => {
                *status == StatusCode::TOO_MANY_REQUESTS
                    || (status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED)
            }
            Error::Transport { .. } => true,
            _ => false,
        }
    }
}

fn words(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

#[derive(Deserialize)]
struct AccessToken {
    token: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Found {
    id: u64,
}

impl App {
    /// Asks for a new token. The client should not follow redirects.
    pub async fn token(&self, http: &Client) -> Result<Token, Error> {
        let statement = statement(&self.id, &self.key)?;
        let installation = match &self.installation {
            Installation::Id(id) => id.clone(),
            Installation::Owner(owner) => self.find(http, owner, &statement).await?,
        };
        let url = self.url(&["app", "installations", &installation, "access_tokens"]);
        let answer: AccessToken = ask(http, Method::POST, url, &statement).await?;
        let left = answer.expires_at.duration_since(Timestamp::now());
        Ok(Token { value: answer.token, life: Duration::try_from(left).unwrap_or_default() })
    }

    /// The installation of an organization or, where there is none, of a user.
    async fn find(&self, http: &Client, owner: &str, statement: &str) -> Result<String, Error> {
        for kind in ["orgs", "users"] {
            let url = self.url(&[kind, owner, "installation"]);
            match ask::<Found>(http, Method::GET, url, statement).await {
                Ok(found) => return Ok(found.id.to_string()),
                Err(Error::Refused { status: StatusCode::NOT_FOUND, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::NotInstalled(owner.to_owned()))
    }

    /// The name of the App in addresses. It acts as the user `<name>[bot]`.
    pub async fn slug(&self, http: &Client) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Named {
            slug: String,
        }
        let statement = statement(&self.id, &self.key)?;
        Ok(ask::<Named>(http, Method::GET, self.url(&["app"]), &statement).await?.slug)
    }

    /// Where GitHub's API is.
    pub fn base(&self) -> &Url {
        &self.base
    }

    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }
}

async fn ask<T: DeserializeOwned>(
    http: &Client,
    method: Method,
    url: Url,
    statement: &str,
) -> Result<T, Error> {
    let shown = url.to_string();
    let host = url.host_str().unwrap_or_default().to_owned();
    let transport =
        |error: reqwest::Error| Error::Transport { host: host.clone(), source: error.without_url() };
    let request = http
        .request(method.clone(), url)
        .header(ACCEPT, HeaderValue::from_static("application/vnd.github+json"))
        .header("X-GitHub-Api-Version", HeaderValue::from_static("2022-11-28"))
        .bearer_auth(statement);
    let response = request.send().await.map_err(transport)?;
    let status = response.status();
    let answer = |problem: &str| Error::Answer { url: shown.clone(), problem: problem.to_owned() };
    let body = read(response).await.map_err(transport)?.ok_or_else(|| answer("the answer is too large"))?;
    if !status.is_success() {
        #[derive(Deserialize)]
        struct Refusal {
            message: String,
        }
        let message = serde_json::from_slice(&body).map(|Refusal { message }| message).unwrap_or_default();
        let message = message.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect();
        return Err(Error::Refused { method, url: shown, status, message });
    }
    serde_json::from_slice(&body).map_err(|error| {
        answer(&format!(
            "it does not answer as GitHub's API does ({:?} in line {})",
            error.classify(),
            error.line()
        ))
    })
}

async fn read(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}

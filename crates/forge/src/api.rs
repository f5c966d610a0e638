//! Requests to the API of a host.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::Kind;

/// Answers are much smaller.
const MAX_ANSWER: usize = 8 << 20;
/// So much of a host's own words is shown.
const MAX_WORDS: usize = 500;

/// With what to log in. Debug output does not show it.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// A token of a user, a project or an app.
    Token(String),
    /// A user and a password or token. Hosts that know tokens only take the password as one.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(…)")
    }
}

impl Login {
    fn secret(&self) -> &str {
        match self {
            Login::Token(secret) | Login::Basic { password: secret, .. } => secret,
        }
    }
}

/// Why there is no answer. No text holds a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host was not reached.
    #[error("{base} cannot be reached")]
    Transport {
        /// Where its API is.
        base: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The host refused.
    #[error("{}: {method} {url} answered {status}{}", meaning(*.status), words(.message))]
    Refused {
        /// The request's method.
        method: Method,
        /// Its URL.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// The host's words.
        message: String,
        /// When it wants to hear of us again.
        retry_after: Option<Duration>,
    },
    /// The answer makes no sense.
    #[error("{url} {problem}")]
    Answer {
        /// The request's URL.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The URL of the repository does not tell where it is.
    #[error("{0}")]
    Place(String),
}

impl Error {
    /// When the host wants to hear of us again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn meaning(status: StatusCode) -> &'static str {
    match status {
        // Azure DevOps shows its page for logging in.
        StatusCode::UNAUTHORIZED | StatusCode::NON_AUTHORITATIVE_INFORMATION => "the token is not accepted",
        StatusCode::FORBIDDEN => "the token may not do this",
        StatusCode::TOO_MANY_REQUESTS => "the host is asked too often",
        _ => "the request is refused",
    }
}

fn words(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// The API of a host.
#[derive(Clone, Debug)]
pub struct Api {
    kind: Kind,
    base: String,
    login: Login,
    client: Client,
}

impl Api {
    /// The API of the host at an address such as `https://git.example.com`, with the path below which it may be. Clients
    /// should not follow redirects.
    pub fn new(kind: Kind, address: &str, login: Login, client: Client) -> Self {
        let address = address.trim_end_matches('/');
        let base = match (kind, address) {
            (Kind::GitHub, "https://github.com") => "https://api.github.com".to_owned(),
            (Kind::Bitbucket, "https://bitbucket.org") => "https://api.bitbucket.org/2.0".to_owned(),
            (Kind::GitHub, _) => format!("{address}/api/v3"),
            (Kind::GitLab, _) => format!("{address}/api/v4"),
            (Kind::Gitea, _) => format!("{address}/api/v1"),
            (Kind::Bitbucket, _) => format!("{address}/2.0"),
            (Kind::BitbucketServer, _) => format!("{address}/rest"),
            (Kind::AzureDevOps, _) => address.to_owned(),
        };
        Self { kind, base, login, client }
    }

    /// What kind it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request; `None` for a GET of what is not there. An empty answer is null.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Option<Value>, Error> {
        let url = format!("{}{path}", self.base);
        let mut request = self.authorized(self.client.request(method.clone(), &url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let transport =
            |error: reqwest::Error| Error::Transport { base: self.base.clone(), source: error.without_url() };
        let answer = request.send().await.map_err(transport)?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND && method == Method::GET {
            return Ok(None);
        }
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let text = read(answer).await.map_err(transport)?;
        if !status.is_success() || status == StatusCode::NON_AUTHORITATIVE_INFORMATION {
            let message = said(text.as_deref().unwrap_or_default());
            return Err(Error::Refused { method, url, status, message, retry_after });
        }
        let Some(text) = text else {
            return Err(Error::Answer { url, problem: "answers more than can be read".to_owned() });
        };
        if text.trim_ascii().is_empty() {
            return Ok(Some(Value::Null));
        }
        let problem = || Error::Answer { url, problem: "does not answer in JSON".to_owned() };
        serde_json::from_slice(&text).map(Some).map_err(|_| problem())
    }

    /// What is there, if anything is.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, Error> {
        self.ask(Method::GET, path, None).await
    }

    /// Sends something.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> Result<Value, Error> {
        Ok(self.ask(method, path, Some(body)).await?.unwrap_or_default())
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        let secret = self.login.secret();
        match (self.kind, &self.login) {
            (Kind::GitHub, _) => request
                .bearer_auth(secret)
                .header("Accept", "application/vnd.github+json")
                .header("X-GitHub-Api-Version", "2022-11-28"),
            (Kind::GitLab, _) => request.header("PRIVATE-TOKEN", sensitive(secret)),
            (Kind::Gitea, _) => request.header("Authorization", sensitive(&format!("token {secret}"))),
            (Kind::AzureDevOps, _) => {
                let login = STANDARD.encode(format!(":{secret}"));
                request.header("Authorization", sensitive(&format!("Basic {login}")))
            }
            (_, Login::Token(token)) => request.bearer_auth(token),
            (_, Login::Basic { username, password }) => request.basic_auth(username, Some(password)),
        }
    }
}

/// A header that is not shown anywhere. One with characters that HTTP forbids goes as an empty one, and is refused.
fn sensitive(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// None where there is too much of it.
async fn read(mut answer: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&piece);
    }
    Ok(Some(body))
}

/// What a host says of a refusal, in whichever of their forms.
fn said(text: &[u8]) -> String {
    let said: Value = serde_json::from_slice(text).unwrap_or_default();
    let place = ["/message", "/error/message", "/error", "/errors/0/message"];
    let found = place.iter().find_map(|place| said.pointer(place)).filter(|found| !found.is_null());
    let mut message = match found {
        Some(Value::String(message)) => message.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    // GitHub says what is wrong one level below "Validation Failed".
    if let Some(detail) = said.pointer("/errors/0/message").and_then(Value::as_str)
        && !message.contains(detail)
    {
        message = format!("{message}: {detail}");
    }
    message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect()
}

/// A text as one segment of a path, or as a value of a query.
pub fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_every_form() {
        let of = |text: &str| said(text.as_bytes());
        assert_eq!(
            of(r#"{"message": "Validation Failed", "errors": [{"message": "No commits"}]}"#),
            "Validation Failed: No commits"
        );
        assert_eq!(of(r#"{"message": ["Another open merge request already exists: !1"]}"#)[2..9], *"Another");
        assert_eq!(of(r#"{"errors": [{"message": "No such branch"}]}"#), "No such branch");
        assert_eq!(of(r#"{"type": "error", "error": {"message": "Bad\nquery"}}"#), "Bad query");
        assert_eq!(of("<html>"), "");
        assert_eq!(escaped("group/sub group"), "group%2Fsub%20group");
    }
}

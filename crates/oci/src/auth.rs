//! The challenge of a registry, and the tokens that answer it.

use std::collections::HashMap;

use serde::Deserialize;

use crate::{Credentials, Error, Registry};

/// Largest answer of a token service, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

/// What a registry wants to see, from its `WWW-Authenticate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from a service.
    Bearer {
        /// The service's address.
        realm: String,
        /// The name of the registry there.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads the header's value.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        Some(Self::Bearer { realm: parameters.remove("realm")?, service: parameters.remove("service") })
    }
}

/// `key="value",key=value`; commas inside quotes belong to the value.
fn parameters(text: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = text;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(key, value.to_owned());
        rest = left;
    }
    found
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// Gets a token for an action on a repository.
pub(crate) async fn token(
    http: &reqwest::Client,
    registry: &Registry,
    realm: &str,
    service: Option<&str>,
    scope: &str,
    credentials: &Credentials,
) -> Result<String, Error> {
    let answer = |problem: String| Error::Answer { url: registry.to_string(), problem };
    let mut url =
        reqwest::Url::parse(realm).map_err(|error| answer(format!("the realm '{realm}': {error}")))?;
    // A registry that is reached by HTTPS must not have its credentials sent in the clear.
    if url.scheme() != "https" && !registry.is_local() {
        return Err(answer(format!("the realm '{realm}' is not https")));
    }
    let request = match credentials {
        Credentials::Identity(refresh) => {
            let form = [
                ("grant_type", "refresh_token"),
                ("service", service.unwrap_or_default()),
                ("client_id", "sluice"),
                ("scope", scope),
                ("refresh_token", refresh),
            ];
            http.post(url.clone()).form(&form)
        }
        other => {
            if let Some(service) = service {
                url.query_pairs_mut().append_pair("service", service);
            }
            url.query_pairs_mut().append_pair("scope", scope);
            let request = http.get(url.clone());
            match other {
                Credentials::Basic { username, password } => request.basic_auth(username, Some(password)),
                _ => request,
            }
        }
    };
    url.set_query(None);
    let method = if matches!(credentials, Credentials::Identity(_)) { "POST" } else { "GET" };
    let response = crate::client::send(request, method, &url).await?;
    let body = crate::client::read(response, &url, MAX_ANSWER).await?;
    // The parser's error could quote the token.
    let token: Token =
        serde_json::from_slice(&body).map_err(|_| answer("the token service sent no token".to_owned()))?;
    match (token.token, token.access_token) {
        (token, _) if !token.is_empty() => Ok(token),
        (_, token) if !token.is_empty() => Ok(token),
        _ => Err(answer("the token service sent no token".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let bearer = r#"Bearer realm="https://auth.example.test/token",service="registry.example.test",scope="repository:a:pull,push""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example.test/token".to_owned(),
            service: Some("registry.example.test".to_owned()),
        };
        assert_eq!(Challenge::parse(bearer), Some(expected));
        assert_eq!(Challenge::parse(r#"basic realm="Registry""#), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Bearer"), None);
        assert_eq!(Challenge::parse("Negotiate"), None);
    }
}

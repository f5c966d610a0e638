//! Microsoft's Azure Container Registry: the token of an identity is exchanged for one of the registry.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::Client;
use serde::Deserialize;

use super::{Login, joined, split};
use crate::tokens::Token;
use crate::{AzureIdentity, Error, Tokens, http};

/// The user name that says that the password is a token.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A registry, and what tokens of its cloud are for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    host: String,
    scope: &'static str,
}

impl Place {
    /// Of hosts such as `name.azurecr.io`.
    pub(super) fn of(host: &str) -> Option<Self> {
        let scope = match host.rsplit_once(".azurecr.")? {
            (name, _) if name.is_empty() || name.contains(['/', ':', '@']) => return None,
            (_, "io") => "https://management.azure.com/.default",
            (_, "cn") => "https://management.chinacloudapi.cn/.default",
            (_, "us") => "https://management.usgovcloudapi.net/.default",
            _ => return None,
        };
        Some(Place { host: host.to_owned(), scope })
    }
}

pub(super) async fn login(
    client: &Client,
    tokens: &Tokens,
    place: &Place,
    identity: &AzureIdentity,
) -> Result<Login, Error> {
    let token = identity.token(client, tokens, place.scope).await?;
    let token = token.ok_or_else(|| Error::Credentials("no Azure identity was found".to_owned()))?;
    let key = ["acr", &place.host, &token];
    split(&tokens.get(&key, exchange(client, &place.host, &token)).await?)
}

async fn exchange(client: &Client, host: &str, token: &str) -> Result<Token, Error> {
    #[derive(Deserialize)]
    struct Answer {
        refresh_token: String,
    }
    let url = format!("https://{host}/oauth2/exchange");
    let form = [("grant_type", "access_token"), ("service", host), ("access_token", token)];
    let response = http::send(client, || http::post_form(client, &url, &form)).await?;
    let body = http::read(response, http::MAX_PAGE).await?;
    let problem = "the answer has no refresh token".to_owned();
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| Error::Answer { url, problem })?;
    let life = life(&answer.refresh_token);
    Ok(Token { value: joined(NOBODY, &answer.refresh_token), life })
}

/// How long a token says that it is good; it is not believed for anything else.
fn life(token: &str) -> Duration {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
    let seconds = claims.map_or(0, |claims| claims.exp.saturating_sub(Timestamp::now().as_second()));
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_microsoft_s_hosts_are_registries() {
        assert!(Place::of("name.azurecr.io").is_some_and(|place| place.scope.contains("azure.com")));
        assert!(Place::of("name.azurecr.cn").is_some_and(|place| place.scope.contains("chinacloudapi")));
        for host in
            ["ghcr.io", "azurecr.io", "name.azurecr.io.example.test", "name.azurecr.io:8443", ".azurecr.io"]
        {
            assert_eq!(Place::of(host), None, "{host}");
        }
    }

    #[test]
    fn a_token_that_does_not_say_how_long_it_lasts_is_not_kept() {
        assert_eq!(life("a.b.c"), Duration::ZERO);
        let claims = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{}}}", Timestamp::now().as_second() + 1000));
        assert!(life(&format!("h.{claims}.s")) > Duration::from_mins(15));
    }
}

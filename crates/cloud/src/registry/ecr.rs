//! Amazon's Elastic Container Registry, private and public.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Client;
use serde_json::Value;

use super::{Login, split};
use crate::tokens::Token;
use crate::{Error, Keys, Tokens, http, sign, variable};

/// A registry's region, and where to ask for its login.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) region: String,
    service: &'static str,
    target: &'static str,
    endpoint: String,
}

const PRIVATE: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const PUBLIC: &str = "SpencerFrontendService.GetAuthorizationToken";

impl Place {
    /// Of hosts such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com`, and `public.ecr.aws`.
    pub(super) fn of(host: &str) -> Option<Self> {
        if host == "public.ecr.aws" {
            return Some(Place {
                region: "us-east-1".to_owned(),
                service: "ecr-public",
                target: PUBLIC,
                endpoint: "https://api.ecr-public.us-east-1.amazonaws.com/".to_owned(),
            });
        }
        let labels: Vec<&str> = host.split('.').collect();
        let (account, fips, region, domain) = match labels.as_slice() {
            [account, "dkr", "ecr", region, domain @ ..] => (account, false, region, domain),
            [account, "dkr", "ecr-fips", region, domain @ ..] => (account, true, region, domain),
            [account, "dkr-ecr", region, "on", "aws"] => (account, false, region, &["amazonaws", "com"][..]),
            _ => return None,
        };
        if !matches!(
            domain,
            ["amazonaws", "com" | "eu"] | ["amazonaws", "com", "cn"] | ["sc2s", "sgov", "gov"]
        ) {
            return None;
        }
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_region = !region.is_empty()
            && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let api = if fips { "ecr-fips" } else { "api.ecr" };
        (is_account && is_region).then(|| Place {
            region: (*region).to_owned(),
            service: "ecr",
            target: PRIVATE,
            endpoint: format!("https://{api}.{region}.{}/", domain.join(".")),
        })
    }
}

pub(super) async fn login(
    client: &Client,
    tokens: &Tokens,
    place: &Place,
    keys: &Keys,
) -> Result<Login, Error> {
    let endpoint = match variable("AWS_ENDPOINT_URL_ECR") {
        Some(other) => format!("{}/", other.trim_end_matches('/')),
        None => place.endpoint.clone(),
    };
    let session = keys.session_token.as_deref().unwrap_or_default();
    let key = ["ecr", &endpoint, place.target, &keys.access_key, &keys.secret_key, session];
    split(&tokens.get(&key, ask(client, place, &endpoint, keys)).await?)
}

async fn ask(client: &Client, place: &Place, endpoint: &str, keys: &Keys) -> Result<Token, Error> {
    let response = http::send(client, || {
        let mut request = http::post_json(endpoint, "application/x-amz-json-1.1", "{}")?;
        http::header(&mut request, "x-amz-target", place.target, false)?;
        sign(&mut request, keys, place.service, &place.region, Timestamp::now())?;
        Ok(request)
    });
    let body = http::read(response.await?, http::MAX_PAGE).await?;
    // The parser's own words could quote the token.
    let none =
        || Error::Answer { url: endpoint.to_owned(), problem: "it has no authorization token".to_owned() };
    let answer: Value = serde_json::from_slice(&body).map_err(|_| none())?;
    // The public registry sends one, the private one a list.
    let data = &answer["authorizationData"];
    let data = if data.is_array() { &data[0] } else { data };
    let token = data["authorizationToken"].as_str().and_then(|token| STANDARD.decode(token).ok());
    let token = token.and_then(|token| String::from_utf8(token).ok()).ok_or_else(none)?;
    let until = data["expiresAt"].as_f64().unwrap_or_default();
    let life = until - Timestamp::now().as_second() as f64;
    Ok(Token { value: token, life: Duration::try_from_secs_f64(life).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_amazon_s_hosts_are_registries() {
        let endpoint = |host: &str| Place::of(host).map(|place| place.endpoint);
        for (host, expected) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "https://api.ecr.eu-west-1.amazonaws.com/"),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "https://api.ecr.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "https://ecr-fips.us-gov-west-1.amazonaws.com/",
            ),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", "https://api.ecr.eu-west-1.amazonaws.com/"),
            ("public.ecr.aws", "https://api.ecr-public.us-east-1.amazonaws.com/"),
        ] {
            assert_eq!(endpoint(host).as_deref(), Some(expected), "{host}");
        }
        for host in [
            "ghcr.io",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.test",
            "evil.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:8443",
            "123456789012.dkr.ecr.amazonaws.com",
        ] {
            assert_eq!(endpoint(host), None, "{host}");
        }
    }
}

//! Amazon's Elastic Kubernetes Service.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use reqwest::{Client, Url};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{ClusterName, Place, is_name};
use crate::aws::{signature, token_service};
use crate::registry::Role;
use crate::{AwsLogin, Error, Keys, Token, Tokens, http, sign, variable};

/// How long a signed URL opens the cluster, and how long it is used.
const LIFE: Duration = Duration::from_mins(15);
const USE: Duration = Duration::from_mins(12);

pub(super) fn parse(arn: &str) -> Result<ClusterName, Error> {
    let invalid = || {
        Error::Options(format!(
            "'{arn}' is no ARN of a cluster: it must be arn:aws:eks:<region>:<account>:cluster/<name>"
        ))
    };
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "eks", region, account, cluster] = parts.as_slice() else { return Err(invalid()) };
    let name = cluster.strip_prefix("cluster/").ok_or_else(invalid)?;
    let plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let known = partition.starts_with("aws")
        && plain(region)
        && !account.is_empty()
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && is_name(name);
    if !known {
        return Err(invalid());
    }
    Ok(ClusterName::Eks { region: (*region).to_owned(), name: name.to_owned() })
}

async fn keys(client: &Client, tokens: &Tokens, role: Option<&Role>, region: &str) -> Result<Keys, Error> {
    let (region, endpoint) = (region.to_owned(), variable("AWS_ENDPOINT_URL_STS"));
    let login = match role.cloned() {
        Some(Role { role, token }) => AwsLogin::WebIdentity { role, token, region, endpoint },
        None => AwsLogin::Ambient { region, endpoint },
    };
    let keys = login.keys(client, tokens).await?;
    keys.ok_or_else(|| Error::Credentials("no AWS credentials were found".to_owned()))
}

/// `DescribeCluster`.
pub(super) async fn place(
    client: &Client,
    tokens: &Tokens,
    role: Option<&Role>,
    region: &str,
    name: &str,
) -> Result<Place, Error> {
    let keys = keys(client, tokens, role, region).await?;
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let own = format!("https://eks.{region}.{domain}");
    let endpoint = variable("AWS_ENDPOINT_URL_EKS").unwrap_or(own);
    let url = format!("{}/clusters/{name}", endpoint.trim_end_matches('/'));
    let response = http::send(client, || {
        let mut request = http::get(&url)?;
        sign(&mut request, &keys, "eks", region, Timestamp::now())?;
        Ok(request)
    });
    let body = http::read(response.await?, http::MAX_PAGE).await?;
    let none =
        || Error::Answer { url: url.clone(), problem: "it has no endpoint and certificates".to_owned() };
    let answer: Value = serde_json::from_slice(&body).map_err(|_| none())?;
    let address = answer["cluster"]["endpoint"].as_str().ok_or_else(none)?.to_owned();
    let authorities = answer["cluster"]["certificateAuthority"]["data"].as_str();
    let authorities = authorities.and_then(|data| STANDARD.decode(data).ok());
    let authorities = authorities.and_then(|data| String::from_utf8(data).ok()).ok_or_else(none)?;
    Ok(Place { address, authorities })
}

/// A URL that asks the token service who has signed it: the cluster asks it to know.
pub(super) async fn token(
    client: &Client,
    tokens: &Tokens,
    role: Option<&Role>,
    region: &str,
    name: &str,
) -> Result<Token, Error> {
    let keys = keys(client, tokens, role, region).await?;
    let service = token_service(region);
    let url = signed(&service, &keys, region, name, Timestamp::now())?;
    Ok(Token { value: format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url)), life: USE })
}

fn signed(service: &str, keys: &Keys, region: &str, name: &str, now: Timestamp) -> Result<String, Error> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = time.get(..8).unwrap_or_default();
    let problem = |error| Error::Options(format!("the endpoint makes no valid URL: {error}"));
    let base = Url::parse(service).map_err(problem)?;
    let host = match (base.host_str().unwrap_or_default(), base.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let credential = format!("{}/{date}/{region}/sts/aws4_request", keys.access_key);
    let seconds = LIFE.as_secs().to_string();
    // In the order of their names, as the signature wants it.
    let mut parameters = vec![
        ("Action", "GetCallerIdentity"),
        ("Version", "2011-06-15"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", &time),
        ("X-Amz-Expires", &seconds),
    ];
    if let Some(session) = &keys.session_token {
        parameters.push(("X-Amz-Security-Token", session));
    }
    parameters.push(("X-Amz-SignedHeaders", "host;x-k8s-aws-id"));
    let query: Vec<String> =
        parameters.iter().map(|(key, value)| format!("{key}={}", http::encode(value, false))).collect();
    let query = query.join("&");
    let payload = http::hex(&Sha256::digest(b""));
    let canonical =
        format!("GET\n/\n{query}\nhost:{host}\nx-k8s-aws-id:{name}\n\nhost;x-k8s-aws-id\n{payload}");
    let signature = signature(keys, "sts", region, &time, &http::hex(&Sha256::digest(canonical)))?;
    Ok(format!("{}://{host}/?{query}&X-Amz-Signature={signature}", base.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clusters_are_taken_apart() {
        let found = parse("arn:aws:eks:eu-west-1:123456789012:cluster/prod").unwrap();
        assert_eq!(found, ClusterName::Eks { region: "eu-west-1".into(), name: "prod".into() });
        for wrong in [
            "arn:aws:eks:eu-west-1:123456789012:cluster/../x",
            "arn:aws:eks:evil.example.com/:1:cluster/prod",
            "arn:aws:s3:eu-west-1:1:cluster/prod",
            "prod",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    /// The signature comes from another program, by the rules of Amazon's documentation.
    #[test]
    fn the_url_names_who_signs_and_what_for() {
        let keys = Keys {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: Some("a/b=".into()),
        };
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let url = signed("https://sts.us-east-1.amazonaws.com", &keys, "us-east-1", "prod", now).unwrap();
        let expected = "https://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15\
            &X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20150830T123600Z\
            &X-Amz-Expires=900&X-Amz-Security-Token=a%2Fb%3D&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id\
            &X-Amz-Signature=073d12961ad7d5c3f5ac2be279c75806ab62038e0931469f38669a97bfdab368";
        assert_eq!(url, expected);
    }
}

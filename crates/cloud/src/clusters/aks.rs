//! Microsoft's Azure Kubernetes Service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::Value;

use super::{ClusterName, Place, SHORT, is_name};
use crate::{AzureIdentity, Error, Token, Tokens, http};

/// The application that the API servers of all clusters are.
const SERVERS: &str = "6dae42f8-4368-4678-94ff-3960e28e3630/.default";
const MANAGEMENT: &str = "https://management.azure.com";
/// The version of the API.
const VERSION: &str = "2024-05-01";

pub(super) fn parse(id: &str) -> Result<ClusterName, Error> {
    let parts: Vec<&str> = id.split('/').collect();
    let known = match parts.as_slice() {
        ["", subscriptions, subscription, groups, group, providers, provider, clusters, name] => {
            [(subscriptions, "subscriptions"), (groups, "resourceGroups"), (providers, "providers")]
                .into_iter()
                .chain([(provider, "Microsoft.ContainerService"), (clusters, "managedClusters")])
                .all(|(part, expected)| part.eq_ignore_ascii_case(expected))
                && [subscription, group, name].into_iter().all(|part| is_name(part))
        }
        _ => false,
    };
    if known {
        return Ok(ClusterName::Aks(id.to_owned()));
    }
    Err(Error::Options(format!(
        "'{id}' is no resource of a cluster: it must be /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.ContainerService/managedClusters/<name>"
    )))
}

async fn ask(
    client: &Client,
    tokens: &Tokens,
    identity: &AzureIdentity,
    scope: &str,
) -> Result<String, Error> {
    let token = identity.token(client, tokens, scope).await?;
    token.ok_or_else(|| Error::Credentials("no Azure identity was found".to_owned()))
}

/// `listClusterUserCredential`: a kubeconfig without a secret, of which the server and its certificates are taken.
pub(super) async fn place(
    client: &Client,
    tokens: &Tokens,
    identity: &AzureIdentity,
    id: &str,
) -> Result<Place, Error> {
    let token = ask(client, tokens, identity, &format!("{MANAGEMENT}/.default")).await?;
    let url = format!("{MANAGEMENT}{id}/listClusterUserCredential?api-version={VERSION}");
    let response = http::send(client, || {
        let mut request = http::post_json(&url, "application/json", "{}")?;
        http::header(&mut request, "authorization", &format!("Bearer {token}"), true)?;
        Ok(request)
    });
    let body = http::read(response.await?, http::MAX_PAGE).await?;
    let none = || Error::Answer {
        url: format!("{MANAGEMENT}{id}/listClusterUserCredential"),
        problem: "it has no kubeconfig with a server and its certificates".to_owned(),
    };
    let answer: Value = serde_json::from_slice(&body).map_err(|_| none())?;
    let config = answer["kubeconfigs"][0]["value"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let config = config.and_then(|config| String::from_utf8(config).ok()).ok_or_else(none)?;
    let field = |name: &str| {
        let value = config.lines().find_map(|line| line.trim_start_matches(['-', ' ']).strip_prefix(name));
        value.map(|value| value.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    let address = field("server:").ok_or_else(none)?;
    let authorities = field("certificate-authority-data:").and_then(|data| STANDARD.decode(data).ok());
    let authorities = authorities.and_then(|data| String::from_utf8(data).ok()).ok_or_else(none)?;
    Ok(Place { address, authorities })
}

pub(super) async fn token(
    client: &Client,
    tokens: &Tokens,
    identity: &AzureIdentity,
) -> Result<Token, Error> {
    Ok(Token { value: ask(client, tokens, identity, SERVERS).await?, life: SHORT })
}

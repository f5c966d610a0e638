//! Google's Kubernetes Engine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::Value;

use super::{ClusterName, Place, SHORT, is_name};
use crate::gcp::PLATFORM_SCOPE;
use crate::{Error, GcpLogin, Token, Tokens, http};

const SERVICE: &str = "https://container.googleapis.com/v1";

pub(super) fn parse(name: &str) -> Result<ClusterName, Error> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["projects", project, "locations", location, "clusters", cluster]
            // The project of a domain has a colon.
            if is_name(&project.replacen(':', "-", 1)) && is_name(location) && is_name(cluster) =>
        {
            Ok(ClusterName::Gke(name.to_owned()))
        }
        _ => Err(Error::Options(format!(
            "'{name}' is no name of a cluster: it must be projects/<project>/locations/<location>/clusters/<name>"
        ))),
    }
}

async fn ask(client: &Client, tokens: &Tokens, login: &GcpLogin) -> Result<String, Error> {
    let token = login.token(client, tokens, PLATFORM_SCOPE).await?;
    token.ok_or_else(|| Error::Credentials("no Google credentials were found".to_owned()))
}

/// `projects.locations.clusters.get`.
pub(super) async fn place(
    client: &Client,
    tokens: &Tokens,
    login: &GcpLogin,
    name: &str,
) -> Result<Place, Error> {
    let token = ask(client, tokens, login).await?;
    let url = format!("{SERVICE}/{name}");
    let response = http::send(client, || {
        let mut request = http::get(&url)?;
        http::header(&mut request, "authorization", &format!("Bearer {token}"), true)?;
        Ok(request)
    });
    let body = http::read(response.await?, http::MAX_PAGE).await?;
    let none =
        || Error::Answer { url: url.clone(), problem: "it has no endpoint and certificates".to_owned() };
    let answer: Value = serde_json::from_slice(&body).map_err(|_| none())?;
    let endpoint = answer["endpoint"].as_str().filter(|endpoint| !endpoint.is_empty()).ok_or_else(none)?;
    let authorities = answer["masterAuth"]["clusterCaCertificate"].as_str();
    let authorities = authorities.and_then(|data| STANDARD.decode(data).ok());
    let authorities = authorities.and_then(|data| String::from_utf8(data).ok()).ok_or_else(none)?;
    Ok(Place { address: format!("https://{endpoint}"), authorities })
}

pub(super) async fn token(client: &Client, tokens: &Tokens, login: &GcpLogin) -> Result<Token, Error> {
    Ok(Token { value: ask(client, tokens, login).await?, life: SHORT })
}

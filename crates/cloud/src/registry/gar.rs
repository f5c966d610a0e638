//! Google's Artifact Registry and Container Registry: the password is an access token.

use reqwest::Client;

use super::Login;
use crate::gcp::PLATFORM_SCOPE;
use crate::{Error, GcpLogin, Tokens};

pub(super) fn is_registry(host: &str) -> bool {
    host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with("-docker.pkg.dev")
}

pub(super) async fn login(client: &Client, tokens: &Tokens, login: &GcpLogin) -> Result<Login, Error> {
    let token = login.token(client, tokens, PLATFORM_SCOPE).await?;
    let token = token.ok_or_else(|| Error::Credentials("no Google credentials were found".to_owned()))?;
    Ok(Login { username: "oauth2accesstoken".to_owned(), password: token })
}

//! User names and passwords for the registries of the clouds.
//!
//! A login is only made for hosts that are the cloud's own: a reference must not make a token go elsewhere.

mod acr;
mod ecr;
mod gar;

use reqwest::Client;

use crate::{AwsLogin, AzureIdentity, Error, GcpLogin, Tokens, variable};

/// A user name and a password, good for a while.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.username)
    }
}

/// As whom to log in, and where.
#[derive(Clone, Debug)]
pub enum Cloud {
    /// Amazon's registries. `role` and `token` are of an identity that Amazon trusts; without, it is that of the
    /// surroundings.
    Aws(Option<Role>),
    /// Google's registries.
    Gcp(GcpLogin),
    /// Microsoft's registries.
    Azure(AzureIdentity),
}

/// A role at Amazon, and the token of an identity that may take it.
#[derive(Clone)]
pub struct Role {
    /// The role's name (ARN).
    pub role: String,
    /// The token.
    pub token: String,
}

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Role({})", self.role)
    }
}

/// Logs in at the registry `host`.
pub async fn login(client: &Client, tokens: &Tokens, host: &str, cloud: &Cloud) -> Result<Login, Error> {
    let foreign = |cloud: &str| Error::Options(format!("'{host}' is no registry of {cloud}"));
    match cloud {
        Cloud::Aws(role) => {
            let place = ecr::Place::of(host).ok_or_else(|| foreign("aws"))?;
            let region = place.region.clone();
            let endpoint = variable("AWS_ENDPOINT_URL_STS");
            let login = match role.clone() {
                Some(Role { role, token }) => AwsLogin::WebIdentity { role, token, region, endpoint },
                None => AwsLogin::Ambient { region, endpoint },
            };
            let keys = login.keys(client, tokens).await?;
            let keys = keys.ok_or_else(|| Error::Credentials("no AWS credentials were found".to_owned()))?;
            ecr::login(client, tokens, &place, &keys).await
        }
        Cloud::Gcp(login) => {
            if !gar::is_registry(host) {
                return Err(foreign("gcp"));
            }
            gar::login(client, tokens, login).await
        }
        Cloud::Azure(identity) => {
            let cloud = acr::Place::of(host).ok_or_else(|| foreign("azure"))?;
            acr::login(client, tokens, &cloud, identity).await
        }
    }
}

/// Both in one text, to be kept as a token is.
fn joined(username: &str, password: &str) -> String {
    format!("{username}:{password}")
}

fn split(text: &str) -> Result<Login, Error> {
    let (username, password) =
        text.split_once(':').ok_or_else(|| Error::Credentials("the token is no login".to_owned()))?;
    Ok(Login { username: username.to_owned(), password: password.to_owned() })
}

//! Logging in at the Git services of the clouds: Azure DevOps and CodeCommit.
//!
//! As with [`crate::registry`], a login is only made for hosts that are the cloud's own.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use sha2::{Digest as _, Sha256};

use crate::aws::signature;
use crate::hosts::is_devops_host;
use crate::registry::{Cloud, Role};
use crate::tokens::Token;
use crate::{AwsLogin, Error, Keys, Tokens, http, variable};

/// The scope of Azure DevOps, whose name is a number that is the same for everybody.
const DEVOPS_SCOPE: &str = "499b84ac-1321-427f-aa17-267ca6975798/.default";
/// Amazon takes a signature for a quarter of an hour. It is used again for four fifths of this time.
const SIGNATURE_LIFE: Duration = Duration::from_mins(10);

/// What a Git server of a cloud takes over HTTPS.
#[derive(Clone, PartialEq, Eq)]
pub enum GitLogin {
    /// A user name and a password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// A token.
    Bearer(String),
}

impl std::fmt::Debug for GitLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GitLogin(…)")
    }
}

/// Logs in for the repository at `path` of `host`, which is asked over HTTPS and at the usual port.
pub async fn login(
    client: &Client,
    tokens: &Tokens,
    host: &str,
    path: &str,
    cloud: &Cloud,
) -> Result<GitLogin, Error> {
    let foreign = |service: &str| Error::Options(format!("'{host}' is no host of {service}"));
    match cloud {
        Cloud::Azure(identity) => {
            if !is_devops_host(host) {
                return Err(foreign("Azure DevOps"));
            }
            let token = identity.token(client, tokens, DEVOPS_SCOPE).await?;
            let none = || Error::Credentials("no Azure identity was found".to_owned());
            Ok(GitLogin::Bearer(token.ok_or_else(none)?))
        }
        Cloud::Aws(role) => {
            let region = codecommit_region(host).ok_or_else(|| foreign("CodeCommit"))?.to_owned();
            let endpoint = variable("AWS_ENDPOINT_URL_STS");
            let login = match role.clone() {
                Some(Role { role, token }) => {
                    AwsLogin::WebIdentity { role, token, region: region.clone(), endpoint }
                }
                None => AwsLogin::Ambient { region: region.clone(), endpoint },
            };
            let keys = login.keys(client, tokens).await?;
            let keys = keys.ok_or_else(|| Error::Credentials("no AWS credentials were found".to_owned()))?;
            let session = keys.session_token.as_deref().unwrap_or_default();
            let key = ["codecommit", host, path, &keys.access_key, &keys.secret_key, session];
            let sign = async {
                let value = codecommit_password(&keys, host, path, &region, Timestamp::now())?;
                Ok(Token { value, life: SIGNATURE_LIFE })
            };
            let password = tokens.get(&key, sign).await?;
            let username = match &keys.session_token {
                Some(session) => format!("{}%{session}", keys.access_key),
                None => keys.access_key.clone(),
            };
            Ok(GitLogin::Basic { username, password })
        }
        Cloud::Gcp(_) => Err(Error::Options("Google has no Git service that takes its tokens".to_owned())),
    }
}

/// The region in a host such as `git-codecommit.eu-west-1.amazonaws.com`.
fn codecommit_region(host: &str) -> Option<&str> {
    let rest = host.strip_prefix("git-codecommit-fips.").or_else(|| host.strip_prefix("git-codecommit."))?;
    let region = rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!region.is_empty() && region.bytes().all(plain)).then_some(region)
}

/// A signature of the repository itself: what Amazon's own helper for Git gives as the password.
fn codecommit_password(
    keys: &Keys,
    host: &str,
    path: &str,
    region: &str,
    now: Timestamp,
) -> Result<String, Error> {
    let time = now.strftime("%Y%m%dT%H%M%S").to_string();
    let digest = http::hex(&Sha256::digest(format!("GIT\n{path}\n\nhost:{host}\n\nhost\n")));
    Ok(format!("{time}Z{}", signature(keys, "codecommit", region, &time, &digest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clouds_own_hosts_get_a_login() {
        for host in ["dev.azure.com", "acme.visualstudio.com"] {
            assert!(is_devops_host(host), "{host}");
        }
        for host in
            ["dev.azure.com.example.test", "visualstudio.com", ".visualstudio.com", "evil-dev.azure.com"]
        {
            assert!(!is_devops_host(host), "{host}");
        }
        assert_eq!(codecommit_region("git-codecommit.eu-west-1.amazonaws.com"), Some("eu-west-1"));
        assert_eq!(codecommit_region("git-codecommit-fips.us-east-2.amazonaws.com"), Some("us-east-2"));
        assert_eq!(codecommit_region("git-codecommit.cn-north-1.amazonaws.com.cn"), Some("cn-north-1"));
        for host in [
            "git-codecommit.amazonaws.com",
            "git-codecommit.a.b.amazonaws.com",
            "git-codecommit.eu-west-1.amazonaws.com.example.test",
            "codecommit.eu-west-1.amazonaws.com",
        ] {
            assert_eq!(codecommit_region(host), None, "{host}");
        }
    }

    /// What botocore's signer, as git-remote-codecommit calls it, gives for the same keys, time and repository.
    #[test]
    fn the_password_is_that_of_amazon_s_helper() {
        let keys = Keys {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let host = "git-codecommit.eu-west-1.amazonaws.com";
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let password = codecommit_password(&keys, host, "/v1/repos/app", "eu-west-1", now).unwrap();
        assert_eq!(
            password,
            "20150830T123600Z33e07419bf0e2cfbfa518e1e3f6843bf6c7e33a3cdffe75916fd00cdfe98f544"
        );
    }
}

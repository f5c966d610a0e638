//! Logging in at Azure.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use reqwest::Client;
use sha1::{Digest as _, Sha1};

use crate::gcp::access_token;
use crate::tokens::Token;
use crate::{Error, Tokens, http, variable};

const AUTHORITY: &str = "https://login.microsoftonline.com";
const INSTANCE: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// As whom to ask for a token.
#[derive(Clone)]
pub enum AzureIdentity {
    /// As an application, with a secret.
    Secret {
        /// The host that issues tokens, or nothing for the public one.
        authority: String,
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// Its secret.
        secret: String,
    },
    /// As an application, with a certificate and its key in PEM.
    Certificate {
        /// The host that issues tokens, or nothing for the public one.
        authority: String,
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// The certificate and the key.
        pem: String,
        /// Whether the certificate goes along.
        send_chain: bool,
    },
    /// As an application that trusts the issuer of a token, such as a cluster.
    Federated {
        /// The host that issues tokens, or nothing for the public one.
        authority: String,
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// The token.
        token: String,
    },
    /// With the identity of the machine; of several the one named.
    Managed(Option<String>),
    /// As what surrounds the process says; without anything there, not at all.
    Ambient,
}

impl std::fmt::Debug for AzureIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AzureIdentity(…)")
    }
}

impl AzureIdentity {
    /// A token for a scope such as `https://storage.azure.com/.default`. None where the surroundings have no identity.
    pub async fn token(&self, http: &Client, tokens: &Tokens, scope: &str) -> Result<Option<String>, Error> {
        let token = match self {
            AzureIdentity::Secret { authority, tenant, client, secret } => {
                let form = [("client_secret", secret.as_str())];
                application(http, tokens, authority, tenant, client, scope, &form).await?
            }
            AzureIdentity::Certificate { authority, tenant, client, pem, send_chain } => {
                let url = token_url(authority, tenant)?;
                tokens
                    .get(&["certificate", &url, client, scope, pem], async {
                        let assertion = assertion(&url, client, pem, *send_chain)?;
                        let form = [("client_assertion_type", ASSERTION), ("client_assertion", &assertion)];
                        ask(http, &url, client, scope, &form).await
                    })
                    .await?
            }
            AzureIdentity::Federated { authority, tenant, client, token } => {
                let form = [("client_assertion_type", ASSERTION), ("client_assertion", token)];
                application(http, tokens, authority, tenant, client, scope, &form).await?
            }
            AzureIdentity::Managed(client) => {
                let id = client.as_deref().unwrap_or_default();
                tokens.get(&["managed", id, scope], managed(http, id, scope)).await?
            }
            AzureIdentity::Ambient => return ambient(http, tokens, scope).await,
        };
        Ok(Some(token))
    }
}

fn token_url(authority: &str, tenant: &str) -> Result<String, Error> {
    let authority = if authority.is_empty() { AUTHORITY } else { authority.trim_end_matches('/') };
    // The secret goes there.
    if !authority.starts_with("https://") && !authority.starts_with("http://127.0.0.1") {
        return Err(Error::Credentials("the authority host must begin with https://".to_owned()));
    }
    Ok(format!("{authority}/{}/oauth2/v2.0/token", http::encode(tenant, false)))
}

async fn application(
    http: &Client,
    tokens: &Tokens,
    authority: &str,
    tenant: &str,
    client: &str,
    scope: &str,
    form: &[(&str, &str)],
) -> Result<String, Error> {
    let url = token_url(authority, tenant)?;
    let mut key = vec!["application", &url, client, scope];
    key.extend(form.iter().map(|(_, value)| *value));
    tokens.get(&key, ask(http, &url, client, scope, form)).await
}

async fn ask(
    http: &Client,
    url: &str,
    client: &str,
    scope: &str,
    form: &[(&str, &str)],
) -> Result<Token, Error> {
    let mut whole = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", scope)];
    whole.extend_from_slice(form);
    access_token(http::send(http, || http::post_form(http, url, &whole)).await?).await
}

/// What proves that one has the key of a certificate that the application knows.
fn assertion(url: &str, client: &str, pem: &str, send_chain: bool) -> Result<String, Error> {
    let blocks = |label: &str| -> Vec<String> {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let bodies = pem.split(begin.as_str()).skip(1).filter_map(|rest| rest.split_once(end.as_str()));
        bodies.map(|(body, _)| body.split_whitespace().collect()).collect()
    };
    let certificates = blocks("CERTIFICATE");
    let invalid = |what: &str| Error::Credentials(format!("the client certificate {what}"));
    let first = certificates.first().ok_or_else(|| invalid("is not in PEM format"))?;
    let der = STANDARD.decode(first).map_err(|_| invalid("is not in PEM format"))?;
    let mut header = serde_json::json!({"x5t": URL_SAFE_NO_PAD.encode(Sha1::digest(&der))});
    if send_chain {
        header["x5c"] = certificates.clone().into();
    }
    let now = Timestamp::now().as_second();
    let claims = serde_json::json!({
        "aud": url, "iss": client, "sub": client, "jti": format!("{now}-{client}"), "nbf": now - 30,
        "exp": now + 600,
    });
    let label = ["PRIVATE KEY", "RSA PRIVATE KEY"].into_iter().find(|label| !blocks(label).is_empty());
    let label = label.ok_or_else(|| invalid("has no private key beside it"))?;
    let key = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", wrapped(&blocks(label)[0]));
    Ok(sluice_jwt::sign(&claims, &header, key.as_bytes())?)
}

fn wrapped(base64: &str) -> String {
    let lines: Vec<&str> =
        base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    lines.join("\n")
}

async fn managed(http: &Client, client: &str, scope: &str) -> Result<Token, Error> {
    let resource = http::encode(scope.trim_end_matches("/.default"), false);
    let mut url = format!("{INSTANCE}?api-version=2018-02-01&resource={resource}");
    if !client.is_empty() {
        url.push_str(&format!("&client_id={}", http::encode(client, false)));
    }
    let response = http::send(http, || {
        let mut request = http::get(&url)?;
        http::header(&mut request, "metadata", "true", false)?;
        Ok(request)
    });
    let response = tokio::time::timeout(Duration::from_secs(10), response).await;
    let none = |cause: String| Error::Credentials(format!("no managed identity was found{cause}"));
    let response = response.map_err(|_| none(String::new()))?;
    access_token(response.map_err(|error| none(format!(": {error}")))?).await
}

async fn ambient(http: &Client, tokens: &Tokens, scope: &str) -> Result<Option<String>, Error> {
    let authority = variable("AZURE_AUTHORITY_HOST").unwrap_or_default();
    let client = variable("AZURE_CLIENT_ID");
    let login = match (variable("AZURE_TENANT_ID"), client.clone()) {
        (Some(tenant), Some(client)) => {
            if let Some(secret) = variable("AZURE_CLIENT_SECRET") {
                Some(AzureIdentity::Secret { authority, tenant, client, secret })
            } else if let Some(path) = variable("AZURE_FEDERATED_TOKEN_FILE") {
                let token = tokio::fs::read_to_string(&path).await;
                let token =
                    token.map_err(|error| Error::Credentials(format!("cannot read {path}: {error}")))?;
                Some(AzureIdentity::Federated { authority, tenant, client, token: token.trim().to_owned() })
            } else {
                None
            }
        }
        _ => None,
    };
    if let Some(login) = login {
        return Box::pin(login.token(http, tokens, scope)).await;
    }
    // What is public needs no login, and a machine may have no identity.
    Ok(Box::pin(AzureIdentity::Managed(client).token(http, tokens, scope)).await.unwrap_or_default())
}

//! Where keys come from.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Method, Request, Response};
use serde::{Deserialize, Serialize};

use super::sign;
use crate::tokens::Token;
use crate::{Error, Tokens, http, variable, xml};

/// The version of the token service.
const VERSION: &str = "2011-06-15";
/// What sessions are called in Amazon's logs.
const SESSION: &str = "sluice";
/// What instances ask for their role.
const INSTANCE: &str = "http://169.254.169.254";
/// Where containers without a full address ask.
const CONTAINER: &str = "http://169.254.170.2";

/// Keys with which requests are signed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The key's name.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
    /// What belongs to temporary keys.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

/// A login at a token service that asks a directory.
#[derive(Clone, PartialEq, Eq)]
pub struct Ldap {
    /// The service's URL.
    pub endpoint: String,
    /// The user there.
    pub username: String,
    /// The user's password.
    pub password: String,
}

impl std::fmt::Debug for Ldap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ldap(…)")
    }
}

/// How to get keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsLogin {
    /// None: what is public can be read.
    Anonymous,
    /// They are here.
    Keys(Keys),
    /// From a token service with LDAP credentials.
    Ldap(Ldap),
    /// For a role that trusts the issuer of a token, such as a cluster. `endpoint`: of the token service, where not
    /// the region's.
    WebIdentity {
        /// The role.
        role: String,
        /// The token.
        token: String,
        /// The region of the token service.
        region: String,
        /// The URL of the token service.
        endpoint: Option<String>,
    },
    /// For a role, which the keys of another login may take on.
    Assumed {
        /// The role.
        role: String,
        /// Who takes it on.
        by: Box<AwsLogin>,
        /// The region of the token service.
        region: String,
        /// The URL of the token service.
        endpoint: Option<String>,
    },
    /// From what surrounds the process: variables, token files, the container's or the instance's role.
    Ambient {
        /// The region of the token service.
        region: String,
        /// The URL of the token service.
        endpoint: Option<String>,
    },
}

impl AwsLogin {
    /// The keys, if there are any to be had.
    pub async fn keys(&self, client: &Client, tokens: &Tokens) -> Result<Option<Keys>, Error> {
        let text = match self {
            AwsLogin::Anonymous => return Ok(None),
            AwsLogin::Keys(keys) => return Ok(Some(keys.clone())),
            AwsLogin::Ldap(Ldap { endpoint, username, password }) => {
                let form = [
                    ("Action", "AssumeRoleWithLDAPIdentity"),
                    ("Version", VERSION),
                    ("LDAPUsername", username),
                    ("LDAPPassword", password),
                ];
                tokens.get(&["ldap", endpoint, username, password], assume(client, endpoint, &form)).await?
            }
            AwsLogin::WebIdentity { role, token, region, endpoint } => {
                web_identity(client, tokens, role, token, region, endpoint.as_deref()).await?
            }
            AwsLogin::Assumed { role, by, region, endpoint } => {
                let Some(keys) = Box::pin(by.keys(client, tokens)).await? else {
                    return Err(Error::Credentials(format!("nobody is there to take on the role {role}")));
                };
                assume_role(client, tokens, role, &keys, region, endpoint.as_deref()).await?
            }
            AwsLogin::Ambient { region, endpoint } => {
                return ambient(client, tokens, region, endpoint.as_deref()).await;
            }
        };
        parse(&text).map(Some)
    }
}

fn parse(text: &str) -> Result<Keys, Error> {
    serde_json::from_str(text).map_err(|_| Error::Credentials("the kept keys cannot be read".to_owned()))
}

/// The token service of a region, or the one that the environment names.
pub(crate) fn token_service(region: &str) -> String {
    if let Some(endpoint) = variable("AWS_ENDPOINT_URL_STS") {
        return endpoint;
    }
    match region {
        "" => "https://sts.amazonaws.com".to_owned(),
        region if region.starts_with("cn-") => format!("https://sts.{region}.amazonaws.com.cn"),
        region => format!("https://sts.{region}.amazonaws.com"),
    }
}

async fn assume_role(
    client: &Client,
    tokens: &Tokens,
    role: &str,
    keys: &Keys,
    region: &str,
    endpoint: Option<&str>,
) -> Result<String, Error> {
    let regional = token_service(region);
    let endpoint = endpoint.unwrap_or(&regional);
    let form =
        [("Action", "AssumeRole"), ("Version", VERSION), ("RoleArn", role), ("RoleSessionName", SESSION)];
    let session = keys.session_token.as_deref().unwrap_or_default();
    let key = ["role", endpoint, role, &keys.access_key, &keys.secret_key, session];
    // The service that knows no region signs for the first one.
    let region = if region.is_empty() { "us-east-1" } else { region };
    let request = || {
        let mut request = http::post_form(client, endpoint, &form)?;
        sign(&mut request, keys, "sts", region, Timestamp::now())?;
        Ok(request)
    };
    tokens.get(&key, async { credentials(http::send(client, request).await?).await }).await
}

async fn web_identity(
    client: &Client,
    tokens: &Tokens,
    role: &str,
    token: &str,
    region: &str,
    endpoint: Option<&str>,
) -> Result<String, Error> {
    let regional = token_service(region);
    let endpoint = endpoint.unwrap_or(&regional);
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", VERSION),
        ("RoleArn", role),
        ("RoleSessionName", SESSION),
        ("WebIdentityToken", token),
    ];
    // The token changes all the time, the identity does not; but only the token says whose it is.
    tokens.get(&["web", endpoint, role, token], assume(client, endpoint, &form)).await
}

/// Asks a token service for keys.
async fn assume(client: &Client, endpoint: &str, form: &[(&str, &str)]) -> Result<Token, Error> {
    credentials(http::send(client, || http::post_form(client, endpoint, form)).await?).await
}

/// The keys of an answer of a token service.
async fn credentials(response: Response) -> Result<Token, Error> {
    let url = http::display(response.url());
    let body = http::read(response, http::MAX_PAGE).await?;
    let mut keys = Keys { access_key: String::new(), secret_key: String::new(), session_token: None };
    let mut expires = None;
    let read = xml::texts(&body, |path, text| {
        let Some((parent, name)) = path.rsplit_once('/') else { return };
        if parent.ends_with("/Credentials") {
            match name {
                "AccessKeyId" => keys.access_key = text,
                "SecretAccessKey" => keys.secret_key = text,
                "SessionToken" => keys.session_token = Some(text),
                "Expiration" => expires = text.parse().ok(),
                _ => {}
            }
        }
    });
    read.map_err(|problem| Error::Answer { url: url.clone(), problem })?;
    token(keys, expires).ok_or_else(|| Error::Answer { url, problem: "it has no keys".to_owned() })
}

fn token(keys: Keys, expires: Option<Timestamp>) -> Option<Token> {
    if keys.access_key.is_empty() || keys.secret_key.is_empty() {
        return None;
    }
    let life = expires.map_or(Duration::ZERO, |end| {
        Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default()
    });
    Some(Token { value: serde_json::to_string(&keys).ok()?, life })
}

async fn read_file(path: &str) -> Result<String, Error> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| Error::Credentials(format!("cannot read {path}: {error}")))?;
    Ok(text.trim().to_owned())
}

async fn ambient(
    client: &Client,
    tokens: &Tokens,
    region: &str,
    endpoint: Option<&str>,
) -> Result<Option<Keys>, Error> {
    if let (Some(access_key), Some(secret_key)) =
        (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    {
        return Ok(Some(Keys { access_key, secret_key, session_token: variable("AWS_SESSION_TOKEN") }));
    }
    if let (Some(role), Some(path)) = (variable("AWS_ROLE_ARN"), variable("AWS_WEB_IDENTITY_TOKEN_FILE")) {
        let token = read_file(&path).await?;
        return parse(&web_identity(client, tokens, &role, &token, region, endpoint).await?).map(Some);
    }
    let full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    if let Some(url) = full.or_else(|| relative.map(|path| format!("{CONTAINER}{path}"))) {
        let authorization = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(path) => Some(read_file(&path).await?),
            None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        let header = authorization.as_deref().map(|value| ("authorization", value));
        return parse(&tokens.get(&["container", &url], role_keys(client, &url, header)).await?).map(Some);
    }
    let base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| INSTANCE.to_owned());
    let base = base.trim_end_matches('/');
    parse(&tokens.get(&["instance", base], instance(client, base)).await?).map(Some)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<Timestamp>,
}

async fn role_keys(client: &Client, url: &str, header: Option<(&'static str, &str)>) -> Result<Token, Error> {
    let response = http::send(client, || {
        let mut request = http::get(url)?;
        if let Some((name, value)) = header {
            http::header(&mut request, name, value, true)?;
        }
        Ok(request)
    });
    let body = http::read(response.await?, http::MAX_PAGE).await?;
    let none = || Error::Credentials("the role's keys cannot be read".to_owned());
    let role: RoleKeys = serde_json::from_slice(&body).map_err(|_| none())?;
    let keys = Keys {
        access_key: role.access_key_id,
        secret_key: role.secret_access_key,
        session_token: role.token,
    };
    token(keys, role.expiration).ok_or_else(none)
}

/// The role of the instance that the process runs on.
async fn instance(client: &Client, base: &str) -> Result<Token, Error> {
    let session = http::send(client, || {
        let mut request = http::get(&format!("{base}/latest/api/token"))?;
        *request.method_mut() = Method::PUT;
        http::header(&mut request, "x-aws-ec2-metadata-token-ttl-seconds", "300", false)?;
        Ok::<Request, Error>(request)
    });
    // Where there is no such service the wait would be long.
    let session = tokio::time::timeout(Duration::from_secs(5), session).await;
    let session = session.map_err(|_| Error::Credentials("no AWS credentials were found".to_owned()))?;
    let session = match session {
        Ok(response) => String::from_utf8_lossy(&http::read(response, 4096).await?).into_owned(),
        Err(error) => return Err(Error::Credentials(format!("no AWS credentials were found: {error}"))),
    };
    let header = ("x-aws-ec2-metadata-token", session.as_str());
    let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
    let response = http::send(client, || {
        let mut request = http::get(&roles)?;
        http::header(&mut request, header.0, header.1, true)?;
        Ok(request)
    });
    let role = String::from_utf8_lossy(&http::read(response.await?, 4096).await?).into_owned();
    let role = role.lines().next().unwrap_or_default().trim().to_owned();
    role_keys(client, &format!("{roles}{}", http::encode(&role, false)), Some(header)).await
}

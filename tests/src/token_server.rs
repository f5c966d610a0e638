//! The service that a registry sends its clients to for tokens.

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a registry must know as its issuer and service.
pub(crate) const ISSUER: &str = "sluice-tests";
pub(crate) const SERVICE: &str = "registry";

/// Who may do what: a user with his password and refresh token, and the beginning of the repositories that are his.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
    pub(crate) refresh: &'static str,
    pub(crate) prefix: &'static str,
}

/// A token service on loopback. It ends with this value.
#[derive(Debug)]
pub(crate) struct TokenServer {
    pub(crate) realm: String,
    /// The certificate that tokens are checked with, as PEM.
    pub(crate) certificate: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Service {
    users: Vec<User>,
    key: EcdsaKeyPair,
    certificate: Vec<u8>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl TokenServer {
    pub(crate) async fn start(users: Vec<User>) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&key)?;
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der(), &random);
        let pair = pair.map_err(|error| anyhow::anyhow!("the key is refused: {error}"))?;
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let service =
            Service { users, key: pair, certificate: certificate.der().to_vec(), asked: asked.clone() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let realm = format!("http://{}/token", listener.local_addr()?);
        let routes =
            Router::new().route("/token", get(by_login).post(by_refresh)).with_state(Arc::new(service));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { realm, certificate: certificate.pem(), asked, task })
    }

    /// For whom tokens were asked so far, and for what: `user scope`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The pairs of a query or a form.
fn pairs(text: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://x/?{text}"));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

async fn by_login(
    State(service): State<Arc<Service>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let pairs = pairs(&query.unwrap_or_default());
    let scopes: Vec<String> =
        pairs.into_iter().filter(|(key, _)| key == "scope").map(|(_, scope)| scope).collect();
    let login = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let decoded = login.and_then(|login| STANDARD.decode(login.strip_prefix("Basic ")?).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let user = match (login, text.as_deref().and_then(|text| text.split_once(':'))) {
        (None, _) => None,
        (_, Some((name, password))) => {
            let known = |user: &&User| user.name == name && user.password == password;
            match service.users.iter().find(known) {
                Some(user) => Some(user),
                None => return (StatusCode::UNAUTHORIZED, "wrong password").into_response(),
            }
        }
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    };
    service.answer(user, &scopes, "token")
}

async fn by_refresh(State(service): State<Arc<Service>>, body: String) -> Response {
    let form: HashMap<String, String> = pairs(&body).into_iter().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let known =
        |user: &&User| field("grant_type") == "refresh_token" && user.refresh == field("refresh_token");
    match service.users.iter().find(known) {
        Some(user) => service.answer(Some(user), &[field("scope").to_owned()], "access_token"),
        None => (StatusCode::UNAUTHORIZED, "wrong refresh token").into_response(),
    }
}

impl Service {
    fn answer(&self, user: Option<&User>, scopes: &[String], field: &str) -> Response {
        let name = user.map_or("nobody", |user| user.name);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.extend(scopes.iter().map(|scope| format!("{name} {scope}")));
        drop(asked);
        match self.token(user, scopes) {
            Ok(token) => json!({field: token, "expires_in": 300}).to_string().into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }

    fn token(&self, user: Option<&User>, scopes: &[String]) -> Result<String> {
        let granted = |scope: &String| -> Option<Value> {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            user.filter(|user| name.starts_with(user.prefix))?;
            let actions: Vec<_> = actions.split(',').collect();
            Some(json!({"type": kind, "name": name, "actions": actions}))
        };
        let access: Vec<Value> = scopes.iter().filter_map(granted).collect();
        let now = jiff::Timestamp::now().as_second();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)]});
        let claims = json!({
            "iss": ISSUER, "sub": user.map(|user| user.name).unwrap_or_default(), "aud": SERVICE,
            "exp": now + 300, "nbf": now - 10, "iat": now, "jti": now.to_string(), "access": access,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok().context("cannot sign")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

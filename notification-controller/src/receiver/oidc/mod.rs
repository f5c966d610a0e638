//! Senders that somebody vouches for: tokens of OpenID Connect issuers, whose keys are fetched and kept for a while.

mod rules;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use sluice_api::notification::ReceiverSpec;
use tokio::sync::Mutex;

use crate::jose::{Key, Token};
use crate::memo::Memo;
use crate::provider::{AddressPolicy, Client, HttpError, Request};

use rules::Rules;
pub(super) use rules::{Invalid, validate};

/// The audience of tokens for providers that name none.
const AUDIENCE: &str = "notification-controller";
/// Keys are fetched anew after this time.
const FRESH: Duration = Duration::from_hours(1);
/// A token with an unknown key has the keys fetched again, at most this often.
const AGAIN: Duration = Duration::from_secs(30);
/// Keys that cannot be fetched anew count for this time: an issuer that is away locks nobody out, and a key that it has
/// withdrawn is not good for ever.
const STALE: Duration = Duration::from_hours(24);
/// Issuers that are remembered.
const MAX_ISSUERS: usize = 256;
/// Keys of one issuer that are remembered.
const MAX_KEYS: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(8);

/// The keys of issuers.
pub(crate) struct Issuers {
    policy: AddressPolicy,
    /// By the provider of a spec, as JSON.
    rules: Memo<String, Result<Rules, String>>,
    known: Mutex<HashMap<String, Arc<Mutex<Option<Keys>>>>>,
}

struct Keys {
    keys: Vec<Key>,
    /// When they were fetched.
    since: Instant,
    /// When they were last asked for.
    asked: Instant,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

impl Issuers {
    /// Issuers at hosts that the policy allows.
    pub(crate) fn new(policy: AddressPolicy) -> Self {
        Self { policy, rules: Memo::default(), known: Mutex::default() }
    }

    /// Checks a token for one of the spec's providers, and returns its claims.
    pub(super) async fn check(&self, spec: &ReceiverSpec, token: &str, now: i64) -> Result<Value, String> {
        let token = Token::parse(token)?;
        // Worth nothing yet: it only says whose keys to take.
        let issuer = token.claims["iss"].as_str().unwrap_or_default();
        let provider = spec.oidc_providers.iter().find(|provider| provider.issuer_url == issuer);
        let provider =
            provider.ok_or_else(|| format!("no provider has the issuer '{issuer}' of the token"))?;
        self.verify(issuer, &token).await?;
        let audience = if provider.audience.is_empty() { AUDIENCE } else { &provider.audience };
        token.check_claims(audience, now)?;
        let key = serde_json::to_string(provider).map_err(|error| error.to_string())?;
        let rules = self.rules.get_or_insert(key.as_str(), || Rules::compile(provider));
        rules.as_ref().as_ref().map_err(Clone::clone)?.judge(&token.claims)?;
        Ok(token.claims)
    }

    /// Checks the signature of a token of an issuer.
    pub(super) async fn verify(&self, issuer: &str, token: &Token<'_>) -> Result<(), String> {
        let entry = {
            let mut known = self.known.lock().await;
            if known.len() >= MAX_ISSUERS && !known.contains_key(issuer) {
                // Whoever is forgotten is asked again.
                known.clear();
            }
            known.entry(issuer.to_owned()).or_default().clone()
        };
        // One request at a time for each issuer.
        let mut entry = entry.lock().await;
        let named = |keys: &Keys| match &token.key_id {
            Some(id) => keys.keys.iter().any(|key| key.kid.as_ref() == Some(id)),
            None => !keys.keys.is_empty(),
        };
        let has = entry.as_ref().is_some_and(|keys| named(keys) && keys.since.elapsed() < STALE);
        let wanted = |keys: &Keys| !has || keys.since.elapsed() > FRESH;
        if entry.as_ref().is_none_or(|keys| wanted(keys) && keys.asked.elapsed() > AGAIN) {
            let now = Instant::now();
            match self.fetch(issuer).await {
                Ok(keys) => *entry = Some(Keys { keys, since: now, asked: now }),
                Err(problem) => {
                    if let Some(keys) = &mut *entry {
                        keys.asked = now;
                    }
                    // An issuer that is away for a moment does not lock out those whose keys are known.
                    if !has {
                        return Err(problem);
                    }
                    tracing::warn!(issuer, error = problem, "cannot refresh the keys of an issuer");
                }
            }
        }
        if entry.as_ref().is_some_and(|keys| keys.since.elapsed() >= STALE) {
            return Err(format!("the keys of the issuer '{issuer}' are old, and it gives no new ones"));
        }
        let keys = entry.as_ref().map(|keys| keys.keys.clone()).unwrap_or_default();
        drop(entry);
        let mut problem = format!("the issuer has no key '{}'", token.key_id.as_deref().unwrap_or_default());
        for key in &keys {
            if token.key_id.is_some() && key.kid != token.key_id {
                continue;
            }
            match key.verify(token) {
                Ok(()) => return Ok(()),
                Err(fault) => problem = fault,
            }
        }
        Err(problem)
    }

    async fn fetch(&self, issuer: &str) -> Result<Vec<Key>, String> {
        let fault = |what: &str, error: &dyn std::fmt::Display| {
            format!("cannot read {what} of the issuer '{issuer}': {error}")
        };
        let client = Client::plain(&self.policy, TIMEOUT).map_err(|error| error.to_string())?;
        let get = async |what: &str, url: Url| {
            let answer = client.fetch(Request::get(url)).await;
            answer.map_err(|error: HttpError| fault(what, &error))
        };
        let configuration = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let configuration = Url::parse(&configuration).map_err(|error| fault("the configuration", &error))?;
        let answer = get("the configuration", configuration).await?;
        let discovery: Discovery =
            serde_json::from_slice(&answer).map_err(|error| fault("the configuration", &error))?;
        if discovery.issuer != issuer {
            return Err(fault("the configuration", &format!("it is that of '{}'", discovery.issuer)));
        }
        let keys = Url::parse(&discovery.jwks_uri).map_err(|error| fault("the keys", &error))?;
        let answer = get("the keys", keys).await?;
        let set: KeySet = serde_json::from_slice(&answer).map_err(|error| fault("the keys", &error))?;
        // Keys of kinds that are not known do not harm the others.
        Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).take(MAX_KEYS).collect())
    }
}

/// What the Secret of a Receiver of type gcr says of senders.
pub(super) async fn check_google(
    issuers: &Issuers,
    secret: &BTreeMap<String, Vec<u8>>,
    token: &str,
    now: i64,
) -> Result<(), String> {
    let field = |key: &str| {
        let value = secret.get(key).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
        Some(value)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("the secret lacks the key '{key}'"))
    };
    let (email, audience) = (field("email")?, field("audience")?);
    let token = Token::parse(token)?;
    if !matches!(token.claims["iss"].as_str(), Some("https://accounts.google.com" | "accounts.google.com")) {
        return Err("the token is not Google's".to_owned());
    }
    issuers.verify("https://accounts.google.com", &token).await?;
    token.check_claims(audience, now)?;
    if token.claims["email"] != email {
        return Err("the token is of another account".to_owned());
    }
    if token.claims["email_verified"] != true {
        return Err("the account of the token is not verified".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use serde_json::json;

    use super::*;
    use crate::jose::tests::Issuer;

    const NOW: i64 = 1_800_000_000;

    fn spec(issuer: &str, validations: Value) -> ReceiverSpec {
        serde_json::from_value(json!({
            "type": "generic-oidc", "resources": [],
            "oidcProviders": [{"issuerURL": issuer, "variables": [
                {"name": "owner", "expression": "claims.repository.split('/')[0]"},
            ], "validations": validations}],
        }))
        .unwrap()
    }

    fn rules() -> Value {
        json!([
            {"expression": "vars.owner == 'org'", "message": "wrong owner"},
            {"expression": "claims.?ref.orValue('') == 'refs/heads/main'", "message": "wrong branch"},
        ])
    }

    fn claims(issuer: &str) -> Value {
        json!({"iss": issuer, "aud": AUDIENCE, "exp": NOW + 60, "repository": "org/repo", "ref": "refs/heads/main"})
    }

    /// An issuer's server, and how often its keys were asked for.
    async fn serve(issuer: &Issuer) -> (String, Arc<AtomicUsize>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, keys) = (Arc::new(AtomicUsize::new(0)), issuer.keys());
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")}).to_string();
        let count = asked.clone();
        let routes =
            Router::new().route("/.well-known/openid-configuration", get(async move || discovery)).route(
                "/keys",
                get(async move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    keys.to_string()
                }),
            );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (url, asked)
    }

    #[tokio::test]
    async fn tokens_are_checked_with_keys_that_are_fetched_once() {
        let issuer = Issuer::new();
        let (url, asked) = serve(&issuer).await;
        let issuers = Issuers::new(AddressPolicy::default());
        let check =
            async |claims: &Value| issuers.check(&spec(&url, rules()), &issuer.token(claims), NOW).await;
        for _ in 0..3 {
            assert_eq!(check(&claims(&url)).await.unwrap()["repository"], "org/repo");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "the keys are kept");

        let with = |key: &str, value: Value| {
            let mut claims = claims(&url);
            claims[key] = value;
            claims
        };
        assert_eq!(check(&with("repository", json!("evil/repo"))).await.unwrap_err(), "wrong owner");
        let mut both = with("repository", json!("evil/repo"));
        both["ref"] = json!("x");
        assert_eq!(check(&both).await.unwrap_err(), "wrong owner; wrong branch");
        assert!(check(&with("exp", json!(NOW - 61))).await.is_err());
        assert!(check(&with("nbf", json!(NOW + 61))).await.is_err());
        assert!(check(&with("aud", json!("other"))).await.is_err());
        assert!(check(&with("iss", json!("https://other.test"))).await.is_err());

        let token = issuer.token(&claims(&url));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        let changed = format!("{signed}.{first}{}", &signature[1..]);
        assert!(issuers.check(&spec(&url, rules()), &changed, NOW).await.is_err(), "one bit is wrong");
        let forged = Issuer::new().token(&claims(&url));
        assert!(
            issuers.check(&spec(&url, rules()), &forged, NOW).await.is_err(),
            "another key of the same name"
        );
        assert_eq!(asked.load(Ordering::Relaxed), 1, "forged tokens do not have the keys fetched again");
    }

    #[tokio::test]
    async fn an_issuer_that_is_away_is_left_alone_for_a_while_and_its_keys_count() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let issuer = Issuer::new();
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let count = asked.clone();
        let gone = async move || {
            count.fetch_add(1, Ordering::Relaxed);
            StatusCode::NOT_FOUND
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(gone)).await });
        let issuers = Issuers::new(AddressPolicy::default());
        let age = async |age: Duration| {
            let keys: KeySet = serde_json::from_value(issuer.keys()).unwrap();
            let keys = keys.keys.into_iter().map(|key| serde_json::from_value(key).unwrap()).collect();
            let since = Instant::now().checked_sub(age).expect("the clock has run for as long");
            let entry = Arc::new(Mutex::new(Some(Keys { keys, since, asked: since })));
            issuers.known.lock().await.insert(url.clone(), entry);
        };
        let check = async || issuers.check(&spec(&url, rules()), &issuer.token(&claims(&url)), NOW).await;
        age(FRESH + AGAIN).await;
        for _ in 0..3 {
            assert!(check().await.is_ok(), "the keys are known");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "the issuer is left alone for a while");
    }

    #[tokio::test]
    async fn google_vouches_for_one_account() {
        let issuer = Issuer::new();
        let issuers = Issuers::new(AddressPolicy::default());
        let keys: KeySet = serde_json::from_value(issuer.keys()).unwrap();
        let keys = keys.keys.into_iter().map(|key| serde_json::from_value(key).unwrap()).collect();
        let entry = Arc::new(Mutex::new(Some(Keys { keys, since: Instant::now(), asked: Instant::now() })));
        issuers.known.lock().await.insert("https://accounts.google.com".to_owned(), entry);
        let secret = BTreeMap::from([
            ("email".to_owned(), b"a@b".to_vec()),
            ("audience".to_owned(), b"hook".to_vec()),
        ]);
        let good = json!({"iss": "https://accounts.google.com", "aud": "hook", "exp": NOW + 60, "email": "a@b", "email_verified": true});
        let check = async |claims: &Value| check_google(&issuers, &secret, &issuer.token(claims), NOW).await;
        assert_eq!(check(&good).await, Ok(()));
        for (key, value) in [
            ("iss", json!("x")),
            ("aud", json!("x")),
            ("exp", json!(1)),
            ("email", json!("x")),
            ("email_verified", json!("true")),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(check(&bad).await.is_err(), "{key}");
        }
        assert!(check_google(&issuers, &BTreeMap::new(), &issuer.token(&good), NOW).await.is_err());
    }
}

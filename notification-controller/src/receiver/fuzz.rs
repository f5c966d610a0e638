//! Mutated webhooks of every type: none may panic, and none may pass that its sender could not have sent. A few hundred with
//! each run of the tests, as many as fit into `SLUICE_FUZZ_SECONDS` from the seed `SLUICE_FUZZ_SEED` with `make fuzz`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use futures::FutureExt as _;
use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use sluice_api::notification::{ReceiverSpec, ReceiverType};
use sluice_fuzz::Target;

use super::authentication::Senders;
use super::filter::{Filters, Request};
use super::oidc::Issuers;
use crate::jose::tests::Issuer;
use crate::jose::{Key, Token};
use crate::provider::AddressPolicy;

const SECRET: &[u8] = b"s3cr3t";

/// The type, headers, an empty line, the body. `{sha256}` and its like are the true signatures of the body, `{token}` is the
/// Receiver's and `{jwt}` a token of an issuer that is trusted.
const WEBHOOKS: &[&str] = &[
    "generic\ncontent-type: application/json\n\n{\"tag\":\"reg/app:1.0.0\"}",
    "generic-hmac\nx-signature: sha256={sha256}\n\n{}",
    "generic-hmac\nx-signature: sha512={sha512}\n\nx",
    "generic-oidc\nauthorization: Bearer {jwt}\n\n{}",
    "github\ncontent-type: application/json; charset=utf-8\nx-github-event: push\nx-hub-signature-256: sha256={sha256}\n\n{\"ref\":\"refs/heads/main\"}",
    "github\ncontent-type: application/x-www-form-urlencoded\nx-github-event: ping\nx-hub-signature: sha1={sha1}\n\npayload=%7B%7D",
    "gitlab\nx-gitlab-token: {token}\nx-gitlab-event: Push Hook\n\n{}",
    "bitbucket\ncontent-type: application/json\nx-event-key: repo:refs_changed\nx-hub-signature: sha256={sha256}\n\n{}",
    "harbor\nauthorization: {token}\n\n{\"type\":\"PUSH_ARTIFACT\"}",
    "dockerhub\n\n{\"push_data\":{\"tag\":\"1\"},\"repository\":{\"repo_url\":\"u\"}}",
    "quay\n\n{\"docker_url\":\"u\",\"updated_tags\":[\"1\"]}",
    "gcr\nauthorization: Bearer {jwt}\n\n{\"message\":{\"data\":\"eyJhY3Rpb24iOiJJTlNFUlQiLCJ0YWciOiJhOjEifQ==\"}}",
    "nexus\nx-nexus-webhook-signature: {sha1}\n\n{\"action\":\"CREATED\"}",
    "acr\ncontent-type: application/json\n\n{\"action\":\"push\",\"target\":{\"tag\":\"1\"}}",
    "cdevents\nce-type: dev.cdevents.artifact.packaged.0.2.0\n\n{\"context\":{\"version\":\"0.4.1\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"dev.cdevents.artifact.packaged.0.2.0\",\"timestamp\":\"2023-03-20T14:27:05.315384Z\"},\"subject\":{\"id\":\"p\",\"content\":{}}}",
];

const WORDS: &[&str] = &[
    "{sha1}",
    "{sha256}",
    "{sha512}",
    "{token}",
    "{jwt}",
    "sha1=",
    "sha256=",
    "sha512=",
    "md5=",
    "=",
    "00",
    "Bearer ",
    "\n\n",
    "content-type: application/json\n",
    "x-signature: ",
    "x-hub-signature: ",
    "authorization: ",
    "generic-hmac\n",
    "github\n",
    "gitlab\n",
    "cdevents\n",
    "gcr\n",
    ".",
    "eyJhbGciOiJub25lIn0",
    "eyJhbGciOiJIUzI1NiJ9",
    "{",
    "}",
    "[",
    "\"",
    ":",
    ",",
    "null",
    "1e999",
    "-1",
    "\\u0000",
    "\\ud800",
    "\u{e9}",
    "\"context\"",
    "2023-99-99T99:99:99Z",
    "\"message\":{\"data\":\"",
];

static ISSUER: LazyLock<(Issuer, String)> = LazyLock::new(|| {
    let issuer = Issuer::new();
    let token =
        issuer.token(&json!({"iss": "https://issuer.test", "aud": "notification-controller", "exp": 200}));
    (issuer, token)
});

fn mac<M: Mac + KeyInit>(body: &[u8]) -> String {
    let mut mac = <M as Mac>::new_from_slice(SECRET).unwrap();
    mac.update(body);
    crate::hex(&mac.finalize().into_bytes())
}

/// Whether the sender of a webhook is let in.
fn is_let_in(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let body = body.as_bytes();
    let sums = [mac::<Hmac<Sha1>>(body), mac::<Hmac<Sha256>>(body), mac::<Hmac<Sha512>>(body)];
    let token = std::str::from_utf8(SECRET).unwrap();
    let head = ["{sha1}", "{sha256}", "{sha512}"]
        .iter()
        .zip(&sums)
        .fold(head.to_owned(), |head, (place, sum)| head.replace(place, sum))
        .replace("{token}", token)
        .replace("{jwt}", &ISSUER.1);
    let mut lines = head.lines();
    let filter =
        "req.size() > 0 && (has(req.tag) && req.tag.contains(res.metadata.name) || req.action == 'push')";
    let spec = json!({
        "type": lines.next().unwrap_or_default(), "secretRef": {"name": "token"}, "resourceFilter": filter,
        "resources": [{"kind": "GitRepository", "name": "app"}],
    });
    let Ok(spec) = serde_json::from_value::<ReceiverSpec>(spec) else { return false };
    let headers: HeaderMap = lines
        .filter_map(|line| line.split_once(':'))
        .filter_map(|(name, value)| {
            Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
        })
        .collect();
    let header = |name: &str| {
        headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default()
    };

    let secret = BTreeMap::from([("token".to_owned(), SECRET.to_vec())]);
    let issuers = Issuers::new(AddressPolicy::default());
    let senders = Senders { spec: &spec, secret: &secret, issuers: &issuers };
    // Google's keys are elsewhere, so its senders are never known here; nobody is trusted by this spec.
    let passes = spec.type_ != ReceiverType::Gcr
        && senders.check(&headers, body, 100).now_or_never().is_some_and(|checked| checked.is_ok());
    if passes {
        let ends = |name: &str| sums.iter().any(|sum| header(name).to_ascii_lowercase().ends_with(sum));
        let could = match spec.type_ {
            ReceiverType::GenericHmac => ends("x-signature"),
            ReceiverType::GitHub | ReceiverType::Bitbucket => {
                ends("x-hub-signature-256") || ends("x-hub-signature")
            }
            ReceiverType::Nexus => ends("x-nexus-webhook-signature"),
            ReceiverType::GitLab => header("x-gitlab-token") == token,
            ReceiverType::Harbor => header("authorization") == token,
            ReceiverType::GenericOidc | ReceiverType::Gcr => false,
            _ => true,
        };
        assert!(could, "a sender without the secret passes");
    }
    if let Ok(body) = senders.filtered(&headers, body) {
        let filters = Filters::compile(&spec).unwrap();
        let request = Request { body, claims: serde_json::Value::Null };
        let _ = filters.passes(0, &request, &json!({"metadata": {"name": "app"}}));
    }
    let bearer = header("authorization");
    if let Ok(parsed) = Token::parse(bearer.rsplit(' ').next().unwrap_or_default()) {
        let _ = parsed.check_claims("notification-controller", 100);
        let keys = serde_json::from_slice(body).ok().into_iter();
        let own = serde_json::from_value(ISSUER.0.keys()["keys"][0].clone()).ok();
        for (index, key) in own.into_iter().chain(keys).enumerate() {
            let key: Key = key;
            if key.verify(&parsed).is_ok() && index == 0 {
                assert!(bearer.ends_with(&ISSUER.1), "a token that the issuer has not signed passes");
            }
        }
    }
    passes
}

const TARGET: Target = Target {
    name: "webhooks",
    seeds: || WEBHOOKS.iter().map(|webhook| webhook.as_bytes().to_vec()).collect(),
    words: WORDS,
    run: |input| {
        let _ = is_let_in(input);
    },
};

#[test]
fn webhooks_of_all_types_are_borne() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SLUICE_FUZZ_SECONDS") {
        None => sluice_fuzz::check(&TARGET),
        Some(seconds) => {
            let first = number("SLUICE_FUZZ_SEED").unwrap_or(1);
            let outcome = sluice_fuzz::campaign(&TARGET, Duration::from_secs(seconds), first);
            println!("{outcome}");
            assert!(outcome.finding.is_none());
        }
    }
}

#[test]
fn what_is_mutated_is_let_in_as_it_is() {
    let types: BTreeSet<_> = WEBHOOKS.iter().map(|webhook| webhook.lines().next().unwrap()).collect();
    assert_eq!(types.len(), 13, "there is one for every type");
    for webhook in WEBHOOKS {
        let vouched = webhook.starts_with("generic-oidc") || webhook.starts_with("gcr");
        assert_eq!(is_let_in(webhook.as_bytes()), !vouched, "{webhook}");
    }
}

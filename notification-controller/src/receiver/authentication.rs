//! Who may send a webhook, by type of Receiver. Comparisons take the same time whatever is wrong.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use sluice_api::notification::{ReceiverSpec, ReceiverType};
use subtle::ConstantTimeEq;

use super::oidc::{self, Issuers};
use super::{cdevents, filter};

/// What a Receiver knows of its senders.
pub(super) struct Senders<'a> {
    pub(super) spec: &'a ReceiverSpec,
    /// The Secret; empty for types without one.
    pub(super) secret: &'a BTreeMap<String, Vec<u8>>,
    pub(super) issuers: &'a Issuers,
}

impl Senders<'_> {
    /// Checks a webhook, and returns the claims of its token where it has one. The error is for the log: the sender learns
    /// nothing.
    pub(super) async fn check(&self, headers: &HeaderMap, body: &[u8], now: i64) -> Result<Value, String> {
        match self.spec.type_ {
            ReceiverType::GenericOidc => return self.issuers.check(self.spec, bearer(headers)?, now).await,
            ReceiverType::Gcr => {
                oidc::check_google(self.issuers, self.secret, bearer(headers)?, now).await?;
                google_message(body)?;
            }
            _ => {
                let token = self.secret.get("token").map(Vec::as_slice).unwrap_or_default();
                check(self.spec, token, headers, body)?;
            }
        }
        Ok(Value::Null)
    }

    /// What filters see of the body.
    pub(super) fn filtered(&self, headers: &HeaderMap, body: &[u8]) -> Result<Value, String> {
        match self.spec.type_ {
            ReceiverType::Gcr => google_message(body),
            _ => filter::body(header(headers, "content-type"), body),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, String> {
    let (scheme, token) = header(headers, "authorization").split_once(' ').unwrap_or_default();
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err("the header Authorization has no bearer token".to_owned())
    }
}

/// What Google's registry says, out of the message of Pub/Sub that carries it.
fn google_message(body: &[u8]) -> Result<Value, String> {
    #[derive(Deserialize)]
    struct Push {
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        data: String,
    }
    let push: Push = decode(body)?;
    let data = STANDARD
        .decode(&push.message.data)
        .map_err(|_| "the data of the message is not base64".to_owned())?;
    let data: Value = decode(&data)?;
    let field = |name: &str| data[name].as_str().unwrap_or_default();
    Ok(json!({"action": field("action"), "digest": field("digest"), "tag": field("tag")}))
}

/// Checks a webhook of a type that needs no more than a token.
fn check(spec: &ReceiverSpec, token: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let header = |name: &'static str| header(headers, name);
    match spec.type_ {
        ReceiverType::Generic => Ok(()),
        ReceiverType::GenericHmac => signature(header("x-signature"), token, body),
        ReceiverType::GitHub => {
            content_type(header("content-type"))?;
            github_signature(headers, token, body)?;
            event(spec, header("x-github-event"))
        }
        ReceiverType::GitLab => {
            equal(header("x-gitlab-token"), token)?;
            event(spec, header("x-gitlab-event"))
        }
        ReceiverType::Bitbucket => {
            content_type(header("content-type"))?;
            github_signature(headers, token, body)?;
            event(spec, header("x-event-key"))
        }
        ReceiverType::Harbor => equal(header("authorization"), token),
        ReceiverType::Nexus => {
            let expected = hex(header("x-nexus-webhook-signature"))?;
            verify::<Hmac<Sha1>>(token, body, &expected)
        }
        ReceiverType::DockerHub => decode::<DockerHub>(body).map(|_| ()),
        ReceiverType::Quay => decode::<Quay>(body).map(|_| ()),
        ReceiverType::Acr => decode::<Acr>(body).map(|_| ()),
        ReceiverType::CdEvents => {
            cdevents::check(body)?;
            event(spec, header("ce-type"))
        }
        ReceiverType::GenericOidc | ReceiverType::Gcr => Err("a token of an issuer is needed".to_owned()),
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the shape counts")]
struct DockerHub {
    push_data: DockerHubPush,
    repository: DockerHubRepository,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the shape counts")]
struct DockerHubPush {
    tag: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the shape counts")]
struct DockerHubRepository {
    repo_url: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the shape counts")]
struct Acr {
    action: String,
    #[serde(default)]
    target: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the shape counts")]
struct Quay {
    docker_url: String,
    updated_tags: Vec<String>,
}

fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is not what this type sends: {error}"))
}

/// Whether the event is one of those that the Receiver asks for.
fn event(spec: &ReceiverSpec, name: &str) -> Result<(), String> {
    if spec.events.is_empty() || spec.events.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(format!("the event '{name}' is not in spec.events"))
}

fn content_type(value: &str) -> Result<(), String> {
    match value.split(';').next().unwrap_or_default().trim() {
        "application/json" | "application/x-www-form-urlencoded" => Ok(()),
        other => Err(format!("the content type '{other}' is not supported")),
    }
}

/// The text of a header; empty when it is missing or no text.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn github_signature(headers: &HeaderMap, token: &[u8], body: &[u8]) -> Result<(), String> {
    match header(headers, "x-hub-signature-256") {
        "" => signature(header(headers, "x-hub-signature"), token, body),
        found => signature(found, token, body),
    }
}

/// `<algorithm>=<hex>` over the raw body.
fn signature(value: &str, token: &[u8], body: &[u8]) -> Result<(), String> {
    let (algorithm, digest) =
        value.split_once('=').ok_or("the signature's header is missing or malformed")?;
    let digest = hex(digest)?;
    match algorithm {
        "sha1" => verify::<Hmac<Sha1>>(token, body, &digest),
        "sha256" => verify::<Hmac<Sha256>>(token, body, &digest),
        "sha512" => verify::<Hmac<Sha512>>(token, body, &digest),
        other => Err(format!("the signature's algorithm '{other}' is not supported")),
    }
}

fn verify<M: Mac + hmac::digest::KeyInit>(token: &[u8], body: &[u8], digest: &[u8]) -> Result<(), String> {
    let mut mac = <M as Mac>::new_from_slice(token).map_err(|error| error.to_string())?;
    mac.update(body);
    mac.verify_slice(digest).map_err(|_| "the signature does not match".to_owned())
}

fn equal(value: &str, token: &[u8]) -> Result<(), String> {
    if bool::from(value.as_bytes().ct_eq(token)) {
        Ok(())
    } else {
        Err("the token does not match".to_owned())
    }
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let problem = || "the signature is not hexadecimal".to_owned();
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return Err(problem());
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| problem()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"ref":"refs/heads/main"}"#;

    fn spec(type_: &str, events: &[&str]) -> ReceiverSpec {
        let secret = serde_json::json!({"name": "token"});
        let spec = serde_json::json!({"type": type_, "events": events, "resources": [], "secretRef": secret});
        serde_json::from_value(spec).unwrap()
    }

    fn run(
        type_: &str,
        events: &[&str],
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Result<(), String> {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        check(&spec(type_, events), b"s3cr3t", &headers, body)
    }

    fn sign<M: Mac + hmac::digest::KeyInit>(body: &[u8]) -> String {
        let mut mac = <M as Mac>::new_from_slice(b"s3cr3t").unwrap();
        mac.update(body);
        crate::hex(&mac.finalize().into_bytes())
    }

    #[test]
    fn the_example_of_github_s_documentation_is_accepted() {
        let value = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let token = b"It's a Secret to Everybody";
        assert_eq!(signature(value, token, b"Hello, World!"), Ok(()));
        assert!(signature(value, token, b"Hello, World?").is_err());
    }

    #[test]
    fn one_changed_bit_is_refused() {
        let json = ("content-type", "application/json; charset=utf-8");
        let good = format!("sha256={}", sign::<Hmac<Sha256>>(BODY));
        let old = format!("sha1={}", sign::<Hmac<Sha1>>(BODY));
        let event = ("x-github-event", "push");
        assert_eq!(run("github", &["push"], &[json, event, ("x-hub-signature-256", &good)], BODY), Ok(()));
        assert_eq!(run("github", &[], &[json, event, ("x-hub-signature", &old)], BODY), Ok(()));
        let mut changed = BODY.to_vec();
        changed[3] ^= 1;
        assert!(run("github", &[], &[json, event, ("x-hub-signature-256", &good)], &changed).is_err());
        assert!(run("github", &["ping"], &[json, event, ("x-hub-signature-256", &good)], BODY).is_err());
        assert!(
            run("github", &[], &[("content-type", "text/plain"), ("x-hub-signature-256", &good)], BODY)
                .is_err()
        );
        assert!(run("github", &[], &[json], BODY).is_err());
        let key = ("x-event-key", "repo:refs_changed");
        assert_eq!(
            run("bitbucket", &["REPO:refs_changed"], &[json, key, ("x-hub-signature", &good)], BODY),
            Ok(())
        );
        assert_eq!(run("generic-hmac", &[], &[("x-signature", &good)], BODY), Ok(()));
        assert!(run("generic-hmac", &[], &[("x-signature", "sha256=00")], BODY).is_err());
        assert!(run("generic-hmac", &[], &[("x-signature", "md5=00")], BODY).is_err());
        let nexus = sign::<Hmac<Sha1>>(BODY);
        assert_eq!(run("nexus", &[], &[("x-nexus-webhook-signature", &nexus)], BODY), Ok(()));
    }

    #[test]
    fn tokens_are_compared_whole() {
        assert_eq!(
            run(
                "gitlab",
                &["Push Hook"],
                &[("x-gitlab-token", "s3cr3t"), ("x-gitlab-event", "push hook")],
                BODY
            ),
            Ok(())
        );
        assert!(run("gitlab", &[], &[("x-gitlab-token", "s3cr3")], BODY).is_err());
        assert_eq!(run("harbor", &[], &[("authorization", "s3cr3t")], BODY), Ok(()));
        assert!(run("harbor", &[], &[], BODY).is_err());
    }

    #[test]
    fn bodies_of_registries_must_have_their_shape() {
        assert!(
            run("dockerhub", &[], &[], br#"{"push_data":{"tag":"1"},"repository":{"repo_url":"u"}}"#).is_ok()
        );
        assert!(run("dockerhub", &[], &[], b"{}").is_err());
        assert!(run("quay", &[], &[], br#"{"docker_url":"u","updated_tags":["1"]}"#).is_ok());
        assert!(run("quay", &[], &[], b"nonsense").is_err());
        assert!(run("acr", &[], &[], br#"{"action":"push"}"#).is_ok());
        assert!(run("acr", &[], &[], b"[]").is_err());
        let data =
            STANDARD.encode(r#"{"action":"INSERT","digest":"reg/a@sha256:1","tag":"reg/a:1","more":2}"#);
        let body = json!({"message": {"data": data, "messageId": "1"}, "subscription": "x"}).to_string();
        let expected = json!({"action": "INSERT", "digest": "reg/a@sha256:1", "tag": "reg/a:1"});
        assert_eq!(google_message(body.as_bytes()), Ok(expected));
        assert!(google_message(br#"{"message":{"data":"?"}}"#).is_err() && google_message(b"{}").is_err());
        assert!(run("gcr", &[], &[], body.as_bytes()).is_err(), "without a token of Google");
    }

    #[test]
    fn every_type_that_signs_refuses_every_changed_bit() {
        let json = ("content-type", "application/json");
        let sha256 = format!("sha256={}", sign::<Hmac<Sha256>>(BODY));
        let sha512 = format!("sha512={}", sign::<Hmac<Sha512>>(BODY));
        let nexus = sign::<Hmac<Sha1>>(BODY);
        type Case<'a> = (&'a str, &'a [(&'static str, &'a str)], bool);
        let cases: [Case<'_>; 7] = [
            ("generic-hmac", &[("x-signature", &sha512)], true),
            ("github", &[json, ("x-hub-signature-256", &sha256)], true),
            ("bitbucket", &[json, ("x-hub-signature", &sha256)], true),
            ("nexus", &[("x-nexus-webhook-signature", &nexus)], true),
            ("gitlab", &[("x-gitlab-token", "s3cr3t")], false),
            ("harbor", &[("authorization", "s3cr3t")], false),
            ("generic-hmac", &[("x-signature", &sha256)], true),
        ];
        for (type_, headers, signs) in cases {
            assert_eq!(run(type_, &[], headers, BODY), Ok(()), "{type_}");
            assert!(
                run(type_, &[], &headers[..headers.len() - 1], BODY).is_err(),
                "{type_}: nothing was brought"
            );
            for bit in 0..BODY.len() * 8 {
                let mut changed = BODY.to_vec();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(run(type_, &[], headers, &changed).is_err(), signs, "{type_}: bit {bit}");
            }
            let (name, value) = *headers.last().unwrap();
            for at in 0..value.len() {
                // The lowest bit of a character: another digit, another letter, another sign.
                let mut changed = value.as_bytes().to_vec();
                changed[at] ^= 1;
                let changed = String::from_utf8(changed).unwrap();
                let headers: Vec<_> =
                    headers[..headers.len() - 1].iter().copied().chain([(name, changed.as_str())]).collect();
                assert!(run(type_, &[], &headers, BODY).is_err(), "{type_}: {changed}");
            }
        }
    }
}

//! Who may send a webhook, by type of Receiver. Comparisons take the same time whatever is wrong.

use axum::http::HeaderMap;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use sluice_api::notification::{ReceiverSpec, ReceiverType};
use subtle::ConstantTimeEq;

/// Checks a webhook. The error is for the log: the sender learns nothing.
pub(super) fn check(
    spec: &ReceiverSpec,
    token: &[u8],
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), String> {
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
        ReceiverType::Acr => decode::<serde_json::Map<String, serde_json::Value>>(body).map(|_| ()),
        other => Err(format!("type {other} is not supported by this version of Sluice")),
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "only the shape counts")]
struct DockerHub {
    push_data: serde_json::Map<String, serde_json::Value>,
    repository: serde_json::Map<String, serde_json::Value>,
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
        assert!(run("gcr", &[], &[], b"{}").is_err());
    }
}

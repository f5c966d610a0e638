//! What a small Sigstore of our own has signed, what the real one has, and the ways in which both can be false.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_oci::Descriptor;
use sluice_reference::sigstore::{Signer, Sigstore};

use super::{Identity, Keyless, TrustedRoot};
use crate::Policy;
use crate::cosign::{bundle, payload};

const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const RELEASE: Signer<'static> = Signer {
    subject: "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
    issuer: "https://issuer.test",
};

fn policy(root: &str, identities: &[(&str, &str)]) -> Policy {
    let root = Arc::new(TrustedRoot::parse(root.as_bytes()).unwrap());
    let identity = |(issuer, subject): &(&str, &str)| Identity::new(issuer, subject).unwrap();
    Policy::Keyless(Keyless { root, identities: identities.iter().map(identity).collect() })
}

fn in_bundle(sigstore: &Sigstore, policy: &Policy, change: impl Fn(&mut Value)) -> Result<(), String> {
    let mut signed = sigstore.bundle(RELEASE, HEX).unwrap();
    change(&mut signed);
    bundle::verify(signed.to_string().as_bytes(), HEX, policy)
}

fn under_tag(sigstore: &Sigstore, policy: &Policy, change: impl Fn(&mut Descriptor)) -> Result<(), String> {
    let digest = format!("sha256:{HEX}");
    let text = Sigstore::text("registry.test/app", &digest);
    let annotations = sigstore.annotations(RELEASE, &text).unwrap();
    let mut layer = Descriptor { annotations, ..Descriptor::default() };
    change(&mut layer);
    payload::verify(&layer, &text, &digest, policy)
}

#[test]
fn both_layouts_count_for_the_identities_that_are_asked_for() {
    let sigstore = Sigstore::new().unwrap();
    let root = sigstore.trusted_root();
    let verify = |identities: &[(&str, &str)]| {
        let policy = policy(&root, identities);
        let outcomes = [in_bundle(&sigstore, &policy, |_| ()), under_tag(&sigstore, &policy, |_| ())];
        assert_eq!(outcomes[0], outcomes[1]);
        outcomes[0].clone()
    };
    let acme = ("^https://issuer.test$", "^https://github.com/acme/.*$");
    assert_eq!(verify(&[acme]), Ok(()));
    assert_eq!(verify(&[("^https://other.test$", "^x$"), acme]), Ok(()), "any of them will do");
    assert_eq!(verify(&[]), Ok(()), "as with Flux, anybody who got a certificate");
    for identity in [("^https://other.test$", acme.1), (acme.0, "^https://github.com/other/.*$")] {
        let error = verify(&[identity]).unwrap_err();
        let expected =
            format!("the signature is of '{}', for whom '{}' vouched", RELEASE.subject, RELEASE.issuer);
        assert_eq!(error, expected);
    }
}

#[test]
fn an_authority_or_a_log_that_is_not_trusted_proves_nothing() {
    let (mut sigstore, other) = (Sigstore::new().unwrap(), Sigstore::new().unwrap());
    let mixed = |part: &str| {
        let mut root: Value = serde_json::from_str(&sigstore.trusted_root()).unwrap();
        let others: Value = serde_json::from_str(&other.trusted_root()).unwrap();
        root[part] = others[part].clone();
        policy(&root.to_string(), &[])
    };
    let cases = [
        (mixed("certificateAuthorities"), "the certificate is of no authority that is trusted"),
        (mixed("tlogs"), "the log entry is of no log that is trusted"),
        (mixed("ctlogs"), "the certificate has no timestamp of a certificate log that is trusted"),
    ];
    for (policy, problem) in &cases {
        assert_eq!(in_bundle(&sigstore, policy, |_| ()), Err((*problem).to_owned()));
        assert_eq!(under_tag(&sigstore, policy, |_| ()), Err((*problem).to_owned()));
    }
    let trusted = policy(&sigstore.trusted_root(), &[]);
    sigstore.certificate_log_speaks = false;
    let silent = in_bundle(&sigstore, &trusted, |_| ());
    assert_eq!(silent, Err("the certificate has no timestamp of a certificate log".to_owned()));
    sigstore.certificate_log_speaks = true;
    // Nobody was trusted then.
    sigstore.time = 1_000_000_000;
    let early = in_bundle(&sigstore, &trusted, |_| ());
    assert_eq!(early, Err("the log was not trusted when the entry was made".to_owned()));
    sigstore.time = 4_000_000_000;
    let late = in_bundle(&sigstore, &trusted, |_| ());
    assert_eq!(late, Err("the certificate was not valid when the signature was made".to_owned()));
}

/// Sets what is at a place in JSON.
fn set(value: &mut Value, place: &str, to: Value) {
    *value.pointer_mut(place).unwrap() = to;
}

#[test]
fn a_changed_bundle_proves_nothing() {
    let sigstore = Sigstore::new().unwrap();
    let policy = policy(&sigstore.trusted_root(), &[]);
    let another = sigstore.bundle(RELEASE, &"f".repeat(64)).unwrap();
    let entry = "/verificationMaterial/tlogEntries/0";
    let cases: [(&str, Value, &str); 9] = [
        ("/verificationMaterial/tlogEntries", json!([]), "the signature has no entry of a transparency log"),
        (entry, another.pointer(entry).unwrap().clone(), "the log entry is about another signature"),
        (
            "/verificationMaterial/certificate",
            another["verificationMaterial"]["certificate"].clone(),
            "the signature is not of the certificate's key",
        ),
        ("/dsseEnvelope", another["dsseEnvelope"].clone(), "the signature is not of the certificate's key"),
        (
            &format!("{entry}/integratedTime"),
            json!("1700000000"),
            "the log entry's timestamp is not its log's",
        ),
        (&format!("{entry}/logIndex"), json!(8), "the log entry's timestamp is not its log's"),
        (
            &format!("{entry}/inclusionProof/treeSize"),
            json!("3"),
            "the log entry's proof is wrong: its checkpoint is of another tree",
        ),
        (
            &format!("{entry}/inclusionProof/hashes"),
            json!([]),
            "the log entry's proof is wrong: the tree does not have the entry",
        ),
        (
            &format!("{entry}/inclusionProof/checkpoint/envelope"),
            json!("x\n2\nAAAA\n\n— x AAAAAAAA\n"),
            "the log entry's proof is wrong: its checkpoint is not signed by the log",
        ),
    ];
    for (place, to, problem) in cases {
        let outcome = in_bundle(&sigstore, &policy, |signed| set(signed, place, to.clone()));
        assert_eq!(outcome, Err(problem.to_owned()), "{place}");
    }
    let outcome = in_bundle(&sigstore, &policy, |signed| {
        signed["verificationMaterial"]["certificate"] = Value::Null;
    });
    assert_eq!(outcome, Err("the bundle has no certificate".to_owned()));
    let outcome = in_bundle(&sigstore, &policy, |signed| {
        set(signed, &format!("{entry}/inclusionPromise"), Value::Null);
    });
    assert_eq!(outcome, Err("the log entry has no time that its log has signed".to_owned()));
}

#[test]
fn what_is_missing_in_the_older_layout_is_told() {
    let sigstore = Sigstore::new().unwrap();
    let policy = policy(&sigstore.trusted_root(), &[]);
    for (key, problem) in [
        ("dev.sigstore.cosign/certificate", "it has no certificate"),
        ("dev.sigstore.cosign/bundle", "the signature has no entry of a transparency log"),
        ("dev.cosignproject.cosign/signature", "it has no signature"),
    ] {
        let outcome = under_tag(&sigstore, &policy, |layer| {
            layer.annotations.remove(key);
        });
        assert_eq!(outcome, Err(problem.to_owned()));
    }
    let outcome = under_tag(&sigstore, &policy, |layer| {
        layer.annotations.insert("dev.sigstore.cosign/bundle".to_owned(), "{}".to_owned());
    });
    assert!(outcome.unwrap_err().starts_with("its log entry cannot be read: "));
}

/// What npm has published: a statement that GitHub's identity signed at the public instance. It is no signature of an image,
/// which is only said after everything else was proven.
#[test]
fn what_the_public_instance_has_signed_counts() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sigstore-js-2.0.0/bundle.json");
    let signed: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let verify = |signed: &Value, subject: &str| {
        let identity = Identity::new("^https://token.actions.githubusercontent.com$", subject).unwrap();
        let policy = Policy::Keyless(Keyless { root: TrustedRoot::public(), identities: vec![identity] });
        bundle::verify(signed.to_string().as_bytes(), HEX, &policy).unwrap_err()
    };
    let subject = "^https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main$";
    assert_eq!(verify(&signed, subject), "the statement is a 'https://slsa.dev/provenance/v1', no signature");
    assert!(verify(&signed, "^x$").starts_with("the signature is of 'https://github.com/sigstore/"));
    for place in ["/integratedTime", "/canonicalizedBody", "/inclusionPromise/signedEntryTimestamp"] {
        let mut changed = signed.clone();
        let value = changed.pointer_mut(&format!("/verificationMaterial/tlogEntries/0{place}")).unwrap();
        let text = value.as_str().unwrap();
        let digit = if text.as_bytes()[9] == b'1' { "2" } else { "1" };
        *value = format!("{}{digit}{}", &text[..9], &text[10..]).into();
        let error = verify(&changed, subject);
        assert!(error.starts_with("the log entry"), "{place}: {error}");
    }
}

#[test]
fn a_root_that_is_none_is_told_so() {
    let parse = |text: &str| TrustedRoot::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(parse("s3cret").starts_with("the trusted root cannot be used: "));
    assert!(parse(r#"{"mediaType":"x"}"#).ends_with("its mediaType is 'x'"));
    let empty = r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#;
    assert!(parse(empty).ends_with("it has no certificate authority"));
    assert_eq!(TrustedRoot::public().authorities.len(), 2);
    assert!(
        Identity::new("(", "x")
            .unwrap_err()
            .to_string()
            .starts_with("the identity cannot be matched: issuer '('")
    );
}

//! What notation-go's own tests have as good and as expired signatures, and what a policy makes of them.

use serde_json::{Value, json};
use x509_cert::der::Encode as _;
use x509_cert::der::pem::LineEnding;

use super::envelope::Envelope;
use super::{Artifact, Judgement, Notation};

const JWS: &str = "application/jose+json";
const COSE: &str = "application/cose";
const NOW: u64 = 1_800_000_000;

fn golden(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/notation-go-v1.3.2");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

/// Every one of them: file, media type, whether an authority signed.
const ALL: [(&str, &str, &str); 4] = [
    ("jws.json", JWS, "ca"),
    ("cose.sig", COSE, "ca"),
    ("ca_valid.json", JWS, "ca"),
    ("sa_valid.json", JWS, "signingAuthority"),
];

fn pem(der: &[u8]) -> String {
    x509_cert::der::pem::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap()
}

/// A policy with the last certificate of an envelope in its trust store.
fn notation(name: &str, media_type: &str, store: &str, change: impl Fn(&mut Value)) -> Notation {
    let envelope = Envelope::open(media_type, &golden(name)).unwrap();
    let mut statement = json!({
        "name": "app", "registryScopes": ["registry.test/app"], "signatureVerification": {"level": "strict"},
        "trustStores": [format!("{store}:any")],
        "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Notary"],
    });
    change(&mut statement);
    let policy = json!({"version": "1.0", "trustPolicies": [statement]});
    let trusted = pem(&envelope.chain.last().unwrap().to_der().unwrap());
    Notation::parse(policy.to_string().as_bytes(), [("ca.crt", trusted.as_bytes())].into_iter()).unwrap()
}

fn judge(notation: &Notation, media_type: &str, bytes: &[u8]) -> Result<Judgement, String> {
    let target = Envelope::open(media_type, bytes)?.target;
    let artifact = Artifact { digest: &target.digest, media_type: &target.media_type, size: target.size };
    let statement = notation.document.statement("registry.test/app").unwrap();
    notation.judge(statement, media_type, bytes, &artifact, NOW)
}

#[test]
fn envelopes_of_both_kinds_count_for_those_who_are_trusted() {
    for (name, media_type, store) in ALL {
        let bytes = golden(name);
        let with = |change: &dyn Fn(&mut Value)| {
            judge(&notation(name, media_type, store, change), media_type, &bytes)
        };
        assert_eq!(with(&|_| ()), Ok(Judgement::Verified), "{name}");
        assert_eq!(with(&|it| it["trustedIdentities"] = json!(["*"])), Ok(Judgement::Verified), "{name}");
        let other = with(&|it| it["trustedIdentities"] = json!(["x509.subject: C=US, ST=WA, O=Other"]));
        assert!(
            other.unwrap_err().ends_with("is none of the trusted identities of the policy 'app'"),
            "{name}"
        );
        let untrusted = Err("the signature is not produced by a trusted signer".to_owned());
        let elsewhere = if store == "ca" { "signingAuthority:any" } else { "ca:any" };
        assert_eq!(with(&|it| it["trustStores"] = json!([elsewhere])), untrusted, "{name}");
        let audited = with(&|it| {
            it["signatureVerification"]["level"] = json!("audit");
            it["trustStores"] = json!([elsewhere]);
        });
        assert_eq!(audited, Ok(Judgement::Ignored), "{name}");
        let stamped = with(&|it| it["trustStores"] = json!([format!("{store}:any"), "tsa:any"]));
        assert_eq!(stamped.is_err(), store == "ca", "{name}");
    }
    // The certificates of others are in the store.
    let others = notation("jws.json", JWS, "ca", |_| ());
    let error = judge(&others, JWS, &golden("ca_valid.json")).unwrap_err();
    assert_eq!(error, "the signature is not produced by a trusted signer");
}

#[test]
fn an_expired_signature_counts_where_the_policy_lets_it() {
    let bytes = golden("ca_expired.json");
    let with = |level: &str| {
        let set = |it: &mut Value| it["signatureVerification"]["level"] = json!(level);
        judge(&notation("ca_expired.json", JWS, "ca", set), JWS, &bytes)
    };
    assert_eq!(with("strict"), Err("the signature has expired".to_owned()));
    assert_eq!(with("permissive"), Ok(Judgement::Verified));
    let set = |it: &mut Value| it["signatureVerification"]["override"] = json!({"expiry": "log"});
    assert_eq!(judge(&notation("ca_expired.json", JWS, "ca", set), JWS, &bytes), Ok(Judgement::Verified));
}

#[test]
fn a_changed_envelope_or_another_artifact_is_refused() {
    for (name, media_type, store) in ALL {
        let bytes = golden(name);
        let notation = notation(name, media_type, store, |_| ());
        for place in (0..bytes.len()).step_by(13) {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            // The name of the program that signed is not signed, and is read by nobody.
            let agent = bytes.windows(12).position(|window| window.eq_ignore_ascii_case(b"signingagent"));
            if agent.is_some_and(|agent| (agent - 16..agent + 40).contains(&place)) {
                continue;
            }
            assert!(judge(&notation, media_type, &changed).is_err(), "{name}: byte {place}");
        }
        let statement = notation.document.statement("registry.test/app").unwrap();
        let digest = format!("sha256:{}", "f".repeat(64));
        let artifact =
            Artifact { digest: &digest, media_type: "application/vnd.oci.image.manifest.v1+json", size: 481 };
        let error = notation.judge(statement, media_type, &bytes, &artifact, NOW).unwrap_err();
        assert!(error.starts_with("the signature is for sha256:"), "{error}");
    }
    assert_eq!(Envelope::open("text/plain", b"").err().unwrap(), "the envelope is a 'text/plain'");
}

#[test]
fn policies_that_cannot_be_used_say_why() {
    let parse = |policy: Value| Notation::parse(policy.to_string().as_bytes(), std::iter::empty());
    let whole = |statement: Value| json!({"version": "1.0", "trustPolicies": [statement]});
    let base = json!({
        "name": "app", "registryScopes": ["*"], "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:x"], "trustedIdentities": ["*"],
    });
    let with = |key: &str, value: Value| {
        let mut statement = base.clone();
        statement[key] = value;
        parse(whole(statement)).map(drop).map_err(|error| error.to_string())
    };
    assert!(parse(whole(base.clone())).is_ok());
    for (key, value, words) in [
        ("registryScopes", json!([]), "it has no registryScopes"),
        ("registryScopes", json!(["*", "a/b"]), "cannot stand beside others"),
        ("signatureVerification", json!({"level": "high"}), "the level 'high' is none of"),
        (
            "signatureVerification",
            json!({"level": "strict", "override": {"x": "log"}}),
            "'x' cannot be overridden",
        ),
        ("trustStores", json!([]), "it needs trustStores and trustedIdentities"),
        ("trustStores", json!(["x:y"]), "the trust store 'x:y' is of no known kind"),
        ("trustedIdentities", json!(["x509.subject: C=US"]), "has no ST"),
    ] {
        let error = with(key, value).unwrap_err();
        assert!(
            error.contains("the trust policy cannot be used: statement 'app': ") && error.contains(words),
            "{error}"
        );
    }
    let error = parse(json!({"version": "2.0"})).unwrap_err().to_string();
    assert!(error.ends_with("its version '2.0' is not supported"), "{error}");
    let twice = parse(json!({"version": "1.0", "trustPolicies": [base, base]})).unwrap_err().to_string();
    assert!(twice.ends_with("there are several statements 'app'"), "{twice}");
    let bad =
        Notation::parse(whole(base.clone()).to_string().as_bytes(), [("a.crt", &b"s3cret"[..])].into_iter());
    let bad = bad.unwrap_err().to_string();
    assert_eq!(bad, "the certificate 'a.crt' cannot be used: it is not in PEM format");
    let scoped = notation("jws.json", JWS, "ca", |_| ());
    let error = scoped.document.statement("registry.test/other").map(|_| ()).unwrap_err();
    assert_eq!(error, "no statement applies to 'registry.test/other'");
}

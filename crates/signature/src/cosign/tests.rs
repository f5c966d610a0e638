//! Both layouts with signatures made here, and the ways in which they can be false.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sluice_oci::Descriptor;

use super::{Policy, bundle, payload};
use crate::PublicKey;

const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Signs as cosign does.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// What a `SubjectPublicKeyInfo` of such a key begins with.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn pem(prefix: &[u8], key: &[u8]) -> PublicKey {
    let text = STANDARD.encode([prefix, key].concat());
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        let _ = writeln!(pem, "{}", std::str::from_utf8(line).unwrap());
    }
    pem.push_str("-----END PUBLIC KEY-----\n");
    PublicKey::from_pem(pem.as_bytes()).unwrap()
}

fn ecdsa() -> (PublicKey, Sign) {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
    let public = pem(&P256, pair.public_key().as_ref());
    (public, Box::new(move |message| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()))
}

fn ed25519() -> (PublicKey, Sign) {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let public = pem(&ED25519, pair.public_key().as_ref());
    (public, Box::new(move |message| pair.sign(message).as_ref().to_vec()))
}

fn text(digest: &str, kind: &str) -> Vec<u8> {
    let image = json!({"docker-manifest-digest": digest});
    let critical = json!({"identity": {"docker-reference": ""}, "image": image, "type": kind});
    json!({"critical": critical, "optional": null}).to_string().into_bytes()
}

fn layer(signature: &[u8]) -> Descriptor {
    let key = "dev.cosignproject.cosign/signature".to_owned();
    Descriptor { annotations: [(key, STANDARD.encode(signature))].into(), ..Descriptor::default() }
}

#[test]
fn a_signed_text_counts_for_its_digest_and_its_keys_only() {
    let digest = format!("sha256:{HEX}");
    let kind = "cosign container image signature";
    for (public, sign) in [ecdsa(), ed25519()] {
        let (other, _) = ecdsa();
        let verify = |keys: &[&PublicKey], layer: &Descriptor, text: &[u8], digest: &str| {
            let keys = keys.iter().map(|key| (*key).clone()).collect();
            payload::verify(layer, text, digest, &Policy::Keys(keys))
        };
        let good = text(&digest, kind);
        let signed = layer(&sign(&good));
        assert_eq!(verify(&[&public], &signed, &good, &digest), Ok(()));
        assert_eq!(verify(&[&other, &public], &signed, &good, &digest), Ok(()), "any of the keys will do");
        let none = Err("the signature is of none of the keys".to_owned());
        assert_eq!(verify(&[&other], &signed, &good, &digest), none);
        assert_eq!(verify(&[], &signed, &good, &digest), none);
        assert_eq!(verify(&[&public], &signed, &text(&digest, "x"), &digest), none, "changed after signing");
        let elsewhere = format!("sha256:{}", "f".repeat(64));
        let error = verify(&[&public], &signed, &good, &elsewhere).unwrap_err();
        assert_eq!(error, format!("the signature is for {digest}"));
        let attestation = text(&digest, "something else");
        let error = verify(&[&public], &layer(&sign(&attestation)), &attestation, &digest).unwrap_err();
        assert_eq!(error, "what is signed is a 'something else'");
        assert!(verify(&[&public], &Descriptor::default(), &good, &digest).is_err());
    }
}

/// What cosign v3.1.3 made with the key that is there: `cosign sign --key … --use-signing-config=false --tlog-upload=false`,
/// with and without `--new-bundle-format`.
fn golden(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cosign-v3.1.3");
    std::fs::read(format!("{folder}/{name}")).unwrap()
}

#[test]
fn signatures_of_the_real_cosign_count_and_changed_ones_do_not() {
    let sum = ring::digest::digest(&ring::digest::SHA256, &golden("artifact-manifest.json"));
    let mut hex = String::new();
    for byte in sum.as_ref() {
        let _ = write!(hex, "{byte:02x}");
    }
    let digest = format!("sha256:{hex}");
    let mine = Policy::Keys(vec![PublicKey::from_pem(&golden("cosign.pub")).unwrap()]);
    let other = Policy::Keys(vec![ecdsa().0]);
    let manifest: sluice_oci::Manifest = serde_json::from_slice(&golden("signature-manifest.json")).unwrap();
    let (layer, text, bundle) = (&manifest.layers[0], golden("payload.json"), golden("bundle.json"));
    assert_eq!(payload::verify(layer, &text, &digest, &mine), Ok(()));
    assert_eq!(bundle::verify(&bundle, &hex, &mine), Ok(()));
    assert!(payload::verify(layer, &text, &digest, &other).is_err());
    assert!(bundle::verify(&bundle, &hex, &other).is_err());
    for index in (0..text.len()).step_by(7) {
        let mut changed = text.clone();
        changed[index] ^= 1;
        assert!(payload::verify(layer, &changed, &digest, &mine).is_err(), "byte {index}");
    }
    let envelope: Value = serde_json::from_slice(&bundle).unwrap();
    for field in ["/dsseEnvelope/payload", "/dsseEnvelope/signatures/0/sig"] {
        let mut changed = envelope.clone();
        let value = changed.pointer_mut(field).unwrap();
        let text = value.as_str().unwrap();
        // Another letter in the middle: still base64.
        let middle = text.len() / 2;
        let letter = if &text[middle..=middle] == "A" { "B" } else { "A" };
        *value = format!("{}{letter}{}", &text[..middle], &text[middle + 1..]).into();
        assert!(bundle::verify(changed.to_string().as_bytes(), &hex, &mine).is_err(), "{field}");
    }
}

/// A bundle with one thing changed before it is signed, and one after.
fn bundle(sign: &Sign, before: impl Fn(&mut Value), after: impl Fn(&mut Value)) -> Vec<u8> {
    let mut statement = json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": HEX}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1", "predicate": {},
    });
    before(&mut statement);
    let statement = statement.to_string();
    let payload_type = "application/vnd.in-toto+json";
    let message = format!("DSSEv1 {} {payload_type} {} {statement}", payload_type.len(), statement.len());
    let signature = json!({"sig": STANDARD.encode(sign(message.as_bytes()))});
    let mut bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "x"}},
        "dsseEnvelope": {
            "payload": STANDARD.encode(&statement), "payloadType": payload_type, "signatures": [signature],
        },
    });
    after(&mut bundle);
    bundle.to_string().into_bytes()
}

#[test]
fn a_bundle_counts_for_its_digest_and_its_keys_only() {
    let (public, sign) = ecdsa();
    let verify = |bytes: &[u8], hex: &str| bundle::verify(bytes, hex, &Policy::Keys(vec![public.clone()]));
    let none = |_: &mut Value| {};
    assert_eq!(verify(&bundle(&sign, none, none), HEX), Ok(()));
    let failures: [(Vec<u8>, &str); 6] = [
        (bundle(&ecdsa().1, none, none), "the signature is of none of the keys"),
        (
            bundle(&sign, |it| it["predicateType"] = json!("https://slsa.dev/provenance/v1"), none),
            "the statement is a 'https://slsa.dev/provenance/v1', no signature",
        ),
        (bundle(&sign, |it| it["subject"] = json!([]), none), "the signature is for another digest"),
        (
            bundle(&sign, none, |it| {
                it["dsseEnvelope"]["payload"] = json!(STANDARD.encode("{}"));
            }),
            "the signature is of none of the keys",
        ),
        (
            bundle(&sign, none, |it| it["dsseEnvelope"]["signatures"] = json!([])),
            "the bundle must have exactly one signature",
        ),
        (bundle(&sign, none, |it| it["dsseEnvelope"] = Value::Null), "the bundle has no signed statement"),
    ];
    for (bytes, problem) in failures {
        assert_eq!(verify(&bytes, HEX), Err(problem.to_owned()));
    }
    let elsewhere = verify(&bundle(&sign, none, none), &"f".repeat(64));
    assert_eq!(elsewhere, Err("the signature is for another digest".to_owned()));
}

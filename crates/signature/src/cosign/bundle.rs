//! The newer layout: a bundle with everything that is needed to verify it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

use super::Policy;
use crate::sigstore::{Base64, Claim, Entry, Evidence};

const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Whether a media type is that of a bundle.
pub(super) fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.dev.sigstore.bundle.v")
        || media_type.starts_with("application/vnd.dev.sigstore.bundle+json")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Option<Envelope>,
    #[serde(default)]
    verification_material: Material,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<RawCertificate>,
    x509_certificate_chain: Option<Chain>,
    #[serde(default)]
    tlog_entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    raw_bytes: Base64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(default)]
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// Verifies that a bundle signs the artifact with this sha256 digest (hex).
pub(crate) fn verify(bundle: &[u8], hex: &str, policy: &Policy) -> Result<(), String> {
    let bundle: Bundle =
        serde_json::from_slice(bundle).map_err(|error| format!("the bundle cannot be read: {error}"))?;
    let envelope = bundle.dsse_envelope.ok_or("the bundle has no signed statement")?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(format!("the bundle signs a '{}'", envelope.payload_type));
    }
    let decode =
        |text: &str, what: &str| STANDARD.decode(text).map_err(|_| format!("the {what} is not base64"));
    let payload = decode(&envelope.payload, "statement")?;
    // With several it would have to be told what each is good for.
    let [signature] = envelope.signatures.as_slice() else {
        return Err("the bundle must have exactly one signature".to_owned());
    };
    let signature = decode(&signature.sig, "signature")?;
    let message = encoding(&envelope.payload_type, &payload);
    match policy {
        Policy::Keys(keys) => {
            if !keys.iter().any(|key| key.verifies(&message, &signature)) {
                return Err("the signature is of none of the keys".to_owned());
            }
        }
        Policy::Keyless(keyless) => {
            let material = bundle.verification_material;
            let chain = material.x509_certificate_chain.map(|chain| chain.certificates).unwrap_or_default();
            let certificates = material.certificate.into_iter().chain(chain);
            let certificates: Vec<_> = certificates.map(|entry| entry.raw_bytes.0).collect();
            let (first, rest) = certificates.split_first().ok_or("the bundle has no certificate")?;
            keyless.verify(&Evidence {
                certificate: first,
                intermediates: rest,
                entries: &material.tlog_entries,
                signature: &signature,
                message: &message,
                claim: Claim::Envelope(&payload),
            })?;
        }
    }
    // Only now may the statement be believed.
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|error| format!("the statement cannot be read: {error}"))?;
    if statement.predicate_type != PREDICATE {
        return Err(format!("the statement is a '{}', no signature", statement.predicate_type));
    }
    let signed = |subject: &Subject| subject.digest.get("sha256").is_some_and(|digest| digest == hex);
    if statement.subject.iter().any(signed) {
        Ok(())
    } else {
        Err("the signature is for another digest".to_owned())
    }
}

/// What is really signed: type and content with their lengths.
fn encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

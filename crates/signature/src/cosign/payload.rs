//! The older layout: a small text that names the artifact, and its signature in an annotation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sluice_oci::Descriptor;

use super::Policy;
use crate::pem;
use crate::sigstore::{Claim, Entry, Evidence};

pub(super) const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// Verifies the text of a layer against the annotation of that layer.
pub(crate) fn verify(
    layer: &Descriptor,
    payload: &[u8],
    digest: &str,
    policy: &Policy,
) -> Result<(), String> {
    let signature = layer.annotations.get(SIGNATURE).ok_or("it has no signature")?;
    let signature = STANDARD.decode(signature.trim()).map_err(|_| "its signature is not base64")?;
    match policy {
        Policy::Keys(keys) => {
            if !keys.iter().any(|key| key.verifies(payload, &signature)) {
                return Err("the signature is of none of the keys".to_owned());
            }
        }
        Policy::Keyless(keyless) => {
            let pem = |key: &str| {
                let text = layer.annotations.get(key).map(String::as_str).unwrap_or_default();
                pem::blocks(text, "CERTIFICATE")
            };
            let certificates = pem(CERTIFICATE);
            let certificate = certificates.first().ok_or("it has no certificate")?;
            let entry = layer.annotations.get(BUNDLE).map(|text| Entry::from_annotation(text)).transpose()?;
            keyless.verify(&Evidence {
                certificate,
                intermediates: &pem(CHAIN),
                entries: entry.as_slice(),
                signature: &signature,
                message: payload,
                claim: Claim::Message(payload),
            })?;
        }
    }
    // Only now may the text be believed.
    let payload: Payload =
        serde_json::from_slice(payload).map_err(|error| format!("what is signed cannot be read: {error}"))?;
    let kind = payload.critical.kind;
    if !matches!(kind.as_str(), "cosign container image signature" | "atomic container signature") {
        return Err(format!("what is signed is a '{kind}'"));
    }
    if payload.critical.image.digest != digest {
        return Err(format!("the signature is for {}", payload.critical.image.digest));
    }
    Ok(())
}

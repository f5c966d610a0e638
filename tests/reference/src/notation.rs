//! Signs as notation does: with a certificate of an authority of its own, in an envelope of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use crate::sigstore::Result;

/// The media type of an envelope.
pub const ENVELOPE: &str = "application/jose+json";
/// What kind of artifact a signature is.
pub const ARTIFACT_TYPE: &str = "application/vnd.cncf.notary.signature";

/// An authority and a signer of the organization `O=Acme`.
pub struct Notary {
    authority: rcgen::Certificate,
    signer: rcgen::Certificate,
    key: KeyPair,
}

impl Notary {
    /// With keys of its own.
    pub fn new() -> Result<Self> {
        let name = |common: &str| {
            let mut name = DistinguishedName::new();
            for (kind, value) in [
                (DnType::CountryName, "US"),
                (DnType::StateOrProvinceName, "WA"),
                (DnType::OrganizationName, "Acme"),
                (DnType::CommonName, common),
            ] {
                name.push(kind, value);
            }
            name
        };
        let (authority_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name("signer");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2090, 1, 1));
        let signer = params.signed_by(&key, &issuer)?;
        Ok(Notary { authority, signer, key })
    }

    /// The authority's certificate, PEM.
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// An envelope for an artifact.
    pub fn sign(&self, media_type: &str, digest: &str, size: u64) -> Result<String> {
        let target = json!({"mediaType": media_type, "digest": digest, "size": size});
        let payload = URL_SAFE_NO_PAD.encode(json!({"targetArtifact": target}).to_string());
        let protected = json!({
            "alg": "ES256", "crit": ["io.cncf.notary.signingScheme"],
            "cty": "application/vnd.cncf.notary.payload.v1+json", "io.cncf.notary.signingScheme": "notary.x509",
            "io.cncf.notary.signingTime": "2026-01-01T00:00:00Z",
        });
        let protected = URL_SAFE_NO_PAD.encode(protected.to_string());
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.key.serialize_der(), &random);
        let pair = pair.map_err(|error| format!("the key cannot sign: {error}"))?;
        let signature = pair.sign(&random, format!("{protected}.{payload}").as_bytes());
        let signature = signature.map_err(|_| "the key does not sign")?;
        let chain = [STANDARD.encode(self.signer.der()), STANDARD.encode(self.authority.der())];
        let header = json!({"x5c": chain, "io.cncf.notary.signingAgent": "tests"});
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Ok(json!({"payload": payload, "protected": protected, "header": header, "signature": signature})
            .to_string())
    }
}

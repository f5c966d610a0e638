//! Signed assertions with which programs log in at Google and Microsoft.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};

use crate::Error;

/// Signs claims with an RSA key in PEM.
pub(crate) fn sign(
    header: &serde_json::Value,
    claims: &serde_json::Value,
    key: &str,
) -> Result<String, Error> {
    let parsed = rsa::RsaPrivateKey::from_pkcs8_pem(key).ok();
    let parsed = parsed.or_else(|| rsa::RsaPrivateKey::from_pkcs1_pem(key).ok());
    let key =
        parsed.ok_or_else(|| Error::Credentials("the private key is no RSA key in PEM format".to_owned()))?;
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = SigningKey::<Sha256>::new(key).try_sign(signed.as_bytes());
    let signature = signature.map_err(|_| Error::Credentials("the private key cannot sign".to_owned()))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
}

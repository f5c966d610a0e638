//! JSON web tokens signed with RSA and SHA-256 (RS256): what GitHub Apps, and programs at Google and Microsoft, log in with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::fmt;

/// Why nothing was signed: always about the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is no private key in PEM.
    Pem,
    /// It is a key of another kind, or an RSA key that may not be used, such as one that is too short.
    Rsa,
    /// The signature failed.
    Sign,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem => "it is no private key in PEM format",
            Self::Rsa => "it is no RSA key of 2048 to 4096 bits",
            Self::Sign => "it cannot sign",
        })
    }
}

impl std::error::Error for Error {}

/// A token of these claims, signed with an RSA key in PEM (PKCS #1 or PKCS #8). The header names the algorithm and the
/// type; `more` is an object that adds to it, such as the name of the key.
pub fn sign(claims: &Value, more: &Value, pem: &[u8]) -> Result<String, Error> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| Error::Pem)?;
    let key = match &key {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(Error::Rsa),
    };
    let key = key.map_err(|_| Error::Rsa)?;
    let mut header = json!({"alg": "RS256", "typ": "JWT"});
    for (name, value) in more.as_object().into_iter().flatten() {
        header[name] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| Error::Sign)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
    use rsa::pkcs1::{EncodeRsaPrivateKey as _, LineEnding};
    use rsa::pkcs8::EncodePrivateKey as _;
    use rsa::traits::PublicKeyParts as _;

    #[test]
    fn both_forms_of_a_key_sign_what_its_public_half_verifies() {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let forms = [key.to_pkcs1_pem(LineEnding::LF).unwrap(), key.to_pkcs8_pem(LineEnding::LF).unwrap()];
        for pem in forms {
            let token = sign(&json!({"iss": "me"}), &json!({"kid": "one"}), pem.as_bytes()).unwrap();
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let public = RsaPublicKeyComponents { n: key.n().to_bytes_be(), e: key.e().to_bytes_be() };
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).unwrap();
            let header = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().0).unwrap();
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "one"}));
        }
    }

    #[test]
    fn what_is_no_such_key_is_an_error() {
        assert_eq!(sign(&json!({}), &Value::Null, b"nonsense"), Err(Error::Pem));
        let short = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
        let short = short.to_pkcs8_pem(LineEnding::LF).unwrap();
        assert_eq!(sign(&json!({}), &Value::Null, short.as_bytes()), Err(Error::Rsa));
    }
}

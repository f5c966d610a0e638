//! Signed JSON web tokens, checked when a sender brings one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// A token that was taken apart, not checked.
pub(crate) struct Token<'a> {
    /// The algorithm that it names.
    pub(crate) algorithm: String,
    /// The key that it names.
    pub(crate) key_id: Option<String>,
    /// What it claims. Worth nothing before [`Key::verify`].
    pub(crate) claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood; none is.
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let malformed = || "the token is no signed JSON web token".to_owned();
        let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| malformed())?;
        if header.crit.is_some() {
            return Err("the token has critical extensions that are not known".to_owned());
        }
        let claims: Value = serde_json::from_slice(&decode(claims)?).map_err(|_| malformed())?;
        if !claims.is_object() {
            return Err(malformed());
        }
        Ok(Self { algorithm: header.alg, key_id: header.kid, claims, signed, signature: decode(signature)? })
    }

    /// Checks the times and the audience of the claims, with a minute of difference between clocks.
    pub(crate) fn check_claims(&self, audience: &str, now: i64) -> Result<(), String> {
        const LEEWAY: f64 = 60.0;
        let now = now as f64;
        let time = |name: &str| self.claims[name].as_f64();
        match time("exp") {
            Some(end) if end + LEEWAY > now => {}
            Some(_) => return Err("the token has expired".to_owned()),
            None => return Err("the token never expires".to_owned()),
        }
        if time("nbf").is_some_and(|begin| begin - LEEWAY > now) {
            return Err("the token is not valid yet".to_owned());
        }
        let named = match &self.claims["aud"] {
            Value::String(one) => one == audience,
            Value::Array(several) => several.iter().any(|one| one == audience),
            _ => false,
        };
        if named { Ok(()) } else { Err(format!("the token is not meant for the audience '{audience}'")) }
    }
}

/// A public key of a key set.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Key {
    /// Its name.
    #[serde(default)]
    pub(crate) kid: Option<String>,
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

impl Key {
    /// Checks the signature of a token. The key decides which algorithms there are, not the token.
    pub(crate) fn verify(&self, token: &Token<'_>) -> Result<(), String> {
        let decode = |field: &str| {
            URL_SAFE_NO_PAD
                .decode(field.trim_end_matches('='))
                .map_err(|_| "a key of the issuer is malformed".to_owned())
        };
        let (message, given) = (token.signed.as_bytes(), token.signature.as_slice());
        let verified = match (self.kty.as_str(), self.crv.as_str(), token.algorithm.as_str()) {
            ("RSA", _, algorithm) => {
                let parameters = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    other => return Err(unsupported(other)),
                };
                RsaPublicKeyComponents { n: decode(&self.n)?, e: decode(&self.e)? }
                    .verify(parameters, message, given)
            }
            ("EC", curve, algorithm) => {
                let parameters = match (curve, algorithm) {
                    ("P-256", "ES256") => &signature::ECDSA_P256_SHA256_FIXED,
                    ("P-384", "ES384") => &signature::ECDSA_P384_SHA384_FIXED,
                    (_, other) => return Err(unsupported(other)),
                };
                let point = [vec![4], decode(&self.x)?, decode(&self.y)?].concat();
                UnparsedPublicKey::new(parameters, point).verify(message, given)
            }
            ("OKP", "Ed25519", "EdDSA") => {
                UnparsedPublicKey::new(&signature::ED25519, decode(&self.x)?).verify(message, given)
            }
            (_, _, other) => return Err(unsupported(other)),
        };
        verified.map_err(|_| "the signature of the token does not match".to_owned())
    }
}

fn unsupported(algorithm: &str) -> String {
    format!("the token's algorithm '{algorithm}' is not one of the issuer's key")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ring::signature::{EcdsaKeyPair, KeyPair};
    use serde_json::json;

    /// An issuer's key pair, for tests.
    pub(crate) struct Issuer(EcdsaKeyPair);

    impl Issuer {
        pub(crate) fn new() -> Self {
            let (random, kind) =
                (ring::rand::SystemRandom::new(), &signature::ECDSA_P256_SHA256_FIXED_SIGNING);
            let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap())
        }

        pub(crate) fn token(&self, claims: &Value) -> String {
            let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
            let signed = format!("{}.{}", encode(&json!({"alg": "ES256", "kid": "one"})), encode(claims));
            let signature = self.0.sign(&ring::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }

        pub(crate) fn keys(&self) -> Value {
            let point = self.0.public_key().as_ref();
            let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            json!({"keys": [{"kid": "one", "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..])}]})
        }
    }

    /// The private exponent of the same example.
    const RFC_7515_PRIVATE: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";

    /// The key of that example in PEM, as GitHub and Google hand keys out.
    pub(crate) fn rsa_pem() -> String {
        use rsa::pkcs1::EncodeRsaPrivateKey;
        let public: Value = serde_json::from_str(RFC_7515_KEY).unwrap();
        let number = |text: &str| rsa::BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text).unwrap());
        let field = |name: &str| number(public[name].as_str().unwrap());
        let key =
            rsa::RsaPrivateKey::from_components(field("n"), field("e"), number(RFC_7515_PRIVATE), vec![]);
        key.unwrap().to_pkcs1_pem(rsa::pkcs1::LineEnding::LF).unwrap().to_string()
    }

    /// The example of RFC 7515, appendix A.2: RS256.
    const RFC_7515_KEY: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
    const RFC_7515_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    #[test]
    fn the_example_of_the_rfc_verifies_and_one_bit_less_does_not() {
        let key: Key = serde_json::from_str(RFC_7515_KEY).unwrap();
        let token = Token::parse(RFC_7515_TOKEN).unwrap();
        assert_eq!(key.verify(&token), Ok(()));
        assert_eq!(token.claims["iss"], "joe");
        assert!(token.check_claims("x", 1_900_000_000).is_err(), "expired long ago");
        let mut changed = Token::parse(RFC_7515_TOKEN).unwrap();
        changed.signature[7] ^= 1;
        assert!(key.verify(&changed).is_err());
        let other = RFC_7515_TOKEN.replacen("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Ii", 1);
        assert!(key.verify(&Token::parse(&other).unwrap()).is_err());
    }

    #[test]
    fn the_key_chooses_the_algorithm() {
        let issuer = Issuer::new();
        let key: Key = serde_json::from_value(issuer.keys()["keys"][0].clone()).unwrap();
        let text = issuer.token(&json!({"exp": 200, "aud": ["a", "b"]}));
        let mut token = Token::parse(&text).unwrap();
        assert_eq!(key.verify(&token), Ok(()));
        assert_eq!(token.check_claims("b", 100), Ok(()));
        assert!(token.check_claims("c", 100).is_err() && token.check_claims("b", 300).is_err());
        for algorithm in ["none", "HS256", "RS256"] {
            token.algorithm = algorithm.to_owned();
            assert!(key.verify(&token).is_err(), "{algorithm}");
        }
        for text in ["", "a.b", "a.b.c", "e30.e30."] {
            assert!(Token::parse(text).is_err(), "{text}");
        }
    }
}

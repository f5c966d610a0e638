//! Envelopes in JSON (RFC 7515).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;

use super::envelope::Raw;
use crate::key::Algorithm;

#[derive(Deserialize)]
struct Jws {
    payload: String,
    protected: String,
    header: Header,
    signature: String,
}

#[derive(Deserialize)]
struct Header {
    x5c: Vec<String>,
}

#[derive(Deserialize)]
struct Protected {
    alg: String,
    #[serde(default)]
    crit: Vec<String>,
    #[serde(default)]
    cty: String,
    #[serde(default, rename = "io.cncf.notary.signingScheme")]
    scheme: String,
    #[serde(rename = "io.cncf.notary.expiry")]
    expiry: Option<Timestamp>,
    #[serde(rename = "io.cncf.notary.authenticSigningTime")]
    authentic_time: Option<Timestamp>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Raw, String> {
    let unread = |error: serde_json::Error| format!("the envelope cannot be read: {error}");
    let jws: Jws = serde_json::from_slice(bytes).map_err(unread)?;
    let decode = |text: &str| {
        URL_SAFE_NO_PAD.decode(text).map_err(|_| "a field of the envelope is not base64".to_owned())
    };
    let protected: Protected = serde_json::from_slice(&decode(&jws.protected)?).map_err(unread)?;
    let chain = jws.header.x5c.iter().map(|text| STANDARD.decode(text)).collect::<Result<_, _>>();
    let algorithm = Algorithm::from_name(&protected.alg);
    let seconds = |time: Timestamp| u64::try_from(time.as_second()).unwrap_or_default();
    Ok(Raw {
        algorithm: algorithm.ok_or_else(|| format!("the algorithm '{}' is not supported", protected.alg))?,
        content_type: protected.cty,
        critical: protected.crit,
        scheme: protected.scheme,
        expiry: protected.expiry.map(seconds),
        authentic_time: protected.authentic_time.map(seconds),
        chain: chain.map_err(|_| "a certificate of the envelope is not base64".to_owned())?,
        payload: decode(&jws.payload)?,
        message: format!("{}.{}", jws.protected, jws.payload).into_bytes(),
        signature: decode(&jws.signature)?,
    })
}

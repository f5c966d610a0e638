//! Envelopes in CBOR (RFC 9052): one signer.

use super::cbor::{Value, encode_bytes, read as read_cbor};
use super::envelope::{AUTHENTIC_TIME, EXPIRY, Raw, SCHEME};
use crate::key::Algorithm;

/// The tag of an envelope with one signer.
const SIGN1: u64 = 18;
/// Labels of headers.
const ALGORITHM: Value = Value::Integer(1);
const CRITICAL: Value = Value::Integer(2);
const CONTENT_TYPE: Value = Value::Integer(3);
const CERTIFICATES: Value = Value::Integer(33);

pub(super) fn read(bytes: &[u8]) -> Result<Raw, String> {
    let unread = || "the envelope cannot be read: it is no COSE with one signer".to_owned();
    let Some(Value::Tag(SIGN1, inner)) = read_cbor(bytes) else { return Err(unread()) };
    let Value::Array(parts) = *inner else { return Err(unread()) };
    let [Value::Bytes(protected), Value::Map(open), Value::Bytes(payload), Value::Bytes(signature)] =
        parts.as_slice()
    else {
        return Err(unread());
    };
    let Some(Value::Map(headers)) = read_cbor(protected) else { return Err(unread()) };
    let get = |label: &Value| headers.iter().find(|(key, _)| key == label).map(|(_, value)| value);
    let text = |label: &Value| match get(label) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let time = |label: &str| match get(&Value::Text(label.to_owned())) {
        Some(Value::Tag(1, time)) => match **time {
            Value::Integer(time) => u64::try_from(time).map(Some).map_err(|_| unread()),
            _ => Err(unread()),
        },
        Some(_) => Err(unread()),
        None => Ok(None),
    };
    let algorithm = match get(&ALGORITHM) {
        Some(Value::Integer(number)) => Algorithm::from_number(*number),
        _ => None,
    };
    let critical = match get(&CRITICAL) {
        // Numbers are of standard headers, which are understood where they mean anything here.
        Some(Value::Array(labels)) => labels
            .iter()
            .filter_map(|label| match label {
                Value::Text(text) => Some(Ok(text.clone())),
                Value::Integer(1..=3) => None,
                _ => Some(Err(unread())),
            })
            .collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    let certificate = |value: &Value| match value {
        Value::Bytes(der) => Ok(der.clone()),
        _ => Err(unread()),
    };
    let chain = match open.iter().find(|(key, _)| *key == CERTIFICATES).map(|(_, value)| value) {
        Some(Value::Array(several)) => several.iter().map(certificate).collect::<Result<_, _>>()?,
        Some(one) => vec![certificate(one)?],
        None => Vec::new(),
    };
    // Four parts: a name, the headers, nothing, the content.
    let mut message = b"\x84\x6aSignature1".to_vec();
    encode_bytes(&mut message, protected);
    encode_bytes(&mut message, b"");
    encode_bytes(&mut message, payload);
    Ok(Raw {
        algorithm: algorithm.ok_or("the algorithm of the envelope is not supported")?,
        content_type: text(&CONTENT_TYPE),
        critical,
        scheme: text(&Value::Text(SCHEME.to_owned())),
        expiry: time(EXPIRY)?,
        authentic_time: time(AUTHENTIC_TIME)?,
        chain,
        payload: payload.clone(),
        message,
        signature: signature.clone(),
    })
}

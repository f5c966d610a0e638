//! `ENC[AES256_GCM,…]`: AES-256 in Galois/Counter Mode, with the path of the value as additional data.

use aes_gcm::aead::consts::{U12, U16, U32};
use aes_gcm::aead::{Aead, KeyInit, Nonce, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::{AeadCore, AesGcm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_yaml::timestamp::Timestamp;

use crate::tree::{Comment, Value};

/// What an encrypted value turns out to be.
pub(crate) enum Plain {
    Value(Value),
    Comment(Comment),
}

/// Decrypts a value. An empty text is its own encryption.
pub(crate) fn decrypt(text: &[u8], key: &[u8], additional: &str) -> Result<Plain, String> {
    if text.is_empty() {
        return Ok(Plain::Value(Value::Text(Vec::new())));
    }
    let parts = std::str::from_utf8(text)
        .ok()
        .and_then(split)
        .ok_or("Input string <redacted> does not match sops' data format")?;
    let mut data = decode(parts.data, "data")?;
    let iv = decode(parts.iv, "iv")?;
    data.extend(decode(parts.tag, "tag")?);
    let payload = Payload { msg: &data, aad: additional.as_bytes() };
    let plain = match iv.len() {
        32 => open::<AesGcm<Aes256, U32>>(key, &iv, payload),
        16 => open::<AesGcm<Aes256, U16>>(key, &iv, payload),
        12 => open::<AesGcm<Aes256, U12>>(key, &iv, payload),
        _ => Err("cipher: incorrect nonce length given to GCM".to_owned()),
    }?;
    typed(plain, parts.kind)
}

struct Parts<'a> {
    data: &'a str,
    iv: &'a str,
    tag: &'a str,
    kind: &'a str,
}

/// Takes the text apart from its end, as the reference's greedy expression does.
fn split(text: &str) -> Option<Parts<'_>> {
    let rest = text.lines().next()?.strip_prefix("ENC[AES256_GCM,data:")?;
    let (rest, _) = rest.rsplit_once(']')?;
    let (rest, kind) = rest.rsplit_once(",type:")?;
    let (rest, tag) = rest.rsplit_once(",tag:")?;
    let (data, iv) = rest.rsplit_once(",iv:")?;
    let parts = Parts { data, iv, tag, kind };
    let empty = [data, iv, tag, kind].iter().any(|part| part.is_empty());
    (!empty).then_some(parts)
}

fn decode(text: &str, name: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| {
        let position = match error {
            base64::DecodeError::InvalidByte(position, _)
            | base64::DecodeError::InvalidLastSymbol(position, _) => position,
            base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => text.len(),
        };
        format!("Error base64-decoding {name}: illegal base64 data at input byte {position}")
    })
}

fn open<C: KeyInit + Aead + AeadCore>(
    key: &[u8],
    iv: &[u8],
    payload: Payload<'_, '_>,
) -> Result<Vec<u8>, String> {
    let cipher = C::new_from_slice(key).map_err(|_| format!("crypto/aes: invalid key size {}", key.len()))?;
    cipher
        .decrypt(Nonce::<C>::from_slice(iv), payload)
        .map_err(|_| "Could not decrypt with AES_GCM: cipher: message authentication failed".to_owned())
}

/// The plain bytes as what they were. Values stay out of errors, other than in the reference.
fn typed(plain: Vec<u8>, kind: &str) -> Result<Plain, String> {
    let text = || String::from_utf8_lossy(&plain).into_owned();
    let invalid = |function: &str| format!("strconv.{function}: parsing \"<redacted>\": invalid syntax");
    let value = match kind {
        "str" | "bytes" => Value::Text(plain),
        "int" => Value::Int(text().parse().map_err(|_| invalid("Atoi"))?),
        "float" => Value::Float(float(&text()).ok_or_else(|| invalid("ParseFloat"))?),
        "bool" => Value::Bool(match text().as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            _ => return Err(invalid("ParseBool")),
        }),
        "time" => match Timestamp::parse(&text()) {
            Some(time) => Value::Time(time.to_string()),
            None => return Err("parsing time \"<redacted>\": invalid syntax".to_owned()),
        },
        "comment" => return Ok(Plain::Comment(Comment { text: text(), inline: false })),
        _ => return Err(format!("Unknown datatype: {kind}")),
    };
    Ok(Plain::Value(value))
}

fn float(text: &str) -> Option<f64> {
    // Rust reads all that Go writes.
    text.parse().ok()
}

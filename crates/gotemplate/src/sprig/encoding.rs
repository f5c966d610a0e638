//! Encodings and digests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest as _;

use crate::args::text;
use crate::func::Func;
use crate::value::{Str, Type, Value};

const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::new("b64enc", &[S], S, |_, args| Ok(STANDARD.encode(text(&args[0])).into())),
    Func::new("b64dec", &[S], S, |_, args| {
        Ok(Value::String(match decode_base64(text(&args[0])) {
            Ok(bytes) => bytes.into(),
            Err(message) => message.into(),
        }))
    }),
    Func::new("b32enc", &[S], S, |_, args| Ok(encode_base32(text(&args[0])).into())),
    Func::new("b32dec", &[S], S, |_, args| Ok(Value::String(decode_base32(text(&args[0]))))),
    Func::new("sha1sum", &[S], S, |_, args| Ok(hex(&sha1::Sha1::digest(text(&args[0]))).into())),
    Func::new("sha256sum", &[S], S, |_, args| Ok(hex(&sha2::Sha256::digest(text(&args[0]))).into())),
    Func::new("sha512sum", &[S], S, |_, args| Ok(hex(&sha2::Sha512::digest(text(&args[0]))).into())),
    Func::new("adler32sum", &[S], S, |_, args| Ok(adler32(text(&args[0])).to_string().into())),
];

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65_521;
    let (mut low, mut high) = (1_u32, 0_u32);
    // So many bytes cannot overflow 32 bits.
    for chunk in bytes.chunks(5552) {
        for byte in chunk {
            low += u32::from(*byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

/// Go's `base64.StdEncoding.DecodeString`: line breaks are passed over; the error is its text.
pub(crate) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, String> {
    let corrupt = |at: usize| format!("illegal base64 data at input byte {at}");
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut at = 0;
    loop {
        let mut quantum = [0_u8; 4];
        let mut filled = 0;
        while filled < 4 {
            let Some(byte) = text.get(at).copied() else {
                return if filled == 0 { Ok(out) } else { Err(corrupt(at - filled)) };
            };
            at += 1;
            if byte == b'\n' || byte == b'\r' {
                continue;
            }
            if let Some(value) = value_of(byte) {
                quantum[filled] = value;
                filled += 1;
                continue;
            }
            if byte != b'=' {
                return Err(corrupt(at - 1));
            }
            if filled < 2 {
                return Err(corrupt(at - 1));
            }
            if filled == 2 {
                while matches!(text.get(at), Some(b'\n' | b'\r')) {
                    at += 1;
                }
                match text.get(at) {
                    None => return Err(corrupt(text.len())),
                    Some(b'=') => at += 1,
                    Some(_) => return Err(corrupt(at)),
                }
            }
            while matches!(text.get(at), Some(b'\n' | b'\r')) {
                at += 1;
            }
            out.push(quantum[0] << 2 | quantum[1] >> 4);
            if filled == 3 {
                out.push(quantum[1] << 4 | quantum[2] >> 2);
            }
            return if at < text.len() { Err(corrupt(at)) } else { Ok(out) };
        }
        out.push(quantum[0] << 2 | quantum[1] >> 4);
        out.push(quantum[1] << 4 | quantum[2] >> 2);
        out.push(quantum[2] << 6 | quantum[3]);
    }
}

const fn value_of(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn encode_base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() / 5 * 8 + 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0_u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let used = (chunk.len() * 8).div_ceil(5);
        for at in 0..8 {
            let digit = (bits >> (35 - 5 * at)) & 31;
            out.push(if at < used { char::from(BASE32[digit as usize]) } else { '=' });
        }
    }
    out
}

/// Go's `base32.StdEncoding.DecodeString`, or its error's text.
fn decode_base32(text: &[u8]) -> Str {
    let corrupt = |at: usize| Str::from(format!("illegal base32 data at input byte {at}"));
    let plain: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let mut out = Vec::with_capacity(plain.len() / 8 * 5);
    let mut at = 0;
    while at < plain.len() {
        let mut bits = 0_u64;
        let mut digits = 8;
        for index in 0..8 {
            let Some(byte) = plain.get(at + index).copied() else {
                return corrupt(at);
            };
            if byte == b'=' && index >= 2 {
                if plain.len() < at + 8 || plain[at + index..at + 8].iter().any(|byte| *byte != b'=') {
                    let wrong = (at + index..plain.len()).find(|at| plain[*at] != b'=');
                    return corrupt(wrong.unwrap_or(plain.len()));
                }
                if matches!(index, 3 | 6) {
                    return corrupt(at + index - 1);
                }
                digits = index;
                break;
            }
            let Some(value) = BASE32.iter().position(|known| *known == byte) else {
                return corrupt(at + index);
            };
            bits |= (value as u64) << (35 - 5 * index);
        }
        let bytes = bits.to_be_bytes();
        out.extend_from_slice(&bytes[3..3 + digits * 5 / 8]);
        at += 8;
        if digits < 8 {
            return if at < plain.len() { corrupt(at) } else { out.into() };
        }
    }
    out.into()
}

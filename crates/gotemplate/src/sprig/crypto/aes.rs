//! AES in the form that sprig chose: CBC, the password as the key.

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::encoding::decode_base64;
use crate::args::text;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Type, Value};

const S: Type = Type::STRING;
const BLOCK: usize = 16;

pub(super) static FUNCS: &[Func] =
    &[Func::new("encryptAES", &[S, S], S, encrypt), Func::new("decryptAES", &[S, S], S, decrypt)];

/// The password, cut or filled with zeros.
fn key(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    let length = password.len().min(key.len());
    key[..length].copy_from_slice(&password[..length]);
    key
}

fn encrypt(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let plain = text(&args[1]);
    if plain.is_empty() {
        return Ok("".into());
    }
    let padding = BLOCK - plain.len() % BLOCK;
    let mut content = plain.to_vec();
    content.resize(plain.len() + padding, padding as u8);
    let mut iv = [0; BLOCK];
    ctx.host().random(&mut iv)?;
    let length = content.len();
    let encryptor = cbc::Encryptor::<Aes256>::new(&key(text(&args[0])).into(), &iv.into());
    encryptor.encrypt_padded_mut::<NoPadding>(&mut content, length).map_err(|error| error.to_string())?;
    Ok(STANDARD.encode([&iv[..], &content].concat()).into())
}

fn decrypt(_: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    if text(&args[1]).is_empty() {
        return Ok("".into());
    }
    let all = decode_base64(text(&args[1]))?;
    let Some((iv, content)) = all.split_first_chunk::<BLOCK>() else {
        return Err(Failure::new(format!(
            "runtime error: slice bounds out of range [:{BLOCK}] with capacity {}",
            text(&args[1]).len() / 4 * 3
        )));
    };
    if content.len() % BLOCK != 0 {
        return Err("crypto/cipher: input not full blocks".into());
    }
    let mut content = content.to_vec();
    let decryptor = cbc::Decryptor::<Aes256>::new(&key(text(&args[0])).into(), iv.into());
    decryptor.decrypt_padded_mut::<NoPadding>(&mut content).map_err(|error| error.to_string())?;
    let Some(padding) = content.last().copied() else {
        return Err("runtime error: index out of range [-1]".into());
    };
    match content.len().checked_sub(usize::from(padding)) {
        Some(length) => {
            content.truncate(length);
            Ok(Value::String(content.into()))
        }
        None => {
            let end = content.len() as i64 - i64::from(padding);
            Err(Failure::new(format!("runtime error: slice bounds out of range [:{end}]")))
        }
    }
}

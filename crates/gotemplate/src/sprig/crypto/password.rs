//! Password hashes and derived passwords.

use blowfish::Blowfish;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::EXPENSIVE;
use crate::args::{int, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Type, Value};

const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::new("bcrypt", &[S], S, |ctx, args| Ok(bcrypt(ctx, text(&args[0]))?.into())),
    Func::new("htpasswd", &[S, S], S, |ctx, args| {
        let (user, password) = (text(&args[0]).clone(), text(&args[1]).clone());
        if user.contains(&b':') {
            return Ok(format!("invalid username: {user}").into());
        }
        let hash = bcrypt(ctx, &password)?;
        Ok(Value::String([&*user, b":", hash.as_bytes()].concat().into()))
    }),
    Func::new("derivePassword", &[Type::UINT32, S, S, S, S], S, derive),
];

const COST: u32 = 10;
const LONGEST: usize = 72;
const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

fn bcrypt(ctx: &mut Ctx<'_>, password: &[u8]) -> Result<String, Failure> {
    if password.len() > LONGEST {
        let message = "bcrypt: password length exceeds 72 bytes";
        return Ok(format!("failed to encrypt string with bcrypt: {message}"));
    }
    ctx.spend(EXPENSIVE)?;
    let mut salt = [0; 16];
    ctx.host().random(&mut salt)?;
    let digest = bcrypt_digest(password, &salt, COST);
    Ok(format!("$2a${COST:02}${}{}", base64(&salt), base64(&digest[..23])))
}

fn bcrypt_digest(password: &[u8], salt: &[u8; 16], cost: u32) -> [u8; 24] {
    let mut key = password.to_vec();
    key.push(0);
    let mut state: Blowfish = Blowfish::bc_init_state();
    state.salted_expand_key(salt, &key);
    for _ in 0..1_u32 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(salt);
    }
    // "OrpheanBeholderScryDoubt"
    let mut words: [u32; 6] = [0x4f72_7068, 0x6561_6e42, 0x6568_6f6c, 0x6465_7253, 0x6372_7944, 0x6f75_6274];
    for pair in words.chunks_exact_mut(2) {
        let mut block = [pair[0], pair[1]];
        for _ in 0..64 {
            block = state.bc_encrypt(block);
        }
        pair.copy_from_slice(&block);
    }
    let mut digest = [0; 24];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

/// Bcrypt's own base64, without padding.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from(group[0]) << 16 | u32::from(group[1]) << 8 | u32::from(group[2]);
        for at in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    out
}

/// The Master Password algorithm.
const SEED: &[u8] = b"com.lyndir.masterpassword";

/// Shapes of passwords; each letter names a class of characters.
fn shapes(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

fn class(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

fn derive(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    let [counter, kind, password, user, site] = args else {
        return Ok(Value::Missing);
    };
    let Some(shapes) = shapes(text(kind)) else {
        return Ok(format!("cannot find password template {}", text(kind)).into());
    };
    ctx.spend(EXPENSIVE)?;
    let with_length = |text: &[u8]| [&(text.len() as u32).to_be_bytes()[..], text].concat();
    let salt = [SEED, &with_length(text(user))].concat();
    let mut key = [0; 64];
    let derived = scrypt::Params::new(15, 8, 2, 64).map_err(|error| error.to_string()).and_then(|params| {
        scrypt::scrypt(text(password), &salt, &params, &mut key).map_err(|error| error.to_string())
    });
    if let Err(message) = derived {
        return Ok(format!("failed to derive password: {message}").into());
    }
    let counter = (int(counter) as u32).to_be_bytes();
    let message = [SEED, &with_length(text(site)), &counter].concat();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(&message);
    let seed = mac.finalize().into_bytes();
    let shape = shapes[usize::from(seed[0]) % shapes.len()];
    let characters = shape.bytes().zip(&seed[1..]).map(|(letter, byte)| {
        let class = class(letter);
        char::from(class[usize::from(*byte) % class.len()])
    });
    Ok(characters.collect::<String>().into())
}

#[cfg(test)]
mod tests {
    use super::{base64, bcrypt_digest};

    #[test]
    fn bcrypt_gives_the_known_digest() {
        // A vector of the original implementation: cost 5, password "U*U".
        let salt =
            [0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10, 0x41, 0x04, 0x10];
        assert_eq!(base64(&salt), "CCCCCCCCCCCCCCCCCCCCC.");
        let digest = bcrypt_digest(b"U*U", &salt, 5);
        assert_eq!(base64(&digest[..23]), "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    }
}

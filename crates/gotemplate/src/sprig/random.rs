//! Randomness, all of it from the host.

use base64::Engine as _;

use crate::args::{int, text};
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Type, Value};

const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[
    Func::new("randAlphaNum", &[Type::INT], S, |ctx, args| random(ctx, args, |c| c.is_ascii_alphanumeric())),
    Func::new("randAlpha", &[Type::INT], S, |ctx, args| random(ctx, args, |c| c.is_ascii_alphabetic())),
    Func::new("randNumeric", &[Type::INT], S, |ctx, args| random(ctx, args, |c| c.is_ascii_digit())),
    Func::new("randAscii", &[Type::INT], S, |ctx, args| random(ctx, args, |c| (b' '..=b'~').contains(c))),
    Func::new("randInt", &[Type::INT, Type::INT], Type::INT, |ctx, args| {
        let (low, high) = (int(&args[0]), int(&args[1]));
        let span = u64::try_from(high.wrapping_sub(low)).ok().filter(|span| *span > 0);
        let Some(span) = span else {
            return Err("invalid argument to Intn".into());
        };
        Ok(Value::int(low.wrapping_add(below(ctx, span)? as i64)))
    }),
    Func::new("randBytes", &[Type::INT], S, |ctx, args| {
        let Ok(count) = usize::try_from(int(&args[0])) else {
            return Err("runtime error: makeslice: len out of range".into());
        };
        ctx.charge(count)?;
        let mut bytes = vec![0; count];
        ctx.host().random(&mut bytes)?;
        Ok(base64::engine::general_purpose::STANDARD.encode(bytes).into())
    }),
    Func::new("uuidv4", &[], S, |ctx, _| {
        let mut bytes = [0; 16];
        ctx.host().random(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = super::encoding::hex(&bytes);
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Ok(parts.join("-").into())
    }),
    Func::new("shuffle", &[S], S, |ctx, args| {
        let mut chars: Vec<char> = text(&args[0]).to_text().chars().collect();
        for at in (1..chars.len()).rev() {
            let other = below(ctx, at as u64 + 1)?;
            chars.swap(at, other as usize);
        }
        Ok(chars.into_iter().collect::<String>().into())
    }),
];

/// A number below the bound, each as likely as the others.
fn below(ctx: &mut Ctx<'_>, bound: u64) -> Result<u64, Failure> {
    let excess = (u64::MAX % bound + 1) % bound;
    loop {
        let mut bytes = [0; 8];
        ctx.host().random(&mut bytes)?;
        let value = u64::from_le_bytes(bytes);
        if value <= u64::MAX - excess {
            return Ok(value % bound);
        }
    }
}

fn random(ctx: &mut Ctx<'_>, args: &[Value], fits: fn(&u8) -> bool) -> Result<Value, Failure> {
    let Ok(count) = usize::try_from(int(&args[0])) else {
        // The generator's error is swallowed.
        return Ok("".into());
    };
    ctx.charge(count)?;
    ctx.spend(count as u64 / 16)?;
    let mut out = String::with_capacity(count);
    let mut bytes = [0; 64];
    while out.len() < count {
        ctx.host().random(&mut bytes)?;
        // Seven bits: of 128 values those that fit, so each is as likely.
        let fitting = bytes.iter().map(|byte| byte & 0x7f).filter(fits);
        out.extend(fitting.take(count - out.len()).map(char::from));
    }
    Ok(out.into())
}

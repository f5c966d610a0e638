//! Private keys: made, written and read.

use ed25519_dalek::SigningKey as Ed25519Key;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPrivateKey};
use sha2::Sha256;

use super::der::{bit_string, integer, items, read, sequence, tagged};
use super::primes::prime;
use super::{EXPENSIVE, HostRandom, pem};
use crate::args::text;
use crate::error::Failure;
use crate::exec::Ctx;
use crate::func::Func;
use crate::value::{Type, Value};

const S: Type = Type::STRING;

pub(super) static FUNCS: &[Func] = &[Func::new("genPrivateKey", &[S], S, generate)];

/// A private key of a kind that can be made here.
pub(super) enum Key {
    Rsa(Box<RsaPrivateKey>),
    Ecdsa(p256::SecretKey),
    Ed25519(Ed25519Key),
    /// P, Q, G, Y and X; it signs no certificates.
    Dsa(Vec<u8>),
}

const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// The public exponent of an RSA key, as Go chooses it.
const EXPONENT: u32 = 65_537;
/// How often two primes are tried. Nearly all fit the exponent: one prime in 65,537 does not.
const ATTEMPTS: usize = 8;

const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const OID_RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
const OID_ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const OID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const NULL: &[u8] = &[0x05, 0x00];

fn oid(bytes: &[u8]) -> Vec<u8> {
    tagged(0x06, bytes)
}

fn generate(ctx: &mut Ctx<'_>, args: &mut [Value]) -> Result<Value, Failure> {
    ctx.spend(EXPENSIVE)?;
    let kind = text(&args[0]).to_text().into_owned();
    let key = match kind.as_str() {
        "" | "rsa" => Key::new_rsa(ctx, 4096),
        "dsa" => Key::new_dsa(ctx),
        "ecdsa" => {
            let mut random = HostRandom::new(ctx);
            let key = p256::SecretKey::random(&mut random);
            random.finish(Key::Ecdsa(key))
        }
        "ed25519" => {
            let mut seed = [0; 32];
            ctx.host().random(&mut seed).map(|()| Key::Ed25519(Ed25519Key::from_bytes(&seed)))
        }
        _ => return Ok(format!("Unknown type {kind}").into()),
    };
    Ok(match key {
        Ok(key) => key.to_pem()?.into(),
        Err(message) => format!("failed to generate private key: {message}").into(),
    })
}

impl Key {
    /// A key of so many bits (a multiple of sixteen). `rsa` makes keys too, several times slower: it looks for primes
    /// without a sieve.
    pub(super) fn new_rsa(ctx: &mut Ctx<'_>, bits: usize) -> Result<Self, String> {
        let mut random = HostRandom::new(ctx);
        let mut attempts = (0..ATTEMPTS).map(|_| {
            let (p, q) = (prime(&mut random, bits / 2), prime(&mut random, bits / 2));
            RsaPrivateKey::from_p_q(p, q, BigUint::from(EXPONENT))
        });
        let key = attempts.find_map(Result::ok);
        let key = random.finish(key)?.ok_or("crypto/rsa: no fitting primes found")?;
        Ok(Self::Rsa(Box::new(key)))
    }

    fn new_dsa(ctx: &mut Ctx<'_>) -> Result<Self, String> {
        let mut random = HostRandom::new(ctx);
        let components = dsa::Components::generate(&mut random, dsa::KeySize::DSA_2048_256);
        let key = dsa::SigningKey::generate(&mut random, components);
        let public = key.verifying_key();
        let components = public.components();
        let number = |value: &BigUint| integer(&value.to_bytes_be());
        let bytes = sequence(&[
            integer(&[0]),
            number(components.p()),
            number(components.q()),
            number(components.g()),
            number(public.y()),
            number(key.x()),
        ]);
        random.finish(Self::Dsa(bytes))
    }

    pub(super) fn to_pem(&self) -> Result<String, Failure> {
        Ok(match self {
            Self::Rsa(key) => {
                let document = key.to_pkcs1_der().map_err(|error| error.to_string())?;
                pem::encode("RSA PRIVATE KEY", document.as_bytes())
            }
            Self::Dsa(bytes) => pem::encode("DSA PRIVATE KEY", bytes),
            Self::Ecdsa(key) => {
                let point = key.public_key().to_encoded_point(false);
                let bytes = sequence(&[
                    integer(&[1]),
                    tagged(0x04, &key.to_bytes()),
                    tagged(0xa0, &oid(OID_P256)),
                    tagged(0xa1, &bit_string(point.as_bytes(), 0)),
                ]);
                pem::encode("EC PRIVATE KEY", &bytes)
            }
            Self::Ed25519(key) => {
                let inner = tagged(0x04, &tagged(0x04, key.as_bytes()));
                let bytes = sequence(&[integer(&[0]), sequence(&[oid(OID_ED25519)]), inner]);
                pem::encode("PRIVATE KEY", &bytes)
            }
        })
    }

    /// Reads a key; errors are Go's as far as they do not quote its parsers.
    pub(super) fn from_pem(text: &str) -> Result<Self, String> {
        let (label, bytes) = pem::decode(text).ok_or("no PEM data in input")?;
        if label == "PRIVATE KEY" {
            return Self::from_pkcs8(&bytes)
                .ok_or_else(|| "decoding PEM as PKCS#8: asn1: syntax error".to_owned());
        }
        let Some(kind) = label.strip_suffix(" PRIVATE KEY") else {
            return Err(format!("no private key data in PEM block of type {label}"));
        };
        match kind {
            "RSA" => RsaPrivateKey::from_pkcs1_der(&bytes)
                .map(|key| Self::Rsa(Box::new(key)))
                .map_err(|error| format!("parsing RSA private key from PEM: {error}")),
            "EC" => Self::from_sec1(&bytes).ok_or_else(|| {
                "parsing EC private key from PEM: x509: failed to parse EC private key".to_owned()
            }),
            "DSA" => {
                let numbers = read(&bytes).map(|item| items(item.content).len());
                if numbers == Some(6) {
                    Ok(Self::Dsa(bytes))
                } else {
                    Err("parsing DSA private key from PEM: asn1: structure error".to_owned())
                }
            }
            _ => Err(format!("invalid private key type {label}")),
        }
    }

    fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        if let Ok(key) = RsaPrivateKey::from_pkcs8_der(bytes) {
            return Some(Self::Rsa(Box::new(key)));
        }
        let outer = read(bytes)?;
        let parts = items(outer.content);
        let [_, algorithm, key, ..] = parts.as_slice() else { return None };
        let algorithm = items(algorithm.content);
        match algorithm.first()?.content {
            OID_ED25519 => {
                let seed = read(key.content)?.content;
                Some(Self::Ed25519(Ed25519Key::from_bytes(seed.try_into().ok()?)))
            }
            OID_EC if algorithm.get(1)?.content == OID_P256 => Self::from_sec1(key.content),
            _ => None,
        }
    }

    fn from_sec1(bytes: &[u8]) -> Option<Self> {
        let outer = read(bytes)?;
        let parts = items(outer.content);
        let [_, secret, ..] = parts.as_slice() else { return None };
        p256::SecretKey::from_slice(secret.content).ok().map(Self::Ecdsa)
    }

    /// The public key as certificates hold it: the algorithm and the bits.
    pub(super) fn public(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        Some(match self {
            Self::Rsa(key) => {
                let bits = sequence(&[integer(&key.n().to_bytes_be()), integer(&key.e().to_bytes_be())]);
                (sequence(&[oid(OID_RSA), NULL.to_vec()]), bits)
            }
            Self::Ecdsa(key) => {
                let point = key.public_key().to_encoded_point(false);
                (sequence(&[oid(OID_EC), oid(OID_P256)]), point.as_bytes().to_vec())
            }
            Self::Ed25519(key) => (sequence(&[oid(OID_ED25519)]), key.verifying_key().as_bytes().to_vec()),
            Self::Dsa(_) => return None,
        })
    }

    /// How this key's signatures are marked.
    pub(super) fn signature_algorithm(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Rsa(_) => sequence(&[oid(OID_RSA_SHA256), NULL.to_vec()]),
            Self::Ecdsa(_) => sequence(&[oid(OID_ECDSA_SHA256)]),
            Self::Ed25519(_) => sequence(&[oid(OID_ED25519)]),
            Self::Dsa(_) => return None,
        })
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(match self {
            Self::Rsa(key) => {
                let signer = rsa::pkcs1v15::SigningKey::<Sha256>::new((**key).clone());
                signer.try_sign(message).map_err(|error| error.to_string())?.to_vec()
            }
            Self::Ecdsa(key) => {
                let signer = p256::ecdsa::SigningKey::from(key);
                let signature: p256::ecdsa::DerSignature =
                    signer.try_sign(message).map_err(|error| error.to_string())?;
                signature.as_bytes().to_vec()
            }
            Self::Ed25519(key) => {
                key.try_sign(message).map_err(|error| error.to_string())?.to_bytes().to_vec()
            }
            Self::Dsa(_) => return Err(NO_SIGNER.to_owned()),
        })
    }
}

pub(super) const NO_SIGNER: &str = "x509: certificate private key does not implement crypto.Signer";

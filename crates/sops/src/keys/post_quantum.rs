//! The post-quantum identity of age: HPKE over X-Wing, which joins ML-KEM-768 with X25519.

use age::{DecryptError, Identity};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bech32::Bech32;
use bech32::primitives::decode::CheckedHrpstring;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::Hkdf;
use ml_kem::kem::Decapsulate as _;
use ml_kem::{DecapsulationKey768, Seed};
use sha2::Sha256;
use sha3::digest::{ExtendableOutput as _, Update as _, XofReader as _};
use sha3::{Digest as _, Sha3_256, Shake256};
use x25519_dalek::{PublicKey, StaticSecret};

/// The type of the stanzas.
const TAG: &str = "mlkem768x25519";
/// What HPKE binds the key to.
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// Names the combination in the hash that joins the two secrets.
const X_WING_LABEL: &[u8] = br"\.//^\";
/// "HPKE" with the numbers of X-Wing, HKDF-SHA256 and ChaCha20-Poly1305.
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";

const LATTICE_CIPHERTEXT: usize = 1088;
const CURVE_POINT: usize = 32;

/// A secret key.
pub(super) struct HybridIdentity {
    lattice: DecapsulationKey768,
    curve: StaticSecret,
}

impl HybridIdentity {
    /// Reads `AGE-SECRET-KEY-PQ-1…`: a seed that both keys grow from.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let decoded = CheckedHrpstring::new::<Bech32>(text).ok()?;
        if !decoded.hrp().as_str().eq_ignore_ascii_case("age-secret-key-pq-") {
            return None;
        }
        let seed: Vec<u8> = decoded.byte_iter().collect();
        if seed.len() != 32 {
            return None;
        }
        let mut hash = Shake256::default();
        hash.update(&seed);
        let mut reader = hash.finalize_xof();
        let (mut lattice, mut curve) = (Seed::default(), [0; 32]);
        reader.read(&mut lattice);
        reader.read(&mut curve);
        let lattice = DecapsulationKey768::from_seed(lattice);
        Some(Self { lattice, curve: StaticSecret::from(curve) })
    }

    /// The file key in a stanza.
    fn open(&self, stanza: &Stanza) -> Option<FileKey> {
        let [encapsulated] = stanza.args.as_slice() else { return None };
        let encapsulated = STANDARD_NO_PAD.decode(encapsulated).ok()?;
        if encapsulated.len() != LATTICE_CIPHERTEXT + CURVE_POINT {
            return None;
        }
        let (lattice, curve) = encapsulated.split_at(LATTICE_CIPHERTEXT);
        let shared = self.shared_secret(lattice, curve.try_into().ok()?)?;
        let (key, nonce) = schedule(&shared)?;
        let plain = ChaCha20Poly1305::new(Key::from_slice(&key))
            .decrypt(Nonce::from_slice(&nonce), stanza.body.as_slice())
            .ok()?;
        let plain: [u8; FILE_KEY_BYTES] = plain.try_into().ok()?;
        Some(FileKey::new(Box::new(plain)))
    }

    fn shared_secret(&self, lattice: &[u8], curve: [u8; CURVE_POINT]) -> Option<[u8; 32]> {
        let from_lattice = self.lattice.decapsulate(&lattice.try_into().ok()?);
        let from_curve = self.curve.diffie_hellman(&PublicKey::from(curve));
        let mut hash = Sha3_256::new();
        sha3::Digest::update(&mut hash, from_lattice);
        sha3::Digest::update(&mut hash, from_curve.as_bytes());
        sha3::Digest::update(&mut hash, curve);
        sha3::Digest::update(&mut hash, PublicKey::from(&self.curve).as_bytes());
        sha3::Digest::update(&mut hash, X_WING_LABEL);
        Some(hash.finalize().into())
    }
}

impl Identity for HybridIdentity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        // A stanza for somebody else looks the same until it fails to open.
        if stanza.tag == TAG { self.open(stanza).map(Ok) } else { None }
    }
}

/// Key and nonce of the only message, by the key schedule of HPKE (RFC 9180) in base mode.
fn schedule(shared: &[u8]) -> Option<([u8; 32], [u8; 12])> {
    let labelled = |label: &[u8], input: &[u8]| [b"HPKE-v1", SUITE, label, input].concat();
    let hash = |label: &[u8], input: &[u8]| Hkdf::<Sha256>::extract(None, &labelled(label, input)).0;
    let context = [&[0_u8][..], &hash(b"psk_id_hash", b""), &hash(b"info_hash", INFO)].concat();
    let (_, secret) = Hkdf::<Sha256>::extract(Some(shared), &labelled(b"secret", b""));
    let expand = |label: &[u8], out: &mut [u8]| {
        let length = u16::try_from(out.len()).ok()?.to_be_bytes();
        secret.expand(&[&length[..], &labelled(label, &context)].concat(), out).ok()
    };
    let (mut key, mut nonce) = ([0; 32], [0; 12]);
    expand(b"key", &mut key)?;
    expand(b"base_nonce", &mut nonce)?;
    Some((key, nonce))
}

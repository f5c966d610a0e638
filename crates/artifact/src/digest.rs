//! Digests of the form `<algorithm>:<hex>`.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use sha2::Digest as _;

/// A digest algorithm that artifacts may be named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// SHA-1, for storage that was written with it.
    Sha1,
    /// SHA-256, the default.
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// BLAKE3 with 256 bits.
    Blake3,
}

/// Why a text names no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// An algorithm that is not known here.
    #[error("unsupported digest algorithm {0:?}: use sha256, sha384, sha512, blake3 or sha1")]
    Algorithm(String),
    /// Not `<algorithm>:<hex>` with the length of the algorithm.
    #[error("invalid digest {0:?}")]
    Malformed(String),
}

impl Algorithm {
    /// All that are known here.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512, Self::Blake3];

    /// The name as it stands before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
            Algorithm::Blake3 => "blake3",
        }
    }

    fn hex_length(self) -> usize {
        match self {
            Algorithm::Sha1 => 40,
            Algorithm::Sha256 | Algorithm::Blake3 => 64,
            Algorithm::Sha384 => 96,
            Algorithm::Sha512 => 128,
        }
    }

    /// A hasher to feed.
    pub fn hasher(self) -> Hasher {
        Hasher(match self {
            Algorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
        })
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512, Self::Blake3]
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or_else(|| DigestError::Algorithm(text.to_owned()))
    }
}

/// A digest: an algorithm and lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

impl Digest {
    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The value without the algorithm.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Reads a digest; without an algorithm it is SHA-256.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').unwrap_or(("sha256", text));
        let algorithm: Algorithm = algorithm.parse()?;
        if hex.len() != algorithm.hex_length() || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(DigestError::Malformed(text.to_owned()));
        }
        Ok(Digest { algorithm, hex: hex.to_ascii_lowercase() })
    }
}

/// Computes a digest from the bytes written to it.
pub struct Hasher(State);

enum State {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(hasher) => sha1::Digest::update(hasher, bytes),
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha384(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
            State::Blake3(hasher) => {
                hasher.update(bytes);
            }
        }
    }

    /// The digest of everything that was added.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha1(hasher) => digest(Algorithm::Sha1, &sha1::Digest::finalize(hasher)),
            State::Sha256(hasher) => digest(Algorithm::Sha256, &hasher.finalize()),
            State::Sha384(hasher) => digest(Algorithm::Sha384, &hasher.finalize()),
            State::Sha512(hasher) => digest(Algorithm::Sha512, &hasher.finalize()),
            State::Blake3(hasher) => digest(Algorithm::Blake3, hasher.finalize().as_bytes()),
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    Digest { algorithm, hex }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_the_empty_input() {
        let of = |algorithm: Algorithm| algorithm.digest(b"").to_string();
        assert_eq!(of(Algorithm::Sha1), "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert!(of(Algorithm::Sha256).starts_with("sha256:e3b0c44298fc1c149afbf4c8996fb924"));
        assert!(of(Algorithm::Sha384).starts_with("sha384:38b060a751ac96384cd9327eb1b1e36a"));
        assert!(of(Algorithm::Sha512).starts_with("sha512:cf83e1357eefb8bdf1542850d66d8007"));
        assert!(of(Algorithm::Blake3).starts_with("blake3:af1349b9f5f9a1a6a0404dea36dcc949"));
    }

    #[test]
    fn a_digest_without_algorithm_is_sha256() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex.parse::<Digest>(), Ok(Algorithm::Sha256.digest(b"")));
        assert_eq!(
            format!("sha256:{hex}").to_uppercase().replace("SHA256", "sha256").parse(),
            Ok(Algorithm::Sha256.digest(b""))
        );
        for bad in ["", "sha256:", "sha256:zz", "md5:00", "sha1:é", "sha512:00"] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}

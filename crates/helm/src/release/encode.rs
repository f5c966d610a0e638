//! Records to the text in a Secret or ConfigMap and back: JSON, gzip, base64.

use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::{Release, read, write};

/// Most bytes of a record's JSON. A Secret holds 1 MiB, so only a hostile one comes near.
const MAX_RECORD: u64 = 256 * 1024 * 1024;

/// Why a record cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Not base64.
    #[error("the release record is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not gzip.
    #[error("the release record cannot be unpacked: {0}")]
    Gzip(io::Error),
    /// Too many bytes.
    #[error("the release record is larger than {MAX_RECORD} bytes")]
    TooLarge,
    /// Not JSON.
    #[error("the release record is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of another kind.
    #[error("the release record cannot be read: {0}")]
    Content(String),
}

/// The text that goes under `release` in a Secret's or ConfigMap's data (the Secret's API encodes it once more).
pub fn encode(release: &Release) -> Result<String, RecordError> {
    Ok(text(&compress(release)?))
}

/// Compressed bytes as such a text.
pub(super) fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of such a text.
pub(super) fn compress(release: &Release) -> Result<Vec<u8>, RecordError> {
    static BEST: Packer = Packer::new(Compression::best(), 2);
    BEST.gzip(write::release(release).as_bytes()).map_err(RecordError::Gzip)
}

/// The same, some more, for what does not leave the process.
pub(super) fn quickly(release: &Release) -> Result<Vec<u8>, RecordError> {
    static FAST: Packer = Packer::new(Compression::fast(), 4);
    FAST.gzip(write::release(release).as_bytes()).map_err(RecordError::Gzip)
}

/// Compresses at one level. A compressor takes a third of a megabyte that the kernel has to clear first, which takes longer
/// than to compress a common record: one is kept.
struct Packer {
    level: Compression,
    /// What a gzip header calls the level.
    flag: u8,
    spare: Mutex<Option<DeflateEncoder<Vec<u8>>>>,
}

impl Packer {
    const fn new(level: Compression, flag: u8) -> Self {
        Self { level, flag, spare: Mutex::new(None) }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Option<DeflateEncoder<Vec<u8>>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gzip(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        // Go writes no time and leaves the system unknown.
        let header = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, self.flag, 255];
        let spare = self.spare().take();
        let mut encoder = spare.unwrap_or_else(|| DeflateEncoder::new(Vec::new(), self.level));
        encoder.reset(header)?;
        encoder.write_all(bytes)?;
        let mut packed = encoder.reset(Vec::new())?;
        *self.spare() = Some(encoder);
        let mut sum = Crc::new();
        sum.update(bytes);
        packed.extend(sum.sum().to_le_bytes());
        packed.extend(sum.amount().to_le_bytes());
        Ok(packed)
    }
}

/// Reads such a text. Old records are not compressed.
pub fn decode(text: &str) -> Result<Release, RecordError> {
    let bytes = STANDARD.decode(text.trim_ascii())?;
    if bytes.starts_with(b"\x1f\x8b\x08") { decompress(&bytes) } else { parse(&bytes) }
}

/// Reads compressed bytes.
pub(super) fn decompress(bytes: &[u8]) -> Result<Release, RecordError> {
    let mut json = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(MAX_RECORD + 1).read_to_end(&mut json);
    if read.map_err(RecordError::Gzip)? as u64 > MAX_RECORD {
        return Err(RecordError::TooLarge);
    }
    parse(&json)
}

fn parse(json: &[u8]) -> Result<Release, RecordError> {
    read::release(&serde_json::from_slice(json)?).map_err(RecordError::Content)
}

#[cfg(test)]
mod tests {
    use flate2::GzBuilder;

    use super::*;

    #[test]
    fn a_compressor_that_is_used_again_writes_what_a_new_one_does() {
        let packer = Packer::new(Compression::best(), 2);
        let long: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for bytes in [b"{\"name\":\"podinfo\"}".as_slice(), &long, b"", b"{}", &long] {
            let mut new =
                GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
            new.write_all(bytes).unwrap();
            assert_eq!(packer.gzip(bytes).unwrap(), new.finish().unwrap());
        }
    }
}

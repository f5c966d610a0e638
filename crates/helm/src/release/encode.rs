//! Records to the text in a Secret or ConfigMap and back: JSON, gzip, base64.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

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
    Gzip(std::io::Error),
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
    compress_by(release, Compression::best())
}

/// The same, some more, for what does not leave the process.
pub(super) fn quickly(release: &Release) -> Result<Vec<u8>, RecordError> {
    compress_by(release, Compression::fast())
}

fn compress_by(release: &Release, how: Compression) -> Result<Vec<u8>, RecordError> {
    let json = write::release(release);
    // Go writes no time and leaves the system unknown.
    let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), how);
    gzip.write_all(json.as_bytes()).map_err(RecordError::Gzip)?;
    gzip.finish().map_err(RecordError::Gzip)
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

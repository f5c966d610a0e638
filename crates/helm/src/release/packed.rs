//! Records that are put away while nobody needs them.

use std::collections::BTreeMap;

use super::{RecordError, Release, encode};

/// A record in little memory: a tenth of what it takes when it can be used.
#[derive(Clone, Debug)]
pub struct Packed {
    version: i64,
    bytes: Box<[u8]>,
    labels: BTreeMap<String, String>,
}

impl Packed {
    /// Puts a record away.
    pub fn of(release: &Release) -> Result<Self, RecordError> {
        Ok(Self::with(release, encode::quickly(release)?))
    }

    /// The same, as it is recorded.
    pub fn recorded(release: &Release) -> Result<Self, RecordError> {
        Ok(Self::with(release, encode::compress(release)?))
    }

    fn with(release: &Release, bytes: Vec<u8>) -> Self {
        Self { version: release.version, bytes: bytes.into(), labels: release.labels.clone() }
    }

    /// The record as text, as it goes under `release` in a Secret's data.
    pub fn text(&self) -> String {
        encode::text(&self.bytes)
    }

    /// The revision that it is.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The record as it was put away.
    pub fn open(&self) -> Result<Release, RecordError> {
        let mut release = encode::decompress(&self.bytes)?;
        release.labels.clone_from(&self.labels);
        Ok(release)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::release::{Status, write};

    #[test]
    fn a_record_comes_back_as_it_was_put_away() {
        let mut release = Release {
            name: "app".to_owned(),
            manifest: "kind: X\n".repeat(1000),
            version: 7,
            labels: [("team".to_owned(), "shop".to_owned())].into(),
            ..Release::default()
        };
        release.info.status = Status::PendingUpgrade;
        release.config.insert("a".to_owned(), json!({"b": [1, 2.5, null, "x"]}));
        let packed = Packed::of(&release).unwrap();
        assert!(packed.bytes.len() < release.manifest.len() / 10);
        let opened = packed.open().unwrap();
        assert_eq!((packed.version(), &opened.labels), (7, &release.labels));
        assert_eq!(write::release(&opened), write::release(&release));
    }
}

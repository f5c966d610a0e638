//! What charts were built from last, so that an unchanged source is not unpacked again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_api::meta::Artifact;
use sluice_runtime::ObjectKey;

/// The last build of each chart. Of what there is one for each chart only digests are kept, by a key that nobody outside
/// of this process knows.
#[derive(Default)]
pub(super) struct Builds {
    digests: RandomState,
    known: Mutex<HashMap<u64, Built>>,
}

/// One build.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Built {
    /// The generation, and the digest of the source's artifact.
    of: u64,
    /// The digest of the chart's artifact. The status may still tell of an older one: it could not be written.
    became: u64,
}

impl Builds {
    fn known(&self) -> MutexGuard<'_, HashMap<u64, Built>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(&self, key: &ObjectKey) -> u64 {
        self.digests.hash_one(key)
    }

    fn of(&self, generation: i64, of: &str) -> u64 {
        self.digests.hash_one((generation, of))
    }

    fn built(&self, generation: i64, of: &str, became: Option<&Artifact>) -> Option<Built> {
        Some(Built { of: self.of(generation, of), became: self.digests.hash_one(&became?.digest) })
    }

    /// Whether `artifact`, which the status has, is what becomes of a source for a generation of the chart.
    pub(super) fn has(
        &self,
        key: &ObjectKey,
        generation: i64,
        of: &str,
        artifact: Option<&Artifact>,
    ) -> bool {
        let asked = self.built(generation, of, artifact);
        asked.is_some() && self.known().get(&self.id(key)) == asked.as_ref()
    }

    /// Whether something became of a source for a generation of the chart.
    pub(super) fn knows(&self, key: &ObjectKey, generation: i64, of: &str) -> bool {
        self.known().get(&self.id(key)).is_some_and(|built| built.of == self.of(generation, of))
    }

    /// Remembers what became of a source.
    pub(super) fn remember(
        &self,
        key: &ObjectKey,
        generation: i64,
        of: Option<&str>,
        artifact: Option<&Artifact>,
    ) {
        if let Some(built) = of.and_then(|of| self.built(generation, of, artifact)) {
            self.known().insert(self.id(key), built);
        }
    }

    /// Forgets a chart.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.known().remove(&self.id(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_whose_status_was_never_written_is_made_again() {
        let (builds, key) = (Builds::default(), ObjectKey::new("ns".to_owned(), "chart".to_owned()));
        let artifact = |digest: &str| -> Artifact {
            let fields = serde_json::json!({
                "path": "p", "url": "http://h/p", "revision": "1.0.0", "digest": digest,
                "lastUpdateTime": "2026-01-01T00:00:00Z",
            });
            serde_json::from_value(fields).unwrap()
        };
        let (old, new) = (artifact("sha256:old"), artifact("sha256:new"));
        builds.remember(&key, 1, Some("source"), Some(&new));
        assert!(builds.has(&key, 1, "source", Some(&new)));
        assert!(!builds.has(&key, 1, "source", Some(&old)), "the status has the chart of before");
        assert!(!builds.has(&key, 1, "source", None));
        assert!(!builds.has(&key, 2, "source", Some(&new)) && !builds.has(&key, 1, "next", Some(&new)));
        builds.forget(&key);
        assert!(!builds.has(&key, 1, "source", Some(&new)));
    }
}

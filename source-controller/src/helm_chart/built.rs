//! What charts were built from last, so that an unchanged source is not unpacked again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sluice_api::meta::Artifact;
use sluice_runtime::ObjectKey;

/// The last build of each chart.
#[derive(Default)]
pub(super) struct Builds(Mutex<HashMap<ObjectKey, Built>>);

/// One build.
#[derive(Clone, PartialEq, Eq)]
struct Built {
    generation: i64,
    /// The digest of the source's artifact.
    of: String,
    /// The digest of the chart's artifact. The status may still tell of an older one: it could not be written.
    became: String,
}

impl Built {
    fn new(generation: i64, of: &str, became: Option<&Artifact>) -> Option<Self> {
        Some(Self { generation, of: of.to_owned(), became: became?.digest.clone() })
    }
}

impl Builds {
    /// Whether `artifact`, which the status has, is what becomes of a source for a generation of the chart.
    pub(super) fn has(
        &self,
        key: &ObjectKey,
        generation: i64,
        of: &str,
        artifact: Option<&Artifact>,
    ) -> bool {
        let builds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = Built::new(generation, of, artifact);
        asked.is_some() && builds.get(key) == asked.as_ref()
    }

    /// Whether something became of a source for a generation of the chart.
    pub(super) fn knows(&self, key: &ObjectKey, generation: i64, of: &str) -> bool {
        let builds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        builds.get(key).is_some_and(|built| built.generation == generation && built.of == of)
    }

    /// Remembers what became of a source.
    pub(super) fn remember(
        &self,
        key: ObjectKey,
        generation: i64,
        of: Option<&str>,
        artifact: Option<&Artifact>,
    ) {
        if let Some(built) = of.and_then(|of| Built::new(generation, of, artifact)) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, built);
        }
    }

    /// Forgets a chart.
    pub(super) fn forget(&self, key: &ObjectKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
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
        builds.remember(key.clone(), 1, Some("source"), Some(&new));
        assert!(builds.has(&key, 1, "source", Some(&new)));
        assert!(!builds.has(&key, 1, "source", Some(&old)), "the status has the chart of before");
        assert!(!builds.has(&key, 1, "source", None));
        assert!(!builds.has(&key, 2, "source", Some(&new)) && !builds.has(&key, 1, "next", Some(&new)));
        builds.forget(&key);
        assert!(!builds.has(&key, 1, "source", Some(&new)));
    }
}

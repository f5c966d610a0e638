//! From a chart as it was found to the archive that is stored: version, values, packing. No network, no cluster.

use std::path::Path;

use sluice_api::source::{HelmChart, ReconcileStrategy};
use sluice_helm::Chart;
use sluice_helm::chart::File;
use sluice_helm::package::package;
use sluice_helm::values::{Values, merge_maps, read_values};
use sluice_semver::Version;

use super::failure;
use crate::source::{Draft, Failure};

/// So many characters of a source's revision get into the version.
const SHORT_REVISION: usize = 12;

/// What is wanted of a chart.
#[derive(Debug, Clone)]
pub(super) struct Goal {
    pub(super) chart: String,
    pub(super) version: String,
    pub(super) generation: i64,
    /// The values files, unless they are only the chart's own.
    pub(super) values_files: Vec<String>,
    pub(super) ignore_missing: bool,
    pub(super) by_revision: bool,
    /// Name and version of the chart in the storage, if it was made from this generation.
    pub(super) stored: Option<(String, String)>,
}

impl Goal {
    pub(super) fn new(object: &HelmChart, draft: &Draft<HelmChart>) -> Self {
        let (spec, status) = (&object.spec, &draft.status);
        let observed = draft.before.observed_generation == draft.generation;
        let artifact = status.artifact.as_ref().filter(|_| observed);
        let mut values_files: Vec<String> =
            spec.values_files().into_iter().filter(|file| !file.is_empty()).map(str::to_owned).collect();
        if values_files == ["values.yaml"] {
            values_files.clear();
        }
        Goal {
            chart: spec.chart.clone(),
            version: spec.version().to_owned(),
            generation: draft.generation,
            values_files,
            ignore_missing: spec.ignore_missing_values_files,
            by_revision: spec.reconcile_strategy() == ReconcileStrategy::Revision,
            stored: artifact.map(|artifact| (status.observed_chart_name.clone(), artifact.revision.clone())),
        }
    }

    /// The version that the artifact gets. `revision`: that of a source that is no chart repository.
    pub(super) fn version_of(&self, version: &str, revision: Option<&str>) -> Result<String, Failure> {
        let mut parts = Vec::new();
        if let Some(revision) = revision.filter(|_| self.by_revision) {
            let id = revision.rsplit(':').next().unwrap_or(revision);
            parts.push(id.chars().take(SHORT_REVISION).collect::<String>());
        }
        if !self.values_files.is_empty() {
            parts.push(self.generation.to_string());
        }
        if parts.is_empty() {
            return Ok(version.to_owned());
        }
        let patched = Version::parse(version)
            .map_err(|error| error.to_string())
            .and_then(|parsed| parsed.with_metadata(&parts.join(".")).map_err(|error| error.to_string()));
        patched.map(|version| version.to_string()).map_err(|problem| failure::metadata(&problem))
    }

    /// Whether the storage holds this already.
    pub(super) fn is_stored(&self, name: &str, version: &str) -> bool {
        self.stored.as_ref().is_some_and(|(known, of)| known == name && of == version)
    }
}

/// A chart ready to be stored.
#[derive(Debug, Clone)]
pub(super) struct Build {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) bytes: std::sync::Arc<[u8]>,
    /// Whether it was packed here, and is not the archive that was found.
    pub(super) packaged: bool,
    /// The values files that were merged.
    pub(super) values_files: Vec<String>,
    /// How many dependencies were fetched.
    pub(super) dependencies: usize,
}

impl Build {
    /// For people. `action`: what was done.
    pub(super) fn summary(&self, action: &str) -> String {
        let mut text = format!("{action} '{}' chart with version '{}'", self.name, self.version);
        if !self.values_files.is_empty() {
            text.push_str(&format!(" and merged values files [{}]", self.values_files.join(" ")));
        }
        text
    }
}

/// Refuses charts with files that are too large.
pub(super) fn check_sizes(chart: &Chart, limit: u64) -> Result<(), String> {
    match chart.raw.iter().find(|file| file.data.len() as u64 > limit) {
        Some(file) => Err(format!(
            "decompressed chart file \"{}\" is larger than the maximum file size {limit}",
            file.name
        )),
        None => Ok(()),
    }
}

/// Values that were merged, and the files that they are from.
pub(super) type Merged = Option<(Vec<u8>, Vec<String>)>;

/// Merges the wanted values files. `read` gives the text of one, `None` where it is not there. With nothing to merge
/// there is no result.
pub(super) fn merge_values(
    goal: &Goal,
    read: impl Fn(&str) -> Result<Option<Vec<u8>>, String>,
) -> Result<Merged, Failure> {
    let mut merged = Values::new();
    let mut found = Vec::new();
    for file in &goal.values_files {
        let Some(text) = read(file).map_err(|problem| failure::values(&problem))? else {
            if goal.ignore_missing {
                continue;
            }
            return Err(failure::values(&format!("no values file found at path '{file}'")));
        };
        let values = read_values(&text);
        let problem = |error| failure::values(&format!("unmarshaling values from '{file}' failed: {error}"));
        merge_maps(&mut merged, values.map_err(problem)?);
        found.push(file.clone());
    }
    if found.is_empty() {
        return Ok(None);
    }
    let text = sluice_yaml::write(&sluice_yaml::Value::from(serde_json::Value::Object(merged)));
    let text = text.map_err(|error| failure::values(&error.to_string()))?;
    Ok(Some((text.into_bytes(), found)))
}

/// Puts other default values into a chart that has some.
pub(super) fn replace_values(chart: &mut Chart, text: Vec<u8>) -> Result<(), Failure> {
    let missing = || failure::package("failed to locate values file: values.yaml");
    let file = chart.raw.iter_mut().find(|file| &*file.name == "values.yaml").ok_or_else(missing)?;
    *file = File::new("values.yaml", text);
    Ok(())
}

/// Packs a chart under a version.
pub(super) fn pack(mut chart: Chart, version: &str) -> Result<Vec<u8>, Failure> {
    version.clone_into(&mut chart.metadata.version);
    package(&chart, None).map(|package| package.bytes).map_err(|error| failure::package(&error.to_string()))
}

/// A path within a chart, as it is written in its archive.
pub(super) fn path_in_chart(path: &str) -> String {
    crate::source::inside(Path::new(""), path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(values_files: &[&str], by_revision: bool) -> Goal {
        Goal {
            chart: "c".to_owned(),
            version: "*".to_owned(),
            generation: 3,
            values_files: values_files.iter().map(|file| (*file).to_owned()).collect(),
            ignore_missing: false,
            by_revision,
            stored: Some(("c".to_owned(), "1.0.0+3".to_owned())),
        }
    }

    #[test]
    fn versions_tell_revision_and_generation() {
        let revision = Some("main@sha1:4f0a1b2c3d4e5f60718293a4b5c6d7e8f9012345");
        let version = |goal: Goal, version: &str, revision| goal.version_of(version, revision).unwrap();
        assert_eq!(version(goal(&[], false), "v1.2", revision), "v1.2");
        assert_eq!(version(goal(&[], true), "v1.2.3+old", revision), "1.2.3+4f0a1b2c3d4e");
        assert_eq!(version(goal(&["a"], true), "1.2.3-rc.1", revision), "1.2.3-rc.1+4f0a1b2c3d4e.3");
        assert_eq!(version(goal(&["a"], true), "1.2.3", None), "1.2.3+3");
        assert_eq!(goal(&["a"], false).version_of("x", None).unwrap_err().reason, "MetadataPatchError");
        assert!(goal(&["a"], false).is_stored("c", "1.0.0+3") && !goal(&[], false).is_stored("c", "1.0.0"));
    }

    #[test]
    fn later_values_files_win_and_missing_ones_are_errors_unless_ignored() {
        let files = |path: &str| {
            Ok(match path {
                "a" => Some(b"x: {a: 1, l: [1, 2]}\nw: 1\n".to_vec()),
                "b" => Some(b"x: {l: [3]}\nz: null\n".to_vec()),
                _ => None,
            })
        };
        let (text, found) = merge_values(&goal(&["a", "b"], false), files).unwrap().unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "w: 1\nx:\n  a: 1\n  l:\n  - 3\nz: null\n");
        assert_eq!(found, ["a", "b"]);
        let failure = merge_values(&goal(&["a", "c"], false), files).unwrap_err();
        assert_eq!((failure.reason, failure.message.contains("'c'")), ("ValuesFilesError", true));
        let ignoring = Goal { ignore_missing: true, ..goal(&["c", "b"], false) };
        assert_eq!(merge_values(&ignoring, files).unwrap().unwrap().1, ["b"]);
        let nothing = Goal { ignore_missing: true, ..goal(&["c"], false) };
        assert_eq!(merge_values(&nothing, files).unwrap(), None);
    }
}

//! The artifacts that a generator is to make. Pure but for the names of directories.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sluice_api::source::{ArtifactGeneratorSpec, CopyOperation, CopyStrategy, OutputArtifact};
use sluice_compose::{CaptureError, Captured, Operation, Strategy, captures, render};
use sluice_runtime::errors::chain;

use super::failure::Failure;

/// More outputs do not fit into one status.
const MAX_OUTPUTS: usize = 5000;

/// An artifact to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) name: String,
    /// What the path pattern captured.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) operations: Vec<Operation>,
    /// The alias of the source whose revision it takes over, if any.
    pub(super) revision: String,
    /// The alias of the source whose origin's revision is noted, if any.
    pub(super) origin: String,
}

/// What is to be made: what the spec lists, once for each directory that the path pattern names. `roots`: where the
/// sources are, by alias.
pub(super) fn requests(
    spec: &ArtifactGeneratorSpec,
    roots: &BTreeMap<String, PathBuf>,
) -> Result<Vec<Request>, Failure> {
    let Some((alias, pattern)) = spec.path_pattern.strip_prefix('@').and_then(|rest| rest.split_once('/'))
    else {
        return Ok(spec.artifacts.iter().map(plain).collect());
    };
    let told = |problem: String| format!("pathPattern '{}': {problem}", spec.path_pattern);
    let root =
        roots.get(alias).ok_or_else(|| Failure::stalled(told(format!("source alias {alias} not found"))))?;
    let found = captures(root, pattern).map_err(|error| match error {
        CaptureError::Io(_) => Failure::build(told(chain(&error))),
        error => Failure::stalled(told(chain(&error))),
    })?;
    if found.len().saturating_mul(spec.artifacts.len()) > MAX_OUTPUTS {
        let message =
            format!("{} directories match; no more than {MAX_OUTPUTS} artifacts can be made", found.len());
        return Err(Failure::stalled(told(message)));
    }
    let mut requests = Vec::new();
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for Captured { directory, values } in found {
        let labels: BTreeMap<String, String> =
            values.iter().map(|(name, value)| (name.clone(), value.to_lowercase())).collect();
        if let Some((name, value)) = labels.iter().find(|(_, value)| !is_label_value(value)) {
            let message =
                format!("captured value '{value}' for variable '{name}' is not a valid label value");
            return Err(Failure::stalled(told(message)));
        }
        for artifact in &spec.artifacts {
            let rendered = rendered(artifact, &labels, &values);
            let request = rendered.map_err(|error| {
                Failure::stalled(told(format!(
                    "artifact {} for {directory}: {}",
                    artifact.name,
                    chain(&error)
                )))
            })?;
            if !is_object_name(&request.name) {
                let message = format!("artifact name '{}' is not a valid object name", request.name);
                return Err(Failure::stalled(told(message)));
            }
            if let Some(other) = taken.insert(request.name.clone(), directory.clone()) {
                let message = format!(
                    "directories '{other}' and '{directory}' both resolve to artifact name '{}'",
                    request.name
                );
                return Err(Failure::stalled(told(message)));
            }
            requests.push(request);
        }
    }
    Ok(requests)
}

fn plain(artifact: &OutputArtifact) -> Request {
    let alias = |reference: &str| reference.trim_start_matches('@').to_owned();
    Request {
        name: artifact.name.clone(),
        labels: BTreeMap::new(),
        operations: artifact.copy.iter().map(operation).collect(),
        revision: alias(&artifact.revision),
        origin: alias(&artifact.origin_revision),
    }
}

fn operation(copy: &CopyOperation) -> Operation {
    Operation {
        from: copy.from.clone(),
        to: copy.to.clone(),
        exclude: copy.exclude.clone(),
        strategy: match copy.strategy.unwrap_or_default() {
            CopyStrategy::Overwrite => Strategy::Overwrite,
            CopyStrategy::Merge => Strategy::Merge,
            CopyStrategy::Extract => Strategy::Extract,
        },
    }
}

/// With captures in place: lower-cased ones in the name, those of the paths as they are.
fn rendered(
    artifact: &OutputArtifact,
    labels: &BTreeMap<String, String>,
    values: &BTreeMap<String, String>,
) -> Result<Request, CaptureError> {
    let mut request = plain(artifact);
    request.name = render(&request.name, labels)?;
    request.labels.clone_from(labels);
    for operation in &mut request.operations {
        operation.from = render(&operation.from, values)?;
        operation.to = render(&operation.to, values)?;
    }
    Ok(request)
}

fn is_label_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && edge(value.chars().next())
        && edge(value.chars().next_back())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// A DNS subdomain.
fn is_object_name(name: &str) -> bool {
    let part = |part: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        edge(part.chars().next())
            && edge(part.chars().next_back())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(pattern: &str, name: &str) -> ArtifactGeneratorSpec {
        let copy = CopyOperation {
            from: "@git/apps/{app}/**".into(),
            to: "@artifact/{app}/".into(),
            ..CopyOperation::default()
        };
        let artifact = OutputArtifact {
            copy: vec![copy],
            name: name.into(),
            revision: "@git".into(),
            ..OutputArtifact::default()
        };
        ArtifactGeneratorSpec {
            artifacts: vec![artifact],
            common_metadata: None,
            path_pattern: pattern.into(),
            sources: Vec::new(),
        }
    }

    fn made(directories: &[&str], spec: &ArtifactGeneratorSpec) -> Result<Vec<Request>, String> {
        let folder = tempfile::tempdir().unwrap();
        for directory in directories {
            std::fs::create_dir_all(folder.path().join(directory)).unwrap();
        }
        let roots = [("git".to_owned(), folder.path().to_owned())].into();
        requests(spec, &roots).map_err(|failure| failure.message)
    }

    #[test]
    fn directories_become_artifacts() {
        let made = made(&["apps/Web", "apps/api"], &spec("@git/apps/{app}", "x-{app}")).unwrap();
        let names: Vec<_> = made.iter().map(|request| request.name.as_str()).collect();
        assert_eq!(names, ["x-web", "x-api"]);
        assert_eq!(made[0].labels["app"], "web");
        assert_eq!(made[0].operations[0].from, "@git/apps/Web/**");
        assert_eq!(made[0].operations[0].to, "@artifact/Web/");
        assert_eq!(made[0].revision, "git");
    }

    #[test]
    fn what_cannot_be_named_is_refused() {
        for (directories, name, expected) in [
            (&["apps/A", "apps/a"][..], "{app}", "'apps/A' and 'apps/a' both resolve to artifact name 'a'"),
            (&["apps/a b"], "{app}", "captured value 'a b' for variable 'app' is not a valid label value"),
            (&["apps/a_b"], "{app}", "artifact name 'a_b' is not a valid object name"),
            (&["apps/a"], "{other}", "capture variable 'other' is not defined by pathPattern"),
        ] {
            let error = made(directories, &spec("@git/apps/{app}", name)).unwrap_err();
            assert!(
                error.starts_with("pathPattern '@git/apps/{app}': ") && error.ends_with(expected),
                "{error}"
            );
        }
        let error = made(&[], &spec("@oci/{app}", "{app}")).unwrap_err();
        assert_eq!(error, "pathPattern '@oci/{app}': source alias oci not found");
    }
}

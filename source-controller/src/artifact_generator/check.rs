//! What the API server's schema cannot check. Pure.

use std::collections::BTreeSet;

use sluice_api::source::ArtifactGeneratorSpec;

use super::failure::Failure;

pub(super) fn check(
    spec: &ArtifactGeneratorSpec,
    namespace: &str,
    no_cross_namespace_refs: bool,
) -> Result<(), Failure> {
    let mut aliases = BTreeSet::new();
    for source in &spec.sources {
        if !aliases.insert(source.alias.as_str()) {
            return Err(Failure::invalid(format!("duplicate source alias '{}' found", source.alias)));
        }
        let of = source.namespace_or(namespace);
        for (kind, name) in [(source.kind.as_str(), source.name.as_str()), ("Namespace", of)] {
            sluice_runtime::check_name(kind, name).map_err(Failure::denied)?;
        }
        if no_cross_namespace_refs && of != namespace {
            return Err(Failure::denied(format!(
                "cross-namespace reference to source {}/{of}/{} is not allowed",
                source.kind, source.name
            )));
        }
    }
    let mut names = BTreeSet::new();
    for artifact in &spec.artifacts {
        if !names.insert(artifact.name.as_str()) {
            return Err(Failure::invalid(format!("duplicate artifact name '{}' found", artifact.name)));
        }
        let revision = artifact.revision.trim_start_matches('@');
        if !revision.is_empty() && !aliases.contains(revision) {
            return Err(Failure::invalid(format!(
                "artifact '{}': revision source alias '{}' not found",
                artifact.name, artifact.revision
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sluice_api::source::{OutputArtifact, SourceReference};

    use super::*;

    #[test]
    fn contradictions_are_refused() {
        let source = |alias: &str, namespace: &str| SourceReference {
            alias: alias.into(),
            kind: "GitRepository".into(),
            name: "app".into(),
            namespace: namespace.into(),
        };
        let artifact = |name: &str, revision: &str| OutputArtifact {
            name: name.into(),
            revision: revision.into(),
            ..OutputArtifact::default()
        };
        let spec = |sources: &[SourceReference], artifacts: &[OutputArtifact]| ArtifactGeneratorSpec {
            artifacts: artifacts.to_vec(),
            common_metadata: None,
            path_pattern: String::new(),
            sources: sources.to_vec(),
        };
        let reason =
            |spec: ArtifactGeneratorSpec| check(&spec, "own", true).map_err(|failure| failure.message);
        let (a, one) = (source("a", ""), artifact("one", ""));
        assert_eq!(reason(spec(std::slice::from_ref(&a), std::slice::from_ref(&one))), Ok(()));
        assert_eq!(reason(spec(&[source("a", "own")], &[artifact("one", "@a")])), Ok(()));
        for (sources, artifacts, expected) in [
            (&[a.clone(), a.clone()][..], &[one.clone()][..], "duplicate source alias 'a' found"),
            (std::slice::from_ref(&a), &[one.clone(), one.clone()], "duplicate artifact name 'one' found"),
            (
                std::slice::from_ref(&a),
                &[artifact("one", "@b")],
                "artifact 'one': revision source alias '@b' not found",
            ),
            (
                &[source("a", "other")],
                std::slice::from_ref(&one),
                "cross-namespace reference to source GitRepository/other/app is not allowed",
            ),
        ] {
            assert_eq!(reason(spec(sources, artifacts)), Err(expected.to_owned()));
        }
    }
}

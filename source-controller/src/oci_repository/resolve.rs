//! From a tag, a range or a digest to the digest of a manifest.

use sluice_api::source::{OCIRepositoryRef, OCIRepositorySpec};
use sluice_oci::{Client, Reference};
use sluice_regexp::Regexp;
use sluice_runtime::errors::chain;
use sluice_semver::{Constraints, Version};

use crate::source::Failure;

/// The layer of a Helm chart: its tags write `_` where versions have `+`.
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// What a reference stands for.
pub(super) struct Resolved {
    /// With the digest: all that follows goes by it.
    pub(super) reference: Reference,
    pub(super) revision: String,
}

/// Asks the registry.
pub(super) async fn resolve(
    client: &Client,
    spec: &OCIRepositorySpec,
    repository: &Reference,
) -> Result<Resolved, Failure> {
    let none = OCIRepositoryRef::default();
    let wanted = spec.reference.as_ref().unwrap_or(&none);
    if !wanted.digest.is_empty() {
        let text = format!("{}@{}", repository.context(), wanted.digest);
        let parsed = Reference::parse(&text).map_err(|error| undetermined(&spec.url, &chain(&error)))?;
        return Ok(Resolved { revision: wanted.digest.clone(), reference: parsed });
    }
    let tag = if wanted.semver.is_empty() {
        if wanted.tag.is_empty() { "latest".to_owned() } else { wanted.tag.clone() }
    } else {
        let tags = client.tags(&repository.repository).await;
        let tags = tags.map_err(|error| undetermined(&spec.url, &chain(&error)))?;
        let is_chart = spec.layer_selector.as_ref().is_some_and(|s| s.media_type == CHART_LAYER);
        choose(tags, wanted, is_chart).map_err(|problem| undetermined(&spec.url, &problem))?
    };
    // A tag is checked like the rest of the reference.
    let named = Reference::parse(&format!("{}:{tag}", repository.context()))
        .map_err(|error| undetermined(&spec.url, &chain(&error)))?;
    let digest = client.digest(&named).await.map_err(|error| {
        let message = format!("failed to determine artifact digest: {}", chain(&error));
        Failure::fetch("OCIArtifactPullFailed", message)
    })?;
    Ok(Resolved { revision: format!("{tag}@{digest}"), reference: named.with_digest(&digest) })
}

fn undetermined(url: &str, problem: &str) -> Failure {
    let message = format!("failed to determine the artifact tag for '{url}': {problem}");
    Failure::fetch("ReadOperationFailed", message)
}

/// The tag of the highest version in the range.
fn choose(tags: Vec<String>, wanted: &OCIRepositoryRef, is_chart: bool) -> Result<String, String> {
    let range = Constraints::parse(&wanted.semver);
    let range = range.map_err(|error| format!("semver '{}' parse error: {error}", wanted.semver))?;
    let filter = match wanted.semver_filter.as_str() {
        "" => None,
        pattern => Some(
            Regexp::new(pattern)
                .map_err(|error| format!("failed to compile regex '{pattern}': {}", chain(&error)))?,
        ),
    };
    let version = |tag: &str| {
        let text = if is_chart { tag.replace('_', "+") } else { tag.to_owned() };
        Version::parse(&text).ok()
    };
    let fitting = tags.into_iter().filter(|tag| filter.as_ref().is_none_or(|filter| filter.is_match(tag)));
    let versions = fitting.filter_map(|tag| Some((version(&tag)?, tag)));
    let best = versions.filter(|(version, _)| range.check(version)).max_by(|a, b| a.0.cmp(&b.0));
    best.map(|(_, tag)| tag).ok_or_else(|| format!("no match found for semver: {}", wanted.semver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_tag_in_the_range_that_passes_the_filter_is_chosen() {
        let tags = ["latest", "1.0.0", "v1.2.0", "1.3.0-rc.1", "1.1.0_x", "2.0.0-alpine", "1.9"];
        let chosen = |semver: &str, filter: &str, is_chart: bool| {
            let wanted = OCIRepositoryRef {
                semver: semver.to_owned(),
                semver_filter: filter.to_owned(),
                ..OCIRepositoryRef::default()
            };
            choose(tags.iter().map(|tag| (*tag).to_owned()).collect(), &wanted, is_chart)
        };
        assert_eq!(chosen("1.x", "", false).as_deref(), Ok("1.9"));
        assert_eq!(chosen("~1.1", "", true).as_deref(), Ok("1.1.0_x"));
        assert_eq!(chosen(">=1.0.0-0", "^.*-alpine$", false).as_deref(), Ok("2.0.0-alpine"));
        assert_eq!(chosen("3.x", "", false), Err("no match found for semver: 3.x".to_owned()));
        assert!(chosen("x y z", "", false).unwrap_err().starts_with("semver 'x y z' parse error"));
        assert!(chosen("*", "(", false).unwrap_err().starts_with("failed to compile regex '('"));
    }
}

//! The source of a HelmRelease: a HelmChart made from a template, or what `chartRef` names; and the chart it holds.

use std::sync::{Mutex, PoisonError};

use sluice_api::helm::HelmRelease;
use sluice_api::meta::Artifact;
use sluice_artifact::fetch::FetchError;
use sluice_runtime::{Failure, ObjectKey, Retry, errors};
use sluice_semver::Version;

use super::{Context, reason, template};
use crate::action::Chart;
use crate::charts::{ChartError, Label};
use crate::sources::Facts;

/// Kind and key of the source that holds the chart. Nothing when neither `chart` nor `chartRef` is set, or both.
pub(crate) fn reference(object: &HelmRelease) -> Option<(String, ObjectKey)> {
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    match (&object.spec.chart, &object.spec.chart_ref) {
        (Some(_), None) => template::key(object).map(|key| ("HelmChart".to_owned(), key)),
        (None, Some(chart)) => {
            let key = ObjectKey::new(chart.namespace_or(own), chart.name.clone());
            Some((chart.kind.clone(), key))
        }
        _ => None,
    }
}

/// The artifact of a source that can be used.
pub(crate) async fn require(
    context: &Context,
    kind: &str,
    key: &ObjectKey,
    own: &str,
) -> Result<Artifact, Failure> {
    if context.settings.no_cross_namespace_refs && key.namespace != own {
        let message = format!("cross-namespace references are not allowed: cannot access {kind} {key}");
        return Err(Failure::terminal(reason::ACCESS_DENIED, message).observed());
    }
    if kind == "ExternalArtifact" && !context.settings.external_artifacts {
        let message = format!("can't access '{kind}/{key}', ExternalArtifact feature gate is disabled");
        return Err(Failure::terminal(reason::ACCESS_DENIED, message).observed());
    }
    let failed = |error: String| {
        let message = format!("could not get Source object: {error}");
        Failure::quiet(reason::ARTIFACT_FAILED, message, Retry::Backoff)
    };
    let facts = match context.sources.facts(kind, key).await {
        Some(Ok(facts)) => facts,
        Some(Err(error)) => return Err(failed(errors::describe(&error))),
        None => return Err(failed(format!("kind {kind} holds no charts"))),
    };
    usable(facts, kind).map_err(|why| {
        let message = format!("{kind} '{key}' is not ready: {why}");
        let retry = Retry::After(context.settings.requeue_dependency);
        Failure::quiet(reason::SOURCE_NOT_READY, message, retry).observed()
    })
}

/// The artifact, unless the source is about to bring another one, or none.
fn usable(facts: Facts, kind: &str) -> Result<Artifact, String> {
    let or = |message: String, default: &str| if message.is_empty() { default.to_owned() } else { message };
    if kind != "ExternalArtifact" {
        if !facts.observed {
            return Err("latest generation of object has not been reconciled".to_owned());
        }
        if facts.stalled {
            return Err(or(facts.message, "the source has stalled"));
        }
    }
    facts.artifact.ok_or_else(|| or(facts.message, "does not have an artifact"))
}

/// A server of artifacts that has not answered for so long is an event.
const NEWS: std::time::Duration = std::time::Duration::from_mins(3);

/// The chart that a release is to be made of. It is loaded when it is needed: as long as its label tells that it is
/// installed, nobody does.
pub(crate) struct Wanted {
    /// What it is, with the version that is recorded.
    pub(crate) label: Label,
    artifact: Artifact,
    /// Until it is taken: while an action waits, its chart takes no memory.
    loaded: Mutex<Option<Chart>>,
}

impl Wanted {
    /// The chart of an artifact under the version that is recorded.
    pub(crate) fn new(artifact: Artifact, label: Label) -> Self {
        Self { label, artifact, loaded: Mutex::default() }
    }

    /// Loads the chart, so that an action finds it.
    pub(crate) async fn load(&self, context: &Context) -> Result<(), Failure> {
        let chart = self.take(context).await?;
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(chart);
        Ok(())
    }

    /// The chart itself. It is kept no longer.
    pub(crate) async fn take(&self, context: &Context) -> Result<Chart, Failure> {
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(chart) = loaded {
            return Ok(chart);
        }
        let found = context.charts.get(&self.artifact).await;
        let mut chart = found.map_err(|error| failed(context, &self.artifact, error))?;
        if chart.metadata.version != self.label.version {
            Chart::make_mut(&mut chart).metadata.version.clone_from(&self.label.version);
        }
        Ok(chart)
    }
}

/// What the chart of an artifact is.
pub(crate) async fn label(
    context: &Context,
    object: &HelmRelease,
    artifact: &Artifact,
) -> Result<Label, Failure> {
    let found = context.charts.label(&ObjectKey::of(object), artifact).await;
    found.map_err(|error| failed(context, artifact, error))
}

/// Why a chart cannot be had, as conditions tell it.
fn failed(context: &Context, artifact: &Artifact, error: ChartError) -> Failure {
    match error {
        ChartError::Fetch(FetchError::NotFound(_)) => {
            let delay = context.settings.requeue_dependency;
            let message = format!(
                "Source not ready: artifact not found. Retrying in {}",
                sluice_duration::format_std(delay)
            );
            Failure::quiet(reason::ARTIFACT_FAILED, message, Retry::After(delay)).observed()
        }
        ChartError::Fetch(FetchError::DigestMismatch { expected, .. }) => {
            let message = format!(
                "Could not load chart: integrity failure: computed digest doesn't match '{expected}'"
            );
            Failure::new(reason::ARTIFACT_FAILED, message)
        }
        ChartError::Fetch(error) => {
            let message = format!("Could not load chart: {}", errors::chain(&error));
            let failure = Failure::new(reason::ARTIFACT_FAILED, message);
            if !error.is_transient() {
                return failure;
            }
            // The queue tries again, with no worker held. A server that is started anew is no news.
            let silent = context.charts.silent_for(artifact);
            Failure { event: failure.event.filter(|_| silent > NEWS), ..failure }
        }
        ChartError::Load(error) => {
            Failure::new(reason::ARTIFACT_FAILED, format!("Could not load chart: {error}"))
        }
    }
}

/// The digest of a chart's artifact in its registry, and the version of the chart with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tracked {
    /// The version of the chart; with the beginning of the digest as build metadata where there is one.
    pub(crate) version: String,
    /// The digest, or the whole revision where its tag is no version.
    pub(crate) digest: String,
}

/// Writes the digest of an artifact into the version of its chart. `track`: whether the version tells the digest.
pub(crate) fn track(kind: &str, revision: &str, version: &str, track: bool) -> Result<Tracked, String> {
    let from_registry = kind == "OCIRepository" || kind == "ExternalArtifact" && revision.contains(':');
    if !from_registry {
        return Ok(Tracked { version: version.to_owned(), digest: String::new() });
    }
    let invalid = || format!("invalid artifact revision {revision}");
    let parsed = Version::parse(version).map_err(|_| format!("invalid chart version {version}"))?;
    let (tag, digest) =
        revision.rsplit_once('@').map_or((None, revision), |(tag, digest)| (Some(tag), digest));
    let mut recorded = digest.to_owned();
    if let Some(tag) = tag {
        match Version::parse(&tag.replace('_', "+")) {
            Ok(tagged) if tagged != parsed => {
                return Err(format!("artifact revision {tag} does not match chart version {version}"));
            }
            Ok(_) => {}
            Err(_) => revision.clone_into(&mut recorded),
        }
    }
    let (_, hex) = digest.split_once(':').ok_or_else(invalid)?;
    let short = hex.get(..12).filter(|_| !hex.contains(':')).ok_or_else(invalid)?;
    let version = if track {
        parsed.with_metadata(short).map_err(|_| invalid())?.to_string()
    } else {
        version.to_owned()
    };
    Ok(Tracked { version, digest: recorded })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracked(kind: &str, revision: &str, version: &str) -> Result<(String, String), String> {
        track(kind, revision, version, true).map(|tracked| (tracked.version, tracked.digest))
    }

    #[test]
    fn charts_of_a_registry_tell_their_digest() {
        let digest = "sha256:abcdef1234567890";
        for (revision, version, wanted) in [
            (format!("1.2.3@{digest}"), "1.2.3", ("1.2.3+abcdef123456", digest.to_owned())),
            (format!("1.2.3_build@{digest}"), "v1.2.3+build", ("1.2.3+abcdef123456", digest.to_owned())),
            (digest.to_owned(), "1.2.3", ("1.2.3+abcdef123456", digest.to_owned())),
            (format!("latest@{digest}"), "1.2.3", ("1.2.3+abcdef123456", format!("latest@{digest}"))),
        ] {
            let (version, digest) = tracked("OCIRepository", &revision, version).unwrap();
            assert_eq!((version.as_str(), digest), wanted, "{revision}");
        }
        assert_eq!(tracked("HelmChart", "1.2.3", "1.2.3").unwrap(), ("1.2.3".to_owned(), String::new()));
        assert_eq!(tracked("ExternalArtifact", "main", "1.2.3").unwrap().1, "");
    }

    #[test]
    fn revisions_that_do_not_fit_are_refused() {
        for (revision, version, error) in [
            (
                "1.2.4@sha256:abcdef1234567890",
                "1.2.3",
                "artifact revision 1.2.4 does not match chart version 1.2.3",
            ),
            ("sha256:abc", "1.2.3", "invalid artifact revision sha256:abc"),
            ("1.2.3@sha256", "1.2.3", "invalid artifact revision 1.2.3@sha256"),
            ("sha256:abcdef1234567890", "x", "invalid chart version x"),
        ] {
            assert_eq!(tracked("OCIRepository", revision, version).unwrap_err(), error);
        }
    }

    #[test]
    fn a_source_that_is_not_ready_is_used_if_it_has_an_artifact_and_not_stalled() {
        let facts = Facts { observed: true, message: "no".into(), ..Facts::default() };
        assert_eq!(usable(facts.clone(), "HelmChart").unwrap_err(), "no");
        assert_eq!(
            usable(Facts { observed: false, ..facts.clone() }, "HelmChart").unwrap_err(),
            "latest generation of object has not been reconciled"
        );
        let artifact: Artifact = serde_json::from_value(serde_json::json!({
            "digest": "sha256:x", "lastUpdateTime": "2026-01-01T00:00:00Z", "path": "p", "revision": "1", "url": "u"
        }))
        .unwrap();
        let with = Facts { artifact: Some(artifact), ..facts };
        assert!(usable(with.clone(), "HelmChart").is_ok());
        assert!(usable(Facts { stalled: true, ..with.clone() }, "HelmChart").is_err());
        assert!(usable(Facts { stalled: true, observed: false, ..with }, "ExternalArtifact").is_ok());
    }
}

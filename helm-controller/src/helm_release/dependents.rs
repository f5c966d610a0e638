//! Who is to be woken when something else changes.

use sluice_api::helm::HelmRelease;
use sluice_api::meta::{Artifact, READY_CONDITION, RECONCILING_CONDITION};
use sluice_runtime::{Cache, ObjectKey, conditions};

use super::source::reference;

/// The HelmReleases that install from a source and have not tried its artifact yet.
pub(crate) fn of_source(
    releases: &Cache<HelmRelease>,
    kind: &str,
    source: &ObjectKey,
    artifact: &Artifact,
) -> Vec<ObjectKey> {
    let objects = releases.filter(|object| {
        reference(object).is_some_and(|found| found.0 == kind && found.1 == *source)
            && !has_tried(object, kind, artifact)
    });
    objects.iter().map(|object| ObjectKey::of(&**object)).collect()
}

fn has_tried(object: &HelmRelease, kind: &str, artifact: &Artifact) -> bool {
    let Some(status) = &object.status else { return false };
    let at_work = conditions::is_true(&status.conditions, READY_CONDITION)
        || conditions::is_true(&status.conditions, RECONCILING_CONDITION);
    let same = match kind {
        "HelmChart" => status.last_attempted_revision == artifact.revision,
        "ExternalArtifact" if !artifact.revision.contains(':') => {
            status.last_attempted_revision == artifact.revision
        }
        _ => {
            !status.last_attempted_revision_digest.is_empty()
                && artifact.revision.ends_with(&status.last_attempted_revision_digest)
        }
    };
    at_work && same
}

/// The HelmReleases that refer to a ConfigMap or Secret.
pub(crate) fn of_config(releases: &Cache<HelmRelease>, kind: &str, config: &ObjectKey) -> Vec<ObjectKey> {
    let objects = releases.filter(|object| {
        let spec = &object.spec;
        if object.metadata.namespace.as_deref() != Some(&config.namespace) {
            return false;
        }
        let kube_config = spec.kube_config.iter().filter_map(|reference| {
            if kind == "Secret" {
                Some(reference.secret_ref.as_ref()?.name.as_str())
            } else {
                Some(reference.config_map_ref.as_ref()?.name.as_str())
            }
        });
        let values = spec.values_from.iter().filter(|reference| reference.kind == kind);
        values.map(|reference| reference.name.as_str()).chain(kube_config).any(|name| name == config.name)
    });
    objects.iter().map(|object| ObjectKey::of(&**object)).collect()
}

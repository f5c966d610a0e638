//! Events as the other controllers post them: reading, cleaning, rate limiting, and the pipeline to the providers.

mod labels;
mod limit;
mod metadata;
mod pipeline;
mod server;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

pub(crate) use labels::Labels;
pub(crate) use limit::Limiter;
pub(crate) use metadata::merge;
pub(crate) use pipeline::Pipeline;
pub(crate) use server::{Bodies, routes};

/// One event, as on the wire.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    /// The object that it is about.
    pub involved_object: ObjectReference,
    /// `trace`, `info` or `error`.
    pub severity: String,
    /// When it happened.
    pub timestamp: Time,
    /// Text for people.
    pub message: String,
    /// Programmatic reason in CamelCase.
    pub reason: String,
    /// Facts by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The controller that reports it.
    #[serde(default)]
    pub reporting_controller: String,
    /// The host that it runs on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reporting_instance: String,
}

/// The last part of `metadata` keys that asks for an update of a commit status.
const COMMIT_STATUS: &str = "commit_status";

impl Event {
    /// Kind of the object, empty when unknown.
    pub(crate) fn kind(&self) -> &str {
        self.involved_object.kind.as_deref().unwrap_or_default()
    }

    /// Name of the object.
    pub(crate) fn name(&self) -> &str {
        self.involved_object.name.as_deref().unwrap_or_default()
    }

    /// Namespace of the object.
    pub(crate) fn namespace(&self) -> &str {
        self.involved_object.namespace.as_deref().unwrap_or_default()
    }

    /// `Kind/namespace/name`.
    pub(crate) fn subject(&self) -> String {
        format!("{}/{}/{}", self.kind(), self.namespace(), self.name())
    }

    /// Whether it tells of a failure.
    pub(crate) fn is_error(&self) -> bool {
        self.severity == "error"
    }

    /// The API group of the object; empty for the core group.
    pub(crate) fn group(&self) -> &str {
        let version = self.involved_object.api_version.as_deref().unwrap_or_default();
        version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The value of a controller's own metadata key, such as `revision`.
    pub(crate) fn group_metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(&format!("{}/{key}", self.group())).map(String::as_str)
    }

    /// Whether it only asks for an update of a commit status.
    pub(crate) fn is_commit_status_update(&self) -> bool {
        self.group_metadata(COMMIT_STATUS) == Some("update")
    }

    /// Roughly how much memory it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let metadata: usize = self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.message.len() + metadata + self.reason.len() + self.reporting_instance.len() + 512
    }

    /// Drops metadata of other groups and what no receiver is to see.
    pub(crate) fn clean(&mut self) {
        let own = format!("{}/", self.group());
        let hidden = [format!("{own}checksum"), format!("{own}digest")];
        self.metadata.retain(|key, _| {
            (key.starts_with(&own) || key.starts_with(sluice_api::meta::EVENT_ANNOTATION_PREFIX))
                && !hidden.iter().any(|hidden| key.eq_ignore_ascii_case(hidden))
        });
    }

    /// Takes out the token by which the sender tells equal messages apart.
    pub(crate) fn remove_token(&mut self) {
        let key = format!("{}/token", self.group());
        self.metadata.remove(&key);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An event of a Kustomization, for tests.
    pub(crate) fn event(severity: &str, metadata: &[(&str, &str)]) -> Event {
        serde_json::from_value(serde_json::json!({
            "involvedObject": {
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "name": "webapp", "namespace": "gitops-system", "uid": "0b1e9f2a-1c2d-4e5f-8a9b-0c1d2e3f4a5b",
            },
            "severity": severity,
            "timestamp": "2026-01-02T03:04:05Z",
            "message": "Health check passed\nin 2s",
            "reason": "ReconciliationSucceeded",
            "metadata": metadata.iter().copied().collect::<BTreeMap<_, _>>(),
            "reportingController": "kustomize-controller",
            "reportingInstance": "kustomize-controller-xyz",
        }))
        .unwrap()
    }

    #[test]
    fn foreign_and_hidden_metadata_is_dropped() {
        let mut event = event(
            "info",
            &[
                ("kustomize.toolkit.fluxcd.io/revision", "main@sha1:1"),
                ("kustomize.toolkit.fluxcd.io/Digest", "x"),
                ("kustomize.toolkit.fluxcd.io/token", "t"),
                ("event.toolkit.fluxcd.io/env", "prod"),
                ("source.toolkit.fluxcd.io/revision", "x"),
                ("plain", "x"),
            ],
        );
        event.clean();
        event.remove_token();
        let keys: Vec<_> = event.metadata.keys().map(String::as_str).collect();
        assert_eq!(keys, ["event.toolkit.fluxcd.io/env", "kustomize.toolkit.fluxcd.io/revision"]);
    }
}

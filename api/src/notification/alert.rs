use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CrossNamespaceObjectReference;
use crate::meta::{LocalObjectReference, omit, string_enum};

/// Which events go to which provider.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1beta3",
    kind = "Alert",
    doc = "Alert sends events of objects to a provider.",
    namespaced,
    derive = "PartialEq",
    plural = "alerts",
    category = "all",
    category = "fluxcd",
    category = "fluxcd-notifications",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AlertSpec {
    /// Added to the metadata of every event. What the event itself says goes before it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_metadata: BTreeMap<String, String>,
    /// Which events to send: all (info) or errors only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "info"))]
    pub event_severity: Option<EventSeverity>,
    /// The objects whose events to send.
    pub event_sources: Vec<CrossNamespaceObjectReference>,
    /// Regular expressions. Events whose message matches one of them are not sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusion_list: Vec<String>,
    /// Regular expressions. Only events whose message matches one of them are sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inclusion_list: Vec<String>,
    /// The Provider to send to.
    pub provider_ref: LocalObjectReference,
    /// Deprecated, use `eventMetadata`: a line on what this is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 255))]
    pub summary: String,
    /// Whether to leave the object alone.
    #[serde(default, skip_serializing_if = "omit::no")]
    pub suspend: bool,
}

impl AlertSpec {
    /// Which events to send, with the default applied.
    pub fn event_severity(&self) -> EventSeverity {
        self.event_severity.unwrap_or_default()
    }
}

string_enum! {
    /// How grave an event is.
    #[derive(Default)]
    pub enum EventSeverity {
        /// Worth knowing.
        #[default]
        Info = "info",
        /// Something failed.
        Error = "error",
    }
}

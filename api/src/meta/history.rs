use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Duration, Time, schema};

/// One line of a history: what was reconciled, when, how often and with what outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// The digest of the resources, as `<algorithm>:<hex>`.
    pub digest: String,
    /// When these resources were first reconciled.
    pub first_reconciled: Time,
    /// When these resources were last reconciled.
    pub last_reconciled: Time,
    /// How long the last reconciliation took.
    #[schemars(schema_with = "schema::free_duration")]
    pub last_reconciled_duration: Duration,
    /// The outcome of the last reconciliation, as the reason of its condition.
    pub last_reconciled_status: String,
    /// More about the resources, such as their revision.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// How often these resources were reconciled with this outcome.
    pub total_reconciliations: i64,
}

//! `Chart.yaml` and `Chart.lock` as helm writes them.

use serde_json::Value;

use crate::chart::{Lock, Metadata};
use crate::document::to_yaml;
use crate::release::{lock_json, metadata_json};

/// The text of `Chart.yaml`.
pub fn metadata_yaml(metadata: &Metadata) -> String {
    rewritten(&metadata_json(metadata))
}

/// The text of `Chart.lock`.
pub fn lock_yaml(lock: &Lock) -> String {
    rewritten(&lock_json(lock))
}

/// JSON that this crate wrote, as YAML.
fn rewritten(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap_or_default();
    to_yaml(&value).unwrap_or_default()
}

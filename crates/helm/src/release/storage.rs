//! Names and labels of the objects that hold records.

use std::collections::BTreeMap;

use super::{Moment, Release};

/// The type of Secrets with records.
pub const SECRET_TYPE: &str = "helm.sh/release.v1";

/// The label `owner` of all records.
pub const OWNER: &str = "helm";

/// Labels that users may not set on a release.
pub const SYSTEM_LABELS: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];

/// The name of the object with one revision.
pub fn record_name(release: &str, version: i64) -> String {
    format!("sh.helm.release.v1.{release}.v{version}")
}

/// The labels of the object with a revision. A new one tells when it was created, an old one when it was changed;
/// never both, since a change replaces all labels.
pub fn record_labels(release: &Release, now: &Moment, is_new: bool) -> BTreeMap<String, String> {
    let mut labels = release.labels.clone();
    let seconds = now.timestamp().map(|time| time.as_second()).unwrap_or_default();
    labels.remove(if is_new { "modifiedAt" } else { "createdAt" });
    labels.insert(if is_new { "createdAt" } else { "modifiedAt" }.to_owned(), seconds.to_string());
    labels.insert("name".to_owned(), release.name.clone());
    labels.insert("owner".to_owned(), OWNER.to_owned());
    labels.insert("status".to_owned(), release.info.status.to_string());
    labels.insert("version".to_owned(), release.version.to_string());
    labels
}

/// Finds all revisions of a release, or those of a status.
pub fn label_selector(release: &str, status: Option<super::Status>) -> String {
    let mut selector = format!("name={release},owner={OWNER}");
    if let Some(status) = status {
        selector.push_str(&format!(",status={status}"));
    }
    selector
}

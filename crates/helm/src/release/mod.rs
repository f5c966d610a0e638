//! What is stored of a release, in the bytes that helm and Flux know.

mod digest;
mod encode;
mod go_json;
mod packed;
mod read;
mod storage;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::chart::{Chart, File, Lock, Metadata};
use crate::manifest::{Hook, HookEvent};
use crate::values::Values;

pub use digest::{config_yaml, snapshot_json};
pub use encode::{RecordError, decode, encode};
pub use packed::Packed;
pub use storage::{OWNER, SECRET_TYPE, SYSTEM_LABELS, label_selector, record_labels, record_name};
pub(crate) use write::{lock_json, metadata_json};

/// A point in time as it is stored: RFC 3339 with up to nine digits of a second. Empty is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moment(String);

impl Moment {
    /// No time.
    pub const fn none() -> Self {
        Moment(String::new())
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The stored text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time, if there is one.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.0.parse().ok()
    }

    pub(crate) fn read(text: &str) -> Self {
        // Go's zero time stands for none.
        if text.starts_with("0001-01-01T00:00:00Z") { Moment::none() } else { Moment(text.to_owned()) }
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Moment(time.to_string())
    }
}

/// Where a release stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// No one knows.
    #[default]
    Unknown,
    /// On the cluster.
    Deployed,
    /// Taken away, but remembered.
    Uninstalled,
    /// Replaced by a later revision.
    Superseded,
    /// Something went wrong.
    Failed,
    /// Being taken away.
    Uninstalling,
    /// Being made.
    PendingInstall,
    /// Being changed.
    PendingUpgrade,
    /// Being changed back.
    PendingRollback,
}

impl Status {
    const ALL: [Status; 9] = [
        Self::Unknown,
        Self::Deployed,
        Self::Uninstalled,
        Self::Superseded,
        Self::Failed,
        Self::Uninstalling,
        Self::PendingInstall,
        Self::PendingUpgrade,
        Self::PendingRollback,
    ];

    /// The stored text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// The status of that text; any other is unknown.
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.as_str() == text).unwrap_or_default()
    }

    /// Whether something is being done to the release.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How objects were applied; records of Helm 3 do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplyMethod {
    /// By the client.
    ClientSide,
    /// By the server.
    ServerSide,
}

impl ApplyMethod {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSide => "csa",
            Self::ServerSide => "ssa",
        }
    }
}

/// What happened to a release.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Info {
    /// When the first revision was made.
    pub first_deployed: Moment,
    /// When this revision was made.
    pub last_deployed: Moment,
    /// When it was taken away.
    pub deleted: Moment,
    /// One sentence.
    pub description: String,
    /// Where it stands.
    pub status: Status,
    /// The revision that this one returned to; 0 for none.
    pub rollback_revision: i64,
    /// What `NOTES.txt` printed.
    pub notes: String,
    /// Objects, where a tool stored them.
    pub resources: Option<Value>,
}

/// The last run of a hook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookRun {
    /// When it began.
    pub started_at: Moment,
    /// When it ended.
    pub completed_at: Moment,
    /// `Unknown`, `Running`, `Succeeded`, `Failed`, or empty before the first run.
    pub phase: String,
}

/// A hook and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedHook {
    /// `metadata.name`.
    pub name: String,
    /// `kind`.
    pub kind: String,
    /// The file it comes from.
    pub path: String,
    /// Its text.
    pub manifest: String,
    /// When it runs.
    pub events: Vec<String>,
    /// Its last run.
    pub last_run: HookRun,
    /// Lower runs earlier.
    pub weight: i64,
    /// When its object is deleted.
    pub delete_policies: Vec<String>,
    /// When its logs are shown.
    pub output_log_policies: Vec<String>,
}

impl RecordedHook {
    /// Whether it runs on an event.
    pub fn runs_on(&self, event: HookEvent) -> bool {
        self.events.iter().any(|name| name == event.name())
    }
}

impl From<Hook> for RecordedHook {
    fn from(hook: Hook) -> Self {
        RecordedHook {
            name: hook.name,
            kind: hook.kind,
            path: hook.path,
            manifest: hook.manifest,
            events: hook.events.iter().map(|event| event.name().to_owned()).collect(),
            last_run: HookRun::default(),
            weight: hook.weight,
            delete_policies: hook.delete_policies,
            output_log_policies: hook.output_log_policies,
        }
    }
}

/// What is stored of a chart: not its subcharts.
#[derive(Debug, Clone, Default)]
pub struct RecordedChart {
    /// `Chart.yaml`, with the dependencies that took part.
    pub metadata: Metadata,
    /// `Chart.lock`.
    pub lock: Option<Lock>,
    /// Files under `templates/`.
    pub templates: Vec<File>,
    /// Defaults, with what was imported from subcharts.
    pub values: Option<Arc<Values>>,
    /// `values.schema.json`.
    pub schema: Option<File>,
    /// Other files.
    pub files: Vec<File>,
    /// When `Chart.yaml` was last changed.
    pub modified: Option<Timestamp>,
}

impl From<&Chart> for RecordedChart {
    fn from(chart: &Chart) -> Self {
        RecordedChart {
            metadata: chart.metadata.clone(),
            lock: chart.lock.clone(),
            templates: chart.templates.clone(),
            values: chart.values.clone(),
            schema: chart.schema.clone(),
            files: chart.files.clone(),
            modified: chart.modified,
        }
    }
}

impl From<RecordedChart> for Chart {
    /// The chart as far as it was stored: it has no subcharts.
    fn from(recorded: RecordedChart) -> Self {
        Chart {
            metadata: recorded.metadata,
            lock: recorded.lock,
            templates: recorded.templates,
            values: recorded.values,
            schema: recorded.schema,
            files: recorded.files,
            modified: recorded.modified,
            ..Chart::default()
        }
    }
}

/// One revision of a release.
#[derive(Debug, Clone, Default)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// What happened to it.
    pub info: Info,
    /// What it was made from.
    pub chart: RecordedChart,
    /// The values it was made with, over the chart's own.
    pub config: Values,
    /// Its objects.
    pub manifest: String,
    /// Its hooks.
    pub hooks: Vec<RecordedHook>,
    /// Its revision, from 1.
    pub version: i64,
    /// Its namespace.
    pub namespace: String,
    /// Labels of the user's; they lie beside the record, not in it.
    pub labels: BTreeMap<String, String>,
    /// How its objects were applied.
    pub apply_method: Option<ApplyMethod>,
}

#[cfg(test)]
mod tests;

//! What was done to which object.

use std::collections::BTreeMap;
use std::fmt;

use super::{ObjectId, Tracked};

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It was not there before.
    Created,
    /// It was changed.
    Configured,
    /// It was as it should be.
    Unchanged,
    /// It was left alone because a label or annotation says so.
    Skipped,
    /// It was deleted, or already gone.
    Deleted,
    /// An error hides what became of it.
    Unknown,
}

impl Action {
    /// The word in events and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
        }
    }

    /// Whether something was done.
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Created | Self::Configured | Self::Deleted)
    }
}

/// One line of a set of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The object.
    pub tracked: Tracked,
    /// What was done to it.
    pub action: Action,
}

impl Change {
    pub(crate) fn new(id: ObjectId, version: &str, action: Action) -> Self {
        Self { tracked: Tracked { id, version: version.to_owned() }, action }
    }
}

impl fmt::Display for Change {
    /// `<subject> <action>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tracked.id, self.action.as_str())
    }
}

/// One line for each change for which `shown` holds.
pub fn lines(changes: &[Change], shown: impl Fn(&Change) -> bool) -> String {
    changes.iter().filter(|change| shown(change)).map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The actions by subject, as logs show them.
pub fn by_subject(changes: &[Change]) -> BTreeMap<String, &'static str> {
    changes.iter().map(|change| (change.tracked.id.to_string(), change.action.as_str())).collect()
}

/// The subjects by action.
pub fn by_action(changes: &[Change]) -> BTreeMap<&'static str, Vec<String>> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for change in changes {
        groups.entry(change.action.as_str()).or_default().push(change.tracked.id.to_string());
    }
    groups
}

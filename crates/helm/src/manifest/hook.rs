//! Documents that run at a certain time of a release's life.

use super::head::Head;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HookEvent {
    /// Before the first objects.
    PreInstall,
    /// After the first objects.
    PostInstall,
    /// Before a deletion.
    PreDelete,
    /// After a deletion.
    PostDelete,
    /// Before a change.
    PreUpgrade,
    /// After a change.
    PostUpgrade,
    /// Before a return to an older revision.
    PreRollback,
    /// After a return to an older revision.
    PostRollback,
    /// When someone asks for tests.
    Test,
}

impl HookEvent {
    /// All events.
    pub const ALL: [HookEvent; 9] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDelete,
        Self::PostDelete,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::PreRollback,
        Self::PostRollback,
        Self::Test,
    ];

    /// The name in annotations and release records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreRollback => "pre-rollback",
            Self::PostRollback => "post-rollback",
            Self::Test => "test",
        }
    }

    /// The event of that name; `test-success` is the old name of `test`.
    pub fn parse(name: &str) -> Option<Self> {
        if name == "test-success" {
            return Some(Self::Test);
        }
        Self::ALL.into_iter().find(|event| event.name() == name)
    }
}

/// When a hook's object is deleted; unknown policies are kept but mean nothing.
pub type HookDeletePolicy = String;

/// When the logs of a hook are shown.
pub type HookOutputLogPolicy = String;

/// A hook of a rendered chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// `metadata.name`.
    pub name: String,
    /// `kind`.
    pub kind: String,
    /// The file it comes from.
    pub path: String,
    /// Its text.
    pub manifest: String,
    /// When it runs.
    pub events: Vec<HookEvent>,
    /// Lower runs earlier.
    pub weight: i64,
    /// `before-hook-creation`, `hook-succeeded`, `hook-failed`.
    pub delete_policies: Vec<HookDeletePolicy>,
    /// `hook-succeeded`, `hook-failed`.
    pub output_log_policies: Vec<HookOutputLogPolicy>,
}

/// What the annotations of a document say of hooks.
pub(super) enum Reading {
    /// Not a hook.
    Plain,
    /// A hook for an event that no one knows: dropped.
    Unknown,
    /// A hook.
    Hook(Hook),
}

const HOOK: &str = "helm.sh/hook";
const WEIGHT: &str = "helm.sh/hook-weight";
const DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
const OUTPUT_LOG_POLICY: &str = "helm.sh/hook-output-log-policy";

pub(super) fn read(head: &Head, path: &str, text: &str) -> Reading {
    let Some(events) = head.annotations.get(HOOK) else { return Reading::Plain };
    let Some(events) = events.split(',').map(|name| HookEvent::parse(&normal(name))).collect() else {
        return Reading::Unknown;
    };
    let weight = head.annotations.get(WEIGHT).map_or(0, |weight| integer(weight));
    Reading::Hook(Hook {
        name: head.name.clone(),
        kind: head.kind.clone(),
        path: path.to_owned(),
        manifest: text.to_owned(),
        events,
        weight,
        delete_policies: list(head, DELETE_POLICY),
        output_log_policies: list(head, OUTPUT_LOG_POLICY),
    })
}

fn normal(name: &str) -> String {
    name.trim().to_lowercase()
}

fn list(head: &Head, annotation: &str) -> Vec<String> {
    head.annotations.get(annotation).map(|text| text.split(',').map(normal).collect()).unwrap_or_default()
}

/// Go's `strconv.Atoi`, 0 for what is no number.
fn integer(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

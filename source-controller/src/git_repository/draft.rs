//! The status while a run is under way: what was found so far, in conditions.

use sluice_api::meta::{
    ARTIFACT_IN_STORAGE_CONDITION, ARTIFACT_OUTDATED_CONDITION, ConditionStatus, FETCH_FAILED_CONDITION,
    INCLUDE_UNAVAILABLE_CONDITION, PROGRESSING_REASON, READY_CONDITION, RECONCILING_CONDITION,
    Reconcilable as _, SOURCE_VERIFIED_CONDITION, STALLED_CONDITION, STORAGE_OPERATION_FAILED_CONDITION,
};
use sluice_api::source::{GitRepository, GitRepositoryStatus};
use sluice_artifact::Storage;
use sluice_runtime::conditions::{self, Summary};

use super::observe::{ArtifactState, StorageState};

/// The conditions that this controller writes.
pub(super) const OWNED: [&str; 9] = [
    STORAGE_OPERATION_FAILED_CONDITION,
    FETCH_FAILED_CONDITION,
    INCLUDE_UNAVAILABLE_CONDITION,
    ARTIFACT_OUTDATED_CONDITION,
    ARTIFACT_IN_STORAGE_CONDITION,
    SOURCE_VERIFIED_CONDITION,
    READY_CONDITION,
    RECONCILING_CONDITION,
    STALLED_CONDITION,
];

/// How the others make up `Ready`.
pub(super) const SUMMARY: Summary<'static> = Summary {
    order: &[
        STORAGE_OPERATION_FAILED_CONDITION,
        FETCH_FAILED_CONDITION,
        INCLUDE_UNAVAILABLE_CONDITION,
        ARTIFACT_OUTDATED_CONDITION,
        ARTIFACT_IN_STORAGE_CONDITION,
        SOURCE_VERIFIED_CONDITION,
        STALLED_CONDITION,
        RECONCILING_CONDITION,
    ],
    negative: &[
        STORAGE_OPERATION_FAILED_CONDITION,
        FETCH_FAILED_CONDITION,
        INCLUDE_UNAVAILABLE_CONDITION,
        ARTIFACT_OUTDATED_CONDITION,
        STALLED_CONDITION,
        RECONCILING_CONDITION,
    ],
};

/// Those of them that say that something failed.
pub(super) const FAILURES: [&str; 3] =
    [FETCH_FAILED_CONDITION, INCLUDE_UNAVAILABLE_CONDITION, STORAGE_OPERATION_FAILED_CONDITION];

/// A status in the making.
pub(super) struct Draft {
    pub(super) status: GitRepositoryStatus,
    /// The status at the beginning of the run.
    pub(super) before: GitRepositoryStatus,
    pub(super) generation: i64,
    news: bool,
    requested: bool,
}

impl Draft {
    /// Marks the object as being worked on.
    pub(super) fn begin(object: &GitRepository) -> Self {
        let before = object.status.clone().unwrap_or_default();
        let generation = object.metadata.generation.unwrap_or_default();
        let requested = object.requested_at().is_some_and(|at| at != before.last_handled_reconcile_at);
        let mut draft = Draft { status: before.clone(), before, generation, news: requested, requested };
        if generation == draft.before.observed_generation {
            draft.progressing(false, "reconciliation in progress".to_owned());
        } else {
            draft.news = true;
            let old = draft.before.observed_generation;
            draft.progressing(false, format!("processing object: new generation {old} -> {generation}"));
        }
        draft
    }

    /// Whether people should see at once that work has begun.
    pub(super) fn is_news(&self) -> bool {
        self.news
    }

    /// Whether somebody asked for this run.
    pub(super) fn is_requested(&self) -> bool {
        self.requested
    }

    /// Work is under way. `drift`: what is there is known to be out of date, so the object is not ready any more.
    fn progressing(&mut self, drift: bool, message: String) {
        let conditions = &mut self.status.conditions;
        let known = conditions::find(conditions, READY_CONDITION).map(|ready| ready.status);
        if drift || matches!(known, None | Some(ConditionStatus::Unknown)) {
            let unknown = ConditionStatus::Unknown;
            conditions::set(
                conditions,
                self.generation,
                READY_CONDITION,
                unknown,
                PROGRESSING_REASON,
                &message,
            );
        }
        conditions::mark_reconciling(conditions, self.generation, PROGRESSING_REASON, message);
    }

    /// Takes in what the storage holds. True if that is bad news.
    pub(super) fn storage(&mut self, state: &StorageState, storage: &Storage) -> bool {
        if state.artifact == ArtifactState::Intact {
            if let Some(artifact) = &mut self.status.artifact {
                artifact.url = storage.url(&artifact.path);
            }
            return false;
        }
        let disappeared = self.status.artifact.take().is_some();
        conditions::remove(&mut self.status.conditions, ARTIFACT_IN_STORAGE_CONDITION);
        let suffix = if disappeared { ": disappeared from storage" } else { "" };
        self.progressing(true, format!("building artifact{suffix}"));
        disappeared
    }

    /// Upstream was reached.
    pub(super) fn reached(&mut self) {
        conditions::remove(&mut self.status.conditions, FETCH_FAILED_CONDITION);
        conditions::remove(&mut self.status.conditions, INCLUDE_UNAVAILABLE_CONDITION);
    }

    /// Upstream was reached, and what it has is this revision. True if that is news.
    pub(super) fn fetched(&mut self, revision: &str, includes_changed: bool) -> bool {
        self.reached();
        let Some(artifact) = &self.status.artifact else { return false };
        let new_revision = artifact.revision != revision;
        let (reason, message) = if new_revision {
            ("NewRevision", format!("new upstream revision '{revision}'"))
        } else if includes_changed {
            ("IncludeChange", "included artifacts differ from last observed includes".to_owned())
        } else {
            return false;
        };
        let conditions = &mut self.status.conditions;
        let outdated = ConditionStatus::True;
        conditions::set(conditions, self.generation, ARTIFACT_OUTDATED_CONDITION, outdated, reason, &message);
        self.progressing(true, format!("building artifact: {message}"));
        true
    }
}

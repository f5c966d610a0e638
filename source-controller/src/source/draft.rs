//! The status while a run is under way: what was found so far, in conditions.

use sluice_api::meta::{
    ARTIFACT_IN_STORAGE_CONDITION, ARTIFACT_OUTDATED_CONDITION, ConditionStatus, PROGRESSING_REASON,
    READY_CONDITION, STORAGE_OPERATION_FAILED_CONDITION, Status as _,
};
use sluice_artifact::Storage;
use sluice_runtime::conditions;

use super::storage::{ArtifactState, StorageState};
use super::{FAILURES, Source};

/// A status in the making.
pub(crate) struct Draft<K: Source> {
    pub(crate) status: K::Status,
    /// The status at the beginning of the run.
    pub(crate) before: K::Status,
    pub(crate) generation: i64,
    news: bool,
    requested: bool,
}

impl<K: Source> Draft<K> {
    /// Marks the object as being worked on.
    pub(super) fn begin(object: &K) -> Self {
        let before: K::Status = object.status().cloned().unwrap_or_default();
        let generation = object.meta().generation.unwrap_or_default();
        let requested = object.requested_at().is_some_and(|at| at != before.last_handled_reconcile_at());
        let mut draft: Draft<K> =
            Draft { status: before.clone(), before, generation, news: requested, requested };
        let old = draft.before.observed_generation();
        if generation == old {
            draft.progressing(false, "reconciliation in progress".to_owned());
        } else {
            draft.news = true;
            draft.progressing(false, format!("processing object: new generation {old} -> {generation}"));
        }
        draft
    }

    /// Whether people should see at once that work has begun.
    pub(crate) fn is_news(&self) -> bool {
        self.news
    }

    /// Whether somebody asked for this run.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested
    }

    /// Work is under way. `drift`: what is there is known to be out of date, so the object is not ready any more.
    fn progressing(&mut self, drift: bool, message: String) {
        let conditions = self.status.conditions_mut();
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
            let Some(artifact) = K::artifact_mut(&mut self.status) else { return false };
            artifact.url = storage.url(&artifact.path);
            let directory = artifact.path.rsplit_once('/').map(|(directory, _)| directory.to_owned());
            if let Some(url) = K::url_mut(&mut self.status).filter(|url| !url.is_empty())
                && let Some((directory, (_, link))) = directory.zip(url.rsplit_once('/'))
            {
                *url = storage.url(&format!("{directory}/{link}"));
            }
            return false;
        }
        let disappeared = K::artifact_mut(&mut self.status).take().is_some();
        if let Some(url) = K::url_mut(&mut self.status) {
            url.clear();
        }
        conditions::remove(self.status.conditions_mut(), ARTIFACT_IN_STORAGE_CONDITION);
        let suffix = if disappeared { ": disappeared from storage" } else { "" };
        self.progressing(true, format!("building artifact{suffix}"));
        disappeared
    }

    /// Upstream was reached.
    pub(crate) fn reached(&mut self) {
        for type_ in FAILURES.iter().filter(|type_| **type_ != STORAGE_OPERATION_FAILED_CONDITION) {
            conditions::remove(self.status.conditions_mut(), type_);
        }
    }

    /// Upstream was reached, and what it has is this revision. True if that is news.
    pub(crate) fn fetched(&mut self, revision: &str) -> bool {
        self.reached();
        match K::artifact(&self.status) {
            Some(artifact) if artifact.revision != revision => {
                self.outdated("NewRevision", &format!("new upstream revision '{revision}'"));
                true
            }
            _ => false,
        }
    }

    /// What is stored is not what should be.
    pub(crate) fn outdated(&mut self, reason: &str, message: &str) {
        let (type_, true_) = (ARTIFACT_OUTDATED_CONDITION, ConditionStatus::True);
        conditions::set(self.status.conditions_mut(), self.generation, type_, true_, reason, message);
        self.progressing(true, format!("building artifact: {message}"));
    }
}

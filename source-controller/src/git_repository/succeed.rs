//! What a success means for the status, and what is told of it. Pure.

use sluice_api::meta::{SOURCE_VERIFIED_CONDITION, SUCCEEDED_REASON, Status as _};
use sluice_api::source::GitRepository;
use sluice_runtime::{Severity, conditions};

use super::Outcome;
use super::act::Stored;
use super::verify::Verified;
use crate::source::{Event, Success};

/// The longest subject of a commit in an event, in characters.
const MAX_SUBJECT: usize = 50;

pub(super) fn succeed(object: &GitRepository, success: &mut Success<'_, GitRepository>, outcome: Outcome) {
    match outcome {
        Outcome::Kept(revision) => kept(success, &revision),
        Outcome::Stored(stored) => store(object, success, *stored),
    }
    if object.spec.verify.is_none() {
        success.status.source_verification_mode = None;
        conditions::remove(success.status.conditions_mut(), SOURCE_VERIFIED_CONDITION);
    }
    success.in_storage(SUCCEEDED_REASON, |artifact| {
        format!("stored artifact for revision '{}'", artifact.revision)
    });
}

/// Nothing was done. A reconcile that nobody asked for and that changes nothing is not worth an event.
fn kept(success: &mut Success<'_, GitRepository>, revision: &str) {
    let Some(artifact) = &success.status.artifact else { return };
    if success.recovered {
        let message = format!("stored artifact for commit '{revision}'");
        success.events.push(Event::new(Severity::Info, SUCCEEDED_REASON, message).of(artifact));
    } else if success.requested {
        let message = format!("no changes since last reconciliation: observed revision '{revision}'");
        success.events.push(Event::new(Severity::Trace, "GitOperationSucceeded", message).of(artifact));
    }
}

fn store(object: &GitRepository, success: &mut Success<'_, GitRepository>, stored: Stored) {
    let (spec, status) = (&object.spec, &mut *success.status);
    status.observed_ignore.clone_from(&spec.ignore);
    status.observed_include.clone_from(&spec.include);
    status.observed_recurse_submodules = spec.recurse_submodules;
    status.observed_sparse_checkout.clone_from(&spec.sparse_checkout);
    status.included_artifacts = stored.includes.into_iter().map(|included| included.artifact).collect();
    if let Some(Verified { mode, message }) = stored.verified {
        status.source_verification_mode = Some(mode.as_str().to_owned());
        success.set(SOURCE_VERIFIED_CONDITION, SUCCEEDED_REASON, message);
    }
    let message = format!("stored artifact for commit '{}'", shorten(&stored.subject));
    let artifact = stored.artifact;
    let is_new = success.store(artifact.clone(), String::new(), "NewArtifact", message);
    if stored.lfs_pointers > 0 && is_new {
        let message = format!(
            "the artifact holds {} pointers of Git LFS in place of files: LFS objects are not fetched",
            stored.lfs_pointers
        );
        success.events.push(Event::new(Severity::Trace, "GitLFSPointers", message).of(&artifact));
    }
}

fn shorten(subject: &str) -> String {
    match subject.char_indices().nth(MAX_SUBJECT) {
        Some((end, _)) => format!("{}...", &subject[..end]),
        None => subject.to_owned(),
    }
}

//! What is remembered of a Kustomization between two runs. All of it can be lost.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sluice_runtime::apply::{Cluster, Ledger, Object, Tracked};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What a run was made of: as long as it is the same, and nobody touches the objects, there is nothing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Inputs {
    pub(crate) generation: i64,
    pub(crate) revision: String,
    pub(crate) artifact_digest: String,
    /// Of the variables.
    pub(crate) variables: Option<[u8; 32]>,
}

/// The last run that applied everything.
#[derive(Clone)]
pub(crate) struct Applied {
    pub(crate) inputs: Inputs,
    pub(crate) checksum: String,
    /// Stands for the inventory as it was written: another one is somebody else's.
    pub(crate) inventory: u64,
    /// When the server was last asked about every object.
    pub(crate) checked: Instant,
    /// Where. Held so that the watches on it go on.
    pub(crate) cluster: Arc<Cluster>,
}

/// A health check that is under way, or that ended and waits to be told.
pub(crate) struct Wait {
    pub(crate) inputs: Inputs,
    pub(crate) requested_at: Option<String>,
    pub(crate) checksum: String,
    pub(crate) run_started: Instant,
    pub(crate) started: Instant,
    /// Whether objects were changed.
    pub(crate) drifted: bool,
    /// Whether the check before this one passed.
    pub(crate) was_healthy: bool,
    pub(crate) result: Arc<Mutex<Option<Result<(), String>>>>,
    /// Whether steps follow when it went well.
    pub(crate) more: Option<usize>,
    /// Ends the task when the wait is given up.
    pub(crate) _cancel: DropGuard,
}

impl Wait {
    /// The result, if there is one yet.
    pub(crate) fn result(&self) -> Option<Result<(), String>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn token() -> (CancellationToken, DropGuard) {
        let token = CancellationToken::new();
        let guard = token.clone().drop_guard();
        (token, guard)
    }
}

/// Memory of one Kustomization.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) ledger: Ledger,
    pub(crate) applied: Option<Applied>,
    pub(crate) wait: Option<Wait>,
    /// The step that has been waited for, and with which inputs: it is not waited for again.
    pub(crate) passed: Option<(Inputs, usize)>,
    /// Hooks to run if this run fails.
    pub(crate) on_failure: Vec<Object>,
    /// Hooks to delete if this run fails.
    pub(crate) delete_on_failure: Vec<Tracked>,
    /// The task that looks out for drift, where that was asked for.
    pub(crate) lookout: Option<DropGuard>,
    /// When drift was corrected last at once, and how long was waited before.
    pub(crate) corrected: Option<(Instant, Duration)>,
    /// The generation whose deprecated fields were told of.
    pub(crate) warned: Option<i64>,
}

//! Why an apply ended, in the words of Flux.

use super::ObjectId;
use crate::errors::describe;

/// Why objects could not be applied or deleted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The server does not know the kind.
    #[error("no matches for kind {kind:?} in version {api_version:?}")]
    NoMatch {
        /// Group and version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// The server refused the object before anything was changed.
    #[error("{text}")]
    DryRun {
        /// The whole sentence.
        text: String,
        /// Whether it found nothing to apply to: the namespace is not there, or the kind is not served any more.
        missing: bool,
    },
    /// The server refused the object.
    #[error("{id} apply failed: {cause}")]
    Apply {
        /// The object.
        id: ObjectId,
        /// What the server said.
        cause: String,
        /// Whether it may have been written nevertheless: no answer came, or one that the server was in trouble.
        perhaps_written: bool,
    },
    /// Other managers' fields could not be taken over.
    #[error("{id} metadata.managedFields cleanup failed: {cause}")]
    Cleanup {
        /// The object.
        id: ObjectId,
        /// What the server said.
        cause: String,
    },
    /// Field ownership could not be moved to the new version of the API.
    #[error("{id} failed to migrate API version: {cause}")]
    Migrate {
        /// The object.
        id: ObjectId,
        /// What the server said.
        cause: String,
    },
    /// An object that has to be recreated could not be deleted.
    #[error("{id} immutable field detected, failed to delete object: {cause}")]
    Recreate {
        /// The object.
        id: ObjectId,
        /// What the server said, or that it took too long.
        cause: String,
    },
    /// What was applied did not become ready.
    #[error("{0}")]
    NotReady(String),
    /// An ignore rule is not valid.
    #[error("{0}")]
    IgnoreRule(String),
    /// Several objects have faults.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<Error>),
}

impl Error {
    /// One error of one or many.
    pub(crate) fn of(mut errors: Vec<Error>) -> Option<Self> {
        match errors.len() {
            0 => None,
            1 => errors.pop(),
            _ => Some(Self::Several(errors)),
        }
    }

    /// Whether something was not there that an object needs.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::DryRun { missing, .. } => *missing,
            Self::Several(errors) => errors.iter().any(Self::is_missing),
            _ => false,
        }
    }

    /// Whether the object may have been written nevertheless.
    pub(super) fn is_perhaps_written(&self) -> bool {
        matches!(self, Self::Apply { perhaps_written: true, .. })
    }

    /// What an apply answered.
    pub(super) fn apply(id: &ObjectId, refusal: &Refusal) -> Self {
        let perhaps_written = matches!(refusal.code(), 0 | 500..);
        Self::Apply { id: id.clone(), cause: refusal.to_string(), perhaps_written }
    }

    /// What a dry run answered.
    pub(crate) fn dry_run(id: &ObjectId, error: &Refusal) -> Self {
        let message = error.to_string();
        let text = if error.code() == 404 {
            let what = if id.namespace.is_empty() { "namespace not specified" } else { "not found" };
            format!("{id} {what}: {message}")
        } else {
            match error.reason() {
                "" => format!("{id} dry-run failed: {message}"),
                reason => format!("{id} dry-run failed ({reason}): {message}"),
            }
        };
        Self::DryRun { text, missing: error.code() == 404 }
    }
}

/// Why a single request failed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The kind is not known.
    #[error(transparent)]
    Unmapped(#[from] Error),
    /// The server or the way to it.
    #[error("{}", describe(.0))]
    Request(#[from] kube::Error),
}

impl Refusal {
    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Request(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }

    /// The HTTP status; 0 where there is none.
    pub fn code(&self) -> u16 {
        self.status().map_or(0, |status| status.code)
    }

    /// Whether the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// Whether there is nothing at all at the object's address: its kind is not served, at least not in this version. Of an
    /// object that is not there the server says so.
    pub(super) fn is_unserved(&self) -> bool {
        self.code() == 404 && self.reason() != "NotFound"
    }

    /// The reason that people branch on: that of the server, or a conflict of field managers.
    fn reason(&self) -> &str {
        const CONFLICT: &str = "FieldManagerConflict";
        let Some(status) = self.status() else { return "" };
        if self.causes().any(|(reason, _, _)| reason == CONFLICT) { CONFLICT } else { &status.reason }
    }

    /// Reason, field and message of each cause.
    pub(crate) fn causes(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let details = self.status().and_then(|status| status.details.as_ref());
        let causes = details.map(|details| details.causes.as_slice()).unwrap_or_default();
        causes.iter().map(|cause| (cause.reason.as_str(), cause.field.as_str(), cause.message.as_str()))
    }

    /// Whether the server may refuse because a field cannot be changed. Plain faults look the same to it. A conflict is
    /// no such refusal: somebody else was faster, and nothing may be deleted for that.
    pub(crate) fn may_be_immutable(&self) -> bool {
        let message = self.to_string();
        self.code() == 422 || message.contains("is immutable") || message.contains("immutable field")
    }
}

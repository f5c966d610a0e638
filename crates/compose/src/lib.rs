//! Makes a directory of parts of others, as an ArtifactGenerator describes it.
//!
//! - [`compose`] carries out [`Operation`]s: copies of files, directories and what globs match, merged YAML, unpacked
//!   archives.
//! - [`captures`] finds the directories that a path pattern such as `apps/{app}` names, [`render`] puts what it found
//!   into other texts.
//!
//! Sources are directories that were unpacked without symlinks (as `sluice_artifact::extract` does); nothing is read
//! outside of them or written outside of the target. The crate knows nothing of Kubernetes.

mod capture;
mod copy;
mod error;
mod merge;
mod operation;
mod pattern;

pub use capture::{CaptureError, Captured, captures, render};
pub use copy::compose;
pub use error::{Error, Problem};
pub use operation::{Operation, Strategy};

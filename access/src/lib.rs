//! How objects of the cluster log in elsewhere: what several controllers do alike.
//!
//! - [`SecretData`]: a Secret that was read, with errors that name it and the key, never a value.
//! - [`Identities`]: who a ServiceAccount, or this process, is at a cloud.
//! - [`git::remote`]: the remote of a GitRepository with its credentials, those of GitHub Apps and clouds included.
//!
//! What an error means for an object is said by its controller.

mod clusters;
pub mod git;
mod identity;
mod secret;

pub use clusters::ClusterLogins;
pub use identity::{Denied, Identities, OBJECT_LEVEL_WORKLOAD_IDENTITY};
pub use secret::{SecretData, SecretError, image_pull_secrets};

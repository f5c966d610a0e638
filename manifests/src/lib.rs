//! From a directory and a Kustomization to the objects to apply: what the kustomize-controller does in the cluster and the
//! command line before a commit, so that both come to the same.
//!
//! [`build`] is where to enter. Nothing here writes to a cluster or to a log; what is decrypted stays in memory. Only bases of
//! other machines ([`bases`]) come to a disk, into temporary folders.

pub mod bases;
mod build;
mod decryption;
mod generate;
mod mask;
mod overlay;
mod variables;

pub use build::{Built, Input, Purpose, build};
pub use decryption::Decryptor;
pub use generate::scoped_join;
pub use mask::{has_plain_values, is_masked, mask};
pub use variables::Variables;

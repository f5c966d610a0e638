//! Signatures of OCI artifacts.
//!
//! [`Policy`] says whose signatures count, [`verify`] looks for one at the registry: first as a bundle that refers to
//! the artifact, then under the tag that older versions of cosign use. Nothing is trusted that is not covered by a
//! signature, and no signature counts that is not for the very digest that was asked for.
//!
//! Signatures are of keys, or of certificates that live for minutes ([`Keyless`]): then a log must have noted when they were
//! made. Logs and authorities are those of a [`TrustedRoot`]; nothing is asked of them.
//!
//! [`Notation`] does the same for what notation signs, by a trust policy.
//!
//! The crate knows nothing of Kubernetes, and talks to no one but the registry.

mod cosign;
mod error;
mod key;
mod notation;
mod pem;
mod sigstore;

pub use cosign::{Policy, Verified, verify};
pub use error::Error;
pub use key::PublicKey;
pub use notation::{Judgement, Notation};
pub use sigstore::{Identity, Keyless, TrustedRoot};

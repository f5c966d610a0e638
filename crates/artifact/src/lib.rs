//! Artifacts: the archives through which controllers hand content to one another.
//!
//! - [`archive`] writes a reproducible tar.gz: same content, same bytes.
//! - [`ignore`] decides what goes into it, with the globs of [`glob`].
//! - [`digest`] names and checks it.
//! - [`storage`] keeps it on disk: layout, atomic publish, retention.
//! - [`fetch`] gets it over HTTP and verifies it, [`extract`] unpacks it without trusting it, [`fetched`] does so once for many.
//! - [`spool`] is for those who read only some of its files.
//!
//! The crate knows nothing of Kubernetes, Git or registries; times and limits are the caller's.

pub mod archive;
pub mod digest;
mod entries;
pub mod extract;
pub mod fetch;
pub mod fetched;
pub mod glob;
pub mod ignore;
pub mod spool;
pub mod storage;

pub use archive::Archive;
pub use digest::{Algorithm, Digest, Hasher};
pub use extract::extract;
pub use fetch::Fetcher;
pub use fetched::Fetched;
pub use ignore::Rules;
pub use spool::Spool;
pub use storage::Storage;

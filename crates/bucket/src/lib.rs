//! Buckets of objects: S3 and what speaks its language, Google Cloud Storage, Azure Blob Storage.
//!
//! [`Store`] lists one bucket and gets its objects; [`Listing`] becomes an [`Index`], whose revision changes when any
//! object does; [`fetch`] puts the objects of an index into a directory, taking from an earlier one what has not
//! changed. Credentials come as plain values; `sluice-cloud` gets them.
//!
//! The crate knows nothing of Kubernetes. Every request goes through the caller's HTTP client.

mod azure;
mod error;
mod fetch;
mod gcs;
mod index;
mod s3;
mod store;

pub use azure::{Azure, AzureCredentials, AzureLogin};
pub use error::Error;
pub use fetch::{Previous, fetch};
pub use gcs::{GCS_SCOPE, Gcs};
pub use index::{Index, Known, Listing, Object};
pub use s3::S3;
pub use store::Store;

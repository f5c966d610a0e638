//! Buckets of objects: S3 and what speaks its language, Google Cloud Storage, Azure Blob Storage.
//!
//! [`Store`] lists one bucket and gets its objects; [`Listing`] becomes an [`Index`], whose revision changes when any
//! object does; [`fetch`] puts the objects of an index into a directory, taking from an earlier one what has not
//! changed. Credentials come as plain values, or from the surroundings of the process, or from a token service by
//! [`Tokens`], which keeps them for as long as they last.
//!
//! The crate knows nothing of Kubernetes. Every request goes through the caller's HTTP client.

mod azure;
mod error;
mod fetch;
mod gcs;
mod http;
mod index;
mod jwt;
mod s3;
mod store;
mod tokens;
mod xml;

pub use azure::{Azure, AzureCredentials, AzureLogin};
pub use error::Error;
pub use fetch::{Previous, fetch};
pub use gcs::{Gcs, GcsLogin, ServiceAccountKey};
pub use index::{Index, Known, Listing, Object};
pub use s3::{AwsLogin, Keys, Ldap, S3, sign};
pub use store::Store;
pub use tokens::Tokens;

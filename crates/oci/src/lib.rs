//! Reading and writing OCI registries.
//!
//! [`Reference`] names an image, [`Credentials`] come from Docker's configuration, [`Client`] talks to one registry: it
//! lists tags, reads manifests, streams blobs with the digest checked on the way, and pushes.
//!
//! The crate knows nothing of what is in an artifact, of signatures or of Kubernetes.

mod auth;
mod client;
mod credentials;
mod error;
mod manifest;
mod push;
mod reference;

pub use client::{Client, ClientOptions, Resolved};
pub use credentials::{Credentials, DockerConfig};
pub use error::Error;
pub use manifest::{
    Descriptor, INDEX_MEDIA_TYPE, Index, MANIFEST_MEDIA_TYPE, Manifest, Platform, parse_manifest,
};
pub use push::Upload;
pub use reference::{Reference, Registry};

/// The digest of bytes, as `sha256:<hex>`.
pub fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex_digest(&Sha256::digest(bytes))
}

fn hex_digest(sum: &[u8]) -> String {
    sum.iter().fold("sha256:".to_owned(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

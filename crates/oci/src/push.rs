//! Writing to a registry.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::LOCATION;
use sha2::{Digest, Sha256};
use sluice_http::display;

use crate::{Client, Descriptor, Error, MANIFEST_MEDIA_TYPE, Manifest, Reference, hex_digest};

/// Content to be pushed as a blob.
#[derive(Clone, Debug)]
pub enum Upload {
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// A file, read twice: for its digest, and to be sent.
    File(PathBuf),
}

impl Upload {
    async fn bytes(&self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => tokio::fs::read(path).await,
        }
    }
}

impl Client {
    /// Pushes content and returns its descriptor. Content that is there already is not sent again.
    pub async fn push_blob(
        &self,
        repository: &str,
        media_type: &str,
        upload: &Upload,
    ) -> Result<Descriptor, Error> {
        let unread = |source| Error::Write { digest: "what is to be pushed".to_owned(), source };
        let bytes = upload.bytes().await.map_err(unread)?;
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: hex_digest(&Sha256::digest(&bytes)),
            size: bytes.len() as u64,
            ..Descriptor::default()
        };
        let path = format!("/v2/{repository}/blobs/{}", descriptor.digest);
        if self.request(Method::HEAD, repository, "pull,push", &path, None).await.is_ok() {
            return Ok(descriptor);
        }
        let start = format!("/v2/{repository}/blobs/uploads/");
        let empty = Some(("application/octet-stream", Vec::new()));
        let (response, url) = self.request(Method::POST, repository, "pull,push", &start, empty).await?;
        let answer = |problem: String| Error::Answer { url: display(&url), problem };
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location =
            location.ok_or_else(|| answer("the registry names no place for the upload".to_owned()))?;
        let mut target =
            url.join(location).map_err(|error| answer(format!("the place of the upload: {error}")))?;
        // Our credentials go along: another host must not get them.
        if target.origin() != url.origin() {
            return Err(answer("the place of the upload is on another host".to_owned()));
        }
        target.query_pairs_mut().append_pair("digest", &descriptor.digest);
        let body = Some(("application/octet-stream", bytes));
        self.request(Method::PUT, repository, "pull,push", target.as_str(), body).await?;
        Ok(descriptor)
    }

    /// Pushes a manifest under the reference's tag or digest and returns its digest.
    pub async fn push_manifest(&self, reference: &Reference, manifest: &Manifest) -> Result<String, Error> {
        let bytes = serde_json::to_vec(manifest).map_err(|error| Error::Options(error.to_string()))?;
        let media_type = manifest.media_type.as_deref().unwrap_or(MANIFEST_MEDIA_TYPE);
        self.push_manifest_bytes(reference, media_type, bytes).await
    }

    /// Pushes a manifest as it is, such as one that is to get another tag.
    pub async fn push_manifest_bytes(
        &self,
        reference: &Reference,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<String, Error> {
        let digest = crate::digest(&bytes);
        let path = format!("/v2/{}/manifests/{}", reference.repository, reference.identifier());
        self.request(Method::PUT, &reference.repository, "pull,push", &path, Some((media_type, bytes)))
            .await?;
        Ok(digest)
    }
}

//! One bucket, wherever it is.

use reqwest::Response;

use crate::{Azure, Error, Gcs, Listing, Object, S3};
use sluice_cloud::http;

/// One bucket.
#[derive(Debug)]
pub enum Store {
    /// At S3, or a server that speaks as S3 does.
    S3(S3),
    /// At Google Cloud Storage.
    Gcs(Gcs),
    /// At Azure Blob Storage, where buckets are named containers.
    Azure(Azure),
}

/// A part of a listing, and where the next begins.
pub(crate) struct Page {
    pub(crate) objects: Vec<(String, Object)>,
    pub(crate) next: Option<String>,
}

/// An object that is being read: what it is now, and its content.
pub(crate) struct Opened {
    pub(crate) etag: Option<String>,
    pub(crate) response: Response,
}

impl Store {
    /// All objects whose names begin with `prefix`.
    pub async fn list(&self, prefix: &str) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let mut marker: Option<String> = None;
        loop {
            let after = marker.as_deref();
            let page = match self {
                Store::S3(store) => store.page(prefix, after).await?,
                Store::Gcs(store) => store.page(prefix, after).await?,
                Store::Azure(store) => store.page(prefix, after).await?,
            };
            for (key, object) in page.objects {
                listing.insert(key, object)?;
            }
            match page.next {
                // A server that leads in circles must not hold us.
                Some(next) if marker.as_ref() != Some(&next) => marker = Some(next),
                _ => return Ok(listing),
            }
        }
    }

    /// The whole of a small object; `None` if there is none of that name.
    pub async fn get(&self, key: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.open(key, &Object::default()).await {
            Ok(Some(opened)) => Ok(Some(http::read(opened.response, limit).await?)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to read an object; `None` if it has gone.
    pub(crate) async fn open(&self, key: &str, object: &Object) -> Result<Option<Opened>, Error> {
        let opened = match self {
            Store::S3(store) => store.open(key).await,
            Store::Gcs(store) => store.open(key, object).await,
            Store::Azure(store) => store.open(key).await,
        };
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

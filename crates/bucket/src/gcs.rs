//! Google Cloud Storage, by its JSON API.

use reqwest::Client;
use serde::Deserialize;
use sluice_cloud::http;

use crate::store::{Opened, Page};
use crate::{Error, Object};

const ENDPOINT: &str = "https://storage.googleapis.com";
/// What tokens for reading are asked for.
pub const GCS_SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// One bucket at Google Cloud Storage.
#[derive(Debug)]
pub struct Gcs {
    http: Client,
    base: String,
    bucket: String,
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    items: Vec<Item>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    name: String,
    etag: String,
    generation: String,
    #[serde(default)]
    size: String,
}

impl Gcs {
    /// The bucket, at Google's own endpoint unless another is given (a URL).
    pub fn new(http: Client, endpoint: Option<&str>, bucket: &str, token: Option<String>) -> Self {
        let base = endpoint.unwrap_or(ENDPOINT).trim_end_matches('/');
        let base = format!("{base}/storage/v1/b/{}/o", http::encode(bucket, false));
        Gcs { http, base, bucket: bucket.to_owned(), token }
    }

    async fn send(&self, url: &str) -> Result<reqwest::Response, Error> {
        let sent = http::send(&self.http, || {
            let mut request = http::get(url)?;
            if let Some(token) = &self.token {
                http::header(&mut request, "authorization", &format!("Bearer {token}"), true)?;
            }
            Ok(request)
        });
        Ok(sent.await?)
    }

    async fn json<T: serde::de::DeserializeOwned>(&self, url: &str) -> Result<T, Error> {
        let response = self.send(url).await?;
        let url = http::display(response.url());
        let body = http::read(response, http::MAX_PAGE).await?;
        serde_json::from_slice(&body).map_err(|error| Error::answer(url, error.to_string()))
    }

    pub(crate) async fn page(&self, prefix: &str, marker: Option<&str>) -> Result<Page, Error> {
        let mut url = format!(
            "{}?fields=items(name,etag,generation,size),nextPageToken&prefix={}",
            self.base,
            http::encode(prefix, false)
        );
        if let Some(marker) = marker {
            url.push_str(&format!("&pageToken={}", http::encode(marker, false)));
        }
        let list: List = match self.json(&url).await {
            Err(error) if error.is_not_found() => return Err(Error::NoBucket(self.bucket.clone())),
            other => other?,
        };
        let object = |item: Item| {
            let size = item.size.parse().unwrap_or_default();
            (item.name, Object { etag: item.etag, size, generation: Some(item.generation) })
        };
        Ok(Page { objects: list.items.into_iter().map(object).collect(), next: list.next_page_token })
    }

    pub(crate) async fn open(&self, key: &str, object: &Object) -> Result<Opened, Error> {
        let url = format!("{}/{}", self.base, http::encode(key, false));
        if let Some(generation) = &object.generation {
            match self.send(&format!("{url}?alt=media&generation={generation}")).await {
                Ok(response) => return Ok(Opened { etag: Some(object.etag.clone()), response }),
                Err(error) if !error.is_not_found() => return Err(error),
                Err(_) => {}
            }
        }
        // It was written anew since it was listed.
        let now: Item = self.json(&format!("{url}?fields=etag,generation,size")).await?;
        let response = self.send(&format!("{url}?alt=media&generation={}", now.generation)).await?;
        Ok(Opened { etag: Some(now.etag), response })
    }
}

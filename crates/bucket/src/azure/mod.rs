//! Azure Blob Storage.

mod sign;

use jiff::Timestamp;
use reqwest::{Client, Request, Response, Url};

use crate::store::{Opened, Page};
use crate::{Error, Object};
use sluice_cloud::{AzureIdentity, Error as CloudError, Tokens, http, xml};

/// What tokens are asked for.
const SCOPE: &str = "https://storage.azure.com/.default";

/// What goes along with requests.
#[derive(Clone, PartialEq, Eq)]
pub enum AzureCredentials {
    /// Nothing.
    None,
    /// A token.
    Bearer(String),
    /// A signature in the query (SAS).
    Signature(String),
    /// A signature with the account's key.
    Key {
        /// The account.
        account: String,
        /// Its key, in base64.
        key: String,
    },
}

impl std::fmt::Debug for AzureCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AzureCredentials::None => "None",
            AzureCredentials::Bearer(_) => "Bearer(…)",
            AzureCredentials::Signature(_) => "Signature(…)",
            AzureCredentials::Key { .. } => "Key(…)",
        })
    }
}

/// How to get them.
#[derive(Clone, Debug)]
pub enum AzureLogin {
    /// They are here.
    Given(AzureCredentials),
    /// As somebody, by a token; without one there, not at all.
    As(AzureIdentity),
}

impl AzureLogin {
    /// What to send along.
    pub async fn credentials(&self, http: &Client, tokens: &Tokens) -> Result<AzureCredentials, Error> {
        match self {
            AzureLogin::Given(credentials) => Ok(credentials.clone()),
            AzureLogin::As(identity) => {
                let token = identity.token(http, tokens, SCOPE).await?;
                Ok(token.map_or(AzureCredentials::None, AzureCredentials::Bearer))
            }
        }
    }
}

const VERSION: &str = "2021-08-06";

/// One container at Azure Blob Storage.
#[derive(Debug)]
pub struct Azure {
    http: Client,
    /// The URL of the container, without a query.
    base: String,
    container: String,
    credentials: AzureCredentials,
    /// The query of the endpoint and of the credentials, which is a signature.
    query: String,
}

impl Azure {
    /// The container at `endpoint`, a URL that may have a signature in its query.
    pub fn new(
        http: Client,
        endpoint: &str,
        container: &str,
        credentials: AzureCredentials,
    ) -> Result<Self, Error> {
        let url = Url::parse(endpoint);
        let url = url.map_err(|error| Error::options(format!("the endpoint must be a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(Error::options("the endpoint must be a URL with http or https".to_owned()));
        }
        if container.is_empty() || container.contains(['/', '?', '#', '%']) || matches!(container, "." | "..")
        {
            return Err(Error::options(format!("'{container}' is no name of a container")));
        }
        let mut query = url.query().unwrap_or_default().to_owned();
        if let AzureCredentials::Signature(signature) = &credentials {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(signature.trim().trim_start_matches('?'));
        }
        let base = format!("{}/{container}", http::display(&url).trim_end_matches('/'));
        Ok(Azure { http, base, container: container.to_owned(), credentials, query })
    }

    async fn send(&self, path: &str, query: &str) -> Result<Response, Error> {
        let query: Vec<&str> = [query, &self.query].into_iter().filter(|part| !part.is_empty()).collect();
        let query = query.join("&");
        let separator = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{separator}{query}", self.base);
        Ok(http::send(&self.http, || self.request(&url)).await?)
    }

    fn request(&self, url: &str) -> Result<Request, CloudError> {
        let mut request = http::get(url)?;
        let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        http::header(&mut request, "x-ms-date", &date, false)?;
        http::header(&mut request, "x-ms-version", VERSION, false)?;
        match &self.credentials {
            AzureCredentials::None | AzureCredentials::Signature(_) => {}
            AzureCredentials::Bearer(token) => {
                http::header(&mut request, "authorization", &format!("Bearer {token}"), true)?;
            }
            AzureCredentials::Key { account, key } => {
                sign::sign(&mut request, account, key, &date, VERSION)?;
            }
        }
        Ok(request)
    }

    pub(crate) async fn page(&self, prefix: &str, marker: Option<&str>) -> Result<Page, Error> {
        let mut query = format!("restype=container&comp=list&prefix={}", http::encode(prefix, false));
        if let Some(marker) = marker {
            query.push_str(&format!("&marker={}", http::encode(marker, false)));
        }
        let response = match self.send("", &query).await {
            Err(error) if error.is_not_found() => return Err(Error::NoBucket(self.container.clone())),
            other => other?,
        };
        let url = http::display(response.url());
        let body = http::read(response, http::MAX_PAGE).await?;
        read_page(&body).map_err(|problem| Error::answer(url, problem))
    }

    pub(crate) async fn open(&self, key: &str) -> Result<Opened, Error> {
        let response = self.send(&format!("/{}", http::encode(key, true)), "").await?;
        let etag = response.headers().get("etag").and_then(|value| value.to_str().ok()).map(tag);
        Ok(Opened { etag, response })
    }
}

/// The one form of entity tags: listings have them without quotes, headers with.
fn tag(etag: &str) -> String {
    http::hex(etag.trim().trim_matches('"').as_bytes())
}

fn read_page(body: &[u8]) -> Result<Page, String> {
    let (mut objects, mut object, mut key) = (Vec::new(), Object::default(), String::new());
    let (mut next, mut root, mut problem) = (None, false, None);
    xml::texts(body, |path, text| match path {
        "EnumerationResults" => root = true,
        "EnumerationResults/NextMarker" => next = Some(text).filter(|text| !text.is_empty()),
        "EnumerationResults/Blobs/Blob/Name" => key = text,
        "EnumerationResults/Blobs/Blob/Properties/Etag" => object.etag = tag(&text),
        "EnumerationResults/Blobs/Blob/Properties/Content-Length" => match text.trim().parse() {
            Ok(size) => object.size = size,
            Err(_) => problem = Some("the size of an object is no number".to_owned()),
        },
        "EnumerationResults/Blobs/Blob" => {
            objects.push((std::mem::take(&mut key), std::mem::take(&mut object)));
        }
        _ => {}
    })?;
    match problem {
        Some(problem) => Err(problem),
        None if root => Ok(Page { objects, next }),
        None => Err("the answer is no list of objects".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read() {
        let page = br#"<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="x"><Blobs><Blob>
            <Name>a/b &amp; c.yaml</Name><Properties><Content-Length>3</Content-Length><Etag>0x8D</Etag></Properties>
            </Blob></Blobs><NextMarker>2!m</NextMarker></EnumerationResults>"#;
        let page = read_page(page).unwrap();
        assert_eq!(page.objects[0].0, "a/b & c.yaml");
        assert_eq!(page.objects[0].1.etag, tag("\"0x8D\""));
        assert_eq!((page.objects[0].1.size, page.next.as_deref()), (3, Some("2!m")));
        assert!(read_page(b"<html/>").is_err());
    }
}

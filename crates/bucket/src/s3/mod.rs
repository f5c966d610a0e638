//! S3, and servers that speak as it does.

use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;
use reqwest::{Client, Request, Response};

use crate::store::{Opened, Page};
use crate::{Error, Object};
use sluice_cloud::{Error as CloudError, Keys, http, sign, xml};

const DEFAULT_REGION: &str = "us-east-1";

/// One bucket at an S3 server.
#[derive(Debug)]
pub struct S3 {
    http: Client,
    bucket: String,
    /// The URL of the bucket.
    base: String,
    /// Google's server knows the first version of listings only.
    first_version: bool,
    keys: Option<Keys>,
    region: RwLock<String>,
}

impl S3 {
    /// The bucket at `endpoint`, which is a host and perhaps a port. Without `keys` requests are not signed, without
    /// a region it is that of the endpoint's name, or the one that the server tells.
    pub fn new(
        http: Client,
        endpoint: &str,
        insecure: bool,
        bucket: &str,
        region: &str,
        keys: Option<Keys>,
    ) -> Result<Self, Error> {
        let invalid = |character: char| !(character.is_ascii_alphanumeric() || "-._:[]".contains(character));
        if endpoint.is_empty() || endpoint.contains(invalid) {
            let message = format!("endpoint '{endpoint}' must be a host name, with a port where needed");
            return Err(Error::options(message));
        }
        if bucket.is_empty() || bucket.contains(['/', '?', '#', '%']) || matches!(bucket, "." | "..") {
            return Err(Error::options(format!("'{bucket}' is no name of a bucket")));
        }
        let scheme = if insecure { "http" } else { "https" };
        let amazon = endpoint.ends_with(".amazonaws.com") || endpoint.ends_with(".amazonaws.com.cn");
        // A name with dots does not match Amazon's certificate.
        let base = if amazon && !bucket.contains('.') {
            format!("{scheme}://{bucket}.{endpoint}")
        } else {
            format!("{scheme}://{endpoint}/{bucket}")
        };
        let region = match region {
            "" => region_of(endpoint).unwrap_or(DEFAULT_REGION),
            region => region,
        };
        Ok(S3 {
            http,
            bucket: bucket.to_owned(),
            base,
            first_version: endpoint == "storage.googleapis.com",
            keys,
            region: RwLock::new(region.to_owned()),
        })
    }

    async fn send(&self, path: &str, query: &str) -> Result<Response, Error> {
        let url = match query {
            "" => format!("{}{path}", self.base),
            query => format!("{}{path}?{query}", self.base),
        };
        let error = match http::send(&self.http, || self.request(&url)).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        // The bucket is elsewhere, and the server says where.
        let CloudError::Status { region: Some(region), .. } = &error else { return Err(error.into()) };
        let valid = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        {
            let mut known = self.region.write().unwrap_or_else(PoisonError::into_inner);
            if !valid || *region == *known {
                return Err(error.into());
            }
            known.clone_from(region);
        }
        Ok(http::send(&self.http, || self.request(&url)).await?)
    }

    fn request(&self, url: &str) -> Result<Request, CloudError> {
        let mut request = http::get(url)?;
        if let Some(keys) = &self.keys {
            let region = self.region.read().unwrap_or_else(PoisonError::into_inner);
            sign(&mut request, keys, "s3", &region, Timestamp::now())?;
        }
        Ok(request)
    }

    pub(crate) async fn page(&self, prefix: &str, marker: Option<&str>) -> Result<Page, Error> {
        // Sorted by name, as the signature wants it.
        let prefix = http::encode(prefix, false);
        let query = match (self.first_version, marker.map(|marker| http::encode(marker, false))) {
            (true, None) => format!("encoding-type=url&prefix={prefix}"),
            (true, Some(marker)) => format!("encoding-type=url&marker={marker}&prefix={prefix}"),
            (false, None) => format!("encoding-type=url&list-type=2&prefix={prefix}"),
            (false, Some(marker)) => {
                format!("continuation-token={marker}&encoding-type=url&list-type=2&prefix={prefix}")
            }
        };
        let response = match self.send("/", &query).await {
            Err(error) if error.is_not_found() => return Err(Error::NoBucket(self.bucket.clone())),
            other => other?,
        };
        let url = http::display(response.url());
        let body = http::read(response, http::MAX_PAGE).await?;
        read_page(&body, self.first_version).map_err(|problem| Error::answer(url, problem))
    }

    pub(crate) async fn open(&self, key: &str) -> Result<Opened, Error> {
        let response = self.send(&format!("/{}", http::encode(key, true)), "").await?;
        let etag = response.headers().get("etag").and_then(|value| value.to_str().ok());
        let etag = etag.map(|etag| unquoted(etag).to_owned());
        Ok(Opened { etag, response })
    }
}

/// `s3.eu-west-1.amazonaws.com`, also with a dash before the region and with more words before it.
fn region_of(endpoint: &str) -> Option<&str> {
    let name =
        endpoint.strip_suffix(".amazonaws.com").or_else(|| endpoint.strip_suffix(".amazonaws.com.cn"))?;
    let region = name.rsplit('.').next()?;
    let region = region.strip_prefix("s3-").unwrap_or(region);
    (region != "s3" && region.contains('-')).then_some(region)
}

fn unquoted(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

fn read_page(body: &[u8], first_version: bool) -> Result<Page, String> {
    let (mut objects, mut object, mut key) = (Vec::new(), Object::default(), String::new());
    let (mut truncated, mut encoded, mut next, mut root) = (false, false, None, false);
    let mut problem = None;
    xml::texts(body, |path, text| match path {
        "ListBucketResult" => root = true,
        "ListBucketResult/IsTruncated" => truncated = text.trim() == "true",
        "ListBucketResult/EncodingType" => encoded = text.trim() == "url",
        "ListBucketResult/NextContinuationToken" | "ListBucketResult/NextMarker" => next = Some(text),
        "ListBucketResult/Contents/Key" => key = text,
        "ListBucketResult/Contents/ETag" => unquoted(text.trim()).clone_into(&mut object.etag),
        "ListBucketResult/Contents/Size" => match text.trim().parse() {
            Ok(size) => object.size = size,
            Err(_) => problem = Some("the size of an object is no number".to_owned()),
        },
        "ListBucketResult/Contents" => objects.push((std::mem::take(&mut key), std::mem::take(&mut object))),
        _ => {}
    })?;
    if !root {
        return Err("the answer is no list of objects".to_owned());
    }
    if let Some(problem) = problem {
        return Err(problem);
    }
    // Names may come encoded though the element that says so came after them.
    if encoded {
        for (key, _) in &mut objects {
            *key = decoded(key)?;
        }
        if first_version {
            next = next.map(|next| decoded(&next)).transpose()?;
        }
    }
    if truncated && next.is_none() {
        if !first_version {
            return Err("the list goes on, but there is no token for the rest".to_owned());
        }
        next = objects.last().map(|(key, _)| key.clone());
    }
    Ok(Page { objects, next: next.filter(|_| truncated) })
}

/// Undoes the percent-encoding of names, in which a plus sign is a blank.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(rest.next()), digit(rest.next())) {
                    (Some(high), Some(low)) => (high << 4 | low) as u8,
                    _ => return Err(format!("the name '{text}' is not encoded as the answer says")),
                }
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| format!("the name '{text}' is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(endpoint: &str, bucket: &str) -> Result<(String, String), Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().tls_certs_only(Vec::new()).build().unwrap();
        let store = S3::new(client, endpoint, false, bucket, "", None)?;
        let region = store.region.read().unwrap().clone();
        Ok((store.base, region))
    }

    #[test]
    fn the_endpoint_tells_address_and_region() {
        for (endpoint, bucket, url, region) in [
            ("minio.ns:9000", "b", "https://minio.ns:9000/b", "us-east-1"),
            ("s3.amazonaws.com", "b", "https://b.s3.amazonaws.com", "us-east-1"),
            ("s3.eu-west-1.amazonaws.com", "b.c", "https://s3.eu-west-1.amazonaws.com/b.c", "eu-west-1"),
            ("s3-eu-west-1.amazonaws.com", "b", "https://b.s3-eu-west-1.amazonaws.com", "eu-west-1"),
            ("s3.cn-north-1.amazonaws.com.cn", "b", "https://b.s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ] {
            assert_eq!(base(endpoint, bucket).unwrap(), (url.to_owned(), region.to_owned()));
        }
        for (endpoint, bucket) in
            [("http://minio:9000", "b"), ("", "b"), ("h/x", "b"), ("h", "a/b"), ("h", "")]
        {
            assert!(
                matches!(base(endpoint, bucket), Err(Error::Cloud(CloudError::Options(_)))),
                "{endpoint} {bucket}"
            );
        }
    }

    #[test]
    fn pages_are_read_with_names_decoded() {
        let page = br#"<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>true</IsTruncated>
            <NextContinuationToken>a+b</NextContinuationToken><Contents><Key>x%2Fa+b%2B.yaml</Key>
            <ETag>&quot;abc-2&quot;</ETag><Size>12</Size></Contents><EncodingType>url</EncodingType></ListBucketResult>"#;
        let page = read_page(page, false).unwrap();
        let object = Object { etag: "abc-2".to_owned(), size: 12, generation: None };
        assert_eq!(page.objects, [("x/a b+.yaml".to_owned(), object)]);
        assert_eq!(page.next.as_deref(), Some("a+b"));
        for bad in [
            "<html></html>",
            "<ListBucketResult>",
            "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        ] {
            assert!(read_page(bad.as_bytes(), false).is_err(), "{bad}");
        }
    }
}

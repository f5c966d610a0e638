//! Amazon's signature of requests, version 4.

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::Request;
use sha2::{Digest as _, Sha256};

use super::Keys;
use crate::{Error, http};

/// Adds the headers that make up the signature for a service such as `s3` in a region. The query must be encoded and
/// sorted already, and the body, if there is one, be in memory. Headers of the media type and of Amazon's own are signed.
pub fn sign(
    request: &mut Request,
    keys: &Keys,
    service: &str,
    region: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = time.get(..8).unwrap_or_default().to_owned();
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    let payload = http::hex(&Sha256::digest(body));
    http::header(request, "x-amz-date", &time, false)?;
    // Only this service wants it as a header too.
    if service == "s3" {
        http::header(request, "x-amz-content-sha256", &payload, false)?;
    }
    if let Some(token) = &keys.session_token {
        http::header(request, "x-amz-security-token", token, true)?;
    }
    let url = request.url();
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = vec![("host".to_owned(), host)];
    for (name, value) in request.headers() {
        if name.as_str().starts_with("x-amz-") || name == "content-type" {
            let value = String::from_utf8_lossy(value.as_bytes()).trim().to_owned();
            headers.push((name.as_str().to_owned(), value));
        }
    }
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let headers =
        headers.iter().fold(String::new(), |text, (name, value)| text + &format!("{name}:{value}\n"));
    let (path, query) = (url.path(), url.query().unwrap_or_default());
    let canonical = format!("{}\n{path}\n{query}\n{headers}\n{names}\n{payload}", request.method());
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let signature = signature(keys, service, region, &time, &http::hex(&Sha256::digest(canonical)))?;
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.access_key
    );
    http::header(request, "authorization", &authorization, true)
}

/// The signature for the digest of a canonical request, at a `time` that begins with the date.
pub(crate) fn signature(
    keys: &Keys,
    service: &str,
    region: &str,
    time: &str,
    digest: &str,
) -> Result<String, Error> {
    let date = time.get(..8).unwrap_or_default();
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{digest}");
    let mut key = format!("AWS4{}", keys.secret_key).into_bytes();
    for part in [date, region, service, "aws4_request"] {
        key = mac(&key, part)?;
    }
    Ok(http::hex(&mac(&key, &text)?))
}

fn mac(key: &[u8], text: &str) -> Result<Vec<u8>, Error> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let mut mac = mac.map_err(|_| Error::Credentials("the secret key cannot sign".to_owned()))?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example "GET Bucket (List Objects)" of Amazon's documentation of the signature.
    #[test]
    fn the_documented_example_comes_out() {
        let mut request = http::get("https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J").unwrap();
        let keys = Keys {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        sign(&mut request, &keys, "s3", "us-east-1", "2013-05-24T00:00:00Z".parse().unwrap()).unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert!(authorization.ends_with(signature), "{authorization}");
    }

    /// Requests of Amazon's test suite of the signature, with the signatures that it gives.
    #[test]
    fn the_test_suite_comes_out() {
        let keys = Keys {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let url = "https://example.amazonaws.com/";
        let get = http::get(url).unwrap();
        let mut post = http::get(url).unwrap();
        *post.method_mut() = reqwest::Method::POST;
        let form = http::post_json(url, "application/x-www-form-urlencoded", "Param1=value1").unwrap();
        let query = http::get(&format!("{url}?Param1=value1&Param2=value2")).unwrap();
        for (name, mut request, signature) in [
            ("get-vanilla", get, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("post-vanilla", post, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "post-x-www-form-urlencoded",
                form,
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "get-vanilla-query-order-key-case",
                query,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let now = "2015-08-30T12:36:00Z".parse().unwrap();
            sign(&mut request, &keys, "service", "us-east-1", now).unwrap();
            let authorization = request.headers()["authorization"].to_str().unwrap();
            assert!(authorization.ends_with(signature), "{name}: {authorization}");
        }
    }
}

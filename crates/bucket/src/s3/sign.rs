//! Amazon's signature of requests, version 4.

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::Request;
use sha2::{Digest as _, Sha256};

use super::Keys;
use crate::{Error, http};

/// The service whose signatures also have the digest of the content among the headers.
const S3: &str = "s3";

/// Adds the headers that make up the signature for a service such as `s3` or `kms`. The query must be encoded and sorted
/// already, and the content must be at hand.
pub fn sign(
    request: &mut Request,
    keys: &Keys,
    service: &str,
    region: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = time.get(..8).unwrap_or_default().to_owned();
    let content = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
    let content = http::hex(&Sha256::digest(content));
    if service == S3 {
        http::header(request, "x-amz-content-sha256", &content, false)?;
    }
    http::header(request, "x-amz-date", &time, false)?;
    if let Some(token) = &keys.session_token {
        http::header(request, "x-amz-security-token", token, true)?;
    }
    let url = request.url();
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut signed = vec![("host", host.as_str())];
    for (name, value) in request.headers() {
        let name = name.as_str();
        if name.starts_with("x-amz-") || name == "content-type" {
            signed.push((name, value.to_str().unwrap_or_default().trim()));
        }
    }
    signed.sort_unstable();
    let headers = signed.iter().fold(String::new(), |text, (name, value)| text + name + ":" + value + "\n");
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let (path, query) = (url.path(), url.query().unwrap_or_default());
    let canonical = format!("{}\n{path}\n{query}\n{headers}\n{names}\n{content}", request.method());
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let digest = http::hex(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
    let mut key = format!("AWS4{}", keys.secret_key).into_bytes();
    for part in [date.as_str(), region, service, "aws4_request"] {
        key = mac(&key, part)?;
    }
    let signature = http::hex(&mac(&key, &text)?);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.access_key
    );
    http::header(request, "authorization", &authorization, true)
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
        sign(&mut request, &keys, S3, "us-east-1", "2013-05-24T00:00:00Z".parse().unwrap()).unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert!(authorization.ends_with(signature), "{authorization}");
    }

    /// Of Amazon's published test suite of the signature: `post-vanilla` and `post-x-www-form-urlencoded`, and the example
    /// of the documentation that lists users.
    #[test]
    fn the_published_vectors_come_out() {
        let keys = Keys {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let form = Some("application/x-www-form-urlencoded");
        let form_utf8 = Some("application/x-www-form-urlencoded; charset=utf-8");
        let example = "https://example.amazonaws.com/";
        let users = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08";
        for (method, url, service, kind, body, signature) in [
            (
                "POST",
                example,
                "service",
                None,
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "POST",
                example,
                "service",
                form,
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "GET",
                users,
                "iam",
                form_utf8,
                "",
                "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ] {
            let mut request = http::get(url).unwrap();
            *request.method_mut() = method.parse().unwrap();
            if let Some(kind) = kind {
                http::header(&mut request, "content-type", kind, false).unwrap();
            }
            *request.body_mut() = (!body.is_empty()).then(|| body.into());
            sign(&mut request, &keys, service, "us-east-1", "2015-08-30T12:36:00Z".parse().unwrap()).unwrap();
            let authorization = request.headers()["authorization"].to_str().unwrap();
            assert!(authorization.ends_with(signature), "{authorization}");
        }
    }
}

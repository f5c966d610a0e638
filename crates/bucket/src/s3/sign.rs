//! Amazon's signature of requests, version 4, for requests without a body.

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::Request;
use sha2::{Digest as _, Sha256};

use super::Keys;
use crate::{Error, http};

/// The digest of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Adds the headers that make up the signature. The query must be encoded and sorted already.
pub(super) fn sign(request: &mut Request, keys: &Keys, region: &str, now: Timestamp) -> Result<(), Error> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = time.get(..8).unwrap_or_default().to_owned();
    let url = request.url();
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = format!("host:{host}\nx-amz-content-sha256:{EMPTY}\nx-amz-date:{time}\n");
    let mut names = "host;x-amz-content-sha256;x-amz-date".to_owned();
    if let Some(token) = &keys.session_token {
        headers.push_str(&format!("x-amz-security-token:{token}\n"));
        names.push_str(";x-amz-security-token");
    }
    let (path, query) = (url.path(), url.query().unwrap_or_default());
    let canonical = format!("{}\n{path}\n{query}\n{headers}\n{names}\n{EMPTY}", request.method());
    let scope = format!("{date}/{region}/s3/aws4_request");
    let digest = http::hex(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
    let mut key = format!("AWS4{}", keys.secret_key).into_bytes();
    for part in [date.as_str(), region, "s3", "aws4_request"] {
        key = mac(&key, part)?;
    }
    let signature = http::hex(&mac(&key, &text)?);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.access_key
    );
    http::header(request, "x-amz-content-sha256", EMPTY, false)?;
    http::header(request, "x-amz-date", &time, false)?;
    if let Some(token) = &keys.session_token {
        http::header(request, "x-amz-security-token", token, true)?;
    }
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
        sign(&mut request, &keys, "us-east-1", "2013-05-24T00:00:00Z".parse().unwrap()).unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert!(authorization.ends_with(signature), "{authorization}");
    }
}

//! The signature with an account's key, for GET requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use reqwest::Request;
use sha2::Sha256;

use sluice_cloud::{Error, http};

pub(super) fn sign(
    request: &mut Request,
    account: &str,
    key: &str,
    date: &str,
    version: &str,
) -> Result<(), Error> {
    let url = request.url();
    let mut query: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
    query.sort();
    let query = query.iter().fold(String::new(), |text, (name, value)| format!("{text}\n{name}:{value}"));
    let text = format!(
        "GET{}x-ms-date:{date}\nx-ms-version:{version}\n/{account}{}{query}",
        "\n".repeat(12),
        url.path()
    );
    let invalid = || Error::Credentials("the account key is not valid base64".to_owned());
    let key = STANDARD.decode(key.trim()).map_err(|_| invalid())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| invalid())?;
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    http::header(request, "authorization", &format!("SharedKey {account}:{signature}"), true)
}

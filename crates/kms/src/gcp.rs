//! Google Cloud KMS.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::json;
use sluice_cloud::GcpLogin;

use crate::{STANDARD, Services, bytes};

const ENDPOINT: &str = "https://cloudkms.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";

pub(crate) async fn decrypt(services: &Services, resource: &str, encrypted: &str) -> Result<Vec<u8>, String> {
    let parts: Vec<_> = resource.split('/').collect();
    let plain = |text: &&str| {
        !text.is_empty()
            && !matches!(*text, "." | "..")
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let known = matches!(
        parts.as_slice(),
        ["projects", _, "locations", _, "keyRings", _, "cryptoKeys", _]
            | ["projects", _, "locations", _, "keyRings", _, "cryptoKeys", _, "cryptoKeyVersions", _]
    );
    if !known || !parts.iter().all(plain) {
        return Err(format!("{resource:?} is no resource of a key of Google Cloud KMS"));
    }
    let login = match services.credentials.gcp.clone() {
        Some(key) => GcpLogin::Key(key),
        None => services.surroundings.gcp().await?,
    };
    let token = login.token(&services.http, services.surroundings.tokens(), SCOPE).await;
    let token = token.map_err(|error| error.to_string())?.ok_or("no credentials for Google Cloud")?;
    let endpoint = services.endpoints.gcp.as_deref().unwrap_or(ENDPOINT);
    let url = format!("{}/v1/{resource}:decrypt", endpoint.trim_end_matches('/'));
    let mut request = services.post(&url, &json!({"ciphertext": encrypted}))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| "the token for Google Cloud is no text of a header".to_owned())?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    let answer = services.send(request, &["/error/status", "/error/message"]).await?;
    bytes(&answer, "/plaintext", &STANDARD)
}

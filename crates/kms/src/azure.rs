//! Azure Key Vault.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::json;

use crate::{Services, URL_SAFE, bytes};

/// The version of the API.
const VERSION: &str = "7.4";
/// What SOPS encrypts with.
const ALGORITHM: &str = "RSA-OAEP-256";

pub(crate) async fn decrypt(
    services: &Services,
    vault: &str,
    name: &str,
    version: &str,
    encrypted: &str,
) -> Result<Vec<u8>, String> {
    let url =
        reqwest::Url::parse(vault).map_err(|error| format!("{vault:?} is no URL of a vault: {error}"))?;
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if name.is_empty() || !plain(name) || !plain(version) {
        return Err(format!("{name:?} and {version:?} are no name and version of a key in a vault"));
    }
    let service = audience(&url)?;
    let scope = format!("{service}/.default");
    let identity = match services.credentials.azure.clone() {
        Some(identity) => identity,
        None => services.surroundings.azure().await?,
    };
    let token = identity.token(&services.http, services.surroundings.tokens(), &scope).await;
    let token = token.map_err(|error| error.to_string())?;
    let token = token.ok_or_else(|| "no credentials for Azure".to_owned())?;
    let base = vault.trim_end_matches('/');
    let url = format!("{base}/keys/{name}/{version}/decrypt?api-version={VERSION}");
    let mut request = services.post(&url, &json!({"alg": ALGORITHM, "value": encrypted}))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| "the token for Azure is no text of a header".to_owned())?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    let answer = services.send(request, &["/error/code", "/error/message"]).await?;
    bytes(&answer, "/value", &URL_SAFE)
}

/// For whom the token is: the service that the vault is one of. A token never goes to a host that is no vault.
fn audience(url: &reqwest::Url) -> Result<String, String> {
    const CLOUDS: [&str; 4] =
        ["vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net", "vault.microsoftazure.de"];
    let host = url.host_str().unwrap_or_default();
    if host == "127.0.0.1" {
        return Ok(format!("https://{}", CLOUDS[0]));
    }
    let cloud =
        CLOUDS.iter().find(|cloud| host.strip_suffix(**cloud).is_some_and(|name| name.ends_with('.')));
    match cloud {
        Some(cloud) if url.scheme() == "https" => Ok(format!("https://{cloud}")),
        _ => Err(format!("{url} is no URL of an Azure Key Vault: it must be https://<name>.{}", CLOUDS[0])),
    }
}

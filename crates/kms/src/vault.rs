//! The transit engine of HashiCorp Vault and OpenBao.

use reqwest::header::HeaderValue;
use serde_json::json;

use crate::{STANDARD, Services, bytes};

pub(crate) async fn decrypt(
    services: &Services,
    token: Option<&str>,
    address: &str,
    engine: &str,
    key: &str,
    encrypted: &str,
) -> Result<Vec<u8>, String> {
    let token = token.ok_or_else(|| format!("no token for Vault at {address}"))?;
    let part = |text: &str| text.trim_matches('/').to_owned();
    let (engine, key) = (part(engine), part(key));
    if engine.split('/').chain([key.as_str()]).any(|part| matches!(part, "" | "." | ".."))
        || [&engine, &key].iter().any(|text| text.contains(['?', '#', '%', '\\']))
        || key.contains('/')
    {
        return Err(format!("{engine:?} and {key:?} are no path and name of a key in Vault"));
    }
    let url = format!("{}/v1/{engine}/decrypt/{key}", address.trim_end_matches('/'));
    let mut request = services.post(&url, &json!({"ciphertext": encrypted}))?;
    *request.method_mut() = reqwest::Method::PUT;
    let mut token =
        HeaderValue::from_str(token).map_err(|_| "the token for Vault is no text of a header".to_owned())?;
    token.set_sensitive(true);
    request.headers_mut().insert("x-vault-token", token);
    request.headers_mut().insert("x-vault-request", HeaderValue::from_static("true"));
    let answer = services.send(request, &["/errors/0", "/errors/1"]).await?;
    bytes(&answer, "/data/plaintext", &STANDARD)
}

//! The transit engine of HashiCorp Vault and OpenBao.

use std::time::Duration;

use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use sluice_cloud::{Error, Token};

use crate::surroundings::VaultLogin;
use crate::{STANDARD, Services, bytes};

pub(crate) async fn decrypt(
    services: &Services,
    address: &str,
    engine: &str,
    key: &str,
    encrypted: &str,
) -> Result<Vec<u8>, String> {
    let token = token(services, address).await?.ok_or_else(|| format!("no token for Vault at {address}"))?;
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
        HeaderValue::from_str(&token).map_err(|_| "the token for Vault is no text of a header".to_owned())?;
    token.set_sensitive(true);
    request.headers_mut().insert("x-vault-token", token);
    request.headers_mut().insert("x-vault-request", HeaderValue::from_static("true"));
    let answer = services.send(request, &["/errors/0", "/errors/1"]).await?;
    bytes(&answer, "/data/plaintext", &STANDARD)
}

/// The token that was given, or one for the identity of the surroundings, or that of the environment.
async fn token(services: &Services, address: &str) -> Result<Option<String>, String> {
    if let Some(token) = &services.credentials.vault {
        return Ok(Some(token.clone()));
    }
    let Some(VaultLogin { path, role, jwt }) = services.surroundings.vault(address).await? else {
        return Ok(services.credentials.surrounding_token(address).map(str::to_owned));
    };
    let url = format!("{}/v1/{}", address.trim_end_matches('/'), path.trim_matches('/'));
    let request = services.post(&url, &json!({"role": role, "jwt": jwt}))?;
    let ask = async {
        let answer = services.send(request, &["/errors/0", "/errors/1"]).await.map_err(Error::Credentials)?;
        let token = answer.pointer("/auth/client_token").and_then(Value::as_str).unwrap_or_default();
        if token.is_empty() {
            return Err(Error::Credentials(format!("{url}: the answer has no token")));
        }
        let life = answer.pointer("/auth/lease_duration").and_then(Value::as_u64).unwrap_or_default();
        Ok(Token { value: token.to_owned(), life: Duration::from_secs(life) })
    };
    let key = ["vault", &url, &role, &jwt];
    let token = services.surroundings.tokens().get(&key, ask).await;
    token.map(Some).map_err(|error| format!("failed to login to Vault with role '{role}': {error}"))
}

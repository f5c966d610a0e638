//! Google Pub/Sub over its REST API, with a token that the service account signs itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Client, Request};
use super::{Error, Target};
use crate::event::Event;

const SERVICE: &str = "https://pubsub.googleapis.com/";

/// The key file of a service account.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: Option<String>,
}

/// `googlepubsub`: one message, with the event as data and the headers of the Secret as attributes.
pub(crate) async fn publish(http: &Client, target: &Target, event: &Event) -> Result<(), Error> {
    Ok(http.send(request(target, event)?).await?)
}

fn request(target: &Target, event: &Event) -> Result<Request, Error> {
    if target.address.is_empty() {
        return Err(Error::Config(
            "provider type 'googlepubsub' needs the project in spec.address".to_owned(),
        ));
    }
    let topic = target.required_channel()?;
    let mut url = Url::parse(SERVICE).map_err(|error| Error::Config(error.to_string()))?;
    url.path_segments_mut()
        .map_err(|()| Error::Config("the address of the service has no path".to_owned()))?
        .clear()
        .extend(["v1", "projects", &target.address, "topics", &format!("{topic}:publish")]);
    let data = serde_json::to_vec(event).map_err(|error| Error::Event(error.to_string()))?;
    let mut message = json!({"data": STANDARD.encode(data)});
    if !target.credentials.headers.is_empty() {
        message["attributes"] = json!(target.credentials.headers);
    }
    Request::json(url, &json!({"messages": [message]}))?.bearer(Some(&token(target)?))
}

fn token(target: &Target) -> Result<String, Error> {
    if let Some(token) = &target.credentials.access_token {
        return Ok(token.clone());
    }
    let account: ServiceAccount = serde_json::from_str(target.token()?).map_err(|error| {
        Error::Config(format!("the token is not the key file of a Google service account: {error}"))
    })?;
    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": account.client_email, "sub": account.client_email, "aud": SERVICE, "iat": now, "exp": now + 3600,
    });
    let header = account.private_key_id.map_or(Value::Null, |id| json!({"kid": id}));
    sluice_jwt::sign(&claims, &header, account.private_key.as_bytes())
        .map_err(|problem| Error::Config(format!("the private key in the token cannot be used: {problem}")))
}

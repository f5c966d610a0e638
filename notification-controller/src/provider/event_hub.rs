//! Azure Event Hubs over its REST API, with a shared access signature or a bearer token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use k8s_openapi::jiff::Timestamp;
use reqwest::Url;
use sha2::Sha256;

use super::http::Request;
use super::{Error, Target};
use crate::event::Event;

/// How long a signature is good for, in seconds.
const VALIDITY: i64 = 3600;

/// `azureeventhub`: the event as JSON.
pub(crate) fn request(target: &Target, event: &Event) -> Result<Request, Error> {
    if target.address.contains("SharedAccessKey") {
        if target.credentials.token.is_some() {
            return Err(Error::Config("a connection string and a token cannot be used together".to_owned()));
        }
        let connection = Connection::parse(&target.address)?;
        let url = messages(&connection.host, &connection.hub)?;
        let expiry = Timestamp::now().as_second() + VALIDITY;
        let authorization = connection.signature(&url, expiry)?;
        return Request::json(url, event)?.header("authorization", &authorization);
    }
    let token = target.access_token()?;
    let namespace = target.required_channel()?;
    if target.address.is_empty() {
        return Err(Error::Config("provider type 'azureeventhub' needs the hub in spec.address".to_owned()));
    }
    Request::json(messages(&host(namespace), &target.address)?, event)?.bearer(Some(token))
}

/// The host of a namespace, which is a name or the host itself.
pub(super) fn host(namespace: &str) -> String {
    if namespace.contains(".servicebus.") {
        return namespace.to_owned();
    }
    format!("{namespace}.{}", suffix(&std::env::var("AZURE_AUTHORITY_HOST").unwrap_or_default()))
}

/// Where the namespaces of a cloud are.
fn suffix(authority: &str) -> &'static str {
    if authority.contains("login.chinacloudapi.cn") || authority.contains("login.partner.microsoftonline.cn")
    {
        "servicebus.chinacloudapi.cn"
    } else if authority.contains("login.microsoftonline.us") {
        "servicebus.usgovcloudapi.net"
    } else {
        "servicebus.windows.net"
    }
}

/// Where messages for a hub go.
pub(super) fn messages(host: &str, hub: &str) -> Result<Url, Error> {
    let invalid =
        |error: &dyn std::fmt::Display| Error::Config(format!("the event hub's address is invalid: {error}"));
    let mut url = Url::parse(&format!("https://{host}")).map_err(|error| invalid(&error))?;
    url.path_segments_mut().map_err(|()| invalid(&"it has no path"))?.clear().extend([hub, "messages"]);
    Ok(url)
}

/// A connection string.
struct Connection {
    host: String,
    hub: String,
    key_name: String,
    key: String,
}

impl Connection {
    fn parse(text: &str) -> Result<Self, Error> {
        let part = |wanted: &str| {
            let mut parts = text.split(';').filter_map(|part| part.split_once('='));
            let found = parts
                .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim());
            found.filter(|value| !value.is_empty()).map(str::to_owned).ok_or_else(|| {
                Error::Config(format!("the connection string in the address lacks '{wanted}'"))
            })
        };
        let endpoint = part("Endpoint")?;
        let host =
            endpoint.split_once("://").map_or(endpoint.as_str(), |(_, host)| host).trim_end_matches('/');
        Ok(Self {
            host: host.to_owned(),
            hub: part("EntityPath")?,
            key_name: part("SharedAccessKeyName")?,
            key: part("SharedAccessKey")?,
        })
    }

    fn signature(&self, url: &Url, expiry: i64) -> Result<String, Error> {
        let encode = |text: &str| {
            text.bytes().fold(String::new(), |mut encoded, byte| {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                    encoded.push(char::from(byte));
                } else {
                    encoded.push_str(&format!("%{byte:02X}"));
                }
                encoded
            })
        };
        let resource = encode(url.as_str().trim_end_matches("/messages"));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes())
            .map_err(|error| Error::Config(format!("the shared access key cannot sign: {error}")))?;
        mac.update(format!("{resource}\n{expiry}").as_bytes());
        let signature = encode(&STANDARD.encode(mac.finalize().into_bytes()));
        Ok(format!(
            "SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={}",
            encode(&self.key_name)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_documentation_s_recipe() {
        let text = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0a2V5PT0=;EntityPath=hub";
        let connection = Connection::parse(text).unwrap();
        assert_eq!(connection.key, "c2VjcmV0a2V5PT0=", "an equals sign belongs to the key");
        let url = messages(&connection.host, &connection.hub).unwrap();
        assert_eq!(url.as_str(), "https://ns.servicebus.windows.net/hub/messages");
        // printf 'https%%3A%%2F%%2Fns.servicebus.windows.net%%2Fhub\n1700000000' | openssl dgst -sha256 -hmac 'c2VjcmV0a2V5PT0=' -binary | base64
        let expected = "SharedAccessSignature sr=https%3A%2F%2Fns.servicebus.windows.net%2Fhub&sig=ucpHYtUF7%2Bov04sZLWxVFgWo%2BM6YrblK%2Ba%2BLDaKcFN4%3D&se=1700000000&skn=send";
        assert_eq!(connection.signature(&url, 1_700_000_000).unwrap(), expected);
        assert!(Connection::parse("Endpoint=sb://x/;SharedAccessKey=a").is_err());
    }

    #[test]
    fn each_cloud_has_its_namespaces() {
        assert_eq!(suffix(""), "servicebus.windows.net");
        assert_eq!(suffix("https://login.microsoftonline.us/"), "servicebus.usgovcloudapi.net");
        assert_eq!(suffix("https://login.chinacloudapi.cn/"), "servicebus.chinacloudapi.cn");
    }
}

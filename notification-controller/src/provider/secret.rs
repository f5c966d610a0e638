//! What the Secrets of a Provider hold.

use std::collections::BTreeMap;

use sluice_github::App;
use sluice_http::{Proxy, Tls};

/// Longest address, in bytes.
const MAX_ADDRESS: usize = 2048;

/// What a Provider's Secrets tell.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    /// `address`, trimmed.
    pub address: Option<String>,
    /// `token`.
    pub token: Option<String>,
    /// `username`.
    pub username: Option<String>,
    /// `password`.
    pub password: Option<String>,
    /// `headers`, a YAML map.
    pub headers: BTreeMap<String, String>,
    /// `proxy`, deprecated.
    pub proxy: Option<String>,
    /// `ca.crt`, `tls.crt` and `tls.key`.
    pub tls: Tls,
    /// The keys of a GitHub App.
    pub app: Option<App>,
    /// `creds`: the login file of NATS.
    pub nats_creds: Option<String>,
    /// `nkey`: the seed of NATS.
    pub nats_seed: Option<String>,
    /// A token of an identity at a cloud, which no Secret holds.
    pub access_token: Option<String>,
}

/// Shows no secret.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// The data of a Secret.
pub(crate) type Data = BTreeMap<String, Vec<u8>>;

fn text(data: &Data, key: &str) -> Result<Option<String>, String> {
    match data.get(key) {
        None => Ok(None),
        Some(bytes) => {
            String::from_utf8(bytes.clone()).map(Some).map_err(|_| format!("the key '{key}' is not UTF-8"))
        }
    }
}

impl Credentials {
    /// Reads the Secret of `secretRef`.
    pub(crate) fn read(data: &Data) -> Result<Self, String> {
        let address = text(data, "address")?.map(|address| address.trim().to_owned());
        if address.as_ref().is_some_and(|address| address.len() > MAX_ADDRESS) {
            return Err("invalid address in secret: address exceeds maximum length of 2048 bytes".to_owned());
        }
        let username = text(data, "username")?;
        let password = text(data, "password")?;
        if username.is_some() && password.is_none() {
            return Err("the key 'username' needs the key 'password' too".to_owned());
        }
        let headers = match text(data, "headers")? {
            None => BTreeMap::new(),
            Some(yaml) => headers(&yaml)?,
        };
        Ok(Self {
            address,
            username,
            password,
            headers,
            proxy: text(data, "proxy")?,
            token: text(data, "token")?,
            app: super::github_app::read(data)?,
            nats_creds: text(data, "creds")?,
            nats_seed: text(data, "nkey")?,
            tls: Tls::default(),
            access_token: None,
        })
    }

    /// The token, or the password in its place, which some types take.
    pub(crate) fn token_or_password(&self) -> Option<&str> {
        let token = self.token.as_deref().filter(|token| !token.is_empty());
        token.or(self.password.as_deref()).filter(|token| !token.is_empty())
    }

    /// Values that must not be seen in messages.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let few =
            [&self.token, &self.password, &self.nats_creds, &self.nats_seed, &self.proxy, &self.access_token];
        few.into_iter().flatten().map(String::as_str).chain(self.headers.values().map(String::as_str))
    }

    /// Whether a Secret of `secretRef` holds certificates too, which types that know no `certSecretRef` use.
    pub(crate) fn has_certificates(data: &Data) -> bool {
        ["ca.crt", "tls.crt", "caFile", "certFile"].iter().any(|key| data.contains_key(*key))
    }

    /// Adds the certificates of `certSecretRef`.
    pub(crate) fn read_certificates(&mut self, data: &Data) -> Result<(), String> {
        let tls = Tls::read(|key| data.get(key).map(Vec::as_slice)).map_err(|error| error.to_string())?;
        if tls.is_empty() {
            return Err("it needs the key 'ca.crt', or 'tls.crt' and 'tls.key'".to_owned());
        }
        self.tls = tls;
        Ok(())
    }
}

/// The proxy that a Secret of `proxySecretRef` describes.
pub(crate) fn proxy(data: &Data) -> Result<Proxy, String> {
    Proxy::read(|key| data.get(key).map(Vec::as_slice)).map_err(|error| error.to_string())
}

/// The proxy of a URL in `spec.proxy` or the key `proxy`, both of which are old.
pub(crate) fn old_proxy(url: String) -> Proxy {
    Proxy { address: url, username: None, password: None }
}

fn headers(yaml: &str) -> Result<BTreeMap<String, String>, String> {
    let problem =
        |why: &dyn std::fmt::Display| format!("the key 'headers' is not a YAML map of strings: {why}");
    let value = sluice_yaml::read(yaml).map_err(|error| problem(&error))?;
    let headers = value.as_mapping().ok_or_else(|| problem(&"it is no map"))?;
    let entry = |(name, value): (&String, &sluice_yaml::Value)| {
        let value = value.as_str().ok_or_else(|| problem(&format!("the value of '{name}' is no string")))?;
        Ok((name.clone(), value.to_owned()))
    };
    headers.iter().map(entry).collect()
}

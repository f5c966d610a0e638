//! Certificates and proxies from the entries of a Secret.

use crate::{Proxy, Tls};

/// The longest proxy address.
const MAX_ADDRESS: usize = 2048;

/// What is wrong with the entries. Names keys, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Half of a pair.
    #[error("key '{there}' is there without '{missing}'")]
    Half {
        /// The key that is there.
        there: &'static str,
        /// The one that belongs to it.
        missing: &'static str,
    },
    /// A key that must be there.
    #[error("key '{0}' is missing")]
    Missing(&'static str),
    /// Bytes where a text should be.
    #[error("key '{0}' is not valid UTF-8 text")]
    Text(&'static str),
    /// A proxy's address that is too long.
    #[error("key 'address' is longer than {MAX_ADDRESS} characters")]
    LongAddress,
    /// A proxy's address that is none.
    #[error("key 'address' must begin with http://, https:// or socks5://")]
    Address,
}

impl Tls {
    /// Reads `ca.crt`, `tls.crt` and `tls.key`, or the older `caFile`, `certFile` and `keyFile`. `get` gives the value
    /// of a key.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, DataError> {
        let either = |new: &str, old: &str| get(new).or_else(|| get(old)).map(<[u8]>::to_vec);
        let identity = match (either("tls.crt", "certFile"), either("tls.key", "keyFile")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(DataError::Half { there: "tls.crt", missing: "tls.key" }),
            (None, Some(_)) => return Err(DataError::Half { there: "tls.key", missing: "tls.crt" }),
        };
        Ok(Tls { authorities: either("ca.crt", "caFile"), identity })
    }

    /// Whether there is neither an authority nor a certificate.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_none() && self.identity.is_none()
    }
}

impl Proxy {
    /// Reads `address`, `username` and `password`.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, DataError> {
        let text = |key: &'static str| {
            let text = get(key).map(|bytes| String::from_utf8(bytes.to_vec())).transpose();
            text.map_err(|_| DataError::Text(key))
        };
        let address = text("address")?.filter(|address| !address.is_empty());
        let address = address.ok_or(DataError::Missing("address"))?;
        if address.len() > MAX_ADDRESS {
            return Err(DataError::LongAddress);
        }
        let scheme = address.split_once("://").map(|(scheme, _)| scheme).unwrap_or_default();
        if !matches!(scheme, "http" | "https" | "socks5") {
            return Err(DataError::Address);
        }
        Ok(Proxy { address, username: text("username")?, password: text("password")? })
    }

    /// Its URL with the login in it, for those that take a proxy so. None where the address is no URL.
    pub fn with_login(&self) -> Option<String> {
        let mut url = reqwest::Url::parse(self.address.trim()).ok()?;
        if let Some(username) = &self.username {
            url.set_username(username).ok()?;
            url.set_password(self.password.as_deref()).ok()?;
        }
        Some(url.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(entries: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<&'a [u8]> {
        move |key| entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_bytes())
    }

    #[test]
    fn old_and_new_names_are_read_and_half_a_pair_is_refused() {
        let both = Some((b"c".to_vec(), b"k".to_vec()));
        for entries in [[("tls.crt", "c"), ("tls.key", "k")], [("certFile", "c"), ("keyFile", "k")]] {
            assert_eq!(Tls::read(get(&entries)).unwrap().identity, both);
        }
        let error = Tls::read(get(&[("tls.key", "k")])).unwrap_err();
        assert_eq!(error.to_string(), "key 'tls.key' is there without 'tls.crt'");
        assert!(Tls::read(get(&[("username", "u")])).unwrap().is_empty());
    }

    #[test]
    fn proxies_are_checked() {
        let proxy = Proxy::read(get(&[("address", "http://p:3128"), ("username", "u")])).unwrap();
        assert_eq!(proxy.username.as_deref(), Some("u"));
        for bad in [&[][..], &[("address", "")], &[("address", "ftp://x")], &[("address", "host:80")]] {
            assert!(Proxy::read(get(bad)).unwrap_err().to_string().starts_with("key 'address'"));
        }
    }

    #[test]
    fn a_proxy_s_url_carries_its_login() {
        let url = |entries: &[(&str, &str)]| Proxy::read(get(entries)).unwrap().with_login();
        let login = [("address", "http://p:3128"), ("username", "u"), ("password", "a@b")];
        assert_eq!(url(&login).as_deref(), Some("http://u:a%40b@p:3128/"));
        assert_eq!(url(&login[..1]).as_deref(), Some("http://p:3128/"));
        assert_eq!(url(&[("address", "http://")]), None);
    }
}

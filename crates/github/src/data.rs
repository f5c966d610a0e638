//! A GitHub App from the entries of a Secret.

use reqwest::Url;
use sha2::{Digest as _, Sha256};

const PUBLIC: &str = "https://api.github.com/";
/// Where servers of one's own have their API.
const OWN: &str = "/api/v3";

/// A GitHub App and one of its installations. Debug output shows no key.
#[derive(Clone)]
pub struct App {
    pub(crate) id: String,
    pub(crate) key: Vec<u8>,
    pub(crate) installation: Installation,
    pub(crate) base: Url,
}

#[derive(Clone, Debug)]
pub(crate) enum Installation {
    Id(String),
    Owner(String),
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "App({}, {:?}, {})", self.id, self.installation, self.base)
    }
}

/// What is wrong with the entries. Names keys, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A key that must be there.
    #[error("key '{0}' is missing")]
    Missing(&'static str),
    /// Bytes where a text should be.
    #[error("key '{0}' is not valid UTF-8 text")]
    Text(&'static str),
    /// None or both of the keys that name the installation.
    #[error("exactly one of the keys 'githubAppInstallationOwner' and 'githubAppInstallationID' is needed")]
    Installation,
    /// A number that is none.
    #[error("key '{0}' is no number")]
    Number(&'static str),
    /// An address that is none.
    #[error("key 'githubAppBaseURL' is no URL that begins with https:// or http://")]
    Base,
}

impl App {
    /// Whether the entries are meant to be those of an App.
    pub fn is_meant<'a>(get: impl Fn(&str) -> Option<&'a [u8]>) -> bool {
        get("githubAppID").is_some()
    }

    /// Reads `githubAppID`, `githubAppPrivateKey`, `githubAppInstallationOwner` or `githubAppInstallationID`, and
    /// `githubAppBaseURL`. `get` gives the value of a key.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, DataError> {
        let text = |key: &'static str| {
            let text = get(key).map(|bytes| std::str::from_utf8(bytes).map(|text| text.trim().to_owned()));
            let text = text.transpose().map_err(|_| DataError::Text(key))?;
            Ok(text.filter(|text| !text.is_empty()))
        };
        let number = |key: &'static str, value: String| {
            if value.bytes().all(|byte| byte.is_ascii_digit()) {
                Ok(value)
            } else {
                Err(DataError::Number(key))
            }
        };
        let id = text("githubAppID")?.ok_or(DataError::Missing("githubAppID"))?;
        let key = get("githubAppPrivateKey").filter(|key| !key.is_empty());
        let key = key.ok_or(DataError::Missing("githubAppPrivateKey"))?.to_vec();
        let installation = match (text("githubAppInstallationID")?, text("githubAppInstallationOwner")?) {
            (Some(id), None) => Installation::Id(number("githubAppInstallationID", id)?),
            (None, Some(owner)) => Installation::Owner(owner),
            _ => return Err(DataError::Installation),
        };
        let base = base(&text("githubAppBaseURL")?.unwrap_or_else(|| PUBLIC.to_owned()))?;
        Ok(App { id, key, installation, base })
    }

    /// Two Apps with the same value get the same tokens.
    pub(crate) fn identity(&self) -> [u8; 32] {
        let (kind, which) = match &self.installation {
            Installation::Id(id) => ("id", id),
            Installation::Owner(owner) => ("owner", owner),
        };
        let mut hash = Sha256::new();
        for part in
            [self.id.as_bytes(), kind.as_bytes(), which.as_bytes(), self.base.as_str().as_bytes(), &self.key]
        {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

fn base(text: &str) -> Result<Url, DataError> {
    let mut url = Url::parse(text).map_err(|_| DataError::Base)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(DataError::Base);
    }
    // Nothing of that belongs there, and it would be shown.
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(DataError::Base);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if url.host_str() != Some("api.github.com") && !path.ends_with(OWN) {
        url.set_path(&format!("{path}{OWN}"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<App, DataError> {
        App::read(|key| entries.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_bytes()))
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let good = [("githubAppID", "1"), ("githubAppPrivateKey", "k"), ("githubAppInstallationID", "2")];
        assert_eq!(read(&good).unwrap().base.as_str(), PUBLIC);
        let without = |key: &str| {
            let rest: Vec<_> = good.into_iter().filter(|(name, _)| *name != key).collect();
            read(&rest).unwrap_err().to_string()
        };
        assert_eq!(without("githubAppID"), "key 'githubAppID' is missing");
        assert_eq!(without("githubAppPrivateKey"), "key 'githubAppPrivateKey' is missing");
        assert!(without("githubAppInstallationID").starts_with("exactly one of"));
        let with = |more: (&'static str, &'static str)| read(&[&good[..], &[more]].concat());
        assert_eq!(with(("githubAppInstallationOwner", "x")).unwrap_err(), DataError::Installation);
        for bad in ["s3cret", "ftp://x", "https://user:s3cret@h", "https://"] {
            assert_eq!(with(("githubAppBaseURL", bad)).unwrap_err(), DataError::Base);
        }
        let word = [("githubAppID", "1"), ("githubAppPrivateKey", "k"), ("githubAppInstallationID", "../x")];
        assert_eq!(read(&word).unwrap_err(), DataError::Number("githubAppInstallationID"));
    }

    #[test]
    fn servers_of_ones_own_have_their_api_below_a_path() {
        let of = |text: &str| base(text).unwrap().to_string();
        assert_eq!(of("https://api.github.com"), "https://api.github.com/");
        assert_eq!(of("https://ghe.example.com"), "https://ghe.example.com/api/v3");
        assert_eq!(of("https://ghe.example.com/api/v3/"), "https://ghe.example.com/api/v3/");
        assert_eq!(of("https://h/sub/"), "https://h/sub/api/v3");
    }
}

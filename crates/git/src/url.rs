//! Where a repository is.

use std::fmt;

use reqwest::Url;

use crate::error::Error;

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// SSH.
    Ssh,
}

/// The URL of a repository, with its user-info taken apart. Prints without any credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RemoteUrl {
    scheme: Scheme,
    /// Without user-info, query and fragment.
    url: Url,
    user: Option<String>,
    password: Option<String>,
}

impl RemoteUrl {
    /// Reads a URL: `http`, `https` or `ssh`. The scp form `host:path` is refused.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::Url { url: mask(text), reason: reason.to_owned() };
        let mut url = Url::parse(text).map_err(|error| match text.split_once("://") {
            Some(_) => invalid(&error.to_string()),
            None => invalid("it needs a scheme: http, https or ssh"),
        })?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            other => {
                let reason = format!("the scheme {other:?} is not supported: use http, https or ssh");
                return Err(invalid(&reason));
            }
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(invalid("it has no host"));
        }
        if url.path().trim_matches('/').is_empty() {
            return Err(invalid("it has no path to a repository"));
        }
        let user = (!url.username().is_empty()).then(|| decode(url.username()));
        let password = url.password().map(decode);
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| invalid("its user-info cannot be read"))?;
        url.set_fragment(None);
        Ok(RemoteUrl { scheme, url, user, password })
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub fn host(&self) -> &str {
        // Checked by `parse`.
        self.url.host_str().unwrap_or_default()
    }

    /// The port, the scheme's own one if none is given.
    pub fn port(&self) -> u16 {
        let default = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Ssh => 22,
        };
        self.url.port().unwrap_or(default)
    }

    /// The path on the server, with percent signs decoded.
    pub fn path(&self) -> String {
        decode(self.url.path())
    }

    /// The user in the URL.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password in the URL.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The same without user and password.
    #[must_use]
    pub fn without_login(self) -> Self {
        RemoteUrl { user: None, password: None, ..self }
    }

    /// The URL without credentials.
    pub(crate) fn bare(&self) -> &Url {
        &self.url
    }

    /// A URL relative to this one, as submodules have them.
    pub fn join(&self, relative: &str) -> Result<Self, Error> {
        if !(relative.starts_with("./") || relative.starts_with("../")) {
            return Self::parse(relative);
        }
        let mut base = self.url.clone();
        let path = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        let invalid = |reason: String| Error::Url { url: mask(relative), reason };
        let mut url = base.join(relative).map_err(|error| invalid(error.to_string()))?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        if path.is_empty() {
            return Err(invalid("it leads above the host's root".to_owned()));
        }
        Ok(RemoteUrl { url, ..self.clone() })
    }

    /// Whether both have the same scheme, host and port: credentials of one may be sent to the other.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.scheme, self.host(), self.port()) == (other.scheme, other.host(), other.port())
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str())
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({})", self.url)
    }
}

/// Decodes percent signs; what is no UTF-8 stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Hides whatever stands between the scheme and the last `@`: a malformed URL may have its password anywhere there.
pub(crate) fn mask(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    match rest.rfind('@') {
        Some(at) => format!("{scheme}{separator}*****@{}", &rest[at + 1..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = RemoteUrl::parse("https://us%40er:p%3Aw@Example.com:8443/a%20b.git").unwrap();
        assert_eq!((url.scheme(), url.host(), url.port()), (Scheme::Https, "example.com", 8443));
        assert_eq!((url.user(), url.password()), (Some("us@er"), Some("p:w")));
        assert_eq!(url.path(), "/a b.git");
        assert_eq!(format!("{url} {url:?}").matches("p:w").count(), 0);
        assert_eq!(url.to_string(), "https://example.com:8443/a%20b.git");
        let url = RemoteUrl::parse("ssh://git@host/~/x").unwrap();
        assert_eq!((url.port(), url.user()), (22, Some("git")));
    }

    #[test]
    fn other_urls_are_refused_without_their_credentials() {
        for bad in [
            "git@host:org/x",
            "file:///x",
            "host/x",
            "https://",
            "https://h",
            "https://h/",
            "ext::sh -c x",
            "",
        ] {
            assert!(RemoteUrl::parse(bad).is_err(), "{bad}");
        }
        let error = RemoteUrl::parse("ftp://user:secret@h/x").unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("ftp"), "{error}");
        let error = RemoteUrl::parse("https://user:sec/ret@h:bad/x").unwrap_err().to_string();
        assert!(!error.contains("user:sec/ret@"), "{error}");
    }

    #[test]
    fn relative_urls_are_joined_as_git_does() {
        let url = RemoteUrl::parse("https://h/org/repo.git").unwrap();
        assert_eq!(url.join("../other.git").unwrap().to_string(), "https://h/org/other.git");
        assert_eq!(url.join("./sub").unwrap().to_string(), "https://h/org/repo.git/sub");
        assert_eq!(url.join("https://x/y").unwrap().to_string(), "https://x/y");
        assert!(url.join("../../../..").is_err());
    }
}

//! Bases that are not here: repositories and documents on other machines, fetched by the caller.

use crate::error::Error;

/// Fetches what kustomization files name by URL. A build without one refuses them.
pub trait Remote: Send + Sync {
    /// The document at an http(s) URL. An answer other than 2xx is an error of [`crate::error::Kind::Http`].
    fn file(&self, url: &str) -> Result<Vec<u8>, Error>;
    /// Fetches a repository and returns the absolute directory, in the build's file system, where it lies.
    fn repository(&self, spec: &RepositorySpec) -> Result<String, Error>;
}

/// A repository, a path in it, and how to fetch it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositorySpec {
    /// As it was written.
    pub raw: String,
    /// What to fetch from.
    pub url: String,
    /// The directory inside, without a slash in front.
    pub path: String,
    /// Branch, tag or commit; empty for the default branch.
    pub reference: String,
    /// Whether to fetch submodules.
    pub submodules: bool,
    /// How long fetching may take, in seconds.
    pub timeout_seconds: u64,
}

impl RepositorySpec {
    /// Recognises the URL of a repository; local paths are `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let mut spec =
            Self { raw: text.to_owned(), submodules: true, timeout_seconds: 27, ..Self::default() };
        spec.read_query(query);
        let address = address.strip_prefix("git::").unwrap_or(address);
        let (prefix, rest) = split_host(address)?;
        if rest.is_empty() {
            return None;
        }
        let (repository, path) = split_repository(&prefix, rest)?;
        spec.url = format!("{prefix}{repository}");
        path.trim_matches('/').clone_into(&mut spec.path);
        if spec.path.split('/').any(|part| part == "..") {
            return None;
        }
        Some(spec)
    }

    fn read_query(&mut self, query: &str) {
        let value = |name: &str| {
            query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, value)| *key == name && !value.is_empty())
                .map(|(_, value)| value)
        };
        if let Some(reference) = value("ref").or_else(|| value("version")) {
            reference.clone_into(&mut self.reference);
        }
        if let Some(submodules) = value("submodules") {
            self.submodules = !matches!(submodules, "false" | "0" | "f" | "F" | "FALSE" | "False");
        }
        if let Some(timeout) = value("timeout") {
            let seconds = timeout.parse::<i64>().ok();
            let span = || sluice_duration::parse(timeout).ok().map(|span| span / sluice_duration::SECOND);
            let seconds = seconds.or_else(span).and_then(|seconds| u64::try_from(seconds).ok());
            if let Some(seconds) = seconds.filter(|seconds| *seconds > 0) {
                self.timeout_seconds = seconds;
            }
        }
    }
}

/// Scheme, user and host with the separator after them; and the rest.
fn split_host(address: &str) -> Option<(String, &str)> {
    for scheme in ["ssh://", "https://", "http://", "file://"] {
        let Some(head) = address.get(..scheme.len()) else { continue };
        if !head.eq_ignore_ascii_case(scheme) {
            continue;
        }
        let rest = &address[scheme.len()..];
        if scheme == "file://" {
            return Some((scheme.to_owned(), rest));
        }
        let (host, path) = rest.split_once('/')?;
        if host.is_empty() {
            return None;
        }
        return Some((format!("{scheme}{host}/"), path));
    }
    if let Some((user, rest)) = address.split_once('@')
        && !user.is_empty()
        && !user.contains('/')
    {
        let at = rest.find([':', '/'])?;
        return Some((format!("{user}@{}", &rest[..=at]), &rest[at + 1..]));
    }
    let bare = address.get(..10).filter(|head| head.eq_ignore_ascii_case("github.com"))?;
    let rest = address[bare.len()..].strip_prefix(['/', ':'])?;
    Some(("https://github.com/".to_owned(), rest))
}

/// The repository and the path inside it.
fn split_repository<'a>(prefix: &str, rest: &'a str) -> Option<(String, &'a str)> {
    if let Some(at) = rest.find("_git/") {
        let after = &rest[at + 5..];
        let end = after.find('/').map_or(rest.len(), |slash| at + 5 + slash);
        return Some((rest[..end].to_owned(), &rest[end..]));
    }
    if let Some((repository, path)) = rest.split_once("//") {
        return Some((repository.to_owned(), path));
    }
    if let Some(at) = rest.find(".git") {
        let end = at + 4;
        return Some((rest[..end].to_owned(), &rest[end..]));
    }
    if prefix == "file://" {
        return Some((rest.to_owned(), ""));
    }
    let mut segments = rest.splitn(3, '/');
    let (owner, name) = (segments.next()?, segments.next()?);
    if owner.is_empty() || name.is_empty() {
        return None;
    }
    Some((format!("{owner}/{name}"), segments.next().unwrap_or("")))
}

//! Names of images and registries.

use std::fmt;

use crate::Error;

/// A registry: a host with an optional port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Registry(String);

/// Docker Hub's name in references.
const DOCKER_HUB: &str = "docker.io";
/// The name that Docker's configuration knows Docker Hub by.
const INDEX_DOCKER_IO: &str = "index.docker.io";

impl Registry {
    /// A registry from its host and port.
    pub fn new(host: &str) -> Self {
        Self(if host == DOCKER_HUB { INDEX_DOCKER_IO.to_owned() } else { host.to_owned() })
    }

    /// The host and port, as references and Docker's configuration name it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host and port that its API is served at.
    pub(crate) fn api_host(&self) -> &str {
        if self.0 == INDEX_DOCKER_IO { "registry-1.docker.io" } else { &self.0 }
    }

    /// Whether it is on this machine or in a private network, where registries often speak plain HTTP.
    pub(crate) fn is_local(&self) -> bool {
        let host = match self.0.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.0.rsplit_once(':').map_or(self.0.as_str(), |(host, _)| host),
        };
        if let Ok(address) = host.parse::<std::net::IpAddr>() {
            return match address {
                std::net::IpAddr::V4(address) => address.is_loopback() || address.is_private(),
                std::net::IpAddr::V6(address) => address.is_loopback(),
            };
        }
        host == "localhost" || host.ends_with(".localhost") || host.ends_with(".local")
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image: registry, repository, and a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The registry.
    pub registry: Registry,
    /// The repository, such as `org/app`.
    pub repository: String,
    /// The tag.
    pub tag: Option<String>,
    /// The digest, as `algorithm:hex`.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads `[registry/]repository[:tag][@digest]`. Without a registry it is Docker Hub's. A leading `oci://` is ignored.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let problem =
            |problem: &str| Error::Reference { reference: text.to_owned(), problem: problem.to_owned() };
        let name = text.strip_prefix("oci://").unwrap_or(text);
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (name, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(problem("the digest is not of the form sha256:<64 hexadecimal digits>"));
        }
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(problem(
                "a tag has 1 to 128 letters, digits, '_', '-', '.', and begins with none of the last two",
            ));
        }
        let (registry, repository) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
                (Registry::new(host), rest)
            }
            _ => (Registry::new(DOCKER_HUB), name),
        };
        let repository = match repository {
            official if registry.0 == INDEX_DOCKER_IO && !official.contains('/') => {
                format!("library/{official}")
            }
            other => other.to_owned(),
        };
        if registry.0.is_empty() || !repository.split('/').all(is_path_component) || repository.len() > 255 {
            return Err(problem(
                "a repository has lower case letters, digits, '_', '-', '.', in parts joined by '/'",
            ));
        }
        Ok(Self { registry, repository, tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) })
    }

    /// The same repository with another tag.
    pub fn with_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The same repository with a digest.
    pub fn with_digest(&self, digest: &str) -> Self {
        Self { tag: None, digest: Some(digest.to_owned()), ..self.clone() }
    }

    /// What the API is asked for: the digest, else the tag, else `latest`.
    pub fn identifier(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// Registry and repository.
    pub fn context(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    /// `registry/repository`, then `:tag` and `@digest` where they are known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_tag(tag: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=128).contains(&tag.len()) && tag.bytes().all(allowed) && !tag.starts_with(['.', '-'])
}

pub(crate) fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

fn is_path_component(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let allowed = |byte: u8| plain(byte) || b"_-.".contains(&byte);
    let ends = part.bytes().next().zip(part.bytes().next_back());
    part.bytes().all(allowed) && ends.is_some_and(|(first, last)| plain(first) && plain(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        Reference::parse(text).map_or_else(|error| error.to_string(), |reference| reference.to_string())
    }

    #[test]
    fn references_are_completed_like_docker_s() {
        assert_eq!(parsed("alpine"), "index.docker.io/library/alpine");
        assert_eq!(parsed("org/app:1.0"), "index.docker.io/org/app:1.0");
        assert_eq!(parsed("docker.io/alpine:3"), "index.docker.io/library/alpine:3");
        assert_eq!(parsed("localhost:5000/a/b:v1"), "localhost:5000/a/b:v1");
        assert_eq!(parsed("localhost/a"), "localhost/a");
        assert_eq!(parsed("oci://ghcr.io/org/app"), "ghcr.io/org/app");
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(parsed(&format!("ghcr.io/org/app:v1@{digest}")), format!("ghcr.io/org/app:v1@{digest}"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "ghcr.io/",
            "ghcr.io/Org/app",
            "ghcr.io/org/app:",
            "ghcr.io/org/app:-x",
            "a@sha256:12",
            "ghcr.io/a/../b",
            "ghcr.io//a",
        ] {
            assert!(parsed(text).starts_with("could not parse reference"), "{text}: {}", parsed(text));
        }
    }

    #[test]
    fn local_registries_are_told_apart() {
        for host in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "10.1.2.3", "registry.local:80"] {
            assert!(Registry::new(host).is_local(), "{host}");
        }
        for host in ["ghcr.io", "8.8.8.8:5000", "localhost.example.test"] {
            assert!(!Registry::new(host).is_local(), "{host}");
        }
    }
}

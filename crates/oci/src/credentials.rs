//! User names, passwords and tokens for registries.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::{Error, Registry};

/// How to log in at a registry.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// Not at all.
    #[default]
    Anonymous,
    /// With a user name and a password.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// With a refresh token, to be exchanged for tokens.
    Identity(String),
    /// With a token as it is.
    Bearer(String),
}

/// Shows no secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(…)",
            Self::Identity(_) => "Identity(…)",
            Self::Bearer(_) => "Bearer(…)",
        })
    }
}

/// Docker's `config.json`, as in Secrets of the type `kubernetes.io/dockerconfigjson`.
#[derive(Clone, Debug, Default)]
pub struct DockerConfig {
    entries: BTreeMap<String, Credentials>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl DockerConfig {
    /// Reads the JSON.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        // The error of the parser may quote what it read.
        let file: File = serde_json::from_slice(json).map_err(|error| {
            Error::DockerConfig(format!(
                "it is no JSON of that form (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        let entries =
            file.auths.into_iter().map(|(host, entry)| Ok((host.clone(), credentials(&host, entry)?)));
        Ok(Self { entries: entries.collect::<Result<_, Error>>()? })
    }

    /// Adds the entries of another configuration; its own go first.
    pub fn merge(&mut self, other: Self) {
        for (host, credentials) in other.entries {
            self.entries.entry(host).or_insert(credentials);
        }
    }

    /// The credentials for a repository of a registry: those of the longest entry that names it or a part of its path.
    pub fn find(&self, registry: &Registry, repository: &str) -> Option<Credentials> {
        let full = format!("{registry}/{repository}");
        let matches = |key: &&String| {
            let plain = key.trim_start_matches("https://").trim_start_matches("http://");
            let plain = plain.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2");
            let plain = if plain == "docker.io" { "index.docker.io" } else { plain };
            full == plain || full.strip_prefix(plain).is_some_and(|rest| rest.starts_with('/'))
        };
        let key = self.entries.keys().filter(matches).max_by_key(|key| key.len())?;
        self.entries.get(key).cloned()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn credentials(host: &str, entry: Entry) -> Result<Credentials, Error> {
    if !entry.registrytoken.is_empty() {
        return Ok(Credentials::Bearer(entry.registrytoken));
    }
    if !entry.identitytoken.is_empty() {
        return Ok(Credentials::Identity(entry.identitytoken));
    }
    if !entry.auth.is_empty() {
        let problem =
            || Error::DockerConfig(format!("the field 'auth' of '{host}' is not base64 of user:password"));
        let decoded = STANDARD.decode(entry.auth.trim_end_matches('\0').trim()).map_err(|_| problem())?;
        let decoded = String::from_utf8(decoded).map_err(|_| problem())?;
        let (username, password) = decoded.split_once(':').ok_or_else(problem)?;
        return Ok(Credentials::Basic { username: username.to_owned(), password: password.to_owned() });
    }
    if entry.username.is_empty() && entry.password.is_empty() {
        return Ok(Credentials::Anonymous);
    }
    Ok(Credentials::Basic { username: entry.username, password: entry.password })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(username: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Basic { username: username.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn the_longest_matching_entry_counts() {
        let config = DockerConfig::parse(
            br#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
                "ghcr.io": {"username": "a", "password": "b"},
                "ghcr.io/org": {"username": "c", "password": "d"},
                "gcr.io": {"identitytoken": "t"}
            }}"#,
        )
        .unwrap();
        let find = |host: &str, repository: &str| config.find(&Registry::new(host), repository);
        assert_eq!(find("docker.io", "library/alpine"), basic("hub", "pw"));
        assert_eq!(find("ghcr.io", "org/app"), basic("c", "d"));
        assert_eq!(find("ghcr.io", "organisation/app"), basic("a", "b"));
        assert_eq!(find("gcr.io", "x"), Some(Credentials::Identity("t".to_owned())));
        assert_eq!(find("quay.io", "x"), None);
    }

    #[test]
    fn errors_and_debug_output_show_no_secret() {
        let error = DockerConfig::parse(br#"{"auths": {"ghcr.io": {"auth": "c2VjcmV0"}}}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid docker config: the field 'auth' of 'ghcr.io' is not base64 of user:password"
        );
        let error = DockerConfig::parse(br#"{"auths": {"ghcr.io": "s3cr3t"}}"#).unwrap_err().to_string();
        assert!(!error.contains("s3cr3t"), "{error}");
        assert_eq!(format!("{:?}", Credentials::Bearer("s3cr3t".to_owned())), "Bearer(…)");
    }
}

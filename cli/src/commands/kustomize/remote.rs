//! Bases and files on other machines, for builds of a person who names them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Result;
use sluice_git::Credentials;
use sluice_kustomize::{Error, Remote, RepositorySpec};
use sluice_manifests::bases;
use tokio::runtime::Runtime;

use super::local;

const FILE: &str = "file://";

/// Fetches over Git and HTTP, and from repositories on this machine. Most builds need nothing of it: trusted certificates
/// and keys are read, and a runtime is started, when something is fetched.
#[derive(Default)]
pub(super) struct Network(OnceLock<(bases::Network, Runtime)>);

impl Network {
    fn network(&self) -> Result<&bases::Network, Error> {
        if let Some((network, _)) = self.0.get() {
            return Ok(network);
        }
        let started = start().map_err(|error| Error::new(format!("{error:#}")))?;
        Ok(&self.0.get_or_init(|| started).0)
    }
}

fn start() -> Result<(bases::Network, Runtime)> {
    let runtime = crate::app::runtime(1)?;
    let entered = runtime.enter();
    let network = plain()?;
    drop(entered);
    Ok((network, runtime))
}

/// Without repositories on this machine.
pub(super) fn plain() -> Result<bases::Network> {
    Ok(bases::Network::new(crate::web::client(None)?, logins()))
}

impl Remote for Network {
    fn file(&self, url: &str) -> Result<Vec<u8>, Error> {
        self.network()?.file(url)
    }

    fn repository(&self, spec: &RepositorySpec) -> Result<String, Error> {
        let Some(head) = spec.url.get(..FILE.len()).filter(|head| head.eq_ignore_ascii_case(FILE)) else {
            return self.network()?.repository(spec);
        };
        let folder = tempfile::tempdir().map_err(|error| Error::new(error.to_string()))?;
        let (path, reference) = (&spec.url[head.len()..], &spec.reference);
        let checked_out = local::checkout(path, reference, &bases::names(reference), folder.path());
        checked_out.map_err(|error| Error::new(format!("failed to fetch {}: {error:#}", spec.url)))?;
        self.network()?.keep(folder)
    }
}

/// How this person logs in over SSH: with the keys without a passphrase that `ssh` would try, and the hosts that it knows.
/// Of `GIT_SSH_COMMAND` keys and known hosts are heeded.
fn logins() -> Vec<Credentials> {
    let command = std::env::var("GIT_SSH_COMMAND").unwrap_or_default();
    let given = Given::parse(&command);
    let home = std::env::home_dir().unwrap_or_default().join(".ssh");
    let hosts = match given.known_hosts {
        Some(file) => vec![file],
        None => {
            vec![home.join("known_hosts"), home.join("known_hosts2"), "/etc/ssh/ssh_known_hosts".into()]
        }
    };
    let hosts: Vec<String> = hosts.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let known_hosts = hosts.join("\n");
    let keys = match given.keys {
        keys if keys.is_empty() => ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| home.join(name)).into(),
        keys => keys,
    };
    let read = |file: &PathBuf| std::fs::read_to_string(file).ok();
    let login = |identity| Credentials::Ssh { identity, passphrase: None, known_hosts: known_hosts.clone() };
    keys.iter().filter_map(read).map(login).collect()
}

/// What a command line of `ssh` says about keys and hosts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Given {
    keys: Vec<PathBuf>,
    known_hosts: Option<PathBuf>,
}

impl Given {
    fn parse(command: &str) -> Self {
        let mut given = Self::default();
        let mut words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        while let Some(word) = words.next() {
            let (option, joined) = match word.get(..2) {
                Some(option @ ("-i" | "-o")) => (option, &word[2..]),
                _ => continue,
            };
            let value = if joined.is_empty() { words.next().unwrap_or_default() } else { joined };
            match (option, value.split_once('=')) {
                ("-i", _) => given.keys.push(Path::new(value).to_owned()),
                (_, Some((name, file))) if name.eq_ignore_ascii_case("IdentityFile") => {
                    given.keys.push(file.into());
                }
                (_, Some((name, file))) if name.eq_ignore_ascii_case("UserKnownHostsFile") => {
                    given.known_hosts = Some(file.into());
                }
                _ => {}
            }
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_hosts_of_a_command_are_found() {
        let given =
            Given::parse("ssh -v -i /a/key -o UserKnownHostsFile=/a/hosts -oidentityfile=/b/key -p 22");
        let expected =
            Given { keys: vec!["/a/key".into(), "/b/key".into()], known_hosts: Some("/a/hosts".into()) };
        assert_eq!(given, expected);
        assert_eq!(Given::parse(""), Given::default());
    }
}

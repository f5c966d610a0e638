//! Bases and documents on other machines, by Git and HTTP.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sluice_git::tree::{Selection, View, checkout};
use sluice_git::{
    Client, Credentials, Interrupt, Listing, ObjectId, RefFilter, Remote as GitRemote, RemoteUrl,
    attach_submodules,
};
use sluice_kustomize::{Error, Kind, Remote, RepositorySpec};
use tempfile::TempDir;
use tokio::runtime::Handle;

/// The largest document that is fetched, in bytes.
const MAX_FILE: usize = 32 << 20;
/// Nobody waits longer for one repository, whatever its URL says.
const LONGEST: Duration = Duration::from_mins(10);

/// Fetches over Git and HTTP. What was fetched is there as long as this is, in temporary folders.
pub struct Network {
    runtime: Handle,
    http: reqwest::Client,
    git: Client,
    /// Ways to log in over SSH, tried one after the other.
    ssh: Vec<Credentials>,
    folders: Mutex<Vec<(PathBuf, TempDir)>>,
}

impl Network {
    /// Must be made in the runtime, and used on a thread that may block. Documents are asked for by `http`; `ssh` are ways
    /// to log in over SSH: without one, what is there cannot be fetched.
    pub fn new(http: reqwest::Client, ssh: Vec<Credentials>) -> Self {
        let folders = Mutex::default();
        Self { runtime: Handle::current(), http, git: Client::default(), ssh, folders }
    }

    /// Keeps a folder with what was fetched, and tells its path without links: the engine compares such.
    pub fn keep(&self, folder: TempDir) -> Result<String, Error> {
        let path = folder.path().canonicalize().map_err(|error| Error::new(error.to_string()))?;
        let text = path.to_string_lossy().into_owned();
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).push((path, folder));
        Ok(text)
    }

    /// The fetched folder that a path, by its text, lies in.
    pub(crate) fn folder_of(&self, path: &Path) -> Option<PathBuf> {
        let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        folders.iter().map(|(folder, _)| folder).find(|folder| path.starts_with(folder)).cloned()
    }

    async fn fetch(&self, spec: &RepositorySpec, folder: &TempDir) -> Result<(), String> {
        let url = RemoteUrl::parse(&with_scheme(&spec.url)).map_err(|error| error.to_string())?;
        let mut remote = GitRemote::anonymous(url);
        let filter = RefFilter::Names(names(&spec.reference));
        let mut listed = None;
        let logins = if with_scheme(&spec.url).starts_with("ssh:") { self.ssh.as_slice() } else { &[] };
        for login in logins {
            remote.credentials = login.clone();
            match self.git.list(&remote, &filter).await {
                Ok(found) => listed = Some(Ok(found)),
                // The first says most: later ones are what else there is.
                Err(error) => listed = listed.or(Some(Err(error))),
            }
            if matches!(listed, Some(Ok(_))) {
                break;
            }
        }
        let listed = match listed {
            Some(listed) => listed,
            None => self.git.list(&remote, &filter).await,
        };
        let (listing, mut session) = listed.map_err(|error| error.to_string())?;
        let commit = find(&listing, &spec.reference).map_err(|error| error.to_string())?;
        let repository = session.fetch(&[commit]).await.map_err(|error| error.to_string())?;
        let commit = repository.peel(commit).and_then(|commit| repository.commit(commit));
        let commit = commit.map_err(|error| error.to_string())?;
        let mut view = View::new(repository, commit.tree);
        if spec.submodules {
            let attached = attach_submodules(&self.git, &remote, &mut view, &Selection::all()).await;
            attached.map_err(|error| error.to_string())?;
        }
        let target = folder.path().to_owned();
        let written = tokio::task::spawn_blocking(move || {
            checkout(&view, &Selection::all(), &target, &Interrupt::default())
        });
        written.await.map_err(|error| error.to_string())?.map(drop).map_err(|error| error.to_string())
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, Error> {
        let failed = |error: reqwest::Error| Error::new(format!("Get {url:?}: {}", cause(&error)));
        let mut answer = self.http.get(url).send().await.map_err(failed)?;
        let status = answer.status();
        if !status.is_success() {
            let reason = status.canonical_reason().unwrap_or_default();
            let message = format!("HTTP Error: status code {} ({reason})", status.as_u16());
            return Err(Error::of_kind(Kind::Http, message));
        }
        let mut content = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if content.len() + chunk.len() > MAX_FILE {
                return Err(Error::new(format!("Get {url:?}: the document is larger than {MAX_FILE} bytes")));
            }
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }
}

/// `user@host:path` as a URL.
fn with_scheme(url: &str) -> String {
    match url.split_once(':') {
        Some((host, path)) if !path.starts_with("//") && host.contains('@') => {
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
        _ => url.to_owned(),
    }
}

/// Names under which a reference of a base may be known, best first.
pub fn names(reference: &str) -> Vec<String> {
    if reference.is_empty() {
        return vec!["HEAD".to_owned()];
    }
    vec![reference.to_owned(), format!("refs/tags/{reference}"), format!("refs/heads/{reference}")]
}

fn find(listing: &Listing, reference: &str) -> Result<ObjectId, sluice_git::Error> {
    let named = |name: &String| listing.refs.iter().find(|found| found.name == *name);
    match names(reference).iter().find_map(named) {
        Some(found) => Ok(found.id),
        None => reference.parse().map_err(|()| sluice_git::Error::ReferenceNotFound(reference.to_owned())),
    }
}

impl Remote for Network {
    fn file(&self, url: &str) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(self.get(url))
    }

    fn repository(&self, spec: &RepositorySpec) -> Result<String, Error> {
        let folder = tempfile::tempdir().map_err(|error| Error::new(error.to_string()))?;
        let limit = Duration::from_secs(spec.timeout_seconds).min(LONGEST);
        self.runtime.block_on(async {
            match tokio::time::timeout(limit, self.fetch(spec, &folder)).await {
                Ok(fetched) => {
                    fetched.map_err(|error| Error::new(format!("failed to fetch {}: {error}", spec.url)))
                }
                Err(_) => Err(Error::of_kind(
                    Kind::Timeout,
                    format!("hit {}s timeout running 'git fetch' of {}", limit.as_secs(), spec.url),
                )),
            }
        })?;
        self.keep(folder)
    }
}

/// The last cause of an error, which says what is in the way.
fn cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_git::RemoteRef;

    #[test]
    fn the_short_form_of_ssh_gets_its_scheme() {
        assert_eq!(with_scheme("git@host.example:a/b.git"), "ssh://git@host.example/a/b.git");
        assert_eq!(with_scheme("git@host.example:/a/b"), "ssh://git@host.example/a/b");
        for url in ["https://u@host.example/a", "ssh://git@host.example:22/a", "http://127.0.0.1:80/a"] {
            assert_eq!(with_scheme(url), url);
        }
    }

    #[test]
    fn a_reference_is_a_tag_before_it_is_a_branch_and_may_be_a_commit() {
        let id = |digit: &str| digit.repeat(40).parse::<ObjectId>().unwrap();
        let known = |name: &str, digit: &str| RemoteRef { name: name.into(), id: id(digit), peeled: None };
        let refs = vec![
            known("HEAD", "1"),
            known("refs/heads/v1", "2"),
            known("refs/tags/v1", "3"),
            known("refs/heads/dev", "4"),
        ];
        let listing = Listing { refs };
        assert_eq!(find(&listing, "").unwrap(), id("1"));
        assert_eq!(find(&listing, "v1").unwrap(), id("3"));
        assert_eq!(find(&listing, "dev").unwrap(), id("4"));
        assert_eq!(find(&listing, &"5".repeat(40)).unwrap(), id("5"));
        assert!(find(&listing, "none").is_err());
    }
}

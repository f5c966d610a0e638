//! Bases and files on other machines, for builds of a person who names them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sluice_git::tree::{Selection, View, checkout};
use sluice_git::{
    Client, Interrupt, Listing, ObjectId, RefFilter, Remote as GitRemote, RemoteUrl, attach_submodules,
};
use sluice_kustomize::{Error, Kind, Remote, RepositorySpec};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::local;

/// Fetches over Git and HTTP. What was fetched is there as long as this is.
pub(super) struct Network {
    runtime: Handle,
    git: Client,
    folders: Mutex<Vec<TempDir>>,
}

impl Network {
    /// Must be made in the runtime, and used on a thread that may block.
    pub(super) fn new() -> Self {
        Self { runtime: Handle::current(), git: Client::default(), folders: Mutex::default() }
    }

    async fn fetch(&self, spec: &RepositorySpec, folder: &TempDir) -> anyhow::Result<()> {
        if let Some(path) = spec.url.get(..FILE.len()).filter(|head| head.eq_ignore_ascii_case(FILE)) {
            let (path, reference) = (spec.url[path.len()..].to_owned(), spec.reference.clone());
            let target = folder.path().to_owned();
            let checked_out = move || local::checkout(&path, &reference, &names(&reference), &target);
            return tokio::task::spawn_blocking(checked_out).await?;
        }
        let remote = GitRemote::anonymous(RemoteUrl::parse(&with_scheme(&spec.url))?);
        let (listing, mut session) = self.git.list(&remote, &wanted(&spec.reference)).await?;
        let commit = find(&listing, &spec.reference)?;
        let repository = session.fetch(&[commit]).await?;
        let commit = repository.commit(repository.peel(commit)?)?;
        let mut view = View::new(repository, commit.tree);
        if spec.submodules {
            attach_submodules(&self.git, &remote, &mut view, &Selection::all()).await?;
        }
        let target = folder.path().to_owned();
        let written = tokio::task::spawn_blocking(move || {
            checkout(&view, &Selection::all(), &target, &Interrupt::default())
        });
        Ok(written.await??)
    }
}

const FILE: &str = "file://";

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
fn names(reference: &str) -> Vec<String> {
    if reference.is_empty() {
        return vec!["HEAD".to_owned()];
    }
    vec![reference.to_owned(), format!("refs/tags/{reference}"), format!("refs/heads/{reference}")]
}

fn wanted(reference: &str) -> RefFilter {
    RefFilter::Names(names(reference))
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
        let failed = |error: reqwest::Error| Error::new(format!("Get {url:?}: {}", cause(&error)));
        self.runtime.block_on(async {
            let client = crate::web::client(None).map_err(|error| Error::new(format!("{error:#}")))?;
            let answer = client.get(url).send().await.map_err(failed)?;
            let status = answer.status();
            if !status.is_success() {
                let reason = status.canonical_reason().unwrap_or_default();
                return Err(Error::of_kind(
                    Kind::Http,
                    format!("HTTP Error: status code {} ({reason})", status.as_u16()),
                ));
            }
            Ok(answer.bytes().await.map_err(failed)?.to_vec())
        })
    }

    fn repository(&self, spec: &RepositorySpec) -> Result<String, Error> {
        let folder = tempfile::tempdir().map_err(|error| Error::new(error.to_string()))?;
        let limit = Duration::from_secs(spec.timeout_seconds);
        self.runtime.block_on(async {
            match tokio::time::timeout(limit, self.fetch(spec, &folder)).await {
                Ok(fetched) => {
                    fetched.map_err(|error| Error::new(format!("failed to fetch {}: {error:#}", spec.url)))
                }
                Err(_) => Err(Error::of_kind(
                    Kind::Timeout,
                    format!("hit {}s timeout running 'git fetch' of {}", spec.timeout_seconds, spec.url),
                )),
            }
        })?;
        // The engine compares paths without links.
        let directory = folder.path().canonicalize().map_err(|error| Error::new(error.to_string()))?;
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).push(folder);
        Ok(directory.to_string_lossy().into_owned())
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

//! Paths in kustomization files to bytes and directories.

use std::rc::Rc;

use crate::error::{Error, Kind, Result};
use crate::fs::FileSystem;
use crate::options::LoadRestriction;
use crate::path::{is_below, join};
use crate::remote::{Remote, RepositorySpec};

/// A directory that is being built, and who asked for it.
#[derive(Clone)]
pub(crate) struct Loader<'a> {
    files: &'a dyn FileSystem,
    remote: Option<&'a dyn Remote>,
    restriction: LoadRestriction,
    node: Rc<Node>,
}

struct Node {
    referrer: Option<Rc<Node>>,
    root: String,
    repository: Option<Repository>,
}

#[derive(Clone)]
struct Repository {
    directory: String,
    spec: String,
}

impl<'a> Loader<'a> {
    /// A loader for the directory, or remote repository, that is built.
    pub(crate) fn new(
        files: &'a dyn FileSystem,
        remote: Option<&'a dyn Remote>,
        restriction: LoadRestriction,
        target: &str,
    ) -> Result<Self> {
        let mut loader = Self {
            files,
            remote,
            restriction,
            node: Rc::new(Node { referrer: None, root: String::new(), repository: None }),
        };
        if let Some(spec) = RepositorySpec::parse(target) {
            return loader.clone_repository(&spec, None);
        }
        let root = loader.confirm_directory(target)?;
        loader.node = Rc::new(Node { referrer: None, root, repository: None });
        Ok(loader)
    }

    pub(crate) fn root(&self) -> &str {
        &self.node.root
    }

    fn confirm_directory(&self, path: &str) -> Result<String> {
        if path.is_empty() {
            return Err(Error::new("must build at directory: directory path cannot be empty"));
        }
        let place = self.files.resolve(path).map_err(|error| {
            Error::new(format!("must build at directory: not a valid directory: {error}"))
        })?;
        match place.file {
            Some(_) => Err(Error::new(format!("must build at directory: '{path}': file is not directory"))),
            None => Ok(place.directory),
        }
    }

    /// A loader for a directory or repository that this one refers to.
    pub(crate) fn child(&self, path: &str) -> Result<Self> {
        if path.is_empty() {
            return Err(Error::new("new root cannot be empty"));
        }
        if let Some(spec) = RepositorySpec::parse(path) {
            self.refuse_repository_cycle(&spec)?;
            return self.clone_repository(&spec, Some(self.node.clone()));
        }
        if path.starts_with('/') {
            return Err(Error::new(format!("new root '{path}' cannot be absolute")));
        }
        let root = self.confirm_directory(&join(self.root(), path))?;
        let mut node = Some(&self.node);
        while let Some(at) = node {
            if let Some(repository) = &at.repository {
                if !is_below(&root, &repository.directory) {
                    return Err(Error::new(format!(
                        "security; bases in kustomizations found in cloned git repos must be within the repo, but \
                         base '{root}' is outside '{}'",
                        repository.directory
                    )));
                }
                break;
            }
            node = at.referrer.as_ref();
        }
        let mut node = Some(&self.node);
        while let Some(at) = node {
            if is_below(&at.root, &root) {
                return Err(Error::new(format!(
                    "cycle detected: candidate root '{root}' contains visited root '{}'",
                    at.root
                )));
            }
            node = at.referrer.as_ref();
        }
        Ok(Self {
            node: Rc::new(Node { referrer: Some(self.node.clone()), root, repository: None }),
            ..self.clone()
        })
    }

    fn refuse_repository_cycle(&self, spec: &RepositorySpec) -> Result<()> {
        let mut node = Some(&self.node);
        while let Some(at) = node {
            if let Some(repository) = &at.repository
                && repository.spec.starts_with(&spec.raw)
            {
                return Err(Error::new(format!(
                    "cycle detected: URI '{}' referenced by previous URI '{}'",
                    spec.raw, repository.spec
                )));
            }
            node = at.referrer.as_ref();
        }
        Ok(())
    }

    fn clone_repository(&self, spec: &RepositorySpec, referrer: Option<Rc<Node>>) -> Result<Self> {
        let Some(remote) = self.remote else {
            return Err(Error::new(format!("remote base '{}' is not allowed", spec.raw)));
        };
        let directory = remote.repository(spec)?;
        let target = join(&directory, &spec.path);
        let place = self.files.resolve(&target).map_err(Error::new)?;
        if let Some(file) = place.file {
            return Err(Error::new(format!("'{target}' refers to file '{file}'; expecting directory")));
        }
        if !is_below(&place.directory, &directory) {
            return Err(Error::new(format!(
                "\"{target}\" refers to directory outside of repo \"{directory}\""
            )));
        }
        let repository = Some(Repository { directory, spec: spec.raw.clone() });
        Ok(Self {
            restriction: LoadRestriction::RootOnly,
            node: Rc::new(Node { referrer, root: place.directory, repository }),
            ..self.clone()
        })
    }

    /// The whole path or URL of a file.
    pub(crate) fn locate(&self, path: &str) -> String {
        if is_remote_file(path) || path.starts_with('/') { path.to_owned() } else { join(self.root(), path) }
    }

    /// The content of a file or an http(s) document.
    pub(crate) fn load(&self, path: &str) -> Result<Vec<u8>> {
        if is_remote_file(path) {
            return match self.remote {
                Some(remote) => remote.file(path).map_err(|error| {
                    // A repository need not answer like a file.
                    let is_repository = error.kind() == Kind::Http && RepositorySpec::parse(path).is_some();
                    if is_repository { Error::new("URL is a git repository") } else { error }
                }),
                None => Err(Error::new(format!("remote file '{path}' is not allowed"))),
            };
        }
        let full = self.locate(path);
        let readable = match self.restriction {
            LoadRestriction::None => full,
            LoadRestriction::RootOnly => {
                let place = self.files.resolve(&full).map_err(Error::new)?;
                let Some(file) = place.file else {
                    return Err(Error::new(format!("'{full}' must resolve to a file")));
                };
                if !is_below(&place.directory, self.root()) {
                    return Err(Error::new(format!(
                        "security; file '{full}' is not in or below '{}'",
                        self.root()
                    )));
                }
                join(&place.directory, &file)
            }
        };
        self.files.read(&readable).map_err(Error::new)
    }

    /// The kustomization file and its name.
    pub(crate) fn kustomization_file(&self) -> Result<(Vec<u8>, &'static str)> {
        let mut found = None;
        for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
            if let Ok(content) = self.load(name) {
                if found.is_some() {
                    return Err(Error::new(format!(
                        "Found multiple kustomization files under: {}\n",
                        self.root()
                    )));
                }
                found = Some((content, name));
            }
        }
        found.ok_or_else(|| {
            Error::new(format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{}'",
                self.root()
            ))
        })
    }
}

/// Whether a path is fetched rather than read.
pub(crate) fn is_remote_file(path: &str) -> bool {
    let scheme = path.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

/// Adds the file to an error about its content.
pub(crate) fn blame_file(error: Error, path: &str) -> Error {
    let message = error.message();
    if message.contains("error converting YAML to JSON") || message.contains("error unmarshaling JSON") {
        return Error::new(format!("YAML file [{path}] encounters a format error.\n{message}\n"));
    }
    if error.is_malformed_yaml() {
        return Error::new(format!("{message} in File: {path}"));
    }
    error
}

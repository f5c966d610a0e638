//! Getting the objects of an index, many at a time, each straight to its file.

use std::path::{Path, PathBuf};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::io::AsyncWriteExt as _;

use crate::store::Opened;
use crate::{Error, Index, Known, Object, Store};
use sluice_cloud::http;

/// So many objects are read at the same time.
const IN_FLIGHT: usize = 32;

/// The files of an earlier artifact, some of which may do again.
#[derive(Debug)]
pub struct Previous {
    /// Where they are. Files are moved away from there.
    pub root: PathBuf,
    /// What they were made of.
    pub known: Known,
}

/// What became of an object.
enum Fetched {
    Reused,
    /// It was read; with the entity tag that it has now.
    Read(Option<String>),
    Gone,
}

/// Puts the objects of an index into `directory`. Those that changed meanwhile get their new entity tag in the index,
/// those that have gone leave it; after an error it is empty. Returns how many were read from the store.
pub async fn fetch(
    store: &Store,
    index: &mut Index,
    previous: Option<&Previous>,
    directory: &Path,
) -> Result<usize, Error> {
    let objects = std::mem::take(&mut index.0);
    let mut fetched = stream::iter(objects)
        .map(|(key, object)| async move {
            let fetched = one(store, &key, &object, previous, directory).await?;
            Ok::<_, Error>((key, object, fetched))
        })
        .buffer_unordered(IN_FLIGHT);
    let mut read = 0;
    while let Some((key, mut object, fetched)) = fetched.try_next().await? {
        match fetched {
            Fetched::Reused => {}
            Fetched::Gone => continue,
            Fetched::Read(etag) => {
                read += 1;
                object.etag = etag.unwrap_or(object.etag);
            }
        }
        index.0.insert(key, object);
    }
    Ok(read)
}

async fn one(
    store: &Store,
    key: &str,
    object: &Object,
    previous: Option<&Previous>,
    directory: &Path,
) -> Result<Fetched, Error> {
    let relative = relative(key)?;
    let target = directory.join(&relative);
    let write = |source| Error::Write { path: relative.clone(), source };
    if let Some(parent) = target.parent() {
        tokio::fs::create_dir_all(parent).await.map_err(|error| in_the_way(key, &relative, error))?;
    }
    if let Some(previous) = previous
        && previous.known.contains(key, &object.etag)
        && tokio::fs::rename(previous.root.join(&relative), &target).await.is_ok()
    {
        return Ok(Fetched::Reused);
    }
    let Some(Opened { etag, mut response }) = store.open(key, object).await? else {
        return Ok(Fetched::Gone);
    };
    let url = response.url().clone();
    // What is as it was listed has the size that was listed; of what changed the answer must tell it.
    let same = etag.as_ref().is_none_or(|etag| *etag == object.etag);
    let expected = if same { Some(object.size) } else { response.content_length() };
    let answer = |problem: String| Error::answer(http::display(&url), problem);
    let expected = expected.ok_or_else(|| answer("the answer does not tell its size".to_owned()))?;
    let file = tokio::fs::OpenOptions::new().write(true).create_new(true).open(&target).await;
    let mut file = file.map_err(|error| in_the_way(key, &relative, error))?;
    let mut size = 0_u64;
    while let Some(chunk) = response.chunk().await.map_err(|error| http::transport("GET", &url, error))? {
        size += chunk.len() as u64;
        if size > expected {
            return Err(answer(format!(
                "the answer is larger than the {expected} bytes that were announced"
            )));
        }
        file.write_all(&chunk).await.map_err(write)?;
    }
    file.flush().await.map_err(write)?;
    if size != expected {
        return Err(answer(format!("the answer has {size} bytes where {expected} were announced")));
    }
    Ok(Fetched::Read(etag))
}

/// The file of an object. Names that would lead elsewhere are refused, doubled slashes count once.
fn relative(key: &str) -> Result<PathBuf, Error> {
    let mut path = PathBuf::new();
    for part in key.split('/').filter(|part| !part.is_empty()) {
        if matches!(part, "." | "..") || part.contains('\0') {
            return Err(Error::Key(key.to_owned(), "its name is no path"));
        }
        path.push(part);
    }
    if path.as_os_str().is_empty() { Err(Error::Key(key.to_owned(), "its name is empty")) } else { Ok(path) }
}

fn in_the_way(key: &str, relative: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
    match error.kind() {
        AlreadyExists | IsADirectory | NotADirectory => {
            Error::Key(key.to_owned(), "another object has its path, or a part of it, as its name")
        }
        _ => Error::Write { path: relative.to_owned(), source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        assert_eq!(relative("/a//b.yaml").unwrap(), Path::new("a/b.yaml"));
        for bad in ["../a", "a/../b", "./a", "//", "a\0b"] {
            assert!(matches!(relative(bad), Err(Error::Key(..))), "{bad:?}");
        }
    }
}

//! Submodules: repositories in repositories.

use std::future::Future;
use std::pin::Pin;

use crate::auth::Credentials;
use crate::client::{Client, Remote};
use crate::error::Error;
use crate::object::{Mode, ObjectId};
use crate::repository::Repository;
use crate::tree::{Selection, View};
use crate::url::{RemoteUrl, Scheme};
use crate::wire::refs::RefFilter;

const FILE: &str = ".gitmodules";
const MAX_FILE: u64 = 1 << 20;
/// As deep as the reference goes.
const MAX_DEPTH: usize = 10;
const MAX_SUBMODULES: usize = 1000;

/// Fetches the submodules of `view` that `selection` touches, and theirs, into it.
///
/// Over HTTP, credentials go along to repositories of the same scheme, host and port only. Over SSH the known hosts
/// say who may see the key.
pub async fn attach_submodules(
    client: &Client,
    remote: &Remote,
    view: &mut View,
    selection: &Selection,
) -> Result<(), Error> {
    attach(client, remote, view, selection, Vec::new(), 1).await
}

fn attach<'a>(
    client: &'a Client,
    remote: &'a Remote,
    view: &'a mut View,
    selection: &'a Selection,
    above: Vec<u8>,
    depth: usize,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
    Box::pin(async move {
        let Some(text) = view.read(FILE, MAX_FILE)? else { return Ok(()) };
        for (path, url) in parse(&String::from_utf8_lossy(&text)).into_iter().take(MAX_SUBMODULES) {
            let mut full = above.clone();
            full.extend_from_slice(path.as_bytes());
            if !selection.touches(&full) {
                continue;
            }
            let Some((Mode::Submodule, commit)) = view.find(&path)? else { continue };
            let failed = |error| Error::Submodule { path: path.clone(), source: Box::new(error) };
            if depth > MAX_DEPTH {
                let reason = format!("submodules are nested more than {MAX_DEPTH} deep");
                return Err(failed(Error::Configuration(reason)));
            }
            let there = locate(remote, &url).map_err(failed)?;
            let repository = fetch(client, &there, commit).await.map_err(failed)?;
            let tree = repository.commit(commit).map_err(failed)?.tree;
            let mut submodule = View::new(repository, tree);
            full.push(b'/');
            attach(client, &there, &mut submodule, selection, full, depth + 1).await.map_err(failed)?;
            let path: Vec<&[u8]> =
                path.as_bytes().split(|b| *b == b'/').filter(|c| !c.is_empty() && *c != b".").collect();
            view.submodules.insert(path.join(&b'/'), submodule);
        }
        Ok(())
    })
}

fn locate(parent: &Remote, url: &str) -> Result<Remote, Error> {
    let url = match scp_form(url) {
        Some(url) => RemoteUrl::parse(&url)?,
        None => parent.url.join(url)?,
    };
    let same = match url.scheme() {
        Scheme::Ssh => matches!(parent.credentials, Credentials::Ssh { .. }),
        Scheme::Http | Scheme::Https => url.same_origin(&parent.url),
    };
    if same {
        return Ok(Remote { url, ..parent.clone() });
    }
    Ok(Remote { proxy: parent.proxy.clone(), ..Remote::anonymous(url) })
}

/// `user@host:path` as a URL.
fn scp_form(text: &str) -> Option<String> {
    if text.contains("://") {
        return None;
    }
    let (host, path) = text.split_once(':')?;
    if host.is_empty() || host.contains('/') || path.starts_with(':') {
        return None;
    }
    Some(format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

async fn fetch(client: &Client, remote: &Remote, commit: ObjectId) -> Result<Repository, Error> {
    let filter = RefFilter::Prefix("refs/".to_owned());
    let mut session = client.connect(remote, &filter).await?;
    if session.serves_any_commit() {
        match session.fetch(&[commit]).await {
            Err(Error::Remote(_)) => {}
            result => return result,
        }
    }
    let ids: Vec<_> = session.list(&filter).await?.refs.iter().map(|r| r.id).collect();
    if ids.is_empty() {
        return Err(Error::ObjectNotFound(commit));
    }
    let repository = session.fetch_history(&ids).await?;
    if repository.contains(commit) { Ok(repository) } else { Err(Error::ObjectNotFound(commit)) }
}

/// The `(path, url)` pairs of a `.gitmodules` file.
fn parse(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(Option<String>, Option<String>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_start().to_lowercase().starts_with("submodule");
            if inside {
                found.push((None, None));
            }
        } else if let (true, Some((key, text))) = (inside, line.split_once('='))
            && let Some(last) = found.last_mut()
        {
            match key.trim().to_lowercase().as_str() {
                "path" => last.0 = Some(value(text)),
                "url" => last.1 = Some(value(text)),
                _ => {}
            }
        }
    }
    found.into_iter().filter_map(|(path, url)| Some((path?, url?))).collect()
}

/// A value: quotes group, a backslash escapes, a comment ends it.
fn value(text: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    let mut kept = 0;
    let mut characters = text.trim_start().chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => break,
            '\\' => match characters.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
        if quoted || !character.is_whitespace() {
            kept = out.len();
        }
    }
    out.truncate(kept);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitmodules_are_read() {
        let text = "# c\n[submodule \"a b\"]\n\tpath = libs/a\n\turl = ../a.git ; comment\n[Submodule \"x\"]\nURL=\"https://h/x#y\"\npath = \"x y\"\n[core]\npath = no\n[submodule \"half\"]\npath = half\n";
        let expected = [("libs/a", "../a.git"), ("x y", "https://h/x#y")];
        assert_eq!(parse(text), expected.map(|(path, url)| (path.to_owned(), url.to_owned())));
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let basic = Credentials::Basic { username: "u".into(), password: "p".into() };
        let parent = Remote {
            credentials: basic.clone(),
            ..Remote::anonymous(RemoteUrl::parse("https://h/o/r.git").unwrap())
        };
        let of = |url: &str| locate(&parent, url).unwrap();
        assert_eq!(of("../x.git").credentials, basic);
        assert_eq!(of("../x.git").url.to_string(), "https://h/o/x.git");
        for other in ["https://other/x", "http://h/x", "https://h:8443/x", "git@h:x.git"] {
            assert_eq!(of(other).credentials, Credentials::None, "{other}");
        }
        assert_eq!(of("git@h:o/x.git").url.to_string(), "ssh://h/o/x.git");
        for bad in ["file:///etc", "/etc", "ext::sh -c x", "../../../.."] {
            assert!(locate(&parent, bad).is_err(), "{bad}");
        }
    }
}

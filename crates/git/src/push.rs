//! Writing: a commit with changed files, and sending it to a remote. No history and no unchanged file is read or sent.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::client::{Client, Remote};
use crate::error::Error;
use crate::object::{IdHasher, Kind, Mode, ObjectId, TreeEntry};
use crate::repository::Repository;
use crate::transport::Service;
use crate::wire::advertisement::AGENT;
use crate::wire::packet::{Packet, Packets, Request, line, text};
use crate::wire::refs::RefFilter;

/// So much of what hooks say is kept, in bytes.
const MAX_SAID: usize = 2000;

/// Where a push goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The full name of the reference, such as `refs/heads/main`.
    pub reference: &'a str,
    /// What it names now; `None` if it is not there.
    pub old: Option<ObjectId>,
    /// Whether it does not matter what it names.
    pub force: bool,
    /// Options for the server, as `key=value`.
    pub options: &'a [String],
}

/// A file as it is to be after a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path from the root of the repository, without a slash at its ends.
    pub path: String,
    /// Its content; `None` removes it.
    pub content: Option<Vec<u8>>,
    /// Whether it is a program; counts for new files only, others keep what they are.
    pub executable: bool,
}

/// Who made a commit, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The mail address; may be empty.
    pub email: String,
    /// Seconds since 1970, in UTC.
    pub seconds: i64,
}

/// A commit that no remote has yet, with the objects that it brings.
#[derive(Debug, Clone)]
pub struct NewCommit {
    /// Its name.
    pub id: ObjectId,
    /// Its tree.
    pub tree: ObjectId,
    objects: BTreeMap<ObjectId, (Kind, Vec<u8>)>,
}

/// Makes a signature in ASCII armor over the bytes of a commit.
pub type Signer<'a> = &'a (dyn Fn(&[u8]) -> Result<String, Error> + Sync);

/// Makes a commit of changes to `parent`, or of nothing but the changed files.
///
/// The trees on the way to the changed files must be in the parent's repository, as they are after a fetch.
pub fn commit(
    parent: Option<(&Repository, ObjectId)>,
    changes: &[Change],
    author: &Identity,
    message: &str,
    signer: Option<Signer<'_>>,
) -> Result<NewCommit, Error> {
    let mut objects = Objects::default();
    let old = match parent {
        Some((repository, id)) => Some((repository, repository.commit(id)?.tree)),
        None => None,
    };
    let mut root = Node::default();
    for change in changes {
        let blob =
            change.content.as_ref().map(|content| objects.add(Kind::Blob, content.clone())).transpose()?;
        root.insert(&change.path, Leaf { blob, executable: change.executable })?;
    }
    let tree = objects.edit(old.map(|(repository, _)| repository), old.map(|(_, tree)| tree), &root)?;
    let tree = match tree {
        Some(tree) => tree,
        None => objects.add(Kind::Tree, Vec::new())?,
    };
    let person = format!("{} <{}> {} +0000", clean(&author.name), clean(&author.email), author.seconds);
    let mut head = format!("tree {tree}\n");
    if let Some((_, parent)) = parent {
        head.push_str(&format!("parent {parent}\n"));
    }
    head.push_str(&format!("author {person}\ncommitter {person}\n"));
    let body = format!("\n{}\n", message.trim_end());
    if let Some(signer) = signer {
        let signature = signer(format!("{head}{body}").as_bytes())?;
        head.push_str(&format!("gpgsig {}\n", signature.trim_end().replace('\n', "\n ")));
    }
    let id = objects.add(Kind::Commit, format!("{head}{body}").into_bytes())?;
    Ok(NewCommit { id, tree, objects: objects.0 })
}

/// Names and addresses end at these characters in Git's format.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|character| !matches!(character, '<' | '>' | '\n' | '\0'))
        .collect::<String>()
        .trim()
        .to_owned()
}

/// What is to change in a directory.
#[derive(Default)]
struct Node {
    files: BTreeMap<String, Leaf>,
    directories: BTreeMap<String, Node>,
}

struct Leaf {
    blob: Option<ObjectId>,
    executable: bool,
}

impl Node {
    fn insert(&mut self, path: &str, leaf: Leaf) -> Result<(), Error> {
        let forbidden =
            |part: &str| part.is_empty() || part == "." || part == ".." || part.eq_ignore_ascii_case(".git");
        if path.split('/').any(forbidden) || path.contains('\0') {
            return Err(Error::Configuration(format!("{path:?} is no path of a file in a repository")));
        }
        let mut node = self;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                node.files.insert(part.to_owned(), leaf);
                return Ok(());
            }
            node = node.directories.entry(part.to_owned()).or_default();
        }
        Ok(())
    }
}

#[derive(Default)]
struct Objects(BTreeMap<ObjectId, (Kind, Vec<u8>)>);

impl Objects {
    fn add(&mut self, kind: Kind, content: Vec<u8>) -> Result<ObjectId, Error> {
        let mut hasher = IdHasher::object(kind, content.len() as u64);
        hasher.update(&content);
        let id = hasher
            .finish()
            .ok_or_else(|| Error::Configuration("the content is an attack on SHA-1".into()))?;
        self.0.insert(id, (kind, content));
        Ok(id)
    }

    /// The tree with the changes; `None` when nothing is left in it.
    fn edit(
        &mut self,
        repository: Option<&Repository>,
        tree: Option<ObjectId>,
        node: &Node,
    ) -> Result<Option<ObjectId>, Error> {
        let mut entries: BTreeMap<Vec<u8>, TreeEntry> = match (repository, tree) {
            (Some(repository), Some(tree)) => {
                repository.tree(tree)?.into_iter().map(|entry| (entry.name.clone(), entry)).collect()
            }
            _ => BTreeMap::new(),
        };
        for (name, child) in &node.directories {
            let name = name.clone().into_bytes();
            let old = entries.get(&name).filter(|entry| entry.mode == Mode::Directory).map(|entry| entry.id);
            match self.edit(repository, old, child)? {
                Some(id) => {
                    entries.insert(name.clone(), TreeEntry { name, mode: Mode::Directory, id });
                }
                None => {
                    entries.remove(&name);
                }
            }
        }
        for (name, leaf) in &node.files {
            let name = name.clone().into_bytes();
            match leaf.blob {
                Some(id) => {
                    let kept = entries.get(&name).map(|entry| entry.mode);
                    let mode = match kept {
                        Some(mode @ Mode::File { .. }) => mode,
                        _ => Mode::File { executable: leaf.executable },
                    };
                    entries.insert(name.clone(), TreeEntry { name, mode, id });
                }
                None => {
                    entries.remove(&name);
                }
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let mut entries: Vec<TreeEntry> = entries.into_values().collect();
        // Git sorts a directory as if its name ended with a slash.
        let key = |entry: &TreeEntry| {
            let mut key = entry.name.clone();
            if entry.mode == Mode::Directory {
                key.push(b'/');
            }
            key
        };
        entries.sort_by_key(key);
        let mut content = Vec::new();
        for entry in entries {
            content.extend_from_slice(mode(entry.mode).as_bytes());
            content.push(b' ');
            content.extend_from_slice(&entry.name);
            content.push(0);
            content.extend_from_slice(entry.id.as_bytes());
        }
        self.add(Kind::Tree, content).map(Some)
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::File { executable: false } => "100644",
        Mode::File { executable: true } => "100755",
        Mode::Directory => "40000",
        Mode::Symlink => "120000",
        Mode::Submodule => "160000",
    }
}

impl NewCommit {
    /// The objects as a pack without deltas.
    fn pack(&self) -> Result<Vec<u8>, Error> {
        let count = u32::try_from(self.objects.len()).map_err(std::io::Error::other)?;
        let mut pack = Vec::from(*b"PACK\0\0\0\x02");
        pack.extend_from_slice(&count.to_be_bytes());
        for (kind, content) in self.objects.values() {
            let number: u8 = match kind {
                Kind::Commit => 1,
                Kind::Tree => 2,
                Kind::Blob => 3,
                Kind::Tag => 4,
            };
            let mut size = content.len();
            let mut byte = (number << 4) | (size & 0xf) as u8;
            size >>= 4;
            while size > 0 {
                pack.push(byte | 0x80);
                byte = (size & 0x7f) as u8;
                size >>= 7;
            }
            pack.push(byte);
            let mut encoder = ZlibEncoder::new(&mut pack, Compression::default());
            encoder.write_all(content)?;
            encoder.finish()?;
        }
        let mut hasher = IdHasher::raw();
        hasher.update(&pack);
        let sum =
            hasher.finish().ok_or_else(|| Error::Configuration("the pack is an attack on SHA-1".into()))?;
        pack.extend_from_slice(sum.as_bytes());
        Ok(pack)
    }
}

impl Client {
    /// Sends a commit and lets `reference` (`refs/heads/…`) name it. `old` is what it names now; `None` makes it.
    ///
    /// When it names something else by now the error is [`Error::Overtaken`]: nothing was written.
    pub async fn push(
        &self,
        remote: &Remote,
        reference: &str,
        old: Option<ObjectId>,
        commit: &NewCommit,
    ) -> Result<(), Error> {
        self.push_with(remote, reference, old, commit, false).await
    }

    /// Like [`Client::push`]; `force` lets the reference name something that does not descend from what it names now.
    pub async fn push_with(
        &self,
        remote: &Remote,
        reference: &str,
        old: Option<ObjectId>,
        commit: &NewCommit,
        force: bool,
    ) -> Result<(), Error> {
        let target = Target { reference, old, force, options: &[] };
        self.push_to(remote, &target, commit).await
    }

    /// Sends a commit and lets a reference name it. A reference that names it already is left alone.
    ///
    /// Nothing here knows a deadline: wrap the future in a timeout, dropping it ends all that it does.
    pub async fn push_to(
        &self,
        remote: &Remote,
        target: &Target<'_>,
        commit: &NewCommit,
    ) -> Result<(), Error> {
        let Target { reference, old, force, options } = *target;
        let filter = RefFilter::Names(vec![reference.to_owned()]);
        let mut session = self.open(remote, &filter, Service::ReceivePack).await?;
        let live = session.server.refs.iter().find(|found| found.name == reference).map(|found| found.id);
        if live != old && !force {
            return Err(Error::Overtaken(reference.to_owned()));
        }
        if live == Some(commit.id) {
            return Ok(());
        }
        if !options.is_empty() && !session.server.capabilities.has("push-options") {
            return Err(Error::Remote("the server takes no push options".to_owned()));
        }
        let null = ObjectId::from_bytes([0; 20]);
        let mut capabilities = String::from("report-status");
        let push_options = if options.is_empty() { None } else { Some("push-options") };
        for wanted in [Some("side-band-64k"), Some("object-format=sha1"), push_options, Some(AGENT)] {
            let Some(wanted) = wanted else { continue };
            let name = wanted.split('=').next().unwrap_or(wanted);
            if session.server.capabilities.has(name) {
                capabilities.push(' ');
                capabilities.push_str(wanted);
            }
        }
        let banded = session.server.capabilities.has("side-band-64k");
        let mut request = Request::default();
        request.line(&format!("{} {} {reference}\0 {capabilities}", live.unwrap_or(null), commit.id)).flush();
        if !options.is_empty() {
            for option in options {
                request.line(option);
            }
            request.flush();
        }
        let mut body = request.into_bytes();
        body.extend_from_slice(&commit.pack()?);
        let outcome = match session.transport.request(body).await {
            Ok(mut packets) => report(&mut packets, reference, banded).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(session.transport.explain(error).await),
        }
    }
}

/// Reads what became of the push. `banded`: the report comes with what hooks say beside it.
async fn report(packets: &mut Packets<'_>, reference: &str, banded: bool) -> Result<(), Error> {
    if !banded {
        return judge(packets, reference, "").await;
    }
    let mut inner = Vec::new();
    let mut said = String::new();
    while let Some(packet) = packets.next().await? {
        let Packet::Data(data) = packet else { break };
        match data.split_first() {
            Some((1, data)) => inner.extend_from_slice(data),
            Some((2, data)) if said.len() < MAX_SAID => said.push_str(&text(data)),
            Some((3, message)) => return Err(Error::Remote(text(message).trim_end().to_owned())),
            _ => {}
        }
    }
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    judge(&mut Packets::new(Box::new(inner.as_slice())), reference, &said).await
}

/// Reads the report itself. `said`: what hooks said.
async fn judge(packets: &mut Packets<'_>, reference: &str, said: &str) -> Result<(), Error> {
    let mut unpacked = false;
    while let Some(packet) = packets.next().await? {
        let Packet::Data(data) = packet else { break };
        let status = text(line(data));
        match status.split_once(' ') {
            Some(("unpack", "ok")) => unpacked = true,
            Some(("unpack", reason)) => return Err(Error::Remote(format!("the pack is refused: {reason}"))),
            Some(("ok", _)) if unpacked => return Ok(()),
            Some(("ng", rest)) => {
                let reason = rest.strip_prefix(reference).unwrap_or(rest).trim();
                let overtaken =
                    ["fetch first", "non-fast-forward", "failed to update ref", "reference already exists"]
                        .iter()
                        .any(|known| reason.contains(known));
                if overtaken {
                    return Err(Error::Overtaken(reference.to_owned()));
                }
                let reason = if said.is_empty() { reason.to_owned() } else { format!("{reason}: {said}") };
                return Err(Error::Rejected { reference: reference.to_owned(), reason });
            }
            _ => {}
        }
    }
    Err(Error::protocol("the server does not say what became of the push"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, content: &str) -> Change {
        Change { path: path.into(), content: Some(content.into()), executable: false }
    }

    #[test]
    fn a_first_commit_has_the_name_that_git_gives_it() {
        let author = Identity { name: "A".into(), email: "a@b".into(), seconds: 1_700_000_000 };
        let made = commit(None, &[change("a/b", "hello\n"), change("a.txt", "x\n")], &author, "First", None)
            .unwrap();
        // git hash-object and mktree of the same content; a directory sorts behind `a.txt` as `a/`.
        assert_eq!(made.objects.len(), 5);
        let (_, tree) = &made.objects[&made.tree];
        assert!(tree.starts_with(b"100644 a.txt\0"), "{tree:?}");
        let (_, raw) = &made.objects[&made.id];
        let raw = String::from_utf8_lossy(raw);
        assert!(raw.ends_with("committer A <a@b> 1700000000 +0000\n\nFirst\n"), "{raw}");
    }

    #[test]
    fn paths_stay_in_the_repository() {
        let author = Identity { name: "A".into(), email: String::new(), seconds: 0 };
        for path in ["../a", "/a", "a/", ".git/config", "a//b", ""] {
            assert!(commit(None, &[change(path, "x")], &author, "m", None).is_err(), "{path}");
        }
    }

    #[test]
    fn a_signature_stands_in_the_head_of_the_commit() {
        let author = Identity { name: "A <x>".into(), email: String::new(), seconds: 0 };
        let signer = |_: &[u8]| Ok("-----BEGIN\nabc\n-----END\n".to_owned());
        let made = commit(None, &[change("a", "x")], &author, "m", Some(&signer)).unwrap();
        let raw = String::from_utf8_lossy(&made.objects[&made.id].1).into_owned();
        assert!(raw.contains("\ngpgsig -----BEGIN\n abc\n -----END\n\nm\n"), "{raw}");
        assert!(raw.contains("author A x <> 0 +0000\n"), "{raw}");
    }
}

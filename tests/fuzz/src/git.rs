//! What a Git server answers, through the client: references in all versions of the protocol, the way to a pack, and packs
//! whose objects are what somebody with a right to push may have made of them.

use std::io::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest as _, Sha1};
use sluice_artifact::Rules;
use sluice_git::pack::Limits;
use sluice_git::tree::{self, Selection, View};
use sluice_git::{Client, Interrupt, ObjectId, Proxy, RefFilter, Reference, Remote, RemoteUrl, Repository};

use crate::server::{Server, answer};
use crate::targets::bytes;

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const RESULT: &str = "application/x-git-upload-pack-result";
const VERSION_2: &[u8] = b"000eversion 2\n000cls-refs\n0012fetch=shallow\n0000";
/// Between two answers.
const BETWEEN: &[u8] = b"\n=== \n";
/// The most that a mutated pack may have of anything.
const MOST: u32 = 1 << 20;

/// The server, the client, and the repository at the server, which is its proxy as well: the client asks nobody else.
static SERVER: LazyLock<Option<Mutex<(Server, Client, Remote)>>> = LazyLock::new(|| {
    let server = Server::start().ok()?;
    let mut limits = Limits::default();
    (limits.pack_bytes, limits.objects) = (u64::from(MOST), 1000);
    (limits.object_bytes, limits.scratch_bytes) = (u64::from(MOST), 8 * u64::from(MOST));
    let url = RemoteUrl::parse(&format!("http://{}/r", server.address())).ok()?;
    let address = format!("http://{}", server.address());
    let proxy = Some(Proxy { address, username: None, password: None });
    let remote = Remote { proxy, ..Remote::anonymous(url) };
    Some(Mutex::new((server, Client::with_limits(limits), remote)))
});

fn with_server(run: impl FnOnce(&Server, &Client, &Remote)) {
    let Some(shared) = &*SERVER else { return };
    let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    run(&shared.0, &shared.1, &shared.2);
}

fn git_answer(kind: &str, body: &[u8]) -> Vec<u8> {
    answer("200 OK", &[("content-type", kind)], body)
}

/// Makes packets of lines: `0000`, `0001` and `0002` are what they say, all else gets its length. What does not begin with
/// `lines` is sent as it is.
fn packets(text: &[u8]) -> Vec<u8> {
    let Some(lines) = text.strip_prefix(b"lines\n") else { return text.to_vec() };
    let mut out = Vec::new();
    for line in lines.split(|byte| *byte == b'\n') {
        if matches!(line, b"0000" | b"0001" | b"0002") {
            out.extend_from_slice(line);
        } else {
            let line = &line[..line.len().min(60_000)];
            out.extend_from_slice(format!("{:04x}", line.len() + 5).as_bytes());
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    out
}

fn parts<'a>(input: &'a [u8], between: &[u8]) -> Vec<&'a [u8]> {
    let (mut parts, mut rest) = (Vec::new(), input);
    while let Some(at) = rest.windows(between.len()).position(|window| window == between) {
        parts.push(&rest[..at]);
        rest = &rest[at + between.len()..];
    }
    parts.push(rest);
    parts
}

pub(crate) const LISTING_WORDS: &[&str] = &[
    "lines\n",
    "\n=== \n",
    "0000",
    "0001",
    "0002",
    "0003",
    "0004",
    "fff0",
    "\n",
    "# service=git-upload-pack\n",
    "version 1\n",
    "version 2\n",
    "ce013625030ba8dba906f756967f9e9ca394464a ",
    "0000000000000000000000000000000000000000 ",
    "refs/heads/main",
    "refs/tags/v1.0.0",
    "refs/heads/../x",
    "^{}",
    "\0",
    " symref-target:",
    " peeled:",
    "unborn HEAD",
    "symref=HEAD:refs/heads/main",
    "object-format=sha256\n",
    "capabilities^{}",
    "shallow ",
    "ERR no\n",
    "fetch=shallow filter\n",
    "\u{ff}",
];

pub(crate) fn listings() -> Vec<Vec<u8>> {
    bytes(&[
        "lines\n# service=git-upload-pack\n0000\nversion 2\nagent=x\nls-refs=unborn\nfetch=shallow filter\nobject-format=sha1\n0000\n=== \n\
         lines\nce013625030ba8dba906f756967f9e9ca394464a HEAD symref-target:refs/heads/main\nce013625030ba8dba906f756967f9e9ca394464a refs/heads/main\n\
         de013625030ba8dba906f756967f9e9ca394464a refs/tags/v1.0.0 peeled:ce013625030ba8dba906f756967f9e9ca394464a\n0000",
        "lines\n# service=git-upload-pack\n0000\nce013625030ba8dba906f756967f9e9ca394464a HEAD\0side-band-64k shallow symref=HEAD:refs/heads/main\n\
         ce013625030ba8dba906f756967f9e9ca394464a refs/heads/main\nde013625030ba8dba906f756967f9e9ca394464a refs/tags/v1.0.0\n\
         ce013625030ba8dba906f756967f9e9ca394464a refs/tags/v1.0.0^{}\n0000",
        "lines\nversion 1\n0000000000000000000000000000000000000000 capabilities^{}\0shallow\n0000",
        "001e# service=git-upload-pack\n0000000eversion 2\n000cls-refs\n0012fetch=shallow\n0000\n=== \n0000",
    ])
}

fn list_answers(input: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = parts(input, BETWEEN).into_iter();
    let first = git_answer(ADVERTISEMENT, &packets(parts.next().unwrap_or_default()));
    let others = parts.take(8).map(|part| git_answer(RESULT, &packets(part)));
    std::iter::once(first).chain(others).collect()
}

/// Lists references and looks for some of them.
pub(crate) fn list(input: &[u8]) {
    let answers = list_answers(input);
    with_server(|server, client, remote| {
        for reference in [
            Reference::Branch("main".to_owned()),
            Reference::Tag("v1.0.0".to_owned()),
            Reference::Name("refs/heads/main".to_owned()),
        ] {
            let Ok(filter) = reference.filter() else { continue };
            let filter = filter.unwrap_or(RefFilter::All);
            let _ = server.against(&answers, async {
                let (listing, mut session) = client.list(remote, &filter).await?;
                let _ = reference.resolve(&listing);
                session.is_empty().await
            });
        }
    });
}

pub(crate) const FETCH_WORDS: &[&str] = &[
    "lines\n",
    "0000",
    "0001",
    "0002",
    "000dpackfile\n",
    "packfile\n",
    "acknowledgments\n",
    "ready\n",
    "NAK\n",
    "ACK ce013625030ba8dba906f756967f9e9ca394464a\n",
    "shallow-info\n",
    "shallow ce013625030ba8dba906f756967f9e9ca394464a\n",
    "unshallow ",
    "\u{1}",
    "\u{2}progress",
    "\u{3}fatal",
    "\u{4}",
    "PACK",
    "\0\0\0\u{2}\0\0\0\u{1}",
    "ERR no\n",
    "fff0",
    "0006\u{1}x",
    "\n",
];

pub(crate) fn fetches() -> Vec<Vec<u8>> {
    let mut all = bytes(&[
        "lines\nshallow-info\nshallow ce013625030ba8dba906f756967f9e9ca394464a\n0001\npackfile\n\u{2}counting\n\u{1}PACK\n0000",
        "lines\nacknowledgments\nNAK\nready\n0001\npackfile\n\u{3}no more\n0000",
    ]);
    all.push(fetch_answer(&assemble(PLAIN).0));
    all
}

/// The answer with a pack, in pieces.
fn fetch_answer(pack: &[u8]) -> Vec<u8> {
    let mut body = b"000dpackfile\n".to_vec();
    for piece in pack.chunks(60_000) {
        body.extend_from_slice(format!("{:04x}\x01", piece.len() + 5).as_bytes());
        body.extend_from_slice(piece);
    }
    body.extend_from_slice(b"0000");
    body
}

/// Takes the answer to a request for a pack.
pub(crate) fn fetch(input: &[u8]) {
    let body = packets(input);
    with_server(|server, client, remote| drop(receive(server, client, remote, &body)));
}

fn receive(server: &Server, client: &Client, remote: &Remote, body: &[u8]) -> Option<Repository> {
    let answers = [git_answer(ADVERTISEMENT, VERSION_2), git_answer(RESULT, body)];
    let wanted = ObjectId::from_bytes([7; 20]);
    server.against(&answers, async {
        client.connect(remote, &RefFilter::All).await.ok()?.fetch(&[wanted]).await.ok()
    })
}

/// A commit of three files, one of them a delta of another, and a tag of it. `<N>` is the name of the object N in bytes,
/// `{N}` the same in hexadecimal.
const PLAIN: &[u8] = b"\n=== blob\napiVersion: v1\nkind: ConfigMap\n\
    \n=== blob\n*.md\n!a.md\n\
    \n=== tree\n100644 x.yaml\0<0>100755 run\0<0>120000 link\0<1>\
    \n=== tree\n100644 .sourceignore\0<1>100644 a.yaml\0<0>40000 dir\0<2>\
    \n=== commit\ntree {3}\nauthor A <a@b> 1700000000 +0100\ncommitter A <a@b> 1700000000 +0100\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nOne\n\
    \n=== tag\nobject {4}\ntype commit\ntag v1\ntagger A <a@b> 1700000000 +0100\n\nTag\n-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n\
    \n=== offset 6\n\x1f\x22\x90\x1f\x03abc\
    \n=== named 0\n\x1f\x04\x04abcd";

pub(crate) const PACK_WORDS: &[&str] = &[
    "\n=== blob\n",
    "\n=== tree\n",
    "\n=== commit\n",
    "\n=== tag\n",
    "\n=== offset 1\n",
    "\n=== offset 0\n",
    "\n=== named 0\n",
    "\n=== named 3\n",
    "\n=== blob 99999999999\n",
    "\n=== blob 0\n",
    "\n=== raw\n",
    "<0>",
    "<2>",
    "<3>",
    "{0}",
    "{3}",
    "{5}",
    "100644 ",
    "40000 ",
    "120000 ",
    "160000 sub\0<4>",
    "\0",
    "..",
    ".git",
    ".sourceignore",
    "tree ",
    "object ",
    "type tag\n",
    "gpgsig ",
    "\n ",
    "\u{1}",
    "\u{7f}",
    "-----BEGIN PGP SIGNATURE-----\n",
    "-----BEGIN SSH SIGNATURE-----\n",
    "\u{ff}\u{ff}",
];

pub(crate) fn packs() -> Vec<Vec<u8>> {
    vec![PLAIN.to_vec()]
}

/// A pack of what the text says, and the names of its whole objects. Lengths and sums are true unless it says otherwise, so
/// that what is behind them is reached.
fn assemble(text: &[u8]) -> (Vec<u8>, Vec<[u8; 20]>) {
    let (mut body, mut names, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts(text, b"\n=== ").into_iter().skip(1).take(500) {
        let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
        let head = String::from_utf8_lossy(&part[..end]);
        let mut words = head.split(' ');
        let (kind, number) =
            (words.next().unwrap_or_default(), words.next().and_then(|word| word.parse::<u64>().ok()));
        let content = filled(part.get(end + 1..).unwrap_or_default(), &names);
        let code = match kind {
            "commit" => 1,
            "tree" => 2,
            "blob" => 3,
            "tag" => 4,
            "offset" => 6,
            "named" => 7,
            "raw" => {
                body.extend_from_slice(&content);
                continue;
            }
            _ => continue,
        };
        starts.push(12 + body.len());
        let size = if code < 6 { number.unwrap_or(content.len() as u64) } else { content.len() as u64 };
        header(&mut body, code, size);
        let number = number.unwrap_or(1) as usize;
        match code {
            6 => distance(
                &mut body,
                starts.iter().rev().nth(number).map_or(number, |start| starts[starts.len() - 1] - start),
            ),
            7 => body.extend_from_slice(names.get(number).unwrap_or(&[1; 20])),
            _ => {}
        }
        let mut hash = Sha1::new();
        hash.update(format!("{kind} {}\0", content.len()));
        hash.update(&content);
        names.push(hash.finalize().into());
        let mut encoder = ZlibEncoder::new(&mut body, Compression::fast());
        let _ = encoder.write_all(&content);
        let _ = encoder.finish();
    }
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&(starts.len() as u32).to_be_bytes());
    pack.extend_from_slice(&body);
    let sum = Sha1::digest(&pack);
    pack.extend_from_slice(&sum);
    (pack, names)
}

/// Puts names where they are asked for.
fn filled(content: &[u8], names: &[[u8; 20]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < content.len() {
        let name = match &content[at..] {
            [b'<', digit, b'>', ..] | [b'{', digit, b'}', ..] if digit.is_ascii_digit() => {
                names.get(usize::from(digit - b'0'))
            }
            _ => None,
        };
        match name {
            Some(name) if content[at] == b'<' => out.extend_from_slice(name),
            Some(name) => out.extend(name.iter().flat_map(|byte| format!("{byte:02x}").into_bytes())),
            None => {
                out.push(content[at]);
                at += 1;
                continue;
            }
        }
        at += 3;
    }
    out
}

fn header(out: &mut Vec<u8>, code: u8, mut size: u64) {
    let mut byte = (code << 4) | (size & 15) as u8;
    size >>= 4;
    while size > 0 {
        out.push(byte | 0x80);
        byte = (size & 0x7f) as u8;
        size >>= 7;
    }
    out.push(byte);
}

fn distance(out: &mut Vec<u8>, mut distance: usize) {
    let mut digits = vec![(distance & 0x7f) as u8];
    distance >>= 7;
    while distance > 0 {
        distance -= 1;
        digits.push(0x80 | (distance & 0x7f) as u8);
        distance >>= 7;
    }
    out.extend(digits.iter().rev());
}

/// Reads a pack, and everything in it as the controllers do.
pub(crate) fn read_pack(input: &[u8]) {
    let (pack, names) = assemble(input);
    let mut repository = None;
    with_server(|server, client, remote| repository = receive(server, client, remote, &fetch_answer(&pack)));
    let Some(repository) = repository else { return };
    for name in names {
        let id = ObjectId::from_bytes(name);
        if let Ok(tag) = repository.tag(id) {
            let _ = (tag.signature(), repository.peel(id));
        }
        if let Ok(commit) = repository.commit(id) {
            let _ = (commit.signature(), commit.subject().len());
            archive(&View::new(repository.clone(), commit.tree));
        }
    }
}

/// Whether the tree can be archived.
fn archive(view: &View) -> bool {
    let (selection, interrupt) = (Selection::all(), Interrupt::default());
    let Ok(patterns) = tree::patterns(view, &selection, &interrupt) else { return false };
    let rules = Rules::with_defaults(patterns);
    let archived = tree::archive(view, &selection, &rules, std::io::sink(), &interrupt);
    let _ = view.find("dir/x.yaml");
    if let Ok(folder) = tempfile::tempdir() {
        let target = folder.path().join("target");
        let _ = std::fs::create_dir(&target).map(|()| tree::checkout(view, &selection, &target, &interrupt));
        let beside = std::fs::read_dir(folder.path()).map_or(0, Iterator::count);
        assert_eq!(beside, 1, "something appeared beside the target");
    }
    archived.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pack_to_begin_with_is_read_to_its_last_object() {
        let (pack, names) = assemble(PLAIN);
        with_server(|server, client, remote| {
            let repository = receive(server, client, remote, &fetch_answer(&pack)).unwrap();
            let tag = repository.tag(ObjectId::from_bytes(names[5])).unwrap();
            assert!(tag.signature().is_some());
            let commit = repository.commit(repository.peel(ObjectId::from_bytes(names[5])).unwrap()).unwrap();
            assert!(commit.signature().is_some());
            let view = View::new(repository.clone(), commit.tree);
            assert!(view.find("dir/x.yaml").unwrap().is_some());
            assert!(archive(&view));
            let delta = Sha1::digest(b"blob 34\0apiVersion: v1\nkind: ConfigMap\nabc");
            assert!(repository.contains(ObjectId::from_bytes(delta.into())));
        });
    }

    #[test]
    fn the_listings_to_begin_with_have_a_branch() {
        let filter = Reference::Branch("main".to_owned()).filter().unwrap().unwrap();
        for seed in &listings()[..2] {
            let answers = list_answers(seed);
            with_server(|server, client, remote| {
                let (listing, _) = server.against(&answers, client.list(remote, &filter)).unwrap();
                assert_eq!(listing.refs.len(), 1);
            });
        }
    }
}

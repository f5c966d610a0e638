//! Servers and repositories that mean ill.

use std::time::{Duration, Instant};

use sluice_artifact::Rules;
use sluice_artifact::ignore::Patterns;
use sluice_git::tree::Selection;
use sluice_git::{Client, Credentials, Error, RefFilter, Reference, Remote};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fetching::{fetch, remote, tar, view};
use crate::server::Server;

/// A proxy that takes the wish for protocol version 2 out of each request.
pub(crate) async fn downgrading(target: &str) -> String {
    let target = target.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                let length = client.read(&mut buffer).await.unwrap_or_default();
                let request = String::from_utf8_lossy(&buffer[..length]);
                let request = request.replace("git-protocol: version=2", "x-protocol: version=2");
                let request = request.replace("connection: keep-alive", "connection: close");
                let _ = server.write_all(request.as_bytes()).await;
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    url
}

fn canned(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Answers every request with the same bytes, then either closes or hangs.
async fn always(answer: Vec<u8>, hang: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/r", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _ = socket.read(&mut buffer).await;
                let _ = socket.write_all(&answer).await;
                if hang {
                    let _ = socket.read(&mut buffer).await;
                }
            });
        }
    });
    url
}

const ADVERTISEMENT: &str = "200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement";

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_git_are_named() {
    let branch = Reference::Branch("main".into());
    let html = always(canned("200 OK\r\nContent-Type: text/html; charset=utf-8", b"<html>"), false).await;
    let error = fetch(&remote(&html), &branch).await.unwrap_err().to_string();
    assert!(error.contains("does not speak Git's smart protocol: its answer is text/html"), "{error}");
    let error = always(canned("500 Internal Server Error", b"oops"), false).await;
    assert!(matches!(fetch(&remote(&error), &branch).await, Err(Error::Status { status: 500, .. })));
    for garbage in [
        &b"zzzz"[..],
        b"0004",
        b"fff0abc",
        b"001e# service=git-upload-pack\n",
        b"",
        b"0010no newline\0\0\0\0",
    ] {
        let url = always(canned(ADVERTISEMENT, garbage), false).await;
        assert!(fetch(&remote(&url), &branch).await.is_err(), "{garbage:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_left_at_the_deadline() {
    let url = always(
        format!("HTTP/1.1 {ADVERTISEMENT}\r\nContent-Length: 100\r\n\r\n001e# serv").into_bytes(),
        true,
    )
    .await;
    let start = Instant::now();
    let (hanging, branch) = (remote(&url), Reference::Branch("main".into()));
    let result = tokio::time::timeout(Duration::from_millis(200), fetch(&hanging, &branch)).await;
    assert!(result.is_err() && start.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_gets_no_credentials() {
    let target = Server::start().await;
    target.repository("r").commit("one");
    let location = format!("{}/r/.git/info/refs?service=git-upload-pack", target.url);
    let redirect = move |_: &crate::server::Request| {
        Some(format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ))
    };
    let server = Server::with_gate(Box::new(redirect)).await;
    let credentials = Credentials::Basic { username: "user".into(), password: "pass".into() };
    let redirected = Remote { credentials, ..remote(&format!("{}/r/.git", server.url)) };
    fetch(&redirected, &Reference::Branch("main".into())).await.unwrap();
    assert!(server.requests.lock().unwrap().iter().all(|r| r.header("authorization").is_some()));
    let seen = target.requests.lock().unwrap();
    assert!(seen.len() >= 2 && seen.iter().all(|r| r.header("authorization").is_none()), "{seen:?}");
    assert!(seen.iter().all(|r| r.target.starts_with("/r/.git/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_to_elsewhere_and_in_circles_are_refused() {
    for location in [
        "/login?next=x",
        "ftp://h/r/info/refs",
        "file:///r/info/refs",
        "/r/info/refs?service=git-upload-pack",
    ] {
        let answer = canned(&format!("301 Moved Permanently\r\nLocation: {location}"), b"");
        let url = always(answer, false).await;
        let error = fetch(&remote(&url), &Reference::Branch("main".into())).await.unwrap_err();
        assert!(matches!(error, Error::Redirect(_)), "{location}: {error}");
    }
}

/// Commits a tree made of raw entries: `(mode, name, object)`.
fn raw_commit(work: &crate::server::Work, entries: &[(&str, &[u8])]) {
    let blob = work.git_with(&["hash-object", "-w", "--stdin"], b"content");
    let raw: Vec<u8> = (0..20).map(|i| u8::from_str_radix(&blob[2 * i..2 * i + 2], 16).unwrap()).collect();
    let mut tree = Vec::new();
    for (mode, name) in entries {
        tree.extend_from_slice(mode.as_bytes());
        tree.push(b' ');
        tree.extend_from_slice(name);
        tree.push(0);
        tree.extend_from_slice(&raw);
    }
    let tree = work.git_with(&["hash-object", "-w", "-t", "tree", "--literally", "--stdin"], &tree);
    let commit = work.git(&["commit-tree", "-m", "hostile", &tree]);
    work.git(&["update-ref", "refs/heads/main", &commit]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_of_bad_faith_are_refused() {
    let server = Server::start().await;
    let cases: [&[(&str, &[u8])]; 8] = [
        &[("100644", b"..")],
        &[("100644", b".")],
        &[("100644", b".git")],
        &[("100644", b".GIT")],
        &[("100644", b"a/b")],
        &[("100644", b"/etc")],
        &[("100644", b"a"), ("100644", b"a")],
        &[("100644", b"a\\..\\b")],
    ];
    for (index, entries) in cases.into_iter().enumerate() {
        let work = server.repository(&format!("r{index}"));
        raw_commit(&work, entries);
        let remote = remote(&format!("{}/r{index}/.git", server.url));
        let (resolved, repository) = fetch(&remote, &Reference::Branch("main".into())).await.unwrap();
        let rules = Rules::only(Patterns::new());
        let result = tar(&view(&resolved, &repository), &Selection::all(), &rules);
        assert!(matches!(result, Err(Error::Tree(_))), "{entries:?}");
    }
    let work = server.repository("kinds");
    raw_commit(&work, &[("100644", b"file"), ("120000", b"link")]);
    let remote = remote(&format!("{}/kinds/.git", server.url));
    let (resolved, repository) = fetch(&remote, &Reference::Branch("main".into())).await.unwrap();
    assert!(tar(&view(&resolved, &repository), &Selection::all(), &Rules::default()).is_ok());
}

/// Serves a pack of the test's own making.
async fn serve_pack(pack: Vec<u8>, cut: Option<usize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/r", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut buffer = vec![0; 64 * 1024];
            let length = socket.read(&mut buffer).await.unwrap_or_default();
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let answer = if request.starts_with("GET") {
                canned(ADVERTISEMENT, b"000eversion 2\n000cls-refs\n0012fetch=shallow\n0000")
            } else {
                let mut body = b"000dpackfile\n".to_vec();
                for piece in pack.chunks(60_000) {
                    body.extend_from_slice(format!("{:04x}\x01", piece.len() + 5).as_bytes());
                    body.extend_from_slice(piece);
                }
                body.extend_from_slice(b"0000");
                canned("200 OK\r\nContent-Type: application/x-git-upload-pack-result", &body)
            };
            let cut = if request.starts_with("GET") { answer.len() } else { cut.unwrap_or(answer.len()) };
            let _ = socket.write_all(&answer[..cut.min(answer.len())]).await;
        }
    });
    url
}

async fn receive(pack: Vec<u8>, cut: Option<usize>) -> Result<(), Error> {
    let url = serve_pack(pack, cut).await;
    let mut session = Client::default().connect(&remote(&url), &RefFilter::All).await?;
    session.fetch(&["1".repeat(40).parse().unwrap()]).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_packs_are_refused() {
    let server = Server::start().await;
    let work = server.repository("r");
    let lines: Vec<String> = (0..2000).map(|i| format!("{i} {}\n", i * 7919 % 10_007)).collect();
    let text = lines.concat();
    work.write("a", &text);
    work.write("b", format!("{text}more"));
    work.commit("one");
    work.git(&["repack", "-q", "-a", "-d", "-f"]);
    let directory = std::fs::read_dir(work.path.join(".git/objects/pack")).unwrap();
    let path =
        directory.map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "pack")).unwrap();
    let good = std::fs::read(path).unwrap();
    receive(good.clone(), None).await.unwrap();
    for cut in [0, 50, 150, 1000] {
        assert!(receive(good.clone(), Some(cut)).await.is_err(), "{cut}");
    }
    for length in [0, 4, 11, 12, 13, 40, good.len() / 2, good.len() - 1] {
        assert!(receive(good[..length].to_vec(), None).await.is_err(), "{length}");
    }
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bad = good.clone();
        bad[at] ^= 0x11;
        assert!(receive(bad, None).await.is_err(), "byte {at}");
    }
    let mut many = b"PACK\0\0\0\x02\xff\xff\xff\xff".to_vec();
    many.extend_from_slice(&good[12..]);
    let error = receive(many, None).await.unwrap_err().to_string();
    assert_eq!(error, "the pack has more than 20000000 objects");
}

/// The length of content and its kind, as a pack has them before an object.
fn entry_head(kind: u8, mut size: u64) -> Vec<u8> {
    let mut head = vec![kind << 4 | (size & 15) as u8];
    size >>= 4;
    while size > 0 {
        *head.last_mut().unwrap() |= 0x80;
        head.push((size & 0x7f) as u8);
        size >>= 7;
    }
    head
}

fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        bytes.push((value & 0x7f) as u8 | if value > 0x7f { 0x80 } else { 0 });
        value >>= 7;
        if value == 0 {
            return bytes;
        }
    }
}

fn deflate(content: impl std::io::Read) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = flate2::read::ZlibEncoder::new(content, flate2::Compression::fast());
    std::io::Read::read_to_end(&mut encoder, &mut out).unwrap();
    out
}

/// A pack of these entries, with a checksum that is right.
fn pack(entries: &[Vec<u8>]) -> Vec<u8> {
    use sha1_checked::Digest as _;
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    pack.extend(entries.concat());
    let checksum = sha1_checked::Sha1::digest(&pack);
    pack.extend_from_slice(&checksum);
    pack
}

fn small_limits() -> sluice_git::pack::Limits {
    let mut limits = sluice_git::pack::Limits::default();
    (limits.pack_bytes, limits.object_bytes, limits.scratch_bytes) = (1 << 20, 16 << 20, 32 << 20);
    limits
}

#[tokio::test(flavor = "multi_thread")]
async fn pack_bombs_are_refused_before_they_go_off() {
    use std::io::Read as _;
    const BLOB: u8 = 3;
    const OFFSET_DELTA: u8 = 6;
    let zeros = |length: u64| deflate(std::io::repeat(0).take(length));
    let base = [entry_head(BLOB, 8 << 20), zeros(8 << 20)].concat();
    // Copies of the first 64 KiB of the base, again and again.
    let copies = |times: u64| {
        let mut delta = number(8 << 20);
        delta.extend(number(times * 0x10000));
        delta.extend((0..times).flat_map(|_| [0x80]));
        delta
    };
    let offset = |distance: usize| {
        let mut bytes = vec![(distance & 0x7f) as u8];
        let mut rest = distance >> 7;
        while rest > 0 {
            rest -= 1;
            bytes.insert(0, (rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes
    };
    let delta = |delta: Vec<u8>| {
        let head = entry_head(OFFSET_DELTA, delta.len() as u64);
        [head, offset(base.len()), deflate(&delta[..])].concat()
    };
    let lying = [number(8 << 20), number(1 << 40), vec![0x80]].concat();
    let mut state = 1_u64;
    let random = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    let random: Vec<u8> = random.take(2 << 20).collect();
    let cases: [(&str, Vec<Vec<u8>>, &str); 6] = [
        (
            "an object beyond the limit",
            vec![entry_head(BLOB, 17 << 20), zeros(17 << 20)],
            "bytes in one object",
        ),
        (
            "one that is larger than it says",
            vec![[entry_head(BLOB, 10), zeros(17 << 20)].concat()],
            "invalid pack",
        ),
        (
            "one that is smaller than it says",
            vec![[entry_head(BLOB, 10 << 20), zeros(9)].concat()],
            "invalid pack",
        ),
        ("a delta that makes too much", vec![base.clone(), delta(copies(300))], "bytes in one object"),
        ("a delta that promises too much", vec![base.clone(), delta(lying)], "bytes in one object"),
        (
            "a pack beyond the limit",
            vec![[entry_head(BLOB, 2 << 20), deflate(&random[..])].concat()],
            "more than",
        ),
    ];
    for (what, entries, words) in cases {
        let url = serve_pack(pack(&entries), None).await;
        let client = Client::with_limits(small_limits());
        let mut session = client.connect(&remote(&url), &RefFilter::All).await.unwrap();
        let error = session.fetch(&["1".repeat(40).parse().unwrap()]).await.unwrap_err();
        assert!(matches!(error, Error::Pack(_)) && error.to_string().contains(words), "{what}: {error}");
    }
    // Within the limits it is a pack like any other.
    let url = serve_pack(pack(&[base.clone(), delta(copies(200))]), None).await;
    let mut session =
        Client::with_limits(small_limits()).connect(&remote(&url), &RefFilter::All).await.unwrap();
    session.fetch(&["1".repeat(40).parse().unwrap()]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_holds_itself_again_and_again_is_refused() {
    let server = Server::start().await;
    let work = server.repository("r");
    let mut tree = {
        let blob = work.git_with(&["hash-object", "-w", "--stdin"], b"content");
        let lines: Vec<String> = (0..200).map(|n| format!("100644 blob {blob}\t{n}\n")).collect();
        work.git_with(&["mktree"], lines.concat().as_bytes())
    };
    for _ in 0..3 {
        let lines: Vec<String> = (0..200).map(|n| format!("040000 tree {tree}\t{n}\n")).collect();
        tree = work.git_with(&["mktree"], lines.concat().as_bytes());
    }
    let commit = work.git(&["commit-tree", "-m", "bomb", &tree]);
    work.git(&["update-ref", "refs/heads/main", &commit]);
    let remote = remote(&format!("{}/r/.git", server.url));
    let (resolved, repository) = fetch(&remote, &Reference::Branch("main".into())).await.unwrap();
    let view = view(&resolved, &repository);
    let expected = "refused the tree: it has more than 1000000 entries";
    let interrupt = sluice_git::Interrupt::default();
    let error = sluice_git::tree::patterns(&view, &Selection::all(), &interrupt).unwrap_err();
    assert_eq!(error.to_string(), expected);
    let error = sluice_git::tree::files(&view, "", &|name| name == "none").unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_other_modes_are_refused() {
    let server = Server::start().await;
    for (index, mode) in ["20666", "60666", "10666", "0"].into_iter().enumerate() {
        let work = server.repository(&format!("r{index}"));
        raw_commit(&work, &[(mode, b"device")]);
        let remote = remote(&format!("{}/r{index}/.git", server.url));
        let (resolved, repository) = fetch(&remote, &Reference::Branch("main".into())).await.unwrap();
        let result = tar(&view(&resolved, &repository), &Selection::all(), &Rules::default());
        let error = result.unwrap_err().to_string();
        assert!(error.contains("device"), "{mode}: {error}");
    }
}

//! Objects that are kept: less is fetched, and what comes out is the same.

use std::sync::atomic::Ordering;

use sluice_artifact::Rules;
use sluice_git::tree::Selection;
use sluice_git::{Client, ObjectCache, RefFilter, Reference, Remote, Repository, Resolved};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::fetching::{fetch, remote, tar, view};
use crate::server::{Server, Work};

/// Files that do not compress well, in some directories.
pub(crate) fn write_files(work: &Work, count: u64) {
    for n in 0..count {
        let mut state = n + 1;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(4000)
        .collect();
        work.write(&format!("{}/{n}", n % 7), content);
    }
}

pub(crate) async fn fetch_kept(cache: &ObjectCache, remote: &Remote) -> (Resolved, Repository) {
    fetch_reference(cache, remote, &Reference::Branch("main".into())).await
}

async fn fetch_reference(
    cache: &ObjectCache,
    remote: &Remote,
    reference: &Reference,
) -> (Resolved, Repository) {
    let client = Client::default();
    let filter = reference.filter().unwrap().unwrap();
    let (listing, session) = client.list(remote, &filter).await.unwrap();
    let resolved = reference.resolve(&listing).unwrap().remove(0);
    let wanted = [resolved.tag.unwrap_or(resolved.commit)];
    let repository = cache.fetch(&client, remote, &filter, Some(session), &wanted).await.unwrap();
    (resolved, repository)
}

/// Whether what came out of the cache makes the same archive as what comes from the server.
async fn same_as_fetched(remote: &Remote, kept: &(Resolved, Repository)) {
    let fresh = fetch(remote, &Reference::Branch("main".into())).await.unwrap();
    let archive = |(resolved, repository): &(Resolved, Repository)| {
        tar(&view(resolved, repository), &Selection::all(), &Rules::default()).unwrap()
    };
    assert!(archive(kept) == archive(&fresh), "other bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_news_are_fetched_and_the_archive_is_the_same() {
    let server = Server::start().await;
    let work = server.repository("r");
    write_files(&work, 200);
    work.commit("one");
    let url = format!("{}/r/.git", server.url);
    let old_protocol = format!("{}/r/.git", crate::hostile::downgrading(&server.url).await);
    for remote in [remote(&url), remote(&old_protocol)] {
        let cache = ObjectCache::new(1 << 30);
        let sent = || server.sent.swap(0, Ordering::Relaxed);
        sent();
        same_as_fetched(&remote, &fetch_kept(&cache, &remote).await).await;
        assert!(sent() > 1_600_000, "two whole fetches");

        // A new file, a changed one that comes as a delta, one that is gone.
        let lines =
            (0..10_000_u64).map(|n| [&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string(), "\n"].concat());
        let text: String = lines.collect();
        work.write("text", &text);
        work.commit("two");
        fetch_kept(&cache, &remote).await;
        work.write("text", text + "one more");
        std::fs::remove_file(work.path.join("0/0")).unwrap();
        work.commit("three");
        sent();
        let kept = fetch_kept(&cache, &remote).await;
        let news = sent();
        assert!(news < 50_000, "{news} bytes for one line");
        same_as_fetched(&remote, &kept).await;

        // Known already: the listing is all that is asked for, by whatever name.
        work.git(&["tag", "--force", "light"]);
        sent();
        let (resolved, _) = fetch_reference(&cache, &remote, &Reference::Tag("light".into())).await;
        assert!(resolved.commit == kept.0.commit && sent() < 2000);
        work.git(&["tag", "--force", "-a", "-m", "x", "heavy"]);
        let (resolved, repository) = fetch_reference(&cache, &remote, &Reference::Tag("heavy".into())).await;
        assert_eq!(repository.peel(resolved.tag.unwrap()).unwrap(), kept.0.commit);
        let size = sent();
        assert!(size < 3000, "{size}");
        work.write("0/0", "back");
        work.commit("four");
        same_as_fetched(&remote, &fetch_kept(&cache, &remote).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_that_share_nothing_and_commits_that_are_gone_do_no_harm() {
    let server = Server::start().await;
    let work = server.repository("r");
    write_files(&work, 20);
    work.commit("one");
    let remote = remote(&format!("{}/r/.git", server.url));
    let cache = ObjectCache::new(1 << 30);
    fetch_kept(&cache, &remote).await;
    for prune in [false, true] {
        work.git(&["checkout", "-q", "--orphan", if prune { "a" } else { "b" }]);
        work.write("other", format!("{prune}"));
        work.commit("anew");
        work.git(&["branch", "-M", "main"]);
        if prune {
            work.git(&["reflog", "expire", "--expire=now", "--all"]);
            work.git(&["gc", "-q", "--prune=now"]);
        }
        same_as_fetched(&remote, &fetch_kept(&cache, &remote).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_is_bounded_and_each_remote_has_its_own() {
    let server = Server::start().await;
    for name in ["a", "b", "c"] {
        let work = server.repository(name);
        write_files(&work, 50);
        work.commit("one");
    }
    let of = |name: &str| remote(&format!("{}/{name}/.git", server.url));
    let one = ObjectCache::new(1 << 30);
    fetch_kept(&one, &of("a")).await;
    let size = one.bytes();
    assert!(size > 200_000);
    let two = ObjectCache::new(2 * size + size / 2);
    let whole = || server.sent.swap(0, Ordering::Relaxed) > 200_000;
    for (name, fetched) in [("a", true), ("b", true), ("a", false), ("c", true), ("a", false), ("b", true)] {
        whole();
        fetch_kept(&two, &of(name)).await;
        assert_eq!(whole(), fetched, "{name}");
        assert!(two.bytes() <= 2 * size + size / 2);
    }
    for none in [ObjectCache::new(0), ObjectCache::new(size / 2)] {
        for _ in 0..2 {
            whole();
            fetch_kept(&none, &of("a")).await;
            assert!(whole() && none.bytes() == 0);
        }
    }
    // What one login has fetched is nothing to another one.
    let mut other = of("a");
    other.credentials = sluice_git::Credentials::Bearer("x".into());
    whole();
    fetch_kept(&one, &other).await;
    assert!(whole());
}

/// Serves one pack after the other, and keeps the requests for them.
async fn serve_packs(packs: Vec<Vec<u8>>) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/r", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut packs = packs.into_iter();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut buffer = vec![0; 64 * 1024];
            let length = socket.read(&mut buffer).await.unwrap_or_default();
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let (kind, body) = if request.starts_with("GET") {
                ("advertisement", b"000eversion 2\n0012fetch=shallow\n0000".to_vec())
            } else {
                let pack = packs.next().unwrap();
                let mut body = b"000dpackfile\n".to_vec();
                body.extend_from_slice(format!("{:04x}\x01", pack.len() + 5).as_bytes());
                body.extend_from_slice(&pack);
                body.extend_from_slice(b"0000");
                let _ = sender.send(request);
                ("result", body)
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-{kind}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
        }
    });
    (url, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_out_what_is_needed_is_asked_for_all() {
    let server = Server::start().await;
    let work = server.repository("r");
    work.write("a", "one");
    let first = work.commit("one");
    work.write("b", "two");
    let second = work.commit("two");
    let pack = |objects: &str| {
        let output = std::process::Command::new("git")
            .current_dir(&work.path)
            .args(["pack-objects", "--stdout", "-q"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                use std::io::Write as _;
                child.stdin.take().unwrap().write_all(objects.as_bytes())?;
                child.wait_with_output()
            });
        output.unwrap().stdout
    };
    let all = |commit: &str| {
        let tree = work.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
        let blobs = work.git(&["ls-tree", "--format=%(objectname)", &tree]);
        pack(&format!("{commit}\n{tree}\n{blobs}\n"))
    };
    let tree = work.git(&["rev-parse", &format!("{second}^{{tree}}")]);
    // The second answer lacks the file that is new.
    let packs = vec![all(&first), pack(&format!("{second}\n{tree}\n")), all(&second)];
    let (url, mut requests) = serve_packs(packs).await;
    let (remote, cache, client) = (remote(&url), ObjectCache::new(1 << 20), Client::default());
    for commit in [&first, &second] {
        let id = commit.parse().unwrap();
        let repository = cache.fetch(&client, &remote, &RefFilter::All, None, &[id]).await.unwrap();
        let view = sluice_git::tree::View::new(repository.clone(), repository.commit(id).unwrap().tree);
        tar(&view, &Selection::all(), &Rules::default()).unwrap();
    }
    let asked: Vec<_> =
        std::iter::from_fn(|| requests.try_recv().ok()).map(|r| r.contains("have ")).collect();
    assert_eq!(asked, [false, true, false]);
    // And once more, out of what is kept.
    cache.fetch(&client, &remote, &RefFilter::All, None, &[second.parse().unwrap()]).await.unwrap();
    assert!(requests.try_recv().is_err());
}

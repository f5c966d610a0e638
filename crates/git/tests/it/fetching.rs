use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use sluice_artifact::Rules;
use sluice_artifact::ignore::Patterns;
use sluice_git::tree::{Selection, View, archive, checkout, patterns};
use sluice_git::{
    Client, Credentials, Error, Interrupt, ObjectId, RefFilter, Reference, Remote, RemoteUrl, Repository,
    Resolved,
};

use crate::server::Server;

pub(crate) fn remote(url: &str) -> Remote {
    Remote::anonymous(RemoteUrl::parse(url).unwrap())
}

/// Resolves and fetches as a controller does.
pub(crate) async fn fetch(remote: &Remote, reference: &Reference) -> Result<(Resolved, Repository), Error> {
    let client = Client::default();
    let filter = reference.filter()?.unwrap_or(RefFilter::Names(Vec::new()));
    let (listing, mut session) = client.list(remote, &filter).await?;
    let resolved = reference.resolve(&listing)?.remove(0);
    let repository = session.fetch(&[resolved.tag.unwrap_or(resolved.commit)]).await?;
    Ok((resolved, repository))
}

pub(crate) fn tar(view: &View, selection: &Selection, rules: &Rules) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    archive(view, selection, rules, &mut bytes, &Interrupt::default())?;
    Ok(bytes)
}

pub(crate) fn view(resolved: &Resolved, repository: &Repository) -> View {
    View::new(repository.clone(), repository.commit(resolved.commit).unwrap().tree)
}

pub(crate) fn list(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), content)
    });
    entries.collect()
}

fn everything() -> Rules {
    Rules::only(Patterns::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_reference_leads_to_its_commit() {
    let server = Server::start().await;
    let work = server.repository("r");
    work.write("a.yaml", "one");
    let first = work.commit("first\n\nbody");
    work.git(&["tag", "-a", "-m", "release", "v1.0.0"]);
    work.write("a.yaml", "two");
    let second = work.commit("second");
    work.git(&["tag", "1.1.0"]);
    work.git(&["tag", "v2.0.0-rc.1"]);
    work.git(&["update-ref", "refs/pull/7/head", &first]);
    work.write("a.yaml", "three");
    let third = work.commit("third");
    let hidden = work.git(&["commit-tree", "-m", "hidden", "-p", &first, "HEAD^{tree}"]);
    let remote = remote(&format!("{}/r/.git", server.url));
    let cases = [
        (Reference::Branch("main".into()), format!("main@sha1:{third}"), "three"),
        (Reference::Tag("v1.0.0".into()), format!("v1.0.0@sha1:{first}"), "one"),
        (Reference::Semver(">=1.0.0".into()), format!("1.1.0@sha1:{second}"), "two"),
        (Reference::Semver("1.0.x".into()), format!("v1.0.0@sha1:{first}"), "one"),
        (Reference::Name("refs/pull/7/head".into()), format!("refs/pull/7/head@sha1:{first}"), "one"),
        (Reference::Commit { id: second.clone(), branch: None }, format!("sha1:{second}"), "two"),
        (
            Reference::Commit { id: hidden.clone(), branch: Some("main".into()) },
            format!("main@sha1:{hidden}"),
            "three",
        ),
    ];
    for (reference, revision, content) in cases {
        let (resolved, repository) = fetch(&remote, &reference).await.unwrap();
        assert_eq!(resolved.revision(), revision);
        let view = view(&resolved, &repository);
        assert_eq!(view.read("a.yaml", 100).unwrap().as_deref(), Some(content.as_bytes()), "{reference:?}");
        assert!(
            !repository.contains(if content == "one" { &third } else { &first }.parse::<ObjectId>().unwrap())
        );
    }
    let (resolved, repository) = fetch(&remote, &Reference::Tag("v1.0.0".into())).await.unwrap();
    assert_eq!(repository.commit(resolved.commit).unwrap().subject(), "first");
    assert_eq!(repository.tag(resolved.tag.unwrap()).unwrap().name, "v1.0.0");
    assert_eq!(repository.peel(resolved.tag.unwrap()).unwrap(), resolved.commit);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_artifact_holds_what_git_checks_out() {
    let server = Server::start().await;
    let work = server.repository("r");
    for (path, content) in [
        ("b.txt", "b"),
        ("b/z", "z"),
        ("b/a/deep", "deep"),
        ("b-/x", "x"),
        ("é/ü", "ü"),
        ("LICENSE", ""),
        (".sourceignore", "*.md\n"),
        ("b/.sourceignore", "!keep.md"),
        ("b/keep.md", ""),
        ("x.md", ""),
    ] {
        work.write(path, content);
    }
    std::fs::set_permissions(work.path.join("b/z"), std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("b.txt", work.path.join("link")).unwrap();
    work.commit("files");
    let remote = remote(&format!("{}/r/.git", server.url));
    let (resolved, repository) = fetch(&remote, &Reference::Branch("main".into())).await.unwrap();
    let view = view(&resolved, &repository);
    let all = tar(&view, &Selection::all(), &everything()).unwrap();
    assert_eq!(all, tar(&view, &Selection::all(), &everything()).unwrap());
    let directory = tempfile::tempdir().unwrap();
    checkout(&view, &Selection::all(), directory.path(), &Interrupt::default()).unwrap();
    let from_disk =
        sluice_artifact::archive::write_directory(directory.path(), &everything(), Vec::new()).unwrap();
    assert_eq!(all, from_disk, "a tree and its checkout give the same bytes");
    let listed = list(&all);
    let names: Vec<&str> = listed.keys().map(String::as_str).collect();
    let expected = [
        ".",
        ".sourceignore",
        "LICENSE",
        "b",
        "b-",
        "b-/x",
        "b.txt",
        "b/.sourceignore",
        "b/a",
        "b/a/deep",
        "b/keep.md",
        "b/z",
        "x.md",
        "é",
        "é/ü",
    ];
    assert_eq!(names, expected);
    assert_eq!(listed["b/a/deep"], b"deep");

    let selected = Selection::directories(["./b/a", "é/"]);
    selected.check(&view).unwrap();
    let sparse = list(&tar(&view, &selected, &everything()).unwrap());
    assert_eq!(sparse.keys().collect::<Vec<_>>(), [".", "b", "b/a", "b/a/deep", "é", "é/ü"]);
    let missing = Selection::directories(["b/nope"]).check(&view).unwrap_err();
    assert_eq!(missing.to_string(), "sparse checkout dir 'b/nope' does not exist in repository");

    let found = patterns(&view, &Selection::all(), &Interrupt::default()).unwrap();
    assert_eq!(found.len(), 2);
    let ignored = list(&tar(&view, &Selection::all(), &Rules::for_source(found)).unwrap());
    assert!(ignored.contains_key("b/keep.md") && !ignored.contains_key("x.md"));
    assert!(patterns(&view, &selected, &Interrupt::default()).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_with_deep_deltas_and_large_files_are_read() {
    let server = Server::start().await;
    let work = server.repository("r");
    let mut text: Vec<String> = (0..4000).map(|i| format!("line {i} {}", i * 7919 % 10_007)).collect();
    for version in 0..60 {
        text[version * 13] = format!("changed {version}");
        work.write(&format!("f/{version:02}.txt"), text.join("\n"));
    }
    let noise: Vec<u8> = (0..5_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    work.write("noise.bin", &noise);
    let mut changed = noise.clone();
    changed[2_500_000] ^= 1;
    work.write("noise2.bin", &changed);
    changed[2_500_001] ^= 1;
    work.write("noise3.bin", &changed);
    work.commit("files");
    work.git(&["repack", "-q", "-a", "-d", "-f", "--depth=50", "--window=60"]);
    let remote = remote(&format!("{}/r/.git", server.url));
    let (resolved, repository) = fetch(&remote, &Reference::Branch("main".into())).await.unwrap();
    let view = view(&resolved, &repository);
    let listed = list(&tar(&view, &Selection::all(), &everything()).unwrap());
    assert_eq!(listed.len(), 1 + 1 + 60 + 3);
    assert_eq!(listed["f/59.txt"], text.join("\n").into_bytes());
    assert!(listed["noise.bin"] == noise && listed["noise3.bin"] == changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_protocol_servers_work_too() {
    // Without the header git answers as it did before protocol version 2.
    let server = Server::start().await;
    let work = server.repository("r");
    work.git(&["config", "protocol.version", "0"]);
    work.git(&["config", "uploadpack.advertiseRefs", "true"]);
    work.write("a", "1");
    let commit = work.commit("one");
    work.git(&["tag", "-a", "-m", "x", "v1.0.0"]);
    let empty = server.repository("empty");
    drop(empty);
    for name in ["r", "empty"] {
        std::fs::write(server.root.path().join(name).join(".git/v0"), "").unwrap();
    }
    let proxy = crate::hostile::downgrading(&server.url).await;
    let remote_of = |name: &str| remote(&format!("{proxy}/{name}/.git"));
    for reference in
        [Reference::Branch("main".into()), Reference::Tag("v1.0.0".into()), Reference::Semver("*".into())]
    {
        let (resolved, repository) = fetch(&remote_of("r"), &reference).await.unwrap();
        assert_eq!(resolved.commit.to_string(), commit, "{reference:?}");
        assert!(view(&resolved, &repository).read("a", 10).unwrap().is_some());
    }
    let mut session = Client::default().connect(&remote_of("empty"), &RefFilter::All).await.unwrap();
    assert!(session.is_empty().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said() {
    let server = Server::start().await;
    let work = server.repository("r");
    let url = format!("{}/r/.git", server.url);
    let mut session = Client::default().connect(&remote(&url), &RefFilter::All).await.unwrap();
    assert!(session.is_empty().await.unwrap());
    work.commit("one");
    assert!(!session.is_empty().await.unwrap());
    let error = fetch(&remote(&url), &Reference::Branch("nope".into())).await.unwrap_err();
    assert_eq!(error.to_string(), "couldn't find remote ref \"refs/heads/nope\"");
    let absent = Reference::Commit { id: "1".repeat(40), branch: None };
    assert!(matches!(fetch(&remote(&url), &absent).await, Err(Error::Remote(_))));
    let error =
        fetch(&remote(&format!("{}/absent", server.url)), &Reference::Branch("x".into())).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error =
        fetch(&remote(&format!("http://{closed}/x")), &Reference::Branch("x".into())).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach {closed}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_sent_and_refused_ones_told() {
    let gate = |request: &crate::server::Request| {
        let good = ["Basic dXNlcjpwYXNz", "Bearer token"];
        let status = match request.header("authorization") {
            Some(value) if good.contains(&value) => return None,
            Some("Bearer forbidden") => "403 Forbidden",
            _ => "401 Unauthorized",
        };
        Some(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
    };
    let server = Server::with_gate(Box::new(gate)).await;
    server.repository("r").commit("one");
    let url = format!("{}/r/.git", server.url);
    let with = |url: &str, credentials| Remote { credentials, ..remote(url) };
    let basic = |password: &str| Credentials::Basic { username: "user".into(), password: password.into() };
    let branch = Reference::Branch("main".into());
    for good in [
        with(&url, basic("pass")),
        with(&url, Credentials::Bearer("token".into())),
        remote(&url.replace("//", "//user:pass@")),
    ] {
        fetch(&good, &branch).await.unwrap();
    }
    for bad in
        [remote(&url), with(&url, basic("secret-word")), remote(&url.replace("//", "//user:secret-word@"))]
    {
        let error = fetch(&bad, &branch).await.unwrap_err();
        assert!(matches!(error, Error::Unauthenticated(_)));
        assert!(!format!("{error} {error:?} {bad:?}").contains("secret-word"), "{error}");
    }
    let error = fetch(&with(&url, Credentials::Bearer("forbidden".into())), &branch).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)));
    let both = with(&url.replace("//", "//user:pass@"), Credentials::Bearer("token".into()));
    assert!(matches!(fetch(&both, &branch).await, Err(Error::Configuration(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_are_shared_for_a_while() {
    let server = Server::start().await;
    let work = server.repository("r");
    work.commit("one");
    work.git(&["branch", "other"]);
    let remote = remote(&format!("{}/r/.git", server.url));
    let listings = sluice_git::Listings::new(Client::default());
    let age = std::time::Duration::from_secs(30);
    let branch = |name: &str| Reference::Branch(name.into()).filter().unwrap().unwrap();
    let count = || server.requests.lock().unwrap().len();
    let (listing, session) = listings.list(&remote, &branch("main"), age).await.unwrap();
    assert!(session.is_some() && listing.refs.len() == 1 && count() == 2);
    let (again, session) = listings.list(&remote, &branch("main"), age).await.unwrap();
    assert!(session.is_none() && again == listing && count() == 2);
    // Another branch makes all known, and from then on both.
    listings.list(&remote, &branch("other"), age).await.unwrap();
    assert_eq!(count(), 4);
    for name in ["main", "other"] {
        assert_eq!(listings.list(&remote, &branch(name), age).await.unwrap().0.refs.len(), 1);
    }
    assert_eq!(count(), 4);
    assert!(listings.list(&remote, &branch("main"), std::time::Duration::ZERO).await.unwrap().1.is_some());
    let others = Remote { credentials: Credentials::Bearer("x".into()), ..remote.clone() };
    assert!(listings.list(&others, &branch("main"), age).await.unwrap().1.is_some());
}

//! Repositories in repositories.

use sluice_artifact::Rules;
use sluice_artifact::ignore::Patterns;
use sluice_git::tree::{Selection, View};
use sluice_git::{Client, Error, Reference, attach_submodules};

use crate::fetching::{fetch, list, remote, tar};
use crate::server::Server;

async fn attached(url: &str, selection: &Selection) -> Result<View, Error> {
    let remote = remote(url);
    let (resolved, repository) = fetch(&remote, &Reference::Branch("main".into())).await?;
    let tree = repository.commit(resolved.commit)?.tree;
    let mut view = View::new(repository, tree);
    attach_submodules(&Client::default(), &remote, &mut view, selection).await?;
    Ok(view)
}

fn add(work: &crate::server::Work, url: &str, path: &str) {
    work.git(&["-c", "protocol.allow=always", "submodule", "--quiet", "add", url, path]);
    work.commit("submodule");
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_are_fetched_recursively_at_their_commits() {
    let server = Server::start().await;
    let inner = server.repository("inner");
    inner.write("inner.txt", "old");
    let old = inner.commit("one");
    let middle = server.repository("middle");
    middle.write("middle.txt", "m");
    middle.commit("one");
    add(&middle, &format!("{}/inner/.git", server.url), "deep/inner");
    inner.write("inner.txt", "new");
    inner.commit("two");
    let outer = server.repository("outer");
    outer.write("outer.txt", "o");
    outer.commit("one");
    add(&outer, &format!("{}/middle/.git", server.url), "libs/middle");
    // Relative, as most are.
    outer.git(&["config", "-f", ".gitmodules", "submodule.libs/middle.url", "../../middle/.git"]);
    outer.commit("relative");
    assert!(!old.is_empty());

    let url = format!("{}/outer/.git", server.url);
    let everything = Rules::for_source(Patterns::new());
    let view = attached(&url, &Selection::all()).await.unwrap();
    let listed = list(&tar(&view, &Selection::all(), &everything).unwrap());
    assert_eq!(listed["libs/middle/deep/inner/inner.txt"], b"old");
    assert_eq!(listed["libs/middle/middle.txt"], b"m");
    assert!(!listed.keys().any(|name| name.contains(".git")), "{:?}", listed.keys());

    let elsewhere = Selection::directories(["outer.txt"]);
    assert!(attached(&url, &elsewhere).await.unwrap().submodules.is_empty());
    let within = Selection::directories(["libs/middle/deep"]);
    let view = attached(&url, &within).await.unwrap();
    let listed = list(&tar(&view, &within, &everything).unwrap());
    let expected = [
        ".",
        "libs",
        "libs/middle",
        "libs/middle/deep",
        "libs/middle/deep/inner",
        "libs/middle/deep/inner/inner.txt",
    ];
    assert_eq!(listed.keys().collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submodule_that_cannot_be_had_is_named() {
    let server = Server::start().await;
    let inner = server.repository("inner");
    inner.commit("one");
    for url in ["file:///etc", "ext::sh -c touch% /tmp/x", "../../../../../x"] {
        let work = server.repository(&format!("r{}", url.len()));
        work.commit("one");
        add(&work, &format!("{}/inner/.git", server.url), "lib");
        work.git(&["config", "-f", ".gitmodules", "submodule.lib.url", url]);
        work.commit("hostile");
        let error =
            attached(&format!("{}/r{}/.git", server.url, url.len()), &Selection::all()).await.unwrap_err();
        assert_eq!(error.to_string(), "submodule 'lib'", "{url}");
    }
}

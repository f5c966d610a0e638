//! Commits that are made here, as git sees them.

use sluice_git::{Change, Client, Error, Identity, Reference, Remote, commit};

use crate::fetching::{fetch, remote};
use crate::server::{Server, Work};

fn author() -> Identity {
    Identity { name: "Robot".into(), email: "robot@example.com".into(), seconds: 1_700_000_000 }
}

fn change(path: &str, content: Option<&str>) -> Change {
    Change { path: path.into(), content: content.map(Into::into), executable: false }
}

/// A first commit, then a change and a removal beside files that stay; returns the second commit.
pub(crate) async fn push_twice(remote: &Remote, work: &Work) -> Result<(), Error> {
    let client = Client::default();
    let first = commit(
        None,
        &[
            change("clusters/a/x.yaml", Some("x: 1\n")),
            change("README", Some("hi\n")),
            change("a/b", Some("b")),
        ],
        &author(),
        "Begin",
        None,
    )?;
    client.push(remote, "refs/heads/main", None, &first).await?;
    assert_eq!(work.git(&["rev-parse", "main"]), first.id.to_string());

    let (resolved, repository) = fetch(remote, &Reference::Branch("main".into())).await?;
    let changes =
        [change("clusters/a/x.yaml", Some("x: 2\n")), change("a/b", None), change("a.txt", Some("t"))];
    let second = commit(Some((&repository, resolved.commit)), &changes, &author(), "Change\n\nbody", None)?;
    client.push(remote, "refs/heads/main", Some(resolved.commit), &second).await?;
    // git itself finds nothing to say about it.
    work.git(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(work.git(&["show", "main:clusters/a/x.yaml"]), "x: 2");
    assert_eq!(work.git(&["ls-tree", "-r", "--name-only", "main"]), "README\na.txt\nclusters/a/x.yaml");
    assert_eq!(
        work.git(&["log", "--format=%an %ae %at %s", "main"]),
        "Robot robot@example.com 1700000000 Change\nRobot robot@example.com 1700000000 Begin"
    );

    // Who comes with an old state writes nothing.
    let late =
        commit(Some((&repository, resolved.commit)), &[change("late", Some("x"))], &author(), "Late", None)?;
    let error = client.push(remote, "refs/heads/main", Some(resolved.commit), &late).await.unwrap_err();
    assert!(matches!(error, Error::Overtaken(_)), "{error}");
    assert_eq!(work.git(&["rev-parse", "main"]), second.id.to_string());
    // Another branch begins at a commit that the server has.
    client.push(remote, "refs/heads/other", None, &late).await?;
    assert_eq!(work.git(&["rev-parse", "other"]), late.id.to_string());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_arrive_over_http_and_git_finds_them_sound() {
    let server = Server::start().await;
    let work = server.repository("r");
    work.git(&["config", "http.receivepack", "true"]);
    work.git(&["config", "receive.denyCurrentBranch", "ignore"]);
    push_twice(&remote(&format!("{}/r", server.url)), &work).await.unwrap();
    // A hook that says no.
    let hook = work.path.join(".git/hooks/update");
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let made = commit(None, &[change("a", Some("x"))], &author(), "m", None).unwrap();
    let error =
        Client::default().push(&remote(&format!("{}/r", server.url)), "refs/heads/new", None, &made).await;
    assert!(matches!(error, Err(Error::Rejected { .. })), "{error:?}");
}

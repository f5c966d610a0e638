use super::*;
use std::process::Command;

/// The git program as a client, in a folder that is not there yet.
fn git(settings: &[(&str, &str)], arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("git");
    repository::isolate(&mut command);
    for (key, value) in settings {
        command.arg("-c").arg(format!("{key}={value}"));
    }
    let output = command.args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

async fn with_commit(builder: GitServerBuilder) -> (GitServer, Repository, String) {
    let server = builder.start().await.unwrap();
    let repository = server.repository("app").unwrap();
    repository.write("a/b.txt", "hello\n").unwrap();
    let commit = repository.commit("first").unwrap();
    (server, repository, commit)
}

#[tokio::test(flavor = "multi_thread")]
async fn git_itself_can_clone_push_and_list_and_each_is_counted() {
    let (server, repository, commit) = with_commit(GitServer::builder()).await;
    let listed = git(&[], &["ls-remote", repository.url(), "refs/heads/main"]).unwrap();
    assert_eq!(listed, format!("{commit}\trefs/heads/main\n"));
    assert_eq!((server.count(Operation::ListReferences), server.count(Operation::Fetch)), (1, 0));

    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().join("clone");
    let clone = clone.to_str().unwrap();
    git(&[], &["clone", "--quiet", "--depth=1", repository.url(), clone]).unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("clone/a/b.txt")).unwrap(), "hello\n");
    assert_eq!(server.count(Operation::Fetch), 1);

    std::fs::write(folder.path().join("clone/new"), "x").unwrap();
    git(&[], &["-C", clone, "add", "."]).unwrap();
    git(&[], &["-C", clone, "commit", "--quiet", "-m", "second"]).unwrap();
    git(&[], &["-C", clone, "push", "--quiet", "origin", "HEAD:refs/heads/feature"]).unwrap();
    assert!(repository.git(["branch", "--list"]).unwrap().contains("feature"));
    assert_eq!(server.count(Operation::Push), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_asked_for_and_checked() {
    let access = Access::Basic("user".into(), "secret".into());
    let (server, repository, _) = with_commit(GitServer::builder().access(access)).await;
    assert!(git(&[], &["ls-remote", repository.url()]).is_err());
    let with_login = |login: &str| repository.url().replace("//", &format!("//{login}@"));
    assert!(git(&[], &["ls-remote", &with_login("user:wrong")]).is_err());
    git(&[], &["ls-remote", &with_login("user:secret")]).unwrap();
    assert!(server.requests().iter().any(|request| request.status == 401 && !request.authorized));

    server.set_access(Access::Bearer("token".into()));
    git(&[("http.extraHeader", "Authorization: Bearer token")], &["ls-remote", repository.url()]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_trusted_with_its_ca_only_and_may_ask_for_a_certificate() {
    let (server, repository, _) = with_commit(GitServer::builder().client_certificates()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = server.client_certificate().unwrap();
    let (ca, certificate, key) =
        (file("ca", server.ca().unwrap()), file("certificate", certificate), file("key", key));
    let trusting = ("http.sslCAInfo", ca.as_str());
    let identified = [trusting, ("http.sslCert", certificate.as_str()), ("http.sslKey", key.as_str())];
    git(&identified, &["ls-remote", repository.url()]).unwrap();
    assert!(git(&[trusting], &["ls-remote", repository.url()]).is_err());
    assert!(git(&identified[1..], &["ls-remote", repository.url()]).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_happen_once_and_in_order() {
    let (server, repository, _) = with_commit(GitServer::builder()).await;
    server.inject(Fault::Status(503));
    server.inject(Fault::Cut);
    assert!(git(&[], &["ls-remote", repository.url()]).unwrap_err().contains("503"));
    assert!(git(&[], &["ls-remote", repository.url()]).is_err());
    git(&[], &["ls-remote", repository.url()]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_history_has_the_same_ids() {
    let (_one, first, _) = with_commit(GitServer::builder()).await;
    let (_two, second, _) = with_commit(GitServer::builder()).await;
    assert_eq!(first.head().unwrap(), second.head().unwrap());
    assert!(second.replace("a/b.txt", "nowhere", "x").is_err());
}

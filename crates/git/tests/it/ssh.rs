//! Git over SSH, against OpenSSH's server where it is installed.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sluice_git::{Client, Credentials, Error, RefFilter, Reference, Remote, RemoteUrl, SshAlgorithms};

use crate::fetching::{fetch, view};
use crate::server::{Work, lacking};

/// `sshd` on loopback, with keys of its own.
struct Sshd {
    directory: tempfile::TempDir,
    port: u16,
    user: String,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Sshd {
    /// `None` where OpenSSH's server is not installed.
    fn start(accept_environment: bool) -> Option<Self> {
        let program = Path::new("/usr/sbin/sshd");
        if !program.exists() {
            lacking("openssh-server is not installed");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (kind, bits) in [("ed25519", "256"), ("ecdsa", "384"), ("rsa", "2048")] {
            for name in ["host", "client"] {
                let file = format!("{name}_{kind}");
                run("ssh-keygen", &["-q", "-t", kind, "-b", bits, "-N", "", "-C", "test", "-f", &file], path);
            }
        }
        let locked = ["-q", "-t", "ed25519", "-N", "open sesame", "-C", "test", "-f", "client_locked"];
        run("ssh-keygen", &locked, path);
        let mut authorized = String::new();
        for kind in ["ed25519", "ecdsa", "rsa", "locked"] {
            authorized.push_str(&std::fs::read_to_string(path.join(format!("client_{kind}.pub"))).unwrap());
        }
        std::fs::write(path.join("authorized"), authorized).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shown = path.display();
        let environment = if accept_environment { "AcceptEnv GIT_PROTOCOL\n" } else { "" };
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host_ed25519\nHostKey {shown}/host_ecdsa\n\
             HostKey {shown}/host_rsa\nAuthorizedKeysFile {shown}/authorized\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n{environment}"
        );
        std::fs::write(path.join("config"), config).unwrap();
        // Where the server runs as root it insists on this directory.
        let _ = std::fs::create_dir_all("/run/sshd");
        let child = Command::new(program)
            .args(["-D", "-e", "-f"])
            .arg(path.join("config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let user = run("id", &["-un"], path);
        Some(Sshd { directory, port, user, child })
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    fn repository(&self) -> Work {
        let path = self.directory.path().join("it's a repository!");
        std::fs::create_dir(&path).unwrap();
        let work = Work { path };
        work.git(&["init", "-q", "-b", "main"]);
        work
    }

    fn url(&self, path: &Path) -> RemoteUrl {
        let path = path.display().to_string().replace(' ', "%20");
        RemoteUrl::parse(&format!("ssh://{}@127.0.0.1:{}{path}", self.user, self.port)).unwrap()
    }

    fn known(&self, kind: &str) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.read(&format!("host_{kind}.pub")))
    }

    fn remote(&self, path: &Path, client: &str, known_hosts: String) -> Remote {
        let identity = self.read(&format!("client_{client}"));
        let credentials = Credentials::Ssh { identity, passphrase: None, known_hosts };
        Remote { credentials, ..Remote::anonymous(self.url(path)) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_key_logs_in_and_proves_the_host() {
    for accept_environment in [true, false] {
        let Some(sshd) = Sshd::start(accept_environment) else { return };
        let work = sshd.repository();
        work.write("a", "content");
        let commit = work.commit("one");
        work.git(&["tag", "-a", "-m", "x", "v1.0.0"]);
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let remote = sshd.remote(&work.path, kind, sshd.known(kind));
            for reference in [Reference::Branch("main".into()), Reference::Semver("1.x".into())] {
                let (resolved, repository) = fetch(&remote, &reference).await.unwrap();
                assert_eq!(resolved.commit.to_string(), commit, "{kind}");
                assert!(view(&resolved, &repository).read("a", 100).unwrap().is_some());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_keys_need_their_passphrase() {
    let Some(sshd) = Sshd::start(true) else { return };
    let work = sshd.repository();
    work.commit("one");
    let with = |passphrase: Option<&str>| {
        let identity = sshd.read("client_locked");
        let passphrase = passphrase.map(str::to_owned);
        let credentials = Credentials::Ssh { identity, passphrase, known_hosts: sshd.known("ed25519") };
        Remote { credentials, ..Remote::anonymous(sshd.url(&work.path)) }
    };
    let branch = Reference::Branch("main".into());
    fetch(&with(Some("open sesame")), &branch).await.unwrap();
    let error = fetch(&with(None), &branch).await.unwrap_err();
    assert!(matches!(error, Error::KeyEncrypted), "{error}");
    let error = fetch(&with(Some("wrong")), &branch).await.unwrap_err().to_string();
    assert!(error.contains("wrong passphrase") && !error.contains("\"wrong\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_hosts_keys_users_and_paths_are_refused() {
    let Some(sshd) = Sshd::start(true) else { return };
    let work = sshd.repository();
    work.commit("one");
    let branch = Reference::Branch("main".into());
    // The client's own key in place of the host's.
    let wrong = format!("[127.0.0.1]:{} {}", sshd.port, sshd.read("client_ed25519.pub"));
    let error = fetch(&sshd.remote(&work.path, "ed25519", wrong), &branch).await.unwrap_err();
    assert!(matches!(error, Error::HostKey(_)), "{error}");
    let other = format!("other {}", sshd.read("host_ed25519.pub"));
    let expected = format!("knownhosts: no key for the host [127.0.0.1]:{}", sshd.port);
    for (unknown, expected) in
        [(other, expected.as_str()), (String::new(), "knownhosts: it holds no host key")]
    {
        let error = fetch(&sshd.remote(&work.path, "ed25519", unknown), &branch).await.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let stranger = PathBuf::from("stranger");
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "client_stranger"], sshd.directory.path());
    let error =
        fetch(&sshd.remote(&work.path, "stranger", sshd.known("ed25519")), &branch).await.unwrap_err();
    assert!(matches!(error, Error::Unauthenticated(_)), "{error}");
    let error =
        fetch(&sshd.remote(&Path::new("/").join(stranger), "ed25519", sshd.known("ed25519")), &branch).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("does not appear to be a git repository"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn algorithms_can_be_chosen() {
    let Some(sshd) = Sshd::start(true) else { return };
    let work = sshd.repository();
    work.commit("one");
    let all = [sshd.known("ed25519"), sshd.known("ecdsa"), sshd.known("rsa")].concat();
    let remote = sshd.remote(&work.path, "ed25519", all);
    let with = |key_exchange: &[&str], host_key: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Client::default()
            .with_ssh(SshAlgorithms { key_exchange: names(key_exchange), host_key: names(host_key) })
    };
    for (key_exchange, host_key) in [
        (&["curve25519-sha256"][..], &["rsa-sha2-512"][..]),
        (&["ecdh-sha2-nistp256", "curve25519-sha256"], &["ecdsa-sha2-nistp384"]),
        (&[], &["ssh-ed25519"]),
    ] {
        with(key_exchange, host_key).connect(&remote, &RefFilter::All).await.map(|_| ()).unwrap();
    }
    let bad = with(&["nonsense"], &[]).connect(&remote, &RefFilter::All).await;
    assert!(matches!(bad, Err(Error::Configuration(_))));
    let bad = with(&[], &["ssh-nonsense@x"]).connect(&remote, &RefFilter::All).await;
    assert!(bad.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_arrive() {
    let Some(sshd) = Sshd::start(true) else { return };
    let work = sshd.repository();
    work.git(&["config", "receive.denyCurrentBranch", "ignore"]);
    let remote = sshd.remote(&work.path, "ed25519", sshd.known("ed25519"));
    crate::pushing::push_twice(&remote, &work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_not_fetched_again() {
    for accept_environment in [true, false] {
        let Some(sshd) = Sshd::start(accept_environment) else { return };
        let work = sshd.repository();
        crate::caching::write_files(&work, 50);
        work.commit("one");
        let remote = sshd.remote(&work.path, "ed25519", sshd.known("ed25519"));
        let cache = sluice_git::ObjectCache::new(1 << 30);
        crate::caching::fetch_kept(&cache, &remote).await;
        let first = cache.bytes();
        work.write("new", "content");
        let commit = work.commit("two");
        let (resolved, repository) = crate::caching::fetch_kept(&cache, &remote).await;
        assert_eq!(resolved.commit.to_string(), commit);
        assert!(view(&resolved, &repository).read("new", 100).unwrap().is_some());
        assert!(cache.bytes() < first + first / 4, "{} after {first}", cache.bytes());
    }
}

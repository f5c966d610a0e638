//! Signatures made by gpg and ssh-keygen through git.

use std::process::{Command, Stdio};

use sluice_git::{
    Change, Client, Error, Identity, Keyring, Reference, SignError, SigningKey, Target, commit,
};

use crate::fetching::{fetch, remote};
use crate::server::{Server, Work, lacking};

/// A GnuPG home with one key; `None` where gpg is not installed.
struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    fn new(parameters: &str) -> Option<Self> {
        let home = tempfile::Builder::new().prefix("g").tempdir().unwrap();
        let gpg = Gpg { home };
        let Ok(mut child) =
            gpg.command().args(["--batch", "--quiet", "--generate-key"]).stdin(Stdio::piped()).spawn()
        else {
            lacking("gpg is not installed");
            return None;
        };
        let text =
            format!("%no-protection\n{parameters}\nName-Real: Test\nName-Email: test@example.com\n%commit\n");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        Some(gpg)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.home.path()).stderr(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.command().args(["--batch", "--yes"]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    }

    fn public(&self) -> Vec<u8> {
        self.run(&["--armor", "--export"])
    }

    fn git(&self, work: &Work, arguments: &[&str]) {
        let status = Command::new("git")
            .current_dir(&work.path)
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
            .args(arguments)
            .env("GNUPGHOME", self.home.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}");
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").env("GNUPGHOME", self.home.path()).args(["--kill", "all"]).status();
    }
}

fn keyring(entries: &[(&str, &[u8])]) -> Keyring {
    let mut keys = Keyring::new();
    for (name, content) in entries {
        keys.add(name, content).unwrap();
    }
    keys
}

const ED25519: &str = "Key-Type: eddsa\nKey-Curve: ed25519\nKey-Usage: sign";
const WITH_SUBKEY: &str = "Key-Type: rsa\nKey-Length: 2048\nKey-Usage: cert\nSubkey-Type: rsa\nSubkey-Length: 2048\nSubkey-Usage: sign";

#[tokio::test(flavor = "multi_thread")]
async fn pgp_signatures_of_commits_and_tags_verify() {
    let other = Gpg::new(ED25519);
    for parameters in [ED25519, WITH_SUBKEY] {
        let (Some(gpg), Some(other)) = (Gpg::new(parameters), &other) else { return };
        let server = Server::start().await;
        let work = server.repository("r");
        gpg.git(&work, &["commit", "-q", "-S", "--allow-empty", "-m", "signed\n\nbody\n"]);
        gpg.git(&work, &["tag", "-s", "-m", "release", "v1.0.0"]);
        let remote = remote(&format!("{}/r/.git", server.url));
        let (resolved, repository) = fetch(&remote, &Reference::Tag("v1.0.0".into())).await.unwrap();
        let commit = repository.commit(resolved.commit).unwrap().signature().unwrap();
        let tag = repository.tag(resolved.tag.unwrap()).unwrap().signature().unwrap();
        let (own, others) = (gpg.public(), other.public());
        let keys = keyring(&[("other.asc", &others), ("own.asc", &own)]);
        let listed = gpg.run(&["--with-colons", "--list-keys"]);
        let listed = String::from_utf8(listed).unwrap();
        let id = listed.lines().find(|l| l.starts_with("pub:")).unwrap().split(':').nth(4).unwrap();
        assert_eq!(keys.verify(&commit).unwrap(), id);
        assert_eq!(keys.verify(&tag).unwrap(), id);

        let error = keyring(&[("other.asc", &others)]).verify(&commit).unwrap_err();
        assert_eq!(error.to_string(), "unable to verify payload with any of the given key rings");
        for forged in [&commit, &tag] {
            let mut forged = forged.clone();
            forged.payload.push(b'x');
            assert!(keys.verify(&forged).is_err());
            assert!(
                keys.verify(&sluice_git::Signature {
                    signature: commit.signature.clone(),
                    payload: tag.payload.clone()
                })
                .is_err()
            );
        }
        let fingerprint = listed.lines().find(|l| l.starts_with("fpr:")).unwrap().split(':').nth(9).unwrap();
        gpg.run(&["--quick-set-expire", fingerprint, "seconds=1"]);
        std::thread::sleep(std::time::Duration::from_millis(2100));
        let error = keyring(&[("own.asc", &gpg.public())]).verify(&commit).unwrap_err();
        assert_eq!(error.to_string(), format!("the signing key has expired: {id}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_signatures_verify() {
    let directory = tempfile::tempdir().unwrap();
    let generate = |kind: &str, file: &str| {
        let arguments = ["-q", "-t", kind, "-N", "", "-C", "test", "-f", file];
        Command::new("ssh-keygen").args(arguments).current_dir(directory.path()).status()
    };
    if generate("ed25519", "other").is_err() {
        lacking("ssh-keygen is not installed");
        return;
    }
    for kind in ["ed25519", "ecdsa", "rsa"] {
        assert!(generate(kind, kind).unwrap().success());
        let server = Server::start().await;
        let work = server.repository("r");
        let key = directory.path().join(kind).display().to_string();
        work.git(&["config", "gpg.format", "ssh"]);
        work.git(&["config", "user.signingkey", &key]);
        work.git(&["commit", "-q", "-S", "--allow-empty", "-m", "signed"]);
        work.git(&["tag", "-s", "-m", "release", "v1.0.0"]);
        let remote = remote(&format!("{}/r/.git", server.url));
        let (resolved, repository) = fetch(&remote, &Reference::Tag("v1.0.0".into())).await.unwrap();
        let commit = repository.commit(resolved.commit).unwrap().signature().unwrap();
        let tag = repository.tag(resolved.tag.unwrap()).unwrap().signature().unwrap();
        let public = |name: &str| std::fs::read(directory.path().join(format!("{name}.pub"))).unwrap();
        let both = [public("other"), b"# comment\n".to_vec(), public(kind)].concat();
        let keys = keyring(&[("keys.sshpub", &both)]);
        for signed in [&commit, &tag] {
            assert!(keys.verify(signed).unwrap().starts_with("SHA256:"), "{kind}");
            let mut forged = signed.clone();
            forged.payload.push(b'x');
            assert!(keys.verify(&forged).is_err());
        }
        assert!(keyring(&[("keys.sshpub", &public("other"))]).verify(&commit).is_err());
    }
}

#[test]
fn keys_that_are_none_are_named() {
    for (name, content) in [
        ("a.asc", &b"s3cret"[..]),
        ("b.sshpub", b"s3cret"),
        ("c", b""),
        ("d.sshpub", b"\n"),
        ("e.sshpub", b"ssh-ed25519 x"),
    ] {
        let error = Keyring::new().add(name, content).unwrap_err();
        assert!(matches!(error, Error::Signature(_)));
        let text = error.to_string();
        assert!(text.contains(&format!("'{name}'")) && !text.contains("s3cret"), "{text}");
    }
    let unsupported =
        sluice_git::Signature { signature: "-----BEGIN SIGNED MESSAGE-----".into(), payload: Vec::new() };
    assert!(Keyring::new().verify(&unsupported).is_err());
}

/// Makes a signed commit, pushes it with an option, fetches it again and gives its signature.
async fn signed_here(key: &SigningKey) -> sluice_git::Signature {
    let server = Server::start().await;
    let work = server.repository("r");
    work.git(&["config", "http.receivepack", "true"]);
    work.git(&["config", "receive.advertisePushOptions", "true"]);
    let hook = work.path.join(".git/hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\ntest \"$GIT_PUSH_OPTION_0\" = ci.skip=1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let remote = remote(&format!("{}/r/.git", server.url));
    let change = Change { path: "a".into(), content: Some(b"x".to_vec()), executable: false };
    let author = Identity { name: "Robot".into(), email: "robot@example.com".into(), seconds: 1_700_000_000 };
    let sign = |payload: &[u8]| key.sign(payload);
    let made = commit(None, &[change], &author, "Signed\n\nbody", Some(&sign)).unwrap();
    let mut target = Target { reference: "refs/heads/new", old: None, force: false, options: &[] };
    let refused = Client::default().push_to(&remote, &target, &made).await.unwrap_err();
    assert!(matches!(refused, Error::Rejected { .. }), "{refused}");
    let options = ["ci.skip=1".to_owned()];
    target.options = &options;
    Client::default().push_to(&remote, &target, &made).await.unwrap();
    let (resolved, repository) = fetch(&remote, &Reference::Branch("new".into())).await.unwrap();
    repository.commit(resolved.commit).unwrap().signature().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_that_are_signed_here_verify() {
    for parameters in [ED25519, WITH_SUBKEY] {
        let Some(gpg) = Gpg::new(parameters) else { return };
        let secret = gpg.run(&["--armor", "--export-secret-keys"]);
        let signed = signed_here(&SigningKey::pgp(&secret, None).unwrap()).await;
        keyring(&[("own.asc", &gpg.public())]).verify(&signed).unwrap();
        if parameters == WITH_SUBKEY {
            // The primary key stays at home, as it should.
            let secret = gpg.run(&["--armor", "--export-secret-subkeys"]);
            let signed = signed_here(&SigningKey::pgp(&secret, None).unwrap()).await;
            keyring(&[("own.asc", &gpg.public())]).verify(&signed).unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "open sesame", "-f"])
        .arg(&file)
        .status();
    assert!(made.unwrap().success());
    let identity = std::fs::read_to_string(&file).unwrap();
    assert_eq!(SigningKey::ssh(&identity, None).unwrap_err(), SignError::Encrypted);
    assert_eq!(SigningKey::ssh(&identity, Some("wrong")).unwrap_err(), SignError::Passphrase);
    let signed = signed_here(&SigningKey::ssh(&identity, Some("open sesame")).unwrap()).await;
    let public = std::fs::read(file.with_extension("pub")).unwrap();
    keyring(&[("own.sshpub", &public)]).verify(&signed).unwrap();
}

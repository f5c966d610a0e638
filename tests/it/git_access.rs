//! Ways to a Git server and what can be wrong with them: proxies, SSH keys, Secrets.

use crate::gitops::{GitOps, SOURCE, gitops, login, message};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{Access, ForwardProxy, GitServer, SocksProxy, SshServer, condition};
use std::io::Write as _;
use std::process::Command;

const KIND: &str = "GitRepository";

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_with_a_login_is_passed_with_and_without_tls() -> Result<()> {
    gitops("proxy", async |ops| {
        let proxy = ForwardProxy::start("user", "proxy-s3cret").await?;
        let secret =
            |password: &str| json!({"address": proxy.address(), "username": "user", "password": password});
        ops.secret("proxy", secret("proxy-s3cret")).await?;
        ops.secret("wrong", secret("wrong-s3cret")).await?;
        let secure = GitServer::builder().tls().start().await?;
        let repository = secure.repository("app")?;
        let through_tls = repository.commit("Secure")?;
        ops.secret("ca", json!({"ca.crt": secure.ca()})).await?;
        let plain = ops.repository.commit("Plain")?;

        let by = |name: &str| json!({"proxySecretRef": {"name": name}});
        ops.git_repository(by("proxy")).await?;
        ops.stored("app", &format!("main@sha1:{plain}")).await?;
        let spec = json!({"proxySecretRef": {"name": "proxy"}, "secretRef": {"name": "ca"}});
        ops.git_repository_named("secure", repository.url(), spec).await?;
        ops.stored("secure", &format!("main@sha1:{through_tls}")).await?;
        let passed = proxy.passed();
        let host = ops.server.url().replace("http://", "");
        ensure!(
            passed.iter().any(|seen| seen.starts_with(&format!("GET http://{host}/app.git/info/refs"))),
            "{passed:?}"
        );
        let tunnel = format!("CONNECT {}", secure.url().replace("https://", ""));
        ensure!(passed.contains(&tunnel), "{passed:?}");
        // The login of the proxy is for the proxy.
        ensure!(ops.server.requests().iter().all(|request| !request.authorized));

        ops.git_repository_named("wrong", ops.repository.url(), by("wrong")).await?;
        ops.git_repository_named(
            "wrong-secure",
            repository.url(),
            json!({"proxySecretRef": {"name": "wrong"}, "secretRef": {"name": "ca"}}),
        )
        .await?;
        for name in ["wrong", "wrong-secure"] {
            let failed = ops.fails(SOURCE, KIND, name, "GitOperationFailed").await?;
            ensure!(message(&failed).to_lowercase().contains("proxy"), "{}", message(&failed));
        }
        shows_no_secret(ops, &["wrong", "wrong-secure"]).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socks_proxy_is_passed_with_and_without_tls() -> Result<()> {
    gitops("socks", async |ops| {
        let proxy = SocksProxy::start("user", "proxy-s3cret").await?;
        for (name, password) in [("proxy", "proxy-s3cret"), ("wrong", "wrong-s3cret")] {
            let secret = json!({"address": proxy.address(), "username": "user", "password": password});
            ops.secret(name, secret).await?;
        }
        let secure = GitServer::builder().tls().start().await?;
        let repository = secure.repository("app")?;
        let (through_tls, plain) = (repository.commit("Secure")?, ops.repository.commit("Plain")?);
        ops.secret("ca", json!({"ca.crt": secure.ca()})).await?;
        let by = |name: &str| json!({"proxySecretRef": {"name": name}});
        ops.git_repository(by("proxy")).await?;
        let spec = json!({"proxySecretRef": {"name": "proxy"}, "secretRef": {"name": "ca"}});
        ops.git_repository_named("secure", repository.url(), spec).await?;
        ops.git_repository_named("wrong", ops.repository.url(), by("wrong")).await?;
        ops.stored("app", &format!("main@sha1:{plain}")).await?;
        ops.stored("secure", &format!("main@sha1:{through_tls}")).await?;
        for url in [ops.server.url(), secure.url()] {
            let target = url.split_once("://").map_or("", |(_, target)| target);
            ensure!(proxy.passed().iter().any(|passed| passed == target), "{target}: {:?}", proxy.passed());
        }
        ops.fails(SOURCE, KIND, "wrong", "GitOperationFailed").await?;
        shows_no_secret(ops, &["wrong", "secure"]).await
    })
    .await
}

/// Whether a value of a Secret is in the status, the Events or the log.
async fn shows_no_secret(ops: &GitOps, names: &[&str]) -> Result<()> {
    for name in names {
        let status = ops.get(SOURCE, KIND, name).await?.data["status"].to_string();
        ensure!(!status.contains("s3cret"), "{name}: {status}");
        let events = ops.events(KIND, name).await?;
        ensure!(events.iter().all(|(_, _, text)| !text.contains("s3cret")), "{name}: {events:?}");
    }
    let log = std::fs::read_to_string(ops.source.log_file())?;
    let line = log.lines().find(|line| line.contains("s3cret"));
    ensure!(line.is_none(), "{line:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_keys_of_every_kind_open_the_door_and_the_host_is_checked() -> Result<()> {
    if !std::path::Path::new("/usr/sbin/sshd").exists() {
        ensure!(std::env::var_os("CI").is_none(), "openssh-server is not installed; .ci/run installs it");
        return Ok(());
    }
    gitops("ssh", async |ops| {
        let ssh = SshServer::start()?;
        let commit = ops.repository.commit("One")?;
        let url = ssh.url(ops.repository.served());
        let keys = tempfile::tempdir()?;
        let mut authorized = std::fs::OpenOptions::new().append(true).open(ssh.authorized_keys())?;
        let kinds: [(&str, &[&str], &str); 3] = [
            ("ed25519", &["-t", "ed25519"], ""),
            ("ecdsa", &["-t", "ecdsa", "-b", "521"], ""),
            ("rsa", &["-t", "rsa", "-b", "2048"], "passphrase-s3cret"),
        ];
        for (name, arguments, passphrase) in kinds {
            let file = keys.path().join(name);
            let made = Command::new("ssh-keygen")
                .args(["-q", "-C", "test", "-N", passphrase, "-f"])
                .arg(&file)
                .args(arguments)
                .status()?;
            ensure!(made.success());
            authorized.write_all(&std::fs::read(file.with_extension("pub"))?)?;
            let mut secret =
                json!({"identity": std::fs::read_to_string(&file)?, "known_hosts": ssh.known_hosts()?});
            if !passphrase.is_empty() {
                ops.secret("locked", secret.clone()).await?;
                secret["password"] = json!(passphrase);
            }
            ops.secret(name, secret).await?;
            ops.git_repository_named(name, &url, json!({"secretRef": {"name": name}})).await?;
        }
        for (name, ..) in kinds {
            ops.stored(name, &format!("main@sha1:{commit}")).await.context(name)?;
        }

        // Through proxies; the login of the proxy is for the proxy.
        let socks = SocksProxy::start("user", "proxy-s3cret").await?;
        let forward = ForwardProxy::start("user", "proxy-s3cret").await?;
        for (name, address, password) in [
            ("socks", socks.address(), "proxy-s3cret"),
            ("forward", forward.address(), "proxy-s3cret"),
            ("socks-wrong", socks.address(), "wrong-s3cret"),
            ("forward-wrong", forward.address(), "wrong-s3cret"),
            ("proxy-tls", "https://127.0.0.1:1", "proxy-s3cret"),
        ] {
            ops.secret(name, json!({"address": address, "username": "user", "password": password})).await?;
            let spec = json!({"secretRef": {"name": "ed25519"}, "proxySecretRef": {"name": name}});
            ops.git_repository_named(name, &url, spec).await?;
        }
        for name in ["socks", "forward"] {
            ops.stored(name, &format!("main@sha1:{commit}")).await.context(name)?;
        }
        ensure!(!socks.passed().is_empty());
        ensure!(forward.passed().iter().all(|passed| passed.starts_with("CONNECT ")), "{:?}", forward.passed());
        ensure!(!forward.passed().is_empty());
        for name in ["socks-wrong", "forward-wrong"] {
            let failed = message(&ops.fails(SOURCE, KIND, name, "GitOperationFailed").await?);
            ensure!(failed.contains("through the proxy"), "{failed}");
        }
        let failed = message(&ops.fails(SOURCE, KIND, "proxy-tls", "AuthenticationFailed").await?);
        ensure!(failed.contains("proxy-tls") && failed.contains("socks5"), "{failed}");

        // Another host key, and a key without its passphrase.
        let other = std::fs::read_to_string(keys.path().join("ed25519.pub"))?;
        let hosts = ssh.known_hosts()?;
        let place = hosts.split(' ').next().context("no host")?;
        let identity = std::fs::read_to_string(keys.path().join("ed25519"))?;
        ops.secret("impostor", json!({"identity": identity, "known_hosts": format!("{place} {other}")})).await?;
        for name in ["impostor", "locked"] {
            ops.git_repository_named(name, &url, json!({"secretRef": {"name": name}})).await?;
        }
        let failed = message(&ops.fails(SOURCE, KIND, "impostor", "GitOperationFailed").await?);
        ensure!(failed.contains("key mismatch"), "{failed}");
        let failed = message(&ops.fails(SOURCE, KIND, "locked", "AuthenticationFailed").await?);
        let namespace = &ops.namespace;
        let expected = format!("SSH identity key is encrypted but no 'password' field was provided in the secret '{namespace}/locked'");
        ensure!(failed.contains(&expected), "{failed}");
        shows_no_secret(ops, &["rsa", "impostor", "locked", "socks-wrong", "forward-wrong", "proxy-tls"]).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_cannot_be_used_are_named_with_their_key_and_no_value() -> Result<()> {
    gitops("bad-secrets", async |ops| {
        ops.server.set_access(Access::Basic("user".into(), "right".into()));
        ops.repository.commit("One")?;
        let secure = GitServer::builder().client_certificates().start().await?;
        secure.repository("app")?.commit("One")?;
        let (certificate, key) = secure.client_certificate().context("no certificate")?;
        let another = GitServer::builder().client_certificates().start().await?;
        let (_, wrong_key) = another.client_certificate().context("no certificate")?;
        let https = format!("{}/app.git", secure.url());
        let http = ops.repository.url().to_owned();
        let ssh = "ssh://git@127.0.0.1:1/app.git".to_owned();
        let url_login = http.replace("http://", "http://user:url-s3cret@");
        let ca = secure.ca().context("no CA")?;
        let garbage = "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cret\n-----END OPENSSH PRIVATE KEY-----\n";
        let host = "[127.0.0.1]:1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        let cases: &[(&str, &str, Value, &str, &str)] = &[
            ("password-alone", &http, json!({"password": "s3cret"}), "key 'password' is there without 'username'", "secretRef"),
            ("certificate-alone", &https, json!({"ca.crt": ca, "tls.crt": certificate}), "key 'tls.crt' is there without 'tls.key'", "secretRef"),
            ("key-alone", &https, json!({"ca.crt": ca, "tls.key": key}), "key 'tls.key' is there without 'tls.crt'", "secretRef"),
            ("garbage-ca", &https, json!({"ca.crt": "s3cret"}), "key 'ca.crt': ", "secretRef"),
            ("garbage-certificate", &https, json!({"ca.crt": ca, "tls.crt": "s3cret", "tls.key": "s3cret"}), "key 'tls.crt': ", "secretRef"),
            ("other-key", &https, json!({"ca.crt": ca, "tls.crt": certificate, "tls.key": wrong_key}), "key 'tls.crt': ", "secretRef"),
            ("no-identity", &ssh, json!({"known_hosts": host}), "key 'identity' is missing", "secretRef"),
            ("no-known-hosts", &ssh, json!({"identity": garbage}), "key 'known_hosts' is missing", "secretRef"),
            ("garbage-identity", &ssh, json!({"identity": garbage, "known_hosts": host}), "key 'identity': ", "secretRef"),
            ("login-and-token", &url_login, json!({"bearerToken": "s3cret"}), "key 'bearerToken' cannot be used together", "secretRef"),
            ("broken-token", &http, json!({"bearerToken": "s3cret\nin two lines"}), "key 'bearerToken': ", "secretRef"),
            ("no-address", &http, json!({"username": "user", "password": "s3cret"}), "key 'address' is missing", "proxySecretRef"),
            ("garbage-address", &http, json!({"address": "s3cret.example.com:80"}), "key 'address' must begin with", "proxySecretRef"),
        ];
        for (name, url, secret, _, field) in cases {
            ops.secret(name, secret.clone()).await?;
            ops.git_repository_named(name, url, json!({*field: {"name": name}})).await?;
        }
        for (name, _, _, words, _) in cases {
            let failed = ops.fails(SOURCE, KIND, name, "AuthenticationFailed").await.context(*name)?;
            let text = message(&failed);
            let secret = format!("secret '{}/{name}'", ops.namespace);
            ensure!(text.contains(words) && text.contains(&secret), "{name}: {text}");
        }
        // A key that is one, and a host that is not known.
        let key = tempfile::tempdir()?;
        let file = key.path().join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status();
        if made.is_ok_and(|status| status.success()) {
            let identity = std::fs::read_to_string(&file)?;
            for (name, hosts, words) in [("garbage-hosts", "s3cret", "no host key"), ("other-host", "example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl", "no key for the host [127.0.0.1]:1")] {
                ops.secret(name, json!({"identity": identity, "known_hosts": hosts})).await?;
                ops.git_repository_named(name, &ssh, json!({"secretRef": {"name": name}})).await?;
                let text = message(&ops.fails(SOURCE, KIND, name, "AuthenticationFailed").await.context(name)?);
                ensure!(text.contains("key 'known_hosts': ") && text.contains(words), "{name}: {text}");
            }
        }
        let names: Vec<&str> = cases.iter().map(|case| case.0).chain(["garbage-hosts"]).collect();

        // A login in the URL is used, and shown nowhere but there.
        ops.git_repository_named("url-login", &url_login, json!({})).await?;
        let text = message(&ops.fails(SOURCE, KIND, "url-login", "GitOperationFailed").await?);
        ensure!(text.contains("authentication required"), "{text}");
        ops.server.set_access(Access::Basic("user".into(), "url-s3cret".into()));
        let head = ops.repository.head()?;
        ops.request_reconcile(SOURCE, KIND, "url-login").await?;
        let stored = ops.stored("url-login", &format!("main@sha1:{head}")).await?;
        ensure!(condition(&stored, "FetchFailed").is_none());
        ops.secret("right", login(&Access::Basic("user".into(), "url-s3cret".into()))).await?;
        shows_no_secret(ops, &names).await?;
        shows_no_secret(ops, &["url-login"]).await
    })
    .await
}

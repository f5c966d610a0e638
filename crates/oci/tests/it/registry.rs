//! Registries for tests: the real one, and one that sends whatever it is told.

use std::process::Stdio;
use std::time::Duration;

use sluice_oci::Reference;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The distribution registry, in memory, on loopback. It ends with this value.
pub(crate) struct Registry {
    address: String,
    _process: Child,
    _files: tempfile::TempDir,
}

impl Registry {
    /// Starts it, with a user and a password where wanted.
    pub(crate) async fn start(user: Option<(&str, &str)>) -> Self {
        let program = tokio::task::spawn_blocking(|| sluice_reference::tool("registry")).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        let mut config = "version: 0.1\nlog: {level: info, formatter: json}\nstorage: {inmemory: {}}\n\
            http: {addr: 127.0.0.1:0, debug: {addr: ''}}\n"
            .to_owned();
        if let Some((name, password)) = user {
            let path = files.path().join("htpasswd");
            std::fs::write(&path, format!("{name}:{}\n", bcrypt(password))).unwrap();
            config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path.display()));
        }
        let path = files.path().join("config.yml");
        std::fs::write(&path, config).unwrap();
        let mut process = Command::new(program)
            .args(["serve".as_ref(), path.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env("OTEL_TRACES_EXPORTER", "none")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the registry ended");
                if let Some((_, rest)) = line.split_once("listening on ") {
                    return rest
                        .chars()
                        .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
                        .collect::<String>();
                }
            }
        });
        let address = address.await.expect("the registry did not start");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { address, _process: process, _files: files }
    }

    /// A reference to something in it.
    pub(crate) fn reference(&self, name: &str) -> Reference {
        Reference::parse(&format!("{}/{name}", self.address)).unwrap()
    }
}

/// The hash of the one password that the tests use, made with cost 4.
fn bcrypt(password: &str) -> &'static str {
    assert_eq!(password, "s3cr3t");
    "$2y$04$WIhEtj8y147d2i47ZEERtO4uCMEW3EWUVbET34OCMdKlfm2OWc4We"
}

/// A registry that answers every request with the same body.
pub(crate) struct Liar {
    address: String,
}

impl Liar {
    /// Starts it.
    pub(crate) async fn start(body: Vec<u8>) -> Self {
        Self::start_with("", body).await
    }

    /// Starts it, with lines of the head beside those that it must have.
    pub(crate) async fn start_with(lines: &'static str, body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = body.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let read = stream.read(&mut request).await.unwrap_or_default();
                    // Whoever tries TLS gets nothing.
                    if request[..read].starts_with(b"GET") {
                        let head = format!(
                            "HTTP/1.1 200 OK\r\nconnection: close\r\n{lines}content-length: {}\r\n\r\n",
                            body.len()
                        );
                        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
                    }
                });
            }
        });
        Self { address }
    }

    /// A reference to something in it.
    pub(crate) fn reference(&self, name: &str) -> Reference {
        Reference::parse(&format!("{}/{name}", self.address)).unwrap()
    }
}

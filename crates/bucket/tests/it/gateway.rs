//! An S3 server for tests: versitygw over a folder, on loopback.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sluice_bucket::{S3, Store};
use sluice_cloud::Keys;
use tokio::process::{Child, Command};

pub(crate) const ACCESS: &str = "tester";
pub(crate) const SECRET: &str = "s3cr3t-s3cr3t";

/// The server. It ends with this value.
pub(crate) struct Gateway {
    pub(crate) address: String,
    _process: Child,
    files: tempfile::TempDir,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        let program = tokio::task::spawn_blocking(|| sluice_reference::tool("versitygw")).await.unwrap();
        let files = tempfile::tempdir().unwrap();
        for folder in ["data/app", "meta"] {
            std::fs::create_dir_all(files.path().join(folder)).unwrap();
        }
        // The port may be taken by another between this and the start.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let address = format!("127.0.0.1:{port}");
            let mut process = Command::new(&program)
                .env("ROOT_ACCESS_KEY", ACCESS)
                .env("ROOT_SECRET_KEY", SECRET)
                .args(["--port", &address, "--quiet", "posix", "--sidecar"])
                .args([files.path().join("meta"), files.path().join("data")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(30) && process.try_wait().unwrap().is_none() {
                if tokio::net::TcpStream::connect(&address).await.is_ok() {
                    return Self { address, _process: process, files };
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        panic!("the S3 server did not start");
    }

    /// The folder that is the bucket `app`: files there are objects without an entity tag.
    pub(crate) fn folder(&self) -> PathBuf {
        self.files.path().join("data/app")
    }

    /// Puts an object as a client does that is not ours.
    pub(crate) async fn put(&self, key: &str, content: &str) {
        let file = self.files.path().join("upload");
        std::fs::write(&file, content).unwrap();
        self.curl(&["-T", file.to_str().unwrap()], key).await;
    }

    pub(crate) async fn delete(&self, key: &str) {
        self.curl(&["-X", "DELETE"], key).await;
    }

    async fn curl(&self, arguments: &[&str], key: &str) {
        let output = Command::new("curl")
            .args(["-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3"])
            .args(["--user", &format!("{ACCESS}:{SECRET}"), "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(arguments)
            .arg(format!("http://{}/app/{key}", self.address))
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{key}: {}", String::from_utf8_lossy(&output.stdout));
    }

    pub(crate) fn keys(secret: &str) -> Keys {
        Keys { access_key: ACCESS.to_owned(), secret_key: secret.to_owned(), session_token: None }
    }

    pub(crate) fn store(&self, bucket: &str, secret: &str) -> Store {
        let keys = Some(Self::keys(secret));
        Store::S3(S3::new(client(), &self.address, true, bucket, "", keys).unwrap())
    }
}

pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only(Vec::new()).no_proxy().build().unwrap()
}

/// The files below a folder with their content, sorted.
pub(crate) fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

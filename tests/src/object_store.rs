//! An S3 server on loopback.

use crate::child::Child;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A server with the one bucket `app`. It ends with this value, and the objects with it.
#[derive(Debug)]
pub struct ObjectStore {
    address: String,
    _process: Child,
    folder: tempfile::TempDir,
}

const ACCESS: &str = "tester";
const SECRET: &str = "s3cr3t-s3cr3t";

impl ObjectStore {
    /// Starts it.
    pub async fn start() -> Result<Self> {
        let program = tokio::task::spawn_blocking(|| sluice_reference::tool("versitygw")).await?;
        let folder = tempfile::tempdir()?;
        for name in ["data/app", "meta"] {
            fs::create_dir_all(folder.path().join(name))?;
        }
        // The port may be taken by another between this and the start.
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let address = format!("127.0.0.1:{port}");
            let process = Child::start(&program, |command| {
                command.env("ROOT_ACCESS_KEY", ACCESS).env("ROOT_SECRET_KEY", SECRET);
                command.args(["--port", &address, "--quiet", "posix", "--sidecar"]);
                command.args([folder.path().join("meta"), folder.path().join("data")]);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            })?;
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_secs(30) && process.exited().is_none() {
                if TcpStream::connect(&address).is_ok() {
                    return Ok(Self { address, _process: process, folder });
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        bail!("the S3 server did not start")
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The access key and the secret key.
    pub fn keys() -> (&'static str, &'static str) {
        (ACCESS, SECRET)
    }

    /// Writes an object, as a client does that is not ours.
    pub fn put(&self, key: &str, content: &str) -> Result<()> {
        let file = self.folder.path().join("upload");
        fs::write(&file, content)?;
        let file = file.to_str().context("no UTF-8")?;
        self.curl(&["-T", file], key)
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.curl(&["-X", "DELETE"], key)
    }

    fn curl(&self, arguments: &[&str], key: &str) -> Result<()> {
        let output = Command::new("curl")
            .args(["-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3"])
            .args(["--user", &format!("{ACCESS}:{SECRET}"), "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(arguments)
            .arg(format!("http://{}/app/{key}", self.address))
            .output()?;
        if !output.status.success() {
            bail!(
                "{key}: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }
}

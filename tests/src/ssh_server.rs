//! Git over SSH: OpenSSH's server on loopback, with keys of its own.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::child::Child;

/// A server that lets in whoever has a key of [`SshServer::authorized_keys`], for Git and nothing else: commands are run by
/// `git-shell`. It ends with the value.
#[derive(Debug)]
pub struct SshServer {
    folder: tempfile::TempDir,
    port: u16,
    user: String,
    _child: Child,
}

const PROGRAM: &str = "/usr/sbin/sshd";

impl SshServer {
    /// Starts it on a free port.
    pub fn start() -> Result<Self> {
        if !Path::new(PROGRAM).exists() {
            bail!("openssh-server is not installed");
        }
        let folder = tempfile::Builder::new().prefix("sluice-sshd-").tempdir()?;
        let path = folder.path().display();
        let host_key = folder.path().join("host");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&host_key)
            .stdin(Stdio::null())
            .status()
            .context("ssh-keygen cannot be run")?;
        ensure!(made.success(), "ssh-keygen ended with {made}");
        fs::write(folder.path().join("authorized"), "")?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {path}/host\nAuthorizedKeysFile {path}/authorized\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n\
             AcceptEnv GIT_PROTOCOL\nForceCommand git-shell -c \"$SSH_ORIGINAL_COMMAND\"\n"
        );
        let file = folder.path().join("config");
        fs::write(&file, config)?;
        // Where the server runs as root it insists on this directory.
        let _ = fs::create_dir_all("/run/sshd");
        let child = Child::start(Path::new(PROGRAM), |command| {
            command.args(["-D", "-e", "-f"]).arg(&file).stdin(Stdio::null()).stderr(Stdio::null());
        })?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            ensure!(Instant::now() < deadline, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let user = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?.trim().to_owned();
        Ok(Self { folder, port, user, _child: child })
    }

    /// The file with the keys of those who may log in.
    pub fn authorized_keys(&self) -> PathBuf {
        self.folder.path().join("authorized")
    }

    /// A new private key that may log in, in OpenSSH's format.
    pub fn new_key(&self) -> Result<String> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("key");
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).stdin(Stdio::null());
        ensure!(command.status().context("ssh-keygen cannot be run")?.success(), "no key was made");
        let public = fs::read_to_string(file.with_extension("pub"))?;
        let known = fs::read_to_string(self.authorized_keys())?;
        fs::write(self.authorized_keys(), known + &public)?;
        Ok(fs::read_to_string(file)?)
    }

    /// What a client must know of it: lines of `known_hosts`.
    pub fn known_hosts(&self) -> Result<String> {
        let key = fs::read_to_string(self.folder.path().join("host.pub"))?;
        Ok(format!("[127.0.0.1]:{} {key}", self.port))
    }

    /// The URL of a repository at a path of this machine.
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{}{}", self.user, self.port, path.display())
    }
}

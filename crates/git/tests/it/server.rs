//! `git http-backend` behind a socket, and repositories made by git.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What is done with a request before git sees it: `Some` is the whole answer.
type Gate = Box<dyn Fn(&Request) -> Option<String> + Send + Sync>;

#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Server {
    pub(crate) root: tempfile::TempDir,
    pub(crate) url: String,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    /// Bytes of what git answered so far.
    pub(crate) sent: Arc<AtomicU64>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with_gate(Box::new(|_| None)).await
    }

    pub(crate) async fn with_gate(gate: Gate) -> Self {
        let root = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let sent = Arc::new(AtomicU64::new(0));
        let (gate, path, log) = (Arc::new(gate), root.path().to_owned(), Arc::clone(&requests));
        let counter = Arc::clone(&sent);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (gate, path, log) = (Arc::clone(&gate), path.clone(), Arc::clone(&log));
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let _ = answer(socket, &path, &gate, &log, &counter).await;
                });
            }
        });
        Server { root, url, requests, sent }
    }

    pub(crate) fn repository(&self, name: &str) -> Work {
        let path = self.root.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let work = Work { path };
        work.git(&["init", "-q", "-b", "main"]);
        work.git(&["config", "uploadpack.allowFilter", "true"]);
        work
    }
}

async fn answer(
    socket: TcpStream,
    root: &Path,
    gate: &Gate,
    log: &Mutex<Vec<Request>>,
    sent: &AtomicU64,
) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    socket.read_line(&mut line).await?;
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let request = Request { target: target.clone(), headers };
    let length = request.header("content-length").map_or(0, |v| v.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    log.lock().unwrap().push(request.clone());
    if let Some(canned) = gate(&request) {
        return socket.write_all(canned.as_bytes()).await;
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROTOCOL", request.header("git-protocol").unwrap_or_default())
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", length.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&body).await?;
    drop(stdin);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (mut status, mut head) = ("200 OK".to_owned(), String::new());
    loop {
        let mut line = String::new();
        stdout.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some(("Status", value)) => value.clone_into(&mut status),
            Some(_) => head.push_str(&line),
            None => break,
        }
    }
    socket.write_all(format!("HTTP/1.1 {status}\r\n{head}Connection: close\r\n\r\n").as_bytes()).await?;
    sent.fetch_add(tokio::io::copy(&mut stdout, &mut socket).await?, Ordering::Relaxed);
    child.wait().await?;
    socket.shutdown().await
}

/// A repository with a working tree.
pub(crate) struct Work {
    pub(crate) path: PathBuf,
}

impl Work {
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(&self.path)
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"])
            .args(["-c", "core.protectNTFS=false", "-c", "gc.auto=0"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Feeds `input` to a git command.
    pub(crate) fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        use std::io::Write as _;
        let mut child = Command::new("git")
            .current_dir(&self.path)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}

/// Says that nothing is tested for want of a program. A failure in CI, which installs them all.
pub(crate) fn lacking(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}; .ci/run installs it");
    eprintln!("{what}: nothing of it is tested");
}

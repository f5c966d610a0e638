//! An HTTP proxy with a login: tunnels for TLS, and plain requests passed on.

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Where connections lead that are not to go where they say: from `host:port` to `host:port`.
type Detours = Arc<Mutex<HashMap<String, String>>>;

/// A proxy on loopback that wants a user name and a password. It ends with the value.
#[derive(Debug)]
pub struct ForwardProxy {
    address: String,
    passed: Arc<Mutex<Vec<String>>>,
    detours: Detours,
    task: tokio::task::JoinHandle<()>,
}

impl ForwardProxy {
    /// Starts it on a free port.
    pub async fn start(username: &str, password: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let expected = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
        let passed = Arc::new(Mutex::new(Vec::new()));
        let log = passed.clone();
        let detours = Detours::default();
        let leads = detours.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (expected, log, leads) = (expected.clone(), log.clone(), leads.clone());
                tokio::spawn(async move { serve(socket, &expected, &log, &leads).await });
            }
        });
        Ok(Self { address, passed, detours, task })
    }

    /// Its URL.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Leads connections for `name` at the port of HTTPS to another address from now on.
    pub fn lead(&self, name: &str, address: &str) {
        let mut detours = self.detours.lock().unwrap_or_else(PoisonError::into_inner);
        detours.insert(format!("{name}:443"), address.to_owned());
    }

    /// Method and target of what it let pass so far, such as `CONNECT 127.0.0.1:443`.
    pub fn passed(&self) -> Vec<String> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: TcpStream, expected: &str, log: &Mutex<Vec<String>>, detours: &Detours) -> Result<()> {
    let mut client = BufReader::new(socket);
    let (first, headers) = head(&mut client).await?;
    let login =
        headers.iter().find(|(name, _)| name == "proxy-authorization").map(|(_, value)| value.as_str());
    if login != Some(expected) {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        return Ok(client.write_all(refusal.as_bytes()).await?);
    }
    let mut words = first.split(' ');
    let (method, target) = (words.next().context("no method")?, words.next().context("no target")?);
    log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {target}"));
    let mut server = if method == "CONNECT" {
        let detour = detours.lock().unwrap_or_else(PoisonError::into_inner).get(target).cloned();
        let server = TcpStream::connect(detour.as_deref().unwrap_or(target)).await?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        server
    } else {
        let rest = target.strip_prefix("http://").context("no absolute URL")?;
        let (host, path) = rest.split_once('/').context("no path")?;
        let mut server = TcpStream::connect(host).await?;
        // One request for each connection, so that each one is seen here.
        let mut request = format!("{method} /{path} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in
            headers.iter().filter(|(name, _)| !name.starts_with("proxy-") && name != "connection")
        {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        server.write_all(format!("{request}\r\n").as_bytes()).await?;
        server
    };
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The first line of a request, and its headers with their names in lower case.
async fn head(client: &mut (impl AsyncBufRead + Unpin)) -> Result<(String, Vec<(String, String)>)> {
    let mut lines = client.take(64 * 1024).lines();
    let first = lines.next_line().await?.context("no request")?;
    let mut headers = Vec::new();
    while let Some(line) = lines.next_line().await? {
        let Some((name, value)) = line.split_once(':') else {
            if line.is_empty() {
                return Ok((first, headers));
            }
            bail!("no header: {line}");
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    bail!("the request ends in its head")
}

//! A server on the loopback that gives the answers it was told to give, one after the other, whatever it is asked.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// What a request gets when there is no answer left.
const OVER: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// The largest request that is read to its end.
const REQUEST: usize = 1 << 20;

type Answers = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// A server, and the runtime for it and for the client that asks it.
pub(crate) struct Server {
    runtime: Runtime,
    address: String,
    answers: Answers,
}

impl Server {
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?.to_string();
        let answers = Answers::default();
        let told = Arc::clone(&answers);
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, Arc::clone(&told)));
            }
        });
        Ok(Self { runtime, address, answers })
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Runs a client against these answers.
    pub(crate) fn against<T>(&self, answers: &[Vec<u8>], client: impl Future<Output = T>) -> T {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers.iter().cloned().collect();
        self.runtime.block_on(client)
    }
}

async fn serve(mut socket: TcpStream, answers: Answers) {
    let mut request = Vec::new();
    loop {
        if socket.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
        // Somebody tries TLS first, or to get through to it: there is none.
        if request[0] == 0x16 || request.starts_with(b"CONNECT") || request.len() > REQUEST {
            return;
        }
        if is_complete(&request) {
            break;
        }
    }
    let answer = answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let _ = socket.write_all(answer.as_deref().unwrap_or(OVER)).await;
    let _ = socket.shutdown().await;
}

/// Whether head and body are there.
fn is_complete(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return request.ends_with(b"0\r\n\r\n");
    }
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    request.len() >= end + 4 + length.unwrap_or(0_usize)
}

/// An answer with a head of its own making and a true length.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()));
    [head.as_bytes(), body].concat()
}

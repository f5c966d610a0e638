//! One exchange over HTTP at a server that is told what to answer.

use std::io::{Error, Result};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Reads head and body of a request.
pub async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0_usize) {
                return Ok(text);
            }
        }
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(Error::other(format!("the request ended early: {text}")));
        }
        request.extend_from_slice(&buffer[..read]);
    }
}

/// Answers a request and ends the connection. What is to be known of the request is to be kept before: the client goes on
/// with the answer.
pub async fn answer(mut stream: impl AsyncWrite + Unpin, status: &str, body: &str) -> Result<()> {
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}

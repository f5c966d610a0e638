//! `git http-backend`, spoken to as a CGI program.

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::response::Response;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio_util::io::ReaderStream;

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// The connection is closed in the middle of the first piece.
    Cut,
    /// Nothing comes after half of the first piece.
    Hang,
}

/// Runs one request.
pub(super) async fn run(
    root: &Path,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    end: End,
) -> Result<Response> {
    let mut command = Command::new("git");
    super::repository::isolate(command.as_std_mut());
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        // A name lets it push.
        .env("REMOTE_USER", "test")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for (variable, name) in [
        ("CONTENT_TYPE", header::CONTENT_TYPE),
        ("HTTP_CONTENT_ENCODING", header::CONTENT_ENCODING),
        ("GIT_PROTOCOL", HeaderName::from_static("git-protocol")),
    ] {
        if let Some(value) = headers.get(name) {
            command.env(variable, value.to_str()?);
        }
    }
    let mut child = command.spawn().context("git cannot be run")?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    let body = body.to_vec();
    tokio::spawn(async move {
        // It may answer and leave before it has read all.
        let _ = stdin.write_all(&body).await;
    });

    let mut response = Response::builder();
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await? == 0 {
            bail!("git http-backend said nothing");
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("status") {
            let code = value.split_ascii_whitespace().next().unwrap_or_default();
            response = response.status(StatusCode::from_bytes(code.as_bytes())?);
        } else {
            response = response.header(name, HeaderValue::from_str(value.trim())?);
        }
    }
    let pieces = ReaderStream::new(stdout);
    // The child goes with the stream: it ends when all is read, and is killed when nobody reads any more.
    let body = stream::unfold((pieces, child, false), move |(mut pieces, mut child, broken)| async move {
        match end {
            End::Cut if broken => return Some((Err(std::io::Error::other("cut")), (pieces, child, true))),
            End::Hang if broken => return std::future::pending().await,
            _ => {}
        }
        match pieces.next().await {
            Some(Ok(piece)) if end != End::Whole => {
                Some((Ok(piece.slice(..piece.len() / 2)), (pieces, child, true)))
            }
            Some(piece) => Some((piece, (pieces, child, false))),
            None => {
                let _ = child.wait().await;
                None
            }
        }
    });
    Ok(response.body(Body::from_stream(body))?)
}

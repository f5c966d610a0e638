//! Schemas of values that refer to others on the web.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use sluice_helm::schema::{FetchSchema, NoFetch};

use crate::web;

/// How long one schema may take, as with helm.
const PATIENCE: Duration = Duration::from_secs(15);
/// How large one may be.
const LIMIT: usize = 16 << 20;

/// Fetches schemas by http and https, each once. What a person renders on a machine of his own may ask the network, as
/// with helm; files stay unread.
#[derive(Debug, Default)]
pub(super) struct Web(Mutex<HashMap<String, Result<Vec<u8>, String>>>);

impl FetchSchema for Web {
    fn fetch(&self, url: &str) -> Result<Vec<u8>, String> {
        if !url.starts_with("http:") && !url.starts_with("https:") {
            return NoFetch.fetch(url);
        }
        let mut fetched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.entry(url.to_owned()).or_insert_with(|| apart(url)).clone()
    }
}

/// On a thread with a runtime of its own: charts are rendered where nothing waits.
fn apart(url: &str) -> Result<Vec<u8>, String> {
    let failed = |reason: String| format!("HTTP request failed for {url}: {reason}");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = crate::app::runtime(0).map_err(|error| failed(error.to_string()))?;
            runtime.block_on(async {
                tokio::time::timeout(PATIENCE, get(url))
                    .await
                    .map_err(|_| failed("no answer within 15 seconds".to_owned()))?
            })
        });
        thread.join().unwrap_or_else(|_| Err(failed("the request broke down".to_owned())))
    })
}

async fn get(url: &str) -> Result<Vec<u8>, String> {
    let failed = |error: reqwest::Error| {
        format!("HTTP request failed for {url}: {}", sluice_http::chain(&error.without_url()))
    };
    let client = web::client(None).map_err(|error| format!("HTTP request failed for {url}: {error:#}"))?;
    let response = client.get(url).send().await.map_err(failed)?;
    let status = response.status();
    if status != reqwest::StatusCode::OK {
        let reason = status.canonical_reason().unwrap_or_default();
        return Err(format!("HTTP request to {url} returned status {} ({reason})", status.as_u16()));
    }
    let (mut stream, mut text) = (response.bytes_stream(), Vec::new());
    while let Some(part) = stream.next().await {
        text.extend_from_slice(&part.map_err(failed)?);
        if text.len() > LIMIT {
            return Err(format!("{url} is larger than {} MiB", LIMIT >> 20));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use sluice_helm::schema::FetchSchema as _;

    use super::Web;

    #[test]
    fn schemas_come_from_the_web_once_and_never_from_files() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in [
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ntrue",
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            ] {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut lines = BufReader::new(stream.try_clone().expect("the connection")).lines();
                asked.extend(lines.next().and_then(Result::ok));
                lines.by_ref().map_while(Result::ok).find(String::is_empty);
                stream.write_all(answer.as_bytes()).expect("an answer");
            }
            asked
        });
        let web = Web::default();
        let url = |path: &str| format!("http://{address}/{path}");
        assert_eq!(web.fetch(&url("a.json")), Ok(b"true".to_vec()));
        assert_eq!(web.fetch(&url("a.json")), Ok(b"true".to_vec()));
        let missing = format!("HTTP request to {} returned status 404 (Not Found)", url("b.json"));
        assert_eq!(web.fetch(&url("b.json")), Err(missing));
        let asked = server.join().expect("the server");
        assert_eq!(asked, ["GET /a.json HTTP/1.1", "GET /b.json HTTP/1.1"]);
        let gone = web.fetch(&url("c.json")).expect_err("nobody listens");
        assert!(gone.starts_with(&format!("HTTP request failed for {}: ", url("c.json"))), "{gone}");
        assert!(web.fetch("file:///etc/hostname").is_err());
    }
}

//! A registry that has nothing but tags, as many as one likes: pages, and links from each to the next.

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri, header};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

/// Tags of one answer at most, whatever is asked for.
const PAGE: usize = 1000;

/// The registry on loopback. It ends with this value.
#[derive(Debug)]
pub struct TagServer {
    address: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    tags: Vec<String>,
    requests: Mutex<Vec<String>>,
}

impl TagServer {
    /// Starts it. All of its repositories have these tags.
    pub async fn start(tags: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut tags: Vec<String> = tags.into_iter().collect();
        tags.sort();
        let shared = Arc::new(Shared { tags, requests: Mutex::default() });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let routes = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It ends with the task only.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, shared, task })
    }

    /// The name of an image in it.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Path and query of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for TagServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(uri.to_string());
    let path = uri.path();
    if path == "/v2/" {
        return "{}".into_response();
    }
    let Some(name) = path.strip_prefix("/v2/").and_then(|rest| rest.strip_suffix("/tags/list")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let query = |key: &str| {
        let pairs = uri.query().unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|pair| pair.0 == key).map(|pair| pair.1)
    };
    let size = query("n").and_then(|n| n.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let begin = query("last").map_or(0, |last| shared.tags.partition_point(|tag| tag.as_str() <= last));
    let page = &shared.tags[begin..shared.tags.len().min(begin + size)];
    let mut response = serde_json::json!({"name": name, "tags": page}).to_string().into_response();
    if let Some(last) = page.last().filter(|_| begin + page.len() < shared.tags.len())
        && let Ok(link) = format!("<{path}?n={size}&last={last}>; rel=\"next\"").parse()
    {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

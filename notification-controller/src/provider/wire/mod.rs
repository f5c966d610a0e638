//! What goes over the wire: every type sends its real requests to a server on loopback, which checks method, host, path,
//! authentication and body against what the vendors document. Failing answers are told in the same way for all.

mod chats;
mod faults;
mod git;
mod incidents;
mod queues;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::tests::target;
use super::*;
use crate::event::tests::event;

/// A request that arrived.
#[derive(Clone, Debug)]
struct Seen {
    method: Method,
    host: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Method, host and path, as one line.
    fn line(&self) -> String {
        format!("{} {}{}", self.method, self.host, self.path)
    }
}

/// An answer: status, a header, the body.
type Answer = (u16, Option<(&'static str, &'static str)>, String);

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    answers: Mutex<VecDeque<Answer>>,
    hangs: bool,
}

struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Server {
    /// Gives these answers, and then 200 with an empty object.
    async fn start(answers: Vec<Answer>, hangs: bool) -> Self {
        let shared = Arc::new(Shared { seen: Mutex::default(), answers: Mutex::new(answers.into()), hangs });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(take).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { shared, address }
    }

    fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let host = headers["host"].to_str().unwrap().to_owned();
    shared.seen.lock().unwrap().push(Seen { method, host, path: uri.to_string(), headers, body });
    if shared.hangs {
        std::future::pending::<()>().await;
    }
    let answer = shared.answers.lock().unwrap().pop_front();
    let (status, header, body) = answer.unwrap_or((200, None, "{}".to_owned()));
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn fine(body: Value) -> Answer {
    (200, None, body.to_string())
}

async fn deliver(target: &Target, event: Event) -> Result<(), Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let alert = AlertIdentity { name: "on-call".into(), namespace: "apps".into(), uid: "alert-uid".into() };
    let notification = Notification { event, status_id: "kustomization/webapp/7c4d1f00".into(), alert };
    send(&Client::new(target)?, target, &notification).await
}

/// Sends an event with a target whose requests all go to a server with these answers.
async fn exchange(mut target: Target, event: Event, answers: Vec<Answer>) -> Vec<Seen> {
    let server = Server::start(answers, false).await;
    target.via = Some(server.address);
    deliver(&target, event).await.unwrap();
    server.seen()
}

fn failure() -> Event {
    event("error", &[("revision", "main@sha1:1"), ("summary", "staging")])
}

const OBJECT: &str = "kustomization/webapp.gitops-system";
const MESSAGE: &str = "Health check passed\nin 2s";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn of_commit(severity: &str) -> Event {
    let revision = format!("main@sha1:{COMMIT}");
    event(severity, &[("revision", &revision), ("change_request", "7")])
}

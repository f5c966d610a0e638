//! A proxy in front of the API server that does to a controller what API servers, networks and their operators do: it goes
//! away and comes back, loses answers, throttles, refuses, and ends watches because they are too old.

use crate::{ControlPlane, control_plane::client, identities};
use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use futures::{Stream, StreamExt as _};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiFault {
    /// It does not get through; this is the answer.
    Status(u16),
    /// The server has no time for it and says when to come again, in seconds: 429.
    Throttle(u32),
    /// It gets through, and has its effect, but the connection breaks before the answer is read.
    LoseAnswer,
    /// It gets through after this time.
    Delay(Duration),
    /// It is asked for its version and says that it is this minor one of Kubernetes.
    Minor(u32),
}

/// A request that the proxy has seen.
#[derive(Clone, Debug)]
pub struct ApiCall {
    /// The method.
    pub method: Method,
    /// The path without the query.
    pub path: String,
    /// The query, maybe empty.
    pub query: String,
    /// When it arrived.
    pub at: Instant,
    /// What was done to it.
    pub fault: Option<ApiFault>,
    /// Whether the server has answered it.
    pub answered: bool,
}

impl ApiCall {
    /// Whether it asks for a stream of changes.
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1")
    }

    /// Whether it is to change something.
    pub fn is_write(&self) -> bool {
        self.method != Method::GET && !self.query.contains("dryRun=")
    }
}

struct Rule {
    left: usize,
    fault: ApiFault,
    concerns: Box<dyn Fn(&ApiCall) -> bool + Send>,
}

struct Shared {
    upstream: kube::Client,
    rules: Mutex<Vec<Rule>>,
    calls: Mutex<Vec<ApiCall>>,
    /// Counts how often watches were ended.
    expiry: watch::Sender<u64>,
}

/// The proxy. It ends with this value.
pub struct ApiProxy {
    shared: Arc<Shared>,
    folder: tempfile::TempDir,
    address: SocketAddr,
    inner: SocketAddr,
    server: tokio::task::JoinHandle<()>,
    /// The way in; there is none while the API server is away.
    door: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl ApiProxy {
    /// Starts it in front of the control plane, with the rights of this controller.
    pub async fn start(plane: &ControlPlane, controller: &str) -> Result<Self> {
        Self::before(&identities::of_controller(plane, controller, None).await?).await
    }

    /// Starts it with the rights of a kubeconfig, in front of the API server that this names.
    pub async fn before(kubeconfig: &Path) -> Result<Self> {
        let upstream = client(kubeconfig).await?;
        let shared = Arc::new(Shared {
            upstream,
            rules: Mutex::default(),
            calls: Mutex::default(),
            expiry: watch::Sender::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let inner = listener.local_addr()?;
        let routes = Router::new().fallback(pass).with_state(shared.clone());
        let server = tokio::spawn(async move {
            // It ends with the task only.
            let _ = axum::serve(listener, routes).await;
        });
        let outer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = outer.local_addr()?;
        let folder = tempfile::tempdir()?;
        let proxy = Self { shared, folder, address, inner, server, door: Mutex::default() };
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        std::fs::write(proxy.kubeconfig(), config.to_string())?;
        proxy.open(outer);
        Ok(proxy)
    }

    /// The kubeconfig of a controller that goes this way.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// From now on the fault happens to the first `times` requests that are concerned.
    pub fn disturb(
        &self,
        fault: ApiFault,
        times: usize,
        concerns: impl Fn(&ApiCall) -> bool + Send + 'static,
    ) {
        lock(&self.shared.rules).push(Rule { left: times, fault, concerns: Box::new(concerns) });
    }

    /// Faults that were asked for and have not happened yet are forgotten.
    pub fn calm(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Breaks all connections and accepts no new ones, as while an API server is started anew.
    pub async fn down(&self) {
        let door = lock(&self.door).take();
        if let Some(door) = door {
            door.abort();
            // Then its connections and its port are free.
            let _ = door.await;
        }
    }

    /// Accepts connections again.
    pub async fn up(&self) -> Result<()> {
        let listener = TcpListener::bind(self.address).await.context("the port of the proxy was taken")?;
        self.open(listener);
        Ok(())
    }

    /// Ends all watches as the server does that no longer knows their resource version: with an event and code 410.
    pub fn expire_watches(&self) {
        self.shared.expiry.send_modify(|count| *count += 1);
    }

    /// All requests so far, oldest first.
    pub fn calls(&self) -> Vec<ApiCall> {
        lock(&self.shared.calls).clone()
    }

    fn open(&self, listener: TcpListener) {
        let inner = self.inner;
        let door = tokio::spawn(async move {
            // Connections end with the set.
            let mut connections = JoinSet::new();
            while let Ok((mut outside, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut inside) = TcpStream::connect(inner).await {
                        let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        *lock(&self.door) = Some(door);
    }
}

impl Drop for ApiProxy {
    fn drop(&mut self) {
        self.server.abort();
        if let Some(door) = lock(&self.door).take() {
            door.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let mut call = ApiCall {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        at: Instant::now(),
        fault: None,
        answered: false,
    };
    call.fault = fault_for(&mut lock(&shared.rules), &call);
    let index = {
        let mut calls = lock(&shared.calls);
        calls.push(call.clone());
        calls.len() - 1
    };
    match call.fault {
        Some(ApiFault::Status(code)) => return status(code, None),
        Some(ApiFault::Throttle(seconds)) => return status(429, Some(seconds)),
        Some(ApiFault::Delay(time)) => tokio::time::sleep(time).await,
        Some(ApiFault::Minor(minor)) => return version(minor),
        Some(ApiFault::LoseAnswer) | None => {}
    }
    let answer = match forward(&shared.upstream, request).await {
        Ok(answer) => answer,
        Err(_) => return status(502, None),
    };
    lock(&shared.calls)[index].answered = true;
    if call.fault == Some(ApiFault::LoseAnswer) {
        return broken();
    }
    if call.is_watch() && answer.status().is_success() {
        let expired = shared.expiry.subscribe();
        return answer.map(|body| Body::from_stream(until_expiry(body.into_data_stream(), expired)));
    }
    answer
}

fn fault_for(rules: &mut [Rule], call: &ApiCall) -> Option<ApiFault> {
    let rule = rules.iter_mut().find(|rule| rule.left > 0 && (rule.concerns)(call))?;
    rule.left -= 1;
    Some(rule.fault)
}

async fn forward(upstream: &kube::Client, request: Request<Body>) -> Result<Response> {
    let (mut parts, body) = request.into_parts();
    for name in [HOST, AUTHORIZATION, ACCEPT_ENCODING, CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    parts.uri = parts.uri.path_and_query().context("no path")?.as_str().parse()?;
    let body = axum::body::to_bytes(body, 64 << 20).await?;
    let answer = upstream.send(Request::from_parts(parts, kube::client::Body::from(body.to_vec()))).await?;
    Ok(answer.map(Body::new))
}

/// The server's own form of an answer that is none.
fn status(code: u16, retry_after: Option<u32>) -> Response {
    let (reason, message) = match code {
        409 => ("Conflict", "the object has been modified; please apply your changes to the latest version"),
        429 => ("TooManyRequests", "too many requests, please try again later"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn version(minor: u32) -> Response {
    let body = json!({
        "major": "1", "minor": minor.to_string(), "gitVersion": format!("v1.{minor}.3"), "gitCommit": "",
        "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    });
    let mut response = Response::new(Body::from(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

/// An answer that breaks off.
fn broken() -> Response {
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("the connection breaks"))];
    let mut response = Response::new(Body::from_stream(futures::stream::iter(pieces)));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

/// The stream of a watch until it is told to end, and then the event that says why.
fn until_expiry(
    events: impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static,
    expired: watch::Receiver<u64>,
) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static {
    let gone = json!({"type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired",
        "message": "too old resource version: 1 (2)",
    }});
    let last = Bytes::from(format!("{gone}\n"));
    futures::stream::unfold(Some((Box::pin(events), expired, last)), async |state| {
        let (mut events, mut expired, last) = state?;
        tokio::select! {
            event = events.next() => event.map(|event| (event, Some((events, expired, last)))),
            Ok(()) = expired.changed() => Some((Ok(last), None)),
        }
    })
}

//! A web server on loopback that keeps what is posted to it, as the far end of a notification.

use crate::wait::PATIENCE;
use anyhow::{Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Delivery {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

struct Shared {
    answer: (StatusCode, HeaderMap),
    deliveries: Mutex<Vec<Delivery>>,
    arrived: Notify,
}

/// The server. It ends with this value.
pub struct Sink {
    shared: Arc<Shared>,
    address: String,
    task: tokio::task::JoinHandle<()>,
}

impl Sink {
    /// Starts it. It answers 200 to everything.
    pub async fn start() -> Result<Self> {
        Self::answering(200, &[]).await
    }

    /// Starts one that answers so to everything.
    pub async fn answering(status: u16, headers: &[(&'static str, &'static str)]) -> Result<Self> {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        let answer = (StatusCode::from_u16(status)?, headers.collect());
        let shared = Arc::new(Shared { answer, deliveries: Mutex::default(), arrived: Notify::new() });
        let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().fallback(keep).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // It ends with the task only.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { shared, address, task })
    }

    /// A URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// All that has arrived.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.deliveries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many have arrived for which this holds.
    pub fn count(&self, good: impl Fn(&Delivery) -> bool) -> usize {
        let deliveries = self.shared.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        deliveries.iter().filter(|delivery| good(delivery)).count()
    }

    /// Waits for a delivery.
    pub async fn wait(&self, what: &str, good: impl Fn(&Delivery) -> bool) -> Result<Delivery> {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let arrived = self.shared.arrived.notified();
                if let Some(found) = self.deliveries().into_iter().find(|delivery| good(delivery)) {
                    return found;
                }
                arrived.await;
            }
        })
        .await;
        match found {
            Ok(found) => Ok(found),
            Err(_) => bail!("{what} did not arrive within {PATIENCE:?}, but {:?}", self.deliveries()),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap) {
    let delivery = Delivery { method, path: uri.to_string(), headers, body };
    shared.deliveries.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
    shared.arrived.notify_waiters();
    shared.answer.clone()
}

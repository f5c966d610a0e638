//! The HTTP endpoints for probes and metrics.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connections::{self, Limits};
use crate::metrics::{CONTENT_TYPE, Metrics};

/// Binds an address in Go's form: `:8080` stands for all interfaces.
pub(crate) async fn bind(address: &str) -> std::io::Result<TcpListener> {
    let Some(port) = address.strip_prefix(':') else { return TcpListener::bind(address).await };
    let port = port.parse::<u16>().map_err(|_| {
        std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("address {address}: invalid port"))
    })?;
    // Where there is no IPv6, the first one fails.
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await,
    }
}

/// `/healthz`, and `/readyz` that answers 503 until the token `ready` is cancelled.
pub(crate) fn health(ready: CancellationToken) -> Router {
    let readiness = move || async move {
        if ready.is_cancelled() { Ok("ok") } else { Err((StatusCode::SERVICE_UNAVAILABLE, "starting")) }
    };
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(readiness))
}

/// `/metrics`.
pub(crate) fn metrics(metrics: Arc<Metrics>) -> Router {
    let render = move || async move {
        match metrics.render() {
            Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    Router::new().route("/metrics", get(render))
}

/// Serves until `stop`.
pub(crate) fn serve(listener: TcpListener, routes: Router, tasks: &TaskTracker, stop: CancellationToken) {
    tasks.spawn(connections::serve(listener, routes, Limits::default(), stop));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_replica_is_alive_before_it_is_ready() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (ready, stop, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        serve(listener, health(ready.clone()), &tasks, stop.clone());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ask = async |path: &str| {
            client.get(format!("http://{address}{path}")).send().await.unwrap().status().as_u16()
        };
        assert_eq!((ask("/healthz").await, ask("/readyz").await), (200, 503));
        ready.cancel();
        assert_eq!(ask("/readyz").await, 200);
        stop.cancel();
    }
}

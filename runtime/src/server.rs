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

/// `/healthz` and `/readyz`.
pub(crate) fn health() -> Router {
    Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(|| async { "ok" }))
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
    tasks.spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "an HTTP endpoint ended");
        }
    });
}

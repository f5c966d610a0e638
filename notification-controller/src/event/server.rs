//! The HTTP endpoint that the other controllers post to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::{Event, Pipeline};

/// Largest body, in bytes.
pub(crate) const MAX_BODY: usize = 3 * 1024 * 1024;
/// Time for reading a body.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Any path and any method.
pub(crate) fn routes(pipeline: Arc<Pipeline>) -> Router {
    Router::new().fallback(take).with_state(pipeline)
}

async fn take(State(pipeline): State<Arc<Pipeline>>, body: Body) -> Response {
    let body = match read(body).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    let mut event: Event = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("not an event: {error}\n")).into_response(),
    };
    event.clean();
    if let Err(wait) = pipeline.limiter.admit(&event, Instant::now()) {
        tracing::debug!(object = event.subject(), "an equal event was delivered lately");
        return too_many(wait);
    }
    event.remove_token();
    pipeline.dispatch(event).await;
    StatusCode::ACCEPTED.into_response()
}

/// Reads a bounded body in bounded time.
pub(crate) async fn read(body: Body) -> Result<axum::body::Bytes, StatusCode> {
    let read = tokio::time::timeout(READ_TIMEOUT, to_bytes(body, MAX_BODY)).await;
    let read = read.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
    read.map_err(|error| {
        let too_large =
            std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("length limit"));
        if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST }
    })
}

/// The answer to an event that was let through lately.
fn too_many(wait: Duration) -> Response {
    let mut response = (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response();
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", HeaderValue::from_static("1"));
    headers.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
    headers.insert("x-ratelimit-reset", HeaderValue::from(seconds));
    headers.insert("retry-after", HeaderValue::from(seconds));
    response
}

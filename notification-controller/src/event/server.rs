//! The HTTP endpoint that the other controllers post to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::{Event, Pipeline};

/// Largest body, in bytes.
const MAX_BODY: usize = 3 * 1024 * 1024;
/// Time for reading a body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A body up to this size, in bytes, is not worth counting.
const SMALL: u64 = 64 * 1024;
/// Larger bodies that are read at the same time.
const MAX_LARGE: usize = 16;
/// How long a large body waits for its turn.
const WAIT: Duration = Duration::from_secs(15);

/// Any path and any method.
pub(crate) fn routes(pipeline: Arc<Pipeline>) -> Router {
    Router::new().fallback(take).with_state(pipeline)
}

async fn take(State(pipeline): State<Arc<Pipeline>>, body: Body) -> Response {
    let body = match pipeline.bodies.read(body).await {
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

/// Reads bodies: bounded in size and time, and the large ones only a few at a time, since anybody can send them.
pub(crate) struct Bodies(Semaphore);

impl Default for Bodies {
    fn default() -> Self {
        Self(Semaphore::new(MAX_LARGE))
    }
}

impl Bodies {
    /// Reads a body, or tells with what status to answer.
    pub(crate) async fn read(&self, body: Body) -> Result<Bytes, StatusCode> {
        let small = body.size_hint().upper().is_some_and(|size| size <= SMALL);
        let _permit = if small {
            None
        } else {
            let permit = tokio::time::timeout(WAIT, self.0.acquire()).await;
            Some(permit.ok().and_then(Result::ok).ok_or(StatusCode::SERVICE_UNAVAILABLE)?)
        };
        let read = tokio::time::timeout(READ_TIMEOUT, to_bytes(body, MAX_BODY)).await;
        let read = read.map_err(|_| StatusCode::REQUEST_TIMEOUT)?;
        read.map_err(|error| {
            let too_large = std::error::Error::source(&error)
                .is_some_and(|cause| cause.to_string().contains("length limit"));
            if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST }
        })
    }
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

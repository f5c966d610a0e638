//! The HTTP endpoint for webhooks.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use sluice_api::meta::{READY_CONDITION, Reconcilable};
use sluice_api::notification::Receiver;
use sluice_runtime::{Cache, Manager, ObjectKey, conditions};

use super::{authentication, reconcile, trigger};
use crate::event;

/// What the webhook server works with.
pub(crate) struct Webhooks {
    pub(crate) manager: Arc<Manager>,
    pub(crate) receivers: Arc<Cache<Receiver>>,
    pub(crate) no_cross_namespace_refs: bool,
}

/// Any path and any method: the path names the Receiver.
pub(crate) fn routes(webhooks: Arc<Webhooks>) -> Router {
    Router::new().fallback(take).with_state(webhooks)
}

async fn take(State(webhooks): State<Arc<Webhooks>>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let body = match event::read(body).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    // The query is part of the lookup: no path of ours has one.
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let listens = |receiver: &Receiver| receiver.status().is_some_and(|status| status.webhook_path == path);
    let found = if path.starts_with("/hook/") { webhooks.receivers.filter(listens) } else { Vec::new() };
    let Some(receiver) = found.into_iter().next() else { return StatusCode::NOT_FOUND.into_response() };
    webhooks.handle(&receiver, &headers, &body).await.into_response()
}

impl Webhooks {
    async fn handle(&self, receiver: &Receiver, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let key = ObjectKey::of(receiver);
        if receiver.suspend() || !conditions::is_true(receiver.conditions(), READY_CONDITION) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let token = match reconcile::read_token(&self.manager.client, receiver).await {
            Ok(token) => token,
            Err(problem) => {
                tracing::error!(receiver = %key, error = problem, "cannot check a webhook");
                return StatusCode::BAD_REQUEST;
            }
        };
        if let Err(problem) = authentication::check(&receiver.spec, &token, headers, body) {
            tracing::error!(receiver = %key, error = problem, "refused a webhook");
            return StatusCode::BAD_REQUEST;
        }
        let requests = receiver.spec.resources.iter().map(|resource| async {
            let requested = trigger::request(
                &self.manager.client,
                resource,
                &key.namespace,
                self.no_cross_namespace_refs,
            )
            .await;
            requested.inspect_err(|problem| {
                let object = format!("{}/{}", resource.kind, resource.name);
                tracing::error!(receiver = %key, object, error = problem, "cannot request a reconcile");
            })
        });
        let failed = join_all(requests).await.into_iter().filter(Result::is_err).count();
        tracing::info!(receiver = %key, failed, "webhook handled");
        if failed == 0 { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
    }
}

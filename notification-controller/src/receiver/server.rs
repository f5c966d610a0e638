//! The HTTP endpoint for webhooks.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde_json::Value;
use sluice_api::meta::{READY_CONDITION, Reconcilable};
use sluice_api::notification::Receiver;
use sluice_runtime::{Cache, Manager, ObjectKey, conditions};

use super::authentication::Senders;
use super::filter::{Filters, Request};
use super::trigger::Trigger;
use super::{Issuers, reconcile};
use crate::event::Bodies;
use crate::memo::Memo;

/// The filters of Receivers, by UID and generation.
pub(crate) type Compiled = Memo<String, Result<Filters, String>>;

/// What the webhook server works with.
pub(crate) struct Webhooks {
    pub(crate) manager: Arc<Manager>,
    pub(crate) receivers: Arc<Cache<Receiver>>,
    pub(crate) no_cross_namespace_refs: bool,
    pub(crate) issuers: Issuers,
    pub(crate) compiled: Compiled,
    pub(crate) bodies: Bodies,
}

/// Any path and any method: the path names the Receiver.
pub(crate) fn routes(webhooks: Arc<Webhooks>) -> Router {
    Router::new().fallback(take).with_state(webhooks)
}

async fn take(State(webhooks): State<Arc<Webhooks>>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    // The query is part of the lookup: no path of ours has one.
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let listens = |receiver: &Receiver| receiver.status().is_some_and(|status| status.webhook_path == path);
    let found = if path.starts_with("/hook/") { webhooks.receivers.filter(listens) } else { Vec::new() };
    let Some(receiver) = found.into_iter().next() else { return StatusCode::NOT_FOUND.into_response() };
    // Only of who knows a path: whoever reads the bodies of strangers has no room for those of senders.
    let body = match webhooks.bodies.read(body).await {
        Ok(body) => body,
        Err(status) => return status.into_response(),
    };
    webhooks.handle(&receiver, &headers, &body).await.into_response()
}

impl Webhooks {
    async fn handle(&self, receiver: &Receiver, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let key = ObjectKey::of(receiver);
        if receiver.suspend() || !conditions::is_true(receiver.conditions(), READY_CONDITION) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let problem = |what: &str, problem: String, status: StatusCode| {
            tracing::error!(receiver = %key, error = problem, "{what}");
            status
        };
        let secret = match reconcile::read_secret(&self.manager.client, receiver).await {
            Ok(secret) => secret,
            Err(why) => return problem("cannot check a webhook", why, StatusCode::BAD_REQUEST),
        };
        let senders = Senders { spec: &receiver.spec, secret: &secret, issuers: &self.issuers };
        let claims = match senders.check(headers, body, Timestamp::now().as_second()).await {
            Ok(claims) => claims,
            Err(why) => return problem("refused a webhook", why, StatusCode::BAD_REQUEST),
        };
        let version = format!(
            "{}/{}",
            receiver.uid().unwrap_or_default(),
            receiver.metadata.generation.unwrap_or_default()
        );
        let filters = self.compiled.get_or_insert(version.as_str(), || Filters::compile(&receiver.spec));
        let read = filters.as_ref().as_ref().map_err(Clone::clone).and_then(|filters| {
            let body = if filters.any() { senders.filtered(headers, body)? } else { Value::Null };
            Ok((filters, Request { body, claims }))
        });
        let (filters, request) = match read {
            Ok(read) => read,
            Err(why) => return problem("cannot filter a webhook", why, StatusCode::INTERNAL_SERVER_ERROR),
        };
        let trigger = Trigger {
            client: &self.manager.client,
            own_namespace: &key.namespace,
            no_cross_namespace_refs: self.no_cross_namespace_refs,
            filters,
            request: &request,
        };
        let trigger = &trigger;
        let key = &key;
        let entries = receiver.spec.resources.iter().enumerate().map(|(index, resource)| async move {
            let requested = trigger.entry(index, resource).await;
            requested.inspect_err(|problem| {
                let object = format!("{}/{}", resource.kind, resource.name);
                tracing::error!(receiver = %key, object, error = problem, "cannot request a reconcile");
            })
        });
        let results = join_all(entries).await;
        let failed = results.iter().filter(|result| result.is_err()).count();
        let objects: usize = results.into_iter().flatten().sum();
        tracing::info!(receiver = %key, objects, failed, "webhook handled");
        if failed == 0 { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
    }
}

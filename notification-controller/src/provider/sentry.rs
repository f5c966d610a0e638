//! Sentry: failures as events, news as transactions, in envelopes.

use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::http::Request;
use super::{Error, Target};
use crate::event::Event;

/// `sentry`: an envelope with one item. The address is a DSN.
pub(crate) fn request(target: &Target, event: &Event) -> Result<Request, Error> {
    let dsn = target.url()?;
    let invalid = |what: &str| Error::Config(format!("the address is no DSN of Sentry: it has no {what}"));
    let key = Some(dsn.username()).filter(|key| !key.is_empty()).ok_or_else(|| invalid("public key"))?;
    let (prefix, project) = dsn.path().rsplit_once('/').ok_or_else(|| invalid("project"))?;
    if project.is_empty() {
        return Err(invalid("project"));
    }
    let mut url: Url = dsn.clone();
    url.set_path(&format!("{prefix}/api/{project}/envelope/"));
    url.set_query(None);
    // A URL with a host can do without a user.
    let _ = url.set_username("").and_then(|()| url.set_password(None));

    let json = serde_json::to_vec(event).map_err(|error| Error::Event(error.to_string()))?;
    let digest = Sha256::digest(&json);
    let id = crate::hex(&digest[..16]);
    let (kind, payload) = if event.is_error() {
        ("event", failure(target, event, &id))
    } else {
        ("transaction", news(target, event, &id, &digest))
    };
    let header = json!({"event_id": id, "sent_at": event.timestamp});
    let body = format!("{header}\n{}\n{payload}\n", json!({"type": kind}));
    let request = Request::bytes(url, "application/x-sentry-envelope", body.into_bytes());
    let client = concat!("sluice/", env!("CARGO_PKG_VERSION"));
    request.header(
        "X-Sentry-Auth",
        &format!("Sentry sentry_version=7, sentry_client={client}, sentry_key={key}"),
    )
}

fn transaction(event: &Event) -> String {
    format!("{}: {}/{}", event.kind(), event.namespace(), event.name())
}

fn failure(target: &Target, event: &Event, id: &str) -> Value {
    json!({
        "event_id": id,
        "platform": "other",
        "timestamp": event.timestamp,
        "level": "error",
        "server_name": event.reporting_controller,
        "transaction": transaction(event),
        "message": event.message,
        "environment": target.channel,
        "contexts": {"metadata": event.metadata},
    })
}

fn news(target: &Target, event: &Event, id: &str, digest: &[u8]) -> Value {
    let (trace, root, span) =
        (crate::hex(&digest[..16]), crate::hex(&digest[16..24]), crate::hex(&digest[24..32]));
    let mut tags = event.metadata.clone();
    for (key, value) in [
        ("flux_involved_object_kind", event.kind()),
        ("flux_involved_object_namespace", event.namespace()),
        ("flux_involved_object_name", event.name()),
        ("flux_reason", &event.reason),
        ("flux_reporting_controller", &event.reporting_controller),
        ("flux_reporting_instance", &event.reporting_instance),
    ] {
        tags.insert(key.to_owned(), value.to_owned());
    }
    let at = &event.timestamp;
    json!({
        "event_id": id,
        "type": "transaction",
        "platform": "other",
        "timestamp": at,
        "start_timestamp": at,
        "server_name": event.reporting_controller,
        "transaction": transaction(event),
        "message": event.message,
        "environment": target.channel,
        "contexts": {"trace": {"trace_id": trace, "span_id": root, "op": event.reason}},
        "spans": [{
            "trace_id": trace, "span_id": span, "parent_span_id": root, "op": event.reason,
            "description": event.message, "start_timestamp": at, "timestamp": at,
        }],
        "tags": tags,
    })
}

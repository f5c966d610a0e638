//! OpenTelemetry: each event is a span, and the events of one revision are one trace. OTLP over HTTP, in protobuf.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::http::Request;
use super::{Error, Notification, Target, chat};
use crate::event::Event;

/// `otel`. HelmRepositories say nothing of a revision's way and are left out.
pub(crate) fn request(target: &Target, notification: &Notification) -> Result<Option<Request>, Error> {
    let event = &notification.event;
    if event.kind() == "HelmRepository" {
        return Ok(None);
    }
    let mut url = target.url()?;
    if matches!(url.path(), "" | "/") {
        url.set_path("/v1/traces");
    }
    let mut request = Request::bytes(url, "application/x-protobuf", export(notification)?);
    for (name, value) in &target.credentials.headers {
        request = request.header(name, value)?;
    }
    if !request.headers.contains_key("authorization") {
        request = authorized(request, target)?;
    }
    Ok(Some(request))
}

fn authorized(request: Request, target: &Target) -> Result<Request, Error> {
    let credentials = &target.credentials;
    match credentials.token.as_deref().filter(|token| !token.is_empty()) {
        Some(token) if target.username.is_empty() => request.bearer(Some(token)),
        Some(token) => {
            let basic = STANDARD.encode(format!("{}:{token}", target.username));
            request.header("authorization", &format!("Basic {basic}"))
        }
        None if !target.username.is_empty() && credentials.password.is_some() => {
            request.header("authorization", &chat::basic(target))
        }
        None => request.bearer(credentials.password.as_deref()),
    }
}

/// What the events of one trace have in common.
fn revision(event: &Event) -> String {
    let metadata = |key: &str| event.metadata.get(key).filter(|value| !value.is_empty());
    match (metadata("app-version"), metadata("oci-digest"), metadata("revision")) {
        (Some(version), Some(digest), _) => format!("{version}@{digest}"),
        (_, _, Some(revision)) => revision.clone(),
        _ => "unknown".to_owned(),
    }
}

/// A message of protocol buffers under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn bytes(self, field: u64, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut message = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        message.0.extend_from_slice(bytes);
        message
    }

    fn message(self, field: u64, inner: &Message) -> Self {
        self.bytes(field, &inner.0)
    }

    fn number(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    fn fixed(self, field: u64, value: u64) -> Self {
        let mut message = self.varint(field << 3 | 1);
        message.0.extend_from_slice(&value.to_le_bytes());
        message
    }

    fn attribute(self, field: u64, key: &str, value: &str) -> Self {
        let value = Self::default().bytes(1, value);
        self.message(field, &Self::default().bytes(1, key).message(2, &value))
    }
}

/// `ExportTraceServiceRequest` with one span.
fn export(notification: &Notification) -> Result<Vec<u8>, Error> {
    let (event, alert) = (&notification.event, &notification.alert);
    let trace = Sha256::digest(format!("{}:{}", alert.uid, revision(event)));
    let json = serde_json::to_vec(event).map_err(|error| Error::Event(error.to_string()))?;
    // The same event is the same span, however often it is sent.
    let identity = Sha256::digest(json);
    let time = u64::try_from(event.timestamp.0.as_nanosecond()).unwrap_or_default();
    let mut span = Message::default()
        .bytes(1, &trace[..16])
        .bytes(2, &identity[..8])
        .bytes(5, format!("{}: {}/{}", event.kind(), event.namespace(), event.name()))
        .number(6, 1)
        .fixed(7, time)
        .fixed(8, time);
    let uid = event.involved_object.uid.as_deref().unwrap_or_default();
    for (key, value) in [
        ("object.uid", uid),
        ("object.kind", event.kind()),
        ("object.name", event.name()),
        ("object.namespace", event.namespace()),
    ] {
        span = span.attribute(9, key, value);
    }
    for (key, value) in &event.metadata {
        span = span.attribute(9, key, value);
    }
    // Only the status of a failure has a message.
    let status = if event.is_error() {
        Message::default().bytes(2, &event.message).number(3, 2)
    } else {
        Message::default().number(3, 1)
    };
    let span = span.message(15, &status);
    let resource = Message::default()
        .attribute(1, "service.name", &format!("{}/{}", alert.namespace, alert.name))
        .attribute(1, "service.namespace", &alert.namespace)
        .attribute(1, "service.instance.id", &alert.uid);
    let scope = Message::default().bytes(1, "flux:notification-controller");
    let spans = Message::default().message(1, &scope).message(2, &span);
    let all = Message::default().message(1, &resource).message(2, &spans);
    Ok(Message::default().message(1, &all).0)
}

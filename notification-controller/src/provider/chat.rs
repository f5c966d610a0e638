//! Chats with a format of their own.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::http::Request;
use super::{Error, Target, text};
use crate::event::Event;

/// `googlechat`: a card.
pub(crate) fn google_chat(target: &Target, event: &Event) -> Result<Request, Error> {
    let message = if event.is_error() {
        format!("<font color=\"#ff0000\">{}</font>", event.message)
    } else {
        event.message.clone()
    };
    let mut sections = vec![json!({"widgets": [{"textParagraph": {"text": message}}]})];
    if !event.metadata.is_empty() {
        let widgets: Vec<Value> = event
            .metadata
            .iter()
            .map(|(key, value)| json!({"keyValue": {"topLabel": key, "content": value, "contentMultiline": false}}))
            .collect();
        sections.push(json!({ "widgets": widgets }));
    }
    let header = json!({"title": text::object(event), "subtitle": event.reporting_controller});
    Request::json(target.url()?, &json!({"cards": [{"header": header, "sections": sections}]}))
}

/// `webex`: Markdown to a room.
pub(crate) fn webex(target: &Target, event: &Event) -> Result<Request, Error> {
    let mut markdown = format!("{} **{}**\n{}\n", text::emoji(event), text::object(event), event.message);
    for (key, value) in &event.metadata {
        let _ = writeln!(markdown, ">**{key}**: {value}");
    }
    let body = json!({"roomId": target.channel, "markdown": markdown});
    Request::json(target.url()?, &body)?.bearer(target.credentials.token.as_deref())
}

/// `telegram`: a message of a bot. The address is always that of the service.
pub(crate) fn telegram(target: &Target, event: &Event) -> Result<Request, Error> {
    let url = format!("https://api.telegram.org/bot{}/sendMessage", target.token()?);
    let url =
        reqwest::Url::parse(&url).map_err(|_| Error::Config("the token is no token of a bot".to_owned()))?;
    Request::json(url, &telegram_message(target.required_channel()?, event))
}

fn telegram_message(channel: &str, event: &Event) -> Value {
    let (chat, thread) = match channel.rsplit_once(':') {
        Some((chat, thread)) => (chat, Some(thread)),
        None => (channel, None),
    };
    let object = format!("{}/{}/{}", event.kind().to_lowercase(), event.name(), event.namespace());
    let mut message = format!(
        "*{} {}*\n{}\n",
        text::emoji(event),
        escape_telegram(&object),
        escape_telegram(&event.message)
    );
    for (key, value) in &event.metadata {
        let _ = writeln!(message, "\\- *{}*: {}", escape_telegram(key), escape_telegram(value));
    }
    let mut body = json!({"chat_id": chat, "text": message, "parse_mode": "MarkdownV2"});
    if let Some(thread) = thread {
        body["message_thread_id"] = thread.into();
    }
    body
}

fn escape_telegram(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if r"\.-_[]()~>`#+=|{}!*".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// `lark`: an interactive card.
pub(crate) fn lark(target: &Target, event: &Event) -> Result<Request, Error> {
    let mut content = format!("**{}**\n\n", event.message);
    for (key, value) in &event.metadata {
        let _ = writeln!(content, "{key}: {value}");
    }
    let title = format!("{} {}", text::emoji(event), text::object(event));
    let card = json!({
        "config": {"wide_screen_mode": true},
        "header": {
            "title": {"tag": "plain_text", "content": title},
            "template": if event.is_error() { "red" } else { "turquoise" },
        },
        "elements": [{"tag": "div", "text": {"tag": "lark_md", "content": content}}],
    });
    Request::json(target.url()?, &json!({"msg_type": "interactive", "card": card}))
}

/// `matrix`: a message under an identity made from the event, so that a repeated delivery shows once.
pub(crate) fn matrix(target: &Target, event: &Event) -> Result<Request, Error> {
    let json = serde_json::to_vec(event).map_err(|error| Error::Event(error.to_string()))?;
    let transaction = crate::hex(&Sha1::digest(json));
    let mut url = target.url()?;
    url.path_segments_mut()
        .map_err(|()| Error::Config("the address of the provider is invalid: it has no path".to_owned()))?
        .pop_if_empty()
        .extend([
            "_matrix",
            "client",
            "r0",
            "rooms",
            &target.channel,
            "send",
            "m.room.message",
            &transaction,
        ]);
    let mut body = format!("{} {}\n{}\n", text::emoji(event), text::object(event), event.message);
    for (key, value) in &event.metadata {
        let _ = writeln!(body, "- {key}: {value}");
    }
    let body = json!({"body": body, "msgtype": "m.text"});
    Request::json(url, &body)?.method(Method::PUT).bearer(target.credentials.token.as_deref())
}

/// `zulip`: a message to a topic, as a form.
pub(crate) fn zulip(target: &Target, event: &Event) -> Result<Request, Error> {
    let channel = target.required_channel()?;
    let (stream, topic) = channel
        .split_once('/')
        .filter(|(stream, topic)| !stream.is_empty() && !topic.is_empty())
        .ok_or_else(|| {
            Error::Config(format!("spec.channel '{channel}' is not of the form <channel>/<topic>"))
        })?;
    let mut url = target.url()?;
    url.set_path("/api/v1/messages");
    let content = text::markdown(event);
    let fields = [("type", "stream"), ("to", stream), ("topic", topic), ("content", content.as_str())];
    Request::form(url, &fields).header("authorization", &basic(target))
}

/// `zoom`: a message to an incoming webhook.
pub(crate) fn zoom(target: &Target, event: &Event) -> Result<Request, Error> {
    let mut url = target.url()?;
    if !url.query_pairs().any(|(key, _)| key == "format") {
        url.query_pairs_mut().append_pair("format", "full");
    }
    let mut body = vec![json!({"type": "message", "text": event.message})];
    if !event.metadata.is_empty() {
        let items: Vec<Value> =
            event.metadata.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        body.push(json!({"type": "fields", "items": items}));
    }
    let head = json!({"text": text::object(event), "sub_head": {"text": event.severity}});
    let request = Request::json(url, &json!({"content": {"head": head, "body": body}}))?;
    request.header("authorization", target.token()?)
}

/// `Basic` with the target's user and password.
pub(crate) fn basic(target: &Target) -> String {
    let password = target.credentials.password.as_deref().unwrap_or_default();
    format!("Basic {}", STANDARD.encode(format!("{}:{password}", target.username)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use crate::provider::tests::target;

    fn body(request: &Request) -> Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    fn sample() -> Event {
        event("error", &[("revision", "main@sha1:1")])
    }

    #[test]
    fn google_chat_marks_errors_red() {
        let request = google_chat(&target("googlechat", "https://chat.example.test/x"), &sample()).unwrap();
        let card = &body(&request)["cards"][0];
        assert_eq!(card["header"]["title"], "kustomization/webapp.gitops-system");
        let text = card["sections"][0]["widgets"][0]["textParagraph"]["text"].as_str().unwrap();
        assert!(text.starts_with("<font color=\"#ff0000\">Health"));
        assert_eq!(card["sections"][1]["widgets"][0]["keyValue"]["topLabel"], "revision");
    }

    #[test]
    fn telegram_escapes_and_splits_the_thread() {
        let body = telegram_message("-100123:42", &sample());
        assert_eq!((&body["chat_id"], &body["message_thread_id"]), (&"-100123".into(), &"42".into()));
        let text = body["text"].as_str().unwrap();
        assert!(text.contains(r"kustomization/webapp/gitops\-system*"), "{text}");
        assert!(text.contains(r"\- *revision*: main@sha1:1"), "{text}");
        assert_eq!(telegram_message("@room", &sample()).get("message_thread_id"), None);
    }

    #[test]
    fn matrix_puts_one_message_per_event() {
        let target = target("matrix", "https://matrix.example.test");
        let (one, two) = (matrix(&target, &sample()).unwrap(), matrix(&target, &sample()).unwrap());
        assert_eq!((one.method.as_str(), one.url.as_str()), ("PUT", two.url.as_str()));
        let path = one.url.path();
        assert!(path.starts_with("/_matrix/client/r0/rooms/general/send/m.room.message/"), "{path}");
    }

    #[test]
    fn zulip_needs_channel_and_topic() {
        let mut target = target("zulip", "https://zulip.example.test/anything");
        assert!(zulip(&target, &sample()).is_err());
        target.channel = "ops/flux & co".to_owned();
        target.username = "bot".to_owned();
        let request = zulip(&target, &sample()).unwrap();
        assert_eq!(request.url.path(), "/api/v1/messages");
        let form = String::from_utf8(request.body).unwrap();
        assert!(
            form.starts_with("type=stream&to=ops&topic=flux+%26+co&content=%23%23+Flux+Status"),
            "{form}"
        );
        assert!(request.headers["authorization"].to_str().unwrap().starts_with("Basic "));
    }

    #[test]
    fn zoom_sends_the_bare_token() {
        let request = zoom(&target("zoom", "https://zoom.example.test/hook"), &sample()).unwrap();
        assert_eq!(
            (request.url.query(), &request.headers["authorization"]),
            (Some("format=full"), &"s3cr3t".parse().unwrap())
        );
    }

    #[test]
    fn lark_and_webex_show_the_metadata() {
        let request = lark(&target("lark", "https://lark.example.test/"), &sample()).unwrap();
        assert_eq!(body(&request)["card"]["header"]["template"], "red");
        let request = webex(&target("webex", "https://webex.example.test/"), &sample()).unwrap();
        assert_eq!(body(&request)["roomId"], "general");
        assert!(body(&request)["markdown"].as_str().unwrap().ends_with(">**revision**: main@sha1:1\n"));
    }
}

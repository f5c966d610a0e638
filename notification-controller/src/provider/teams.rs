//! Microsoft Teams: message cards of the old connectors and adaptive cards of the workflows.

use serde_json::{Value, json};

use super::http::Request;
use super::{Error, Target, text};
use crate::event::Event;

/// `msteams`.
pub(crate) fn request(target: &Target, event: &Event) -> Result<Request, Error> {
    let url = target.url()?;
    let connector = url.host_str().is_some_and(|host| host.ends_with(".webhook.office.com"));
    let body = if connector { message_card(event) } else { adaptive_card(event) };
    Request::json(url, &body)
}

/// The metadata, `summary` first.
fn facts(event: &Event, name: &str) -> Vec<Value> {
    let (summary, rest): (Vec<_>, Vec<_>) = event.metadata.iter().partition(|(key, _)| *key == "summary");
    summary.into_iter().chain(rest).map(|(key, value)| json!({name: key, "value": value})).collect()
}

fn message_card(event: &Event) -> Value {
    let object = text::object(event);
    json!({
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": if event.is_error() { "FF0000" } else { "0076D7" },
        "summary": object,
        "sections": [{
            "activityTitle": event.message,
            "activitySubtitle": object,
            "facts": facts(event, "name"),
        }],
    })
}

fn adaptive_card(event: &Event) -> Value {
    let mut message = json!({"type": "TextBlock", "text": event.message, "wrap": true});
    if event.is_error() {
        message["color"] = "attention".into();
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": {"width": "Full"},
                "body": [{
                    "type": "Container",
                    "items": [
                        {"type": "TextBlock", "text": text::object(event), "size": "large", "weight": "bolder", "wrap": true},
                        message,
                        {"type": "FactSet", "facts": facts(event, "title")},
                    ],
                }],
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use crate::provider::tests::target;

    fn body(address: &str, severity: &str) -> Value {
        let event = event(severity, &[("revision", "1"), ("summary", "cluster-1")]);
        serde_json::from_slice(&request(&target("msteams", address), &event).unwrap().body).unwrap()
    }

    #[test]
    fn old_connectors_get_message_cards() {
        let card = body("https://acme.webhook.office.com:443/x", "error");
        assert_eq!((&card["@type"], &card["themeColor"]), (&"MessageCard".into(), &"FF0000".into()));
        let facts = &card["sections"][0]["facts"];
        assert_eq!(
            facts,
            &json!([{"name": "summary", "value": "cluster-1"}, {"name": "revision", "value": "1"}])
        );
    }

    #[test]
    fn others_get_adaptive_cards() {
        let card = body("https://prod.example.test/workflows/x", "error");
        let content = &card["attachments"][0]["content"];
        assert_eq!(content["body"][0]["items"][1]["color"], "attention");
        assert_eq!(content["body"][0]["items"][2]["facts"][0]["title"], "summary");
        let card = body("https://prod.example.test/workflows/x", "info");
        assert_eq!(card["attachments"][0]["content"]["body"][0]["items"][1].get("color"), None);
    }
}

//! Slack and those that took over its message format.

use serde::Serialize;

use super::http::{self, Request};
use super::{Error, Target, text};
use crate::event::Event;

/// The address at which Slack answers 200 whatever happens.
const POST_MESSAGE: &str = "https://slack.com/api/chat.postMessage";

#[derive(Serialize)]
struct Payload<'a> {
    channel: &'a str,
    username: &'a str,
    icon_url: &'a str,
    icon_emoji: &'a str,
    attachments: [Attachment<'a>; 1],
}

#[derive(Serialize)]
struct Attachment<'a> {
    fallback: String,
    color: &'a str,
    author_name: String,
    text: &'a str,
    mrkdwn_in: [&'a str; 1],
    fields: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    title: &'a str,
    value: &'a str,
    short: bool,
}

fn payload<'a>(
    event: &'a Event,
    channel: &'a str,
    username: &'a str,
    fallback: String,
    color: &'a str,
) -> Payload<'a> {
    let fields = event.metadata.iter().map(|(title, value)| Field { title, value, short: false }).collect();
    let attachment = Attachment {
        fallback,
        color,
        author_name: text::object(event),
        text: &event.message,
        mrkdwn_in: ["text"],
        fields,
    };
    Payload { channel, username, icon_url: "", icon_emoji: "", attachments: [attachment] }
}

fn color<'a>(event: &Event, good: &'a str, bad: &'a str) -> &'a str {
    if event.is_error() { bad } else { good }
}

fn username<'a>(target: &'a Target, event: &'a Event) -> &'a str {
    if target.username.is_empty() { &event.reporting_controller } else { &target.username }
}

/// `slack`.
pub(crate) fn request(target: &Target, event: &Event) -> Result<Request, Error> {
    let first_line = event.message.lines().next().unwrap_or_default();
    let fallback = format!("{}: {first_line}", text::object(event));
    let color = color(event, "good", "danger");
    let body = payload(event, &target.channel, username(target, event), fallback, color);
    Request::json(target.url()?, &body)?.bearer(target.credentials.token.as_deref())
}

/// Sends to Slack, which tells failures of its API in the answer's body.
pub(crate) async fn send(client: &http::Client, target: &Target, event: &Event) -> Result<(), Error> {
    let answer = client.fetch(request(target, event)?).await?;
    if target.address == POST_MESSAGE {
        check(&answer)?;
    }
    Ok(())
}

fn check(answer: &[u8]) -> Result<(), http::Error> {
    let answer: serde_json::Value = serde_json::from_slice(answer)
        .map_err(|error| http::Error::Refused(format!("Slack's answer is not JSON: {error}")))?;
    if answer["ok"] == true {
        return Ok(());
    }
    let error = answer["error"].as_str().unwrap_or_default();
    Err(http::Error::Refused(format!("Slack responded with error: {error}")))
}

/// `discord`: Slack's format at an address of its own.
pub(crate) fn discord(target: &Target, event: &Event) -> Result<Request, Error> {
    let mut url = target.url()?;
    if !url.path().ends_with("/slack") {
        let path = format!("{}/slack", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    let color = color(event, "good", "danger");
    Request::json(url, &payload(event, "", username(target, event), String::new(), color))
}

/// `rocket`: Slack's format with colours of its own.
pub(crate) fn rocket(target: &Target, event: &Event) -> Result<Request, Error> {
    let color = color(event, "#0076D7", "#FF0000");
    Request::json(target.url()?, &payload(event, &target.channel, &target.username, String::new(), color))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use crate::provider::tests::target;

    fn body(request: &Request) -> serde_json::Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn slack_message() {
        let request = request(
            &target("slack", "https://hooks.example.test/x"),
            &event("error", &[("revision", "main@sha1:1")]),
        );
        let request = request.unwrap();
        assert_eq!(request.headers["authorization"], "Bearer s3cr3t");
        let expected = serde_json::json!({
            "channel": "general", "username": "kustomize-controller", "icon_url": "", "icon_emoji": "",
            "attachments": [{
                "fallback": "kustomization/webapp.gitops-system: Health check passed", "color": "danger",
                "author_name": "kustomization/webapp.gitops-system", "text": "Health check passed\nin 2s",
                "mrkdwn_in": ["text"],
                "fields": [{"title": "revision", "value": "main@sha1:1", "short": false}],
            }],
        });
        assert_eq!(body(&request), expected);
    }

    #[test]
    fn discord_gets_its_path_and_no_token() {
        let request =
            discord(&target("discord", "https://discord.example.test/api/webhooks/1/a"), &event("info", &[]));
        let request = request.unwrap();
        assert_eq!(request.url.path(), "/api/webhooks/1/a/slack");
        assert!(!request.headers.contains_key("authorization"));
        assert_eq!(
            (&body(&request)["channel"], &body(&request)["attachments"][0]["color"]),
            (&"".into(), &"good".into())
        );
        let again = discord(&target("discord", request.url.as_str()), &event("info", &[])).unwrap();
        assert_eq!(again.url.path(), "/api/webhooks/1/a/slack");
    }

    #[test]
    fn slack_says_in_the_body_that_it_failed() {
        assert!(check(br#"{"ok":true}"#).is_ok());
        let error = check(br#"{"ok":false,"error":"channel_not_found"}"#).unwrap_err();
        assert_eq!(error.to_string(), "Slack responded with error: channel_not_found");
    }

    #[test]
    fn rocket_has_its_own_colours_and_no_default_name() {
        let request = rocket(&target("rocket", "https://rocket.example.test/"), &event("info", &[])).unwrap();
        assert_eq!(body(&request)["username"], "");
        assert_eq!(body(&request)["attachments"][0]["color"], "#0076D7");
    }
}

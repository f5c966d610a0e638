//! Chats, and sinks that take the event as it is.

use super::*;

#[tokio::test]
async fn generic_and_generic_hmac() {
    let mut sink = target("generic", "https://sink.test/hook?x=1");
    sink.credentials.headers = [("X-Team".to_owned(), "shop".to_owned())].into();
    let [seen] = &exchange(sink.clone(), failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.line(), "POST sink.test/hook?x=1");
    assert_eq!(
        (seen.header("content-type"), seen.header("gotk-component")),
        ("application/json", "kustomize-controller")
    );
    assert_eq!((seen.header("x-team"), seen.header("x-signature")), ("shop", ""));
    assert_eq!(seen.json(), serde_json::to_value(failure()).unwrap());

    sink.type_ = "generic-hmac".into();
    let [seen] = &exchange(sink, failure(), vec![]).await[..] else { panic!() };
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cr3t");
    let signature = crate::hex(ring::hmac::sign(&key, &seen.body).as_ref());
    assert_eq!(seen.header("x-signature"), format!("sha256={signature}"));
}

#[tokio::test]
async fn slack_by_webhook_and_by_its_api() {
    let fields = json!([
        {"title": "revision", "value": "main@sha1:1", "short": false}, {"title": "summary", "value": "staging", "short": false},
    ]);
    let body = json!({
        "channel": "general", "username": "kustomize-controller", "icon_url": "", "icon_emoji": "",
        "attachments": [{
            "fallback": format!("{OBJECT}: Health check passed"), "color": "danger", "author_name": OBJECT,
            "text": MESSAGE, "mrkdwn_in": ["text"], "fields": fields,
        }],
    });
    let mut slack = target("slack", "https://hooks.slack.com/services/T/B/x");
    slack.credentials.token = None;
    let [seen] = &exchange(slack, failure(), vec![]).await[..] else { panic!() };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST hooks.slack.com/services/T/B/x", "")
    );
    assert_eq!(seen.json(), body);

    let api = target("slack", "https://slack.com/api/chat.postMessage");
    let [seen] = &exchange(api.clone(), failure(), vec![fine(json!({"ok": true}))]).await[..] else {
        panic!()
    };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST slack.com/api/chat.postMessage", "Bearer s3cr3t")
    );
    assert_eq!(seen.json(), body);
    let server = Server::start(vec![fine(json!({"ok": false, "error": "channel_not_found"}))], false).await;
    let error = deliver(&Target { via: Some(server.address), ..api }, failure()).await.unwrap_err();
    assert_eq!(error.to_string(), "postMessage failed: Slack responded with error: channel_not_found");
}

#[tokio::test]
async fn discord_rocket_and_teams() {
    let [seen] =
        &exchange(target("discord", "https://discord.com/api/webhooks/1/a"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST discord.com/api/webhooks/1/a/slack", "")
    );
    assert_eq!(
        (&seen.json()["channel"], &seen.json()["attachments"][0]["color"]),
        (&json!(""), &json!("danger"))
    );
    let [seen] = &exchange(target("rocket", "https://chat.test/hooks/x"), failure(), vec![]).await[..] else {
        panic!()
    };
    assert_eq!((seen.line().as_str(), seen.header("authorization")), ("POST chat.test/hooks/x", ""));
    assert_eq!(seen.json()["attachments"][0]["color"], "#FF0000");
    let [seen] =
        &exchange(target("msteams", "https://acme.webhook.office.com/x"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!(seen.json()["sections"][0]["activitySubtitle"], OBJECT);
    let [seen] =
        &exchange(target("msteams", "https://prod.logic.azure.com/w?sig=1"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!(seen.line(), "POST prod.logic.azure.com/w?sig=1");
    let body = &seen.json()["attachments"][0]["content"]["body"][0]["items"];
    assert_eq!(
        (&body[0]["text"], &body[1]["text"], &body[1]["color"]),
        (&json!(OBJECT), &json!(MESSAGE), &json!("attention"))
    );
    assert_eq!(
        body[2]["facts"],
        json!([{"title": "summary", "value": "staging"}, {"title": "revision", "value": "main@sha1:1"}])
    );
}

#[tokio::test]
async fn the_other_chats() {
    let [seen] = &exchange(
        target("googlechat", "https://chat.googleapis.com/v1/spaces/x"),
        failure(),
        vec![],
    )
    .await[..] else {
        panic!()
    };
    assert_eq!(seen.line(), "POST chat.googleapis.com/v1/spaces/x");
    assert_eq!(
        seen.json()["cards"][0]["header"],
        json!({"title": OBJECT, "subtitle": "kustomize-controller"})
    );

    let [seen] = &exchange(target("webex", "https://webexapis.com/v1/messages"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST webexapis.com/v1/messages", "Bearer s3cr3t")
    );
    let markdown = format!("💣 **{OBJECT}**\n{MESSAGE}\n>**revision**: main@sha1:1\n>**summary**: staging\n");
    assert_eq!(seen.json(), json!({"roomId": "general", "markdown": markdown}));

    let mut telegram = target("telegram", "");
    telegram.channel = "-100:42".into();
    let [seen] = &exchange(telegram, failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.line(), "POST api.telegram.org/bots3cr3t/sendMessage");
    let body = seen.json();
    assert_eq!(
        (&body["chat_id"], &body["message_thread_id"], &body["parse_mode"]),
        (&json!("-100"), &json!("42"), &json!("MarkdownV2"))
    );

    let [seen] = &exchange(target("lark", "https://open.larksuite.com/hook"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!(
        (&seen.json()["msg_type"], &seen.json()["card"]["header"]["template"]),
        (&json!("interactive"), &json!("red"))
    );

    let mut matrix = target("matrix", "https://matrix.test");
    matrix.channel = "!room:matrix.test".into();
    let [seen] = &exchange(matrix, failure(), vec![]).await[..] else { panic!() };
    assert!(
        seen.line()
            .starts_with("PUT matrix.test/_matrix/client/r0/rooms/!room:matrix.test/send/m.room.message/"),
        "{}",
        seen.line()
    );
    assert_eq!((seen.header("authorization"), &seen.json()["msgtype"]), ("Bearer s3cr3t", &json!("m.text")));

    let mut zulip = target("zulip", "https://acme.zulipchat.com/whatever");
    (zulip.channel, zulip.username, zulip.credentials.password) =
        ("ops/flux".into(), "bot@x".into(), Some("key".into()));
    let [seen] = &exchange(zulip, failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.line(), "POST acme.zulipchat.com/api/v1/messages");
    assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(seen.header("authorization"), format!("Basic {}", STANDARD.encode("bot@x:key")));
    assert!(
        seen.body.starts_with(b"type=stream&to=ops&topic=flux&content=%23%23+Flux+Status%0A%0A"),
        "{:?}",
        seen.body
    );

    let [seen] = &exchange(target("zoom", "https://integrations.zoom.us/chat/webhooks/x"), failure(), vec![])
        .await[..]
    else {
        panic!()
    };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST integrations.zoom.us/chat/webhooks/x?format=full", "s3cr3t")
    );
    assert_eq!(seen.json()["content"]["head"], json!({"text": OBJECT, "sub_head": {"text": "error"}}));
}

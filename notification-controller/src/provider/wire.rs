//! What goes over the wire: every type sends its real requests to a server on loopback, which checks method, host, path,
//! authentication and body against what the vendors document. Failing answers are told in the same way for all.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::tests::target;
use super::*;
use crate::event::tests::event;

/// A request that arrived.
#[derive(Clone, Debug)]
struct Seen {
    method: Method,
    host: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Method, host and path, as one line.
    fn line(&self) -> String {
        format!("{} {}{}", self.method, self.host, self.path)
    }
}

/// An answer: status, a header, the body.
type Answer = (u16, Option<(&'static str, &'static str)>, String);

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    answers: Mutex<VecDeque<Answer>>,
    hangs: bool,
}

struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Server {
    /// Gives these answers, and then 200 with an empty object.
    async fn start(answers: Vec<Answer>, hangs: bool) -> Self {
        let shared = Arc::new(Shared { seen: Mutex::default(), answers: Mutex::new(answers.into()), hangs });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(take).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { shared, address }
    }

    fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let host = headers["host"].to_str().unwrap().to_owned();
    shared.seen.lock().unwrap().push(Seen { method, host, path: uri.to_string(), headers, body });
    if shared.hangs {
        std::future::pending::<()>().await;
    }
    let answer = shared.answers.lock().unwrap().pop_front();
    let (status, header, body) = answer.unwrap_or((200, None, "{}".to_owned()));
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn fine(body: Value) -> Answer {
    (200, None, body.to_string())
}

async fn deliver(target: &Target, event: Event) -> Result<(), Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let alert = AlertIdentity { name: "on-call".into(), namespace: "apps".into(), uid: "alert-uid".into() };
    let notification = Notification { event, status_id: "kustomization/webapp/7c4d1f00".into(), alert };
    send(&Client::new(target)?, target, &notification).await
}

/// Sends an event with a target whose requests all go to a server with these answers.
async fn exchange(mut target: Target, event: Event, answers: Vec<Answer>) -> Vec<Seen> {
    let server = Server::start(answers, false).await;
    target.via = Some(server.address);
    deliver(&target, event).await.unwrap();
    server.seen()
}

fn failure() -> Event {
    event("error", &[("revision", "main@sha1:1"), ("summary", "staging")])
}

const OBJECT: &str = "kustomization/webapp.gitops-system";
const MESSAGE: &str = "Health check passed\nin 2s";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn of_commit(severity: &str) -> Event {
    let revision = format!("main@sha1:{COMMIT}");
    event(severity, &[("revision", &revision), ("change_request", "7")])
}

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

#[tokio::test]
async fn incident_tools() {
    let [seen] =
        &exchange(target("opsgenie", "https://api.opsgenie.com/v2/alerts"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST api.opsgenie.com/v2/alerts", "GenieKey s3cr3t")
    );
    assert_eq!(seen.json()["message"], "Kustomization/webapp");

    let [seen] =
        &exchange(target("alertmanager", "http://am.test:9093/api/v2/alerts/"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!((seen.path.as_str(), seen.header("authorization")), ("/api/v2/alerts/", "Bearer s3cr3t"));
    let expected = json!([{
        "status": "firing", "startsAt": "2026-01-02T03:04:05Z", "endsAt": "0001-01-01T00:00:00Z",
        "annotations": {"message": MESSAGE, "summary": "staging"},
        "labels": {
            "alertname": "FluxKustomizationReconciliationsucceeded", "severity": "error", "reason": "ReconciliationSucceeded",
            "kind": "Kustomization", "name": "webapp", "namespace": "gitops-system",
            "reportingcontroller": "kustomize-controller", "revision": "main@sha1:1",
        },
    }]);
    assert_eq!(seen.json(), expected);

    let [seen] =
        &exchange(target("grafana", "https://grafana.test/api/annotations"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST grafana.test/api/annotations", "Bearer s3cr3t")
    );
    let tags = json!([
        "flux",
        "kustomize-controller",
        "revision: main@sha1|1",
        "summary: staging",
        "kind: Kustomization",
        "name: webapp",
        "namespace: gitops-system"
    ]);
    assert_eq!(seen.json(), json!({"when": 1_767_323_045, "text": OBJECT, "tags": tags}));

    let pagerduty = target("pagerduty", "https://events.pagerduty.com");
    let [seen] = &exchange(pagerduty.clone(), failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.line(), "POST events.pagerduty.com/v2/enqueue");
    let body = seen.json();
    assert_eq!(
        (&body["routing_key"], &body["event_action"], &body["payload"]["severity"]),
        (&json!("general"), &json!("trigger"), &json!("error"))
    );
    assert_eq!(body["dedup_key"], "0b1e9f2a-1c2d-4e5f-8a9b-0c1d2e3f4a5b");
    let lines: Vec<_> =
        exchange(pagerduty, event("info", &[]), vec![]).await.iter().map(Seen::line).collect();
    assert_eq!(
        lines,
        ["POST events.pagerduty.com/v2/enqueue", "POST events.pagerduty.com/v2/change/enqueue"]
    );

    let [seen] = &exchange(target("datadog", "https://api.datadoghq.eu"), failure(), vec![]).await[..] else {
        panic!()
    };
    assert_eq!(
        (seen.line().as_str(), seen.header("dd-api-key")),
        ("POST api.datadoghq.eu/api/v1/events", "s3cr3t")
    );
    assert_eq!(seen.json()["title"], "Events from the Kustomization webapp/gitops-system");

    let [seen] =
        &exchange(target("incident.io", "https://api.incident.io/v2/alert_events/http/x"), failure(), vec![])
            .await[..]
    else {
        panic!()
    };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST api.incident.io/v2/alert_events/http/x", "Bearer s3cr3t")
    );
    assert_eq!(
        (&seen.json()["status"], &seen.json()["metadata"]["reason"]),
        (&json!("firing"), &json!("ReconciliationSucceeded"))
    );

    let [seen] =
        &exchange(target("sentry", "https://public@o1.ingest.sentry.io/42"), failure(), vec![]).await[..]
    else {
        panic!()
    };
    assert_eq!(seen.line(), "POST o1.ingest.sentry.io/api/42/envelope/");
    assert!(seen.header("x-sentry-auth").ends_with("sentry_key=public"), "{}", seen.header("x-sentry-auth"));
    let lines: Vec<Value> = seen
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[1]["type"], &lines[2]["level"], &lines[2]["environment"]),
        (&json!("event"), &json!("error"), &json!("general"))
    );
    assert_eq!(
        (&lines[2]["transaction"], &lines[2]["event_id"]),
        (&json!("Kustomization: gitops-system/webapp"), &lines[0]["event_id"])
    );
    let [seen] =
        &exchange(target("sentry", "https://public@o1.ingest.sentry.io/42"), event("info", &[]), vec![])
            .await[..]
    else {
        panic!()
    };
    assert!(String::from_utf8_lossy(&seen.body).contains(r#"{"type":"transaction"}"#));
}

#[tokio::test]
async fn commit_statuses() {
    let same = |state: &str, key: &str| json!([{key: "kustomization/webapp/7c4d1f00", "state": state, "status": state, "description": "reconciliation succeeded"}]);
    let body = json!({"state": "failure", "context": "kustomization/webapp/7c4d1f00", "description": "reconciliation succeeded"});

    let github = target("github", "https://github.com/org/repo.git");
    let seen = exchange(github.clone(), of_commit("error"), vec![fine(json!([]))]).await;
    let lines: Vec<_> = seen.iter().map(Seen::line).collect();
    let list = format!("GET api.github.com/repos/org/repo/commits/{COMMIT}/statuses?per_page=50");
    assert_eq!(lines, [list.clone(), format!("POST api.github.com/repos/org/repo/statuses/{COMMIT}")]);
    assert_eq!((seen[1].header("authorization"), seen[1].json()), ("Bearer s3cr3t", body.clone()));
    let seen = exchange(github, of_commit("error"), vec![fine(same("failure", "context"))]).await;
    assert_eq!(seen.len(), 1, "it stands there already");

    let enterprise = target("github", "ssh://git@ghe.test/org/repo");
    let seen = exchange(enterprise, of_commit("info"), vec![fine(json!([]))]).await;
    assert_eq!(
        (seen[1].line(), &seen[1].json()["state"]),
        (format!("POST ghe.test/api/v3/repos/org/repo/statuses/{COMMIT}"), &json!("success"))
    );

    let gitlab = target("gitlab", "https://gitlab.com/group/sub/repo");
    let seen = exchange(gitlab.clone(), of_commit("error"), vec![fine(json!([]))]).await;
    assert_eq!(
        seen[0].line(),
        format!(
            "GET gitlab.com/api/v4/projects/group%2Fsub%2Frepo/repository/commits/{COMMIT}/statuses?name=kustomization%2Fwebapp%2F7c4d1f00"
        )
    );
    assert_eq!(
        seen[1].line(),
        format!("POST gitlab.com/api/v4/projects/group%2Fsub%2Frepo/statuses/{COMMIT}")
    );
    assert_eq!((seen[1].header("private-token"), &seen[1].json()["state"]), ("s3cr3t", &json!("failed")));
    let seen = exchange(gitlab, of_commit("error"), vec![fine(same("failed", "name"))]).await;
    assert_eq!(seen.len(), 1);

    let gitea = target("gitea", "https://gitea.test/org/repo");
    let seen = exchange(gitea, of_commit("error"), vec![fine(json!([]))]).await;
    assert_eq!(seen[1].line(), format!("POST gitea.test/api/v1/repos/org/repo/statuses/{COMMIT}"));
    assert_eq!((seen[1].header("authorization"), seen[1].json()), ("token s3cr3t", body));

    let mut bitbucket = target("bitbucket", "https://bitbucket.org/org/repo");
    bitbucket.credentials.token = Some("user:app".into());
    let seen = exchange(bitbucket, of_commit("info"), vec![(404, None, "{}".into())]).await;
    let base = format!("api.bitbucket.org/2.0/repositories/org/repo/commit/{COMMIT}/statuses/build");
    let key = "4e7ed7fb2e51cb36dd2f4ed35b2a1b5ddae0d4ba";
    assert!(
        seen[0].line().starts_with(&format!("GET {base}/"))
            && seen[0].line().len() == base.len() + 5 + key.len()
    );
    assert_eq!(
        (seen[1].line(), seen[1].header("authorization")),
        (format!("POST {base}"), format!("Basic {}", STANDARD.encode("user:app")).as_str())
    );
    assert_eq!(
        (&seen[1].json()["state"], &seen[1].json()["url"]),
        (&json!("SUCCESSFUL"), &json!("https://bitbucket.org"))
    );

    let server = target("bitbucketserver", "https://bb.test/ctx/scm/PRJ/repo.git");
    let seen = exchange(server, of_commit("error"), vec![(404, None, "{}".into())]).await;
    let builds = format!("bb.test/ctx/rest/api/latest/projects/PRJ/repos/repo/commits/{COMMIT}/builds");
    assert!(seen[0].line().starts_with(&format!("GET {builds}?key=")));
    assert_eq!(
        (seen[1].line(), seen[1].header("authorization"), seen[1].header("x-atlassian-token")),
        (format!("POST {builds}"), "Bearer s3cr3t", "no-check")
    );
    assert_eq!(
        (&seen[1].json()["state"], &seen[1].json()["name"]),
        (&json!("FAILED"), &json!("kustomization/webapp [reconciliation succeeded]"))
    );

    let azure = target("azuredevops", "https://dev.azure.com/org/project/_git/repo");
    let seen = exchange(azure, of_commit("error"), vec![fine(json!({"value": []}))]).await;
    let statuses = format!("dev.azure.com/org/project/_apis/git/repositories/repo/commits/{COMMIT}/statuses");
    assert!(seen[1].line().starts_with(&format!("POST {statuses}")), "{}", seen[1].line());
    assert_eq!(seen[1].header("authorization"), format!("Basic {}", STANDARD.encode(":s3cr3t")));
    assert_eq!(
        seen[1].json()["context"],
        json!({"name": "kustomization/webapp/7c4d1f00", "genre": "fluxcd"})
    );
}

#[tokio::test]
async fn comments_are_made_once_and_then_changed() {
    let marker = "<!-- flux-pr-comment-key:7c4d1f00-aaaa-bbbb-cccc-000000000000/Kustomization/gitops-system/webapp -->";
    for (type_, address, api, scheme) in [
        (
            "githubpullrequestcomment",
            "https://github.com/org/repo",
            "api.github.com/repos/org/repo",
            "Bearer",
        ),
        (
            "giteapullrequestcomment",
            "https://gitea.test/org/repo",
            "gitea.test/api/v1/repos/org/repo",
            "token",
        ),
    ] {
        let (user, target) = (fine(json!({"login": "bot"})), target(type_, address));
        let seen = exchange(
            target.clone(),
            of_commit("error"),
            vec![user.clone(), fine(json!([{"id": 1, "user": {"login": "eve"}, "body": marker}]))],
        )
        .await;
        assert_eq!(
            seen[2].line(),
            format!("POST {api}/issues/7/comments"),
            "the marker of another user is not ours"
        );
        assert_eq!(seen[2].header("authorization"), format!("{scheme} s3cr3t"));
        let body = seen[2].json()["body"].as_str().unwrap().to_owned();
        assert!(body.starts_with(&format!("{marker}\n\n## Flux Status\n\n⚠️ Kustomization/gitops-system/webapp\n\n{MESSAGE}\n\nMetadata:\n* `revision`: main@sha1:")), "{body}");
        assert!(!body.contains("change_request"), "{body}");
        let seen = exchange(
            target,
            of_commit("error"),
            vec![user, fine(json!([{"id": 5, "user": {"login": "bot"}, "body": marker}]))],
        )
        .await;
        assert_eq!(seen[2].line(), format!("PATCH {api}/issues/comments/5"));
    }
    let gitlab = target("gitlabmergerequestcomment", "https://gitlab.com/org/repo");
    let marker = marker.replace("flux-pr", "flux-mr");
    let answers = vec![
        fine(json!({"username": "bot"})),
        fine(json!([{"id": 5, "author": {"username": "bot"}, "body": marker}])),
    ];
    let seen = exchange(gitlab, of_commit("info"), answers).await;
    let notes = "gitlab.com/api/v4/projects/org%2Frepo/merge_requests/7/notes";
    assert_eq!(seen[1].line(), format!("GET {notes}?per_page=100&sort=asc&order_by=created_at"));
    assert_eq!((seen[2].line(), seen[2].header("private-token")), (format!("PUT {notes}/5"), "s3cr3t"));
}

#[tokio::test]
async fn a_github_app_gets_a_token_of_its_installation_once() {
    let pem = crate::jose::tests::rsa_pem();
    let data = [
        ("githubAppID", "123"),
        ("githubAppInstallationOwner", "org"),
        ("githubAppPrivateKey", pem.as_str()),
    ];
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    let credentials = Credentials::read(&data).unwrap();
    let dispatch = Target { credentials, ..target("githubdispatch", "https://github.com/org/repo") };
    let answers =
        vec![fine(json!({"id": 99})), fine(json!({"token": "ghs_1", "expires_at": "2999-01-01T00:00:00Z"}))];
    let seen = exchange(dispatch.clone(), failure(), answers).await;
    let lines: Vec<_> = seen.iter().map(Seen::line).collect();
    assert_eq!(
        lines,
        [
            "GET api.github.com/orgs/org/installation",
            "POST api.github.com/app/installations/99/access_tokens",
            "POST api.github.com/repos/org/repo/dispatches"
        ]
    );
    let jwt = seen[0].header("authorization").strip_prefix("Bearer ").unwrap();
    let claims = crate::jose::Token::parse(jwt).unwrap().claims;
    assert_eq!(
        (&claims["iss"], claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()),
        (&json!("123"), 600)
    );
    assert_eq!(seen[2].header("authorization"), "Bearer ghs_1");
    assert_eq!(seen[2].json()["event_type"], "Kustomization/webapp.gitops-system");
    assert_eq!(exchange(dispatch, failure(), vec![]).await.len(), 1, "the token is good for an hour");
    let both = Credentials::read(
        &[("githubAppID", "1"), ("githubAppPrivateKey", "x")].map(|(k, v)| (k.to_owned(), v.into())).into(),
    );
    assert!(both.unwrap_err().contains("githubAppInstallationID"));
}

#[tokio::test]
async fn queues() {
    let mut pubsub = target("googlepubsub", "my-project");
    let account = json!({"type": "service_account", "client_email": "a@b", "private_key": crate::jose::tests::rsa_pem(), "private_key_id": "k1"});
    (pubsub.channel, pubsub.credentials.token) = ("events".into(), Some(account.to_string()));
    pubsub.credentials.headers = [("team".to_owned(), "shop".to_owned())].into();
    let [seen] = &exchange(pubsub, failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.line(), "POST pubsub.googleapis.com/v1/projects/my-project/topics/events:publish");
    let message = &seen.json()["messages"][0];
    assert_eq!(message["attributes"], json!({"team": "shop"}));
    let data: Value =
        serde_json::from_slice(&STANDARD.decode(message["data"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(data, serde_json::to_value(failure()).unwrap());
    let token =
        crate::jose::Token::parse(seen.header("authorization").strip_prefix("Bearer ").unwrap()).unwrap();
    assert_eq!(
        (&token.claims["aud"], token.key_id.as_deref()),
        (&json!("https://pubsub.googleapis.com/"), Some("k1"))
    );

    let mut hub = target("azureeventhub", "hub");
    hub.channel = "ns".into();
    let [seen] = &exchange(hub.clone(), failure(), vec![]).await[..] else { panic!() };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST ns.servicebus.windows.net/hub/messages", "Bearer s3cr3t")
    );
    hub.address = "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=a2V5;EntityPath=hub2".into();
    hub.credentials.token = None;
    let [seen] = &exchange(hub, failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.line(), "POST ns.servicebus.windows.net/hub2/messages");
    assert!(
        seen.header("authorization")
            .starts_with("SharedAccessSignature sr=https%3A%2F%2Fns.servicebus.windows.net%2Fhub2&sig=")
    );
    assert_eq!(seen.json(), serde_json::to_value(failure()).unwrap());
}

#[tokio::test]
async fn traces() {
    let mut otel = target("otel", "https://otlp.test");
    let [seen] = &exchange(otel.clone(), failure(), vec![]).await[..] else { panic!() };
    assert_eq!(
        (seen.line().as_str(), seen.header("authorization")),
        ("POST otlp.test/v1/traces", "Bearer s3cr3t")
    );
    assert_eq!(seen.header("content-type"), "application/x-protobuf");
    let body = String::from_utf8_lossy(&seen.body).into_owned();
    for text in [
        "service.name",
        "apps/on-call",
        "alert-uid",
        "flux:notification-controller",
        "Kustomization: gitops-system/webapp",
        "object.uid",
        "main@sha1:1",
        MESSAGE,
    ] {
        assert!(body.contains(text), "{text}");
    }
    // The trace: SHA-256 of `alert-uid:main@sha1:1`, its first 16 bytes, as field 1 of the span.
    let digest = ring::digest::digest(&ring::digest::SHA256, b"alert-uid:main@sha1:1");
    let field = [&[0x0a, 16], &digest.as_ref()[..16]].concat();
    assert!(seen.body.windows(18).any(|window| window == field));
    // Lengths nest up to the end: a reader of protocol buffers gets through.
    assert_eq!(seen.body[0], 0x0a);
    let (length, begin) = (usize::from(seen.body[1] & 0x7f) | usize::from(seen.body[2]) << 7, 3);
    assert_eq!(begin + length, seen.body.len());

    otel.username = "user".into();
    let [seen] = &exchange(otel.clone(), failure(), vec![]).await[..] else { panic!() };
    assert_eq!(seen.header("authorization"), format!("Basic {}", STANDARD.encode("user:s3cr3t")));
    let mut repository = failure();
    repository.involved_object.kind = Some("HelmRepository".into());
    assert!(exchange(otel, repository, vec![]).await.is_empty());
}

#[tokio::test]
async fn nats_is_told_who_publishes_what() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut nats = target("nats", &format!("nats://{}", listener.local_addr().unwrap()));
    (nats.channel, nats.username, nats.credentials.password) =
        ("flux.events".into(), "me".into(), Some("pw".into()));
    let server = tokio::spawn(async move {
        let mut heard = Vec::new();
        for answer in ["PONG\r\n", "-ERR 'Authorization Violation'\r\n"] {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.write_all(b"INFO {\"server_id\":\"x\",\"nonce\":\"n\"}\r\n").await.unwrap();
            let mut lines = [String::new(), String::new(), String::new()];
            for line in &mut lines[..2] {
                stream.read_line(line).await.unwrap();
            }
            let size: usize = lines[1].trim().rsplit_once(' ').unwrap().1.parse().unwrap();
            let mut payload = vec![0; size + 2];
            stream.read_exact(&mut payload).await.unwrap();
            stream.read_line(&mut lines[2]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            heard.push((lines, payload));
        }
        heard
    });
    deliver(&nats, failure()).await.unwrap();
    let error = deliver(&nats, failure()).await.unwrap_err();
    assert_eq!(error.to_string(), "postMessage failed: NATS responded with error: 'Authorization Violation'");
    let heard = server.await.unwrap();
    let ([connect, publish, ping], payload) = &heard[0];
    let options: Value = serde_json::from_str(connect.strip_prefix("CONNECT ").unwrap()).unwrap();
    assert_eq!(
        (&options["user"], &options["pass"], &options["name"]),
        (&json!("me"), &json!("pw"), &json!("NATS Provider Publisher"))
    );
    assert!(publish.starts_with("PUB flux.events ") && ping == "PING\r\n");
    assert_eq!(serde_json::from_slice::<Value>(payload).unwrap(), serde_json::to_value(failure()).unwrap());
}

#[tokio::test]
async fn failing_answers_are_tried_again_or_told() {
    let cases = [
        ("slack", "https://hooks.slack.com/x"),
        ("slack", "https://slack.com/api/chat.postMessage"),
        ("msteams", "https://teams.test/x"),
        ("discord", "https://discord.com/api/webhooks/x"),
        ("generic", "https://sink.test/"),
        ("generic-hmac", "https://sink.test/"),
        ("github", "https://github.com/org/repo"),
        ("gitlab", "https://gitlab.com/org/repo"),
        ("gitea", "https://gitea.test/org/repo"),
        ("alertmanager", "http://am.test/api/v2/alerts"),
        ("pagerduty", "https://events.pagerduty.com"),
        ("grafana", "https://grafana.test/x"),
    ];
    for (type_, address) in cases {
        let run = async |answers: Vec<Answer>, hangs: bool, timeout: Duration| {
            let server = Server::start(answers, hangs).await;
            let target = Target { via: Some(server.address), timeout, ..target(type_, address) };
            let result =
                deliver(&target, of_commit("error")).await.map_err(|error| target.mask(&error.to_string()));
            (result, server.seen().len())
        };
        let ok = || fine(if type_.starts_with("git") { json!([]) } else { json!({"ok": true}) });
        let long = Duration::from_secs(10);
        // Busy, then in trouble, then fine.
        let answers =
            vec![(429, Some(("retry-after", "0")), String::new()), (500, None, String::new()), ok()];
        let (result, seen) = run(answers, false, long).await;
        assert!(result.is_ok() && seen >= 3, "{type_}: {result:?}");
        // Refused: once, and the reason is told.
        let (result, seen) = run(vec![(403, None, "no entry".to_owned())], false, long).await;
        assert_eq!(
            (result.unwrap_err().as_str(), seen),
            ("postMessage failed: request failed: request failed with status code 403: no entry", 1),
            "{type_}"
        );
        // In trouble all the time.
        let (result, seen) = run(vec![(503, None, String::new()); 9], false, long).await;
        let method = if type_.starts_with("git") { "GET" } else { "POST" };
        let expected = format!(
            "postMessage failed: failed to execute request: {method} giving up after 5 attempt(s): status code 503"
        );
        assert_eq!((result.unwrap_err(), seen), (expected, 5), "{type_}");
        let (result, seen) = run(vec![(501, None, String::new()); 9], false, long).await;
        assert!(result.is_err() && seen == 1, "501 stays what it is");
        // Hanging.
        let begin = Instant::now();
        let (result, _) = run(vec![], true, Duration::from_millis(100)).await;
        assert!(result.is_err() && begin.elapsed() < Duration::from_secs(5), "{type_}: {result:?}");
        // Put off beyond the timeout: the queue has to wait, not this call.
        let server = Server::start(vec![(429, Some(("retry-after", "60")), String::new())], false).await;
        let target = Target { via: Some(server.address), ..target(type_, address) };
        let error = deliver(&target, of_commit("error")).await.unwrap_err();
        assert!(
            matches!(error, Error::Delivery(HttpError::Later { wait, .. }) if wait == Duration::from_mins(1)),
            "{type_}: {error}"
        );
    }
}

#[tokio::test]
async fn hosts_out_of_bounds_are_not_called() {
    let mut target = target("generic", "http://169.254.169.254/latest/meta-data/iam");
    target.policy = AddressPolicy::new(vec!["metadata".parse().unwrap()], vec![]);
    let error = deliver(&target, failure()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "postMessage failed: the host '169.254.169.254' must not be sent to: --deny-provider-hosts"
    );
    let server = Server::start(vec![], false).await;
    let local = format!("http://localhost:{}/", server.address.port());
    target.address = local.clone();
    target.policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()], vec![]);
    let error = deliver(&target, failure()).await.unwrap_err();
    assert!(error.to_string().contains("must not be sent to"), "by where the name leads: {error}");
    target.proxy = Some(local);
    target.address = "http://sink.test/".into();
    assert!(deliver(&target, failure()).await.is_err(), "nor is the proxy");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_proxy_gets_what_goes_through_it() {
    let server = Server::start(vec![], false).await;
    let mut target = target("slack", "http://hooks.slack.test/x");
    target.proxy = Some(format!("http://user:pw@{}", server.address));
    deliver(&target, failure()).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.path, "http://hooks.slack.test/x");
    assert_eq!(seen.header("proxy-authorization"), format!("Basic {}", STANDARD.encode("user:pw")));
}

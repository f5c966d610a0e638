//! Alerting and incident tools.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::http::Request;
use super::{Error, Target, chat, text};
use crate::event::Event;

/// The reason of events that only tell of work under way.
const PROGRESSING: &str = "Progressing";

fn metadata(event: &Event) -> Map<String, Value> {
    event.metadata.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect()
}

/// Bearer where there is a token, else basic where there are user and password.
fn authorized(request: Request, target: &Target, basic_first: bool) -> Result<Request, Error> {
    let credentials = &target.credentials;
    let basic = !target.username.is_empty() && credentials.password.is_some();
    let token = credentials.token.as_deref().filter(|token| !token.is_empty());
    match token {
        Some(token) if !(basic_first && basic) => request.bearer(Some(token)),
        _ if basic => request.header("authorization", &chat::basic(target)),
        _ => Ok(request),
    }
}

/// `opsgenie`: an alert; the same object and reason is the same alert.
pub(crate) fn opsgenie(target: &Target, event: &Event) -> Result<Request, Error> {
    let alias = format!("{}/{}/{}", target.uid, event.subject(), event.reason);
    let mut details = metadata(event);
    details.insert("severity".to_owned(), event.severity.as_str().into());
    let body = json!({
        "message": format!("{}/{}", event.kind(), event.name()),
        "alias": crate::hex(&Sha256::digest(alias)),
        "description": event.message,
        "details": details,
    });
    Request::json(target.url()?, &body)?.header("authorization", &format!("GenieKey {}", target.token()?))
}

/// `alertmanager`: one firing alert.
pub(crate) fn alertmanager(target: &Target, event: &Event) -> Result<Request, Error> {
    let mut labels = metadata(event);
    let mut annotations = json!({"message": event.message});
    if let Some(summary) = labels.remove("summary") {
        annotations["summary"] = summary;
    }
    let reason = event.reason.to_lowercase();
    let mut characters = reason.chars();
    let titled: String =
        characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect();
    for (key, value) in [
        ("alertname", format!("Flux{}{titled}", event.kind())),
        ("severity", event.severity.clone()),
        ("reason", event.reason.clone()),
        ("kind", event.kind().to_owned()),
        ("name", event.name().to_owned()),
        ("namespace", event.namespace().to_owned()),
        ("reportingcontroller", event.reporting_controller.clone()),
    ] {
        labels.insert(key.to_owned(), value.into());
    }
    let alert = json!({
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": event.timestamp,
        "endsAt": "0001-01-01T00:00:00Z",
    });
    authorized(Request::json(target.url()?, &json!([alert]))?, target, true)
}

/// `grafana`: an annotation.
pub(crate) fn grafana(target: &Target, event: &Event) -> Result<Request, Error> {
    let mut tags = vec!["flux".to_owned(), event.reporting_controller.clone()];
    let plain = |text: &str| text.replace(':', "|");
    tags.extend(event.metadata.iter().map(|(key, value)| format!("{}: {}", plain(key), plain(value))));
    tags.push(format!("kind: {}", event.kind()));
    tags.push(format!("name: {}", event.name()));
    tags.push(format!("namespace: {}", event.namespace()));
    let body = json!({"when": event.timestamp.0.as_second(), "text": text::object(event), "tags": tags});
    authorized(Request::json(target.url()?, &body)?, target, false)
}

/// `pagerduty`: an alert that is triggered or resolved, and a change event for news.
pub(crate) fn pagerduty(target: &Target, event: &Event) -> Result<Vec<Request>, Error> {
    if event.reason == PROGRESSING {
        return Ok(Vec::new());
    }
    let at = |path: &str| {
        let mut url = target.url()?;
        url.set_path(path);
        url.set_query(None);
        Ok::<_, Error>(url)
    };
    let summary = format!("{}: {}", text::words(&event.reason), event.name());
    let source = format!("Flux {}", event.reporting_controller);
    let details = json!({"message": event.message, "metadata": event.metadata});
    let mut alert = json!({
        "routing_key": target.channel,
        "event_action": if event.is_error() { "trigger" } else { "resolve" },
        "dedup_key": event.involved_object.uid,
    });
    if event.is_error() {
        alert["payload"] = json!({
            "summary": summary, "source": source, "severity": "error", "timestamp": event.timestamp,
            "component": event.name(), "group": event.kind(), "custom_details": details,
        });
    }
    let mut requests = vec![Request::json(at("/v2/enqueue")?, &alert)?];
    if !event.is_error() {
        let payload = json!({
            "summary": summary, "source": source, "timestamp": event.timestamp, "custom_details": details,
        });
        let change = json!({"routing_key": target.channel, "payload": payload});
        requests.push(Request::json(at("/v2/change/enqueue")?, &change)?);
    }
    Ok(requests)
}

/// `datadog`: an event.
pub(crate) fn datadog(target: &Target, event: &Event) -> Result<Request, Error> {
    let mut url = target.url()?;
    url.set_path("/api/v1/events");
    let mut tags = vec![
        format!("flux_reporting_controller:{}", event.reporting_controller),
        format!("flux_reason:{}", event.reason),
        format!("kube_kind:{}", event.kind()),
        format!("kube_name:{}", event.name()),
        format!("kube_namespace:{}", event.namespace()),
    ];
    tags.extend(event.metadata.iter().map(|(key, value)| format!("{key}:{value}")));
    let tags: Vec<String> = tags.iter().map(|tag| tag.to_lowercase()).collect();
    let body = json!({
        "title": format!("Events from the {} {}/{}", event.kind(), event.name(), event.namespace()),
        "text": event.message,
        "source_type_name": "fluxcd",
        "date_happened": event.timestamp.0.as_second(),
        "alert_type": if event.is_error() { "error" } else { "info" },
        "tags": tags,
    });
    Request::json(url, &body)?.header("DD-API-KEY", target.token()?)
}

/// `incident.io`: an alert event.
pub(crate) fn incident_io(target: &Target, event: &Event) -> Result<Option<Request>, Error> {
    if event.reason == PROGRESSING {
        return Ok(None);
    }
    let mut details = metadata(event);
    for (key, value) in [
        ("severity", &event.severity),
        ("reason", &event.reason),
        ("reportingController", &event.reporting_controller),
    ] {
        details.insert(key.to_owned(), value.as_str().into());
    }
    let body = json!({
        "title": format!("{}: {}", text::object(event), event.reason),
        "status": if event.is_error() { "firing" } else { "resolved" },
        "deduplication_key": event.involved_object.uid,
        "description": event.message,
        "metadata": details,
    });
    Request::json(target.url()?, &body)?.bearer(Some(target.token()?)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use crate::provider::tests::target;

    fn body(request: &Request) -> Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn alertmanager_labels() {
        let event = event("error", &[("revision", "1"), ("summary", "cluster-1")]);
        let mut target = target("alertmanager", "https://am.example.test/api/v2/alerts/");
        let request = alertmanager(&target, &event).unwrap();
        let alert = &body(&request)[0];
        assert_eq!(alert["labels"]["alertname"], "FluxKustomizationReconciliationsucceeded");
        assert_eq!(
            (&alert["annotations"]["summary"], alert["labels"].get("summary")),
            (&"cluster-1".into(), None)
        );
        assert_eq!(
            (&alert["startsAt"], &alert["endsAt"]),
            (&"2026-01-02T03:04:05Z".into(), &"0001-01-01T00:00:00Z".into())
        );
        assert_eq!(request.headers["authorization"], "Bearer s3cr3t");
        target.username = "user".to_owned();
        target.credentials.password = Some("pass".to_owned());
        assert_eq!(alertmanager(&target, &event).unwrap().headers["authorization"], "Basic dXNlcjpwYXNz");
        assert_eq!(grafana(&target, &event).unwrap().headers["authorization"], "Bearer s3cr3t");
    }

    #[test]
    fn grafana_counts_seconds_and_keeps_colons_out_of_tags() {
        let request = grafana(
            &target("grafana", "https://g.example.test/"),
            &event("info", &[("revision", "main@sha1:1")]),
        );
        let body = body(&request.unwrap());
        assert_eq!(body["when"], 1_767_323_045);
        assert_eq!(body["tags"][2], "revision: main@sha1|1");
    }

    #[test]
    fn pagerduty_triggers_and_resolves() {
        let target = target("pagerduty", "https://events.example.test/anything?x=1");
        let failed = pagerduty(&target, &event("error", &[])).unwrap();
        assert_eq!((failed.len(), failed[0].url.as_str()), (1, "https://events.example.test/v2/enqueue"));
        assert_eq!(body(&failed[0])["payload"]["summary"], "reconciliation succeeded: webapp");
        let fine = pagerduty(&target, &event("info", &[])).unwrap();
        assert_eq!(body(&fine[0])["event_action"], "resolve");
        assert_eq!(body(&fine[0]).get("payload"), None);
        assert_eq!(fine[1].url.path(), "/v2/change/enqueue");
        let mut progressing = event("info", &[]);
        progressing.reason = PROGRESSING.to_owned();
        assert!(pagerduty(&target, &progressing).unwrap().is_empty());
        assert!(incident_io(&target, &progressing).unwrap().is_none());
    }

    #[test]
    fn opsgenie_datadog_and_incident_io() {
        let event = event("error", &[("revision", "1")]);
        let request = opsgenie(&target("opsgenie", "https://o.example.test/v2/alerts"), &event).unwrap();
        assert_eq!(request.headers["authorization"], "GenieKey s3cr3t");
        assert_eq!(body(&request)["details"], json!({"revision": "1", "severity": "error"}));
        let request = datadog(&target("datadog", "https://d.example.test/x"), &event).unwrap();
        assert_eq!(
            (request.url.path(), &request.headers["dd-api-key"]),
            ("/api/v1/events", &"s3cr3t".parse().unwrap())
        );
        assert_eq!(body(&request)["tags"][1], "flux_reason:reconciliationsucceeded");
        let request =
            incident_io(&target("incident.io", "https://i.example.test/"), &event).unwrap().unwrap();
        assert_eq!(body(&request)["status"], "firing");
    }
}

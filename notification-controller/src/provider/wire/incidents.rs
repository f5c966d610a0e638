//! Incident tools, trackers of errors and traces.

use super::*;

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

//! Answers that fail, hosts that are out of bounds, proxies.

use super::*;

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
    target.policy = AddressPolicy::new("deny-provider-hosts", vec!["metadata".parse().unwrap()], vec![]);
    let error = deliver(&target, failure()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "postMessage failed: the host '169.254.169.254' must not be sent to: --deny-provider-hosts"
    );
    let server = Server::start(vec![], false).await;
    let local = format!("http://localhost:{}/", server.address.port());
    target.address = local.clone();
    target.policy = AddressPolicy::new(
        "deny-provider-hosts",
        vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
        vec![],
    );
    let error = deliver(&target, failure()).await.unwrap_err();
    assert!(error.to_string().contains("must not be sent to"), "by where the name leads: {error}");
    target.proxy = Some(secret::old_proxy(local));
    target.address = "http://sink.test/".into();
    assert!(deliver(&target, failure()).await.is_err(), "nor is the proxy");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_proxy_gets_what_goes_through_it() {
    let server = Server::start(vec![], false).await;
    let mut target = target("slack", "http://hooks.slack.test/x");
    target.proxy = Some(secret::old_proxy(format!("http://user:pw@{}", server.address)));
    deliver(&target, failure()).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.path, "http://hooks.slack.test/x");
    assert_eq!(seen.header("proxy-authorization"), format!("Basic {}", STANDARD.encode("user:pw")));
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    // Wherever it points, a host that is allowed cannot send us to one that is not.
    let inner = Server::start(vec![], false).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://{}/latest/meta-data", inner.address).leak();
        let outer = Server::start(vec![(status, Some(("location", location)), String::new())], false).await;
        let address = format!("http://{}/hook", outer.address);
        let error = deliver(&target("generic", &address), failure()).await.unwrap_err();
        assert!(error.to_string().contains(&format!("status code {status}")), "{error}");
        assert_eq!(outer.seen().len(), 1);
    }
    assert!(inner.seen().is_empty());
}

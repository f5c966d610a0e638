//! Whether a body is a CDEvents document of version 0.4.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// What can happen to what.
const EVENTS: [(&str, &[&str]); 14] = [
    ("pipelinerun", &["queued", "started", "finished"]),
    ("taskrun", &["started", "finished"]),
    ("repository", &["created", "modified", "deleted"]),
    ("branch", &["created", "deleted"]),
    ("change", &["created", "reviewed", "merged", "abandoned", "updated"]),
    ("build", &["queued", "started", "finished"]),
    ("testcaserun", &["queued", "started", "finished", "skipped"]),
    ("testsuiterun", &["queued", "started", "finished"]),
    ("testoutput", &["published"]),
    ("artifact", &["packaged", "signed", "published", "downloaded", "deleted"]),
    ("environment", &["created", "modified", "deleted"]),
    ("service", &["deployed", "upgraded", "rolledback", "removed", "published"]),
    ("incident", &["detected", "reported", "resolved"]),
    ("ticket", &["created", "updated", "closed"]),
];

/// Checks a document. The error names what is wrong first.
pub(super) fn check(body: &[u8]) -> Result<(), String> {
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let context = &document["context"];
    let text = |parent: &'_ Value, name: &str, place: &str| {
        let found = parent[name].as_str().filter(|found| !found.is_empty()).map(str::to_owned);
        found.ok_or_else(|| format!("the body is no CDEvents document: {place}.{name} is missing"))
    };
    let version = text(context, "version", "context")?;
    if version != "0.4" && !version.starts_with("0.4.") {
        return Err(format!("the body is a CDEvents document of version {version}, not 0.4"));
    }
    for name in ["id", "source", "timestamp"] {
        text(context, name, "context")?;
    }
    let timestamp = text(context, "timestamp", "context")?;
    if timestamp.parse::<Timestamp>().is_err() {
        return Err(format!("the body is no CDEvents document: '{timestamp}' is no time"));
    }
    let kind = text(context, "type", "context")?;
    let unknown = || format!("the body is no CDEvents document: there is no event '{kind}'");
    let mut parts = kind.strip_prefix("dev.cdevents.").ok_or_else(unknown)?.splitn(3, '.');
    let (subject, predicate, version) = (parts.next(), parts.next(), parts.next());
    let known = EVENTS.iter().any(|(name, predicates)| {
        Some(*name) == subject && predicate.is_some_and(|found| predicates.contains(&found))
    });
    if !known || version.is_none_or(str::is_empty) {
        return Err(unknown());
    }
    text(&document["subject"], "id", "subject")?;
    if document["subject"]["content"].is_object() {
        Ok(())
    } else {
        Err("the body is no CDEvents document: subject.content is missing".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_example_of_the_specification_is_accepted_and_others_are_not() {
        let document = json!({
            "context": {
                "version": "0.4.1", "id": "271069a8-fc18-44f1-b38f-9d70a1695819", "source": "/event/source/123",
                "type": "dev.cdevents.artifact.packaged.0.2.0", "timestamp": "2023-03-20T14:27:05.315384Z",
            },
            "subject": {
                "id": "pkg:golang/mygit.com/myorg/myapp@234fd47e07d1004f0aed9c", "source": "/event/source/123", "type": "artifact",
                "content": {"change": {"id": "myChange123", "source": "my-git.example/an-org/a-repo"}},
            },
        });
        assert_eq!(check(document.to_string().as_bytes()), Ok(()));
        for (pointer, value) in [
            ("/context/version", json!("0.3.0")),
            ("/context/id", json!("")),
            ("/context/type", json!("dev.cdevents.artifact.eaten.0.2.0")),
            ("/context/type", json!("com.example.x.y.1")),
            ("/context/timestamp", json!("yesterday")),
            ("/subject/id", json!(null)),
            ("/subject/content", json!(null)),
        ] {
            let mut bad = document.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            assert!(check(bad.to_string().as_bytes()).is_err(), "{pointer}");
        }
        assert!(check(b"nonsense").is_err());
    }
}

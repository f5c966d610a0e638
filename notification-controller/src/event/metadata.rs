//! The metadata that a receiver sees, merged from those who may add to it.

use std::collections::BTreeMap;

use sluice_api::meta::EVENT_ANNOTATION_PREFIX;

use super::Event;

/// Keys that more than one side set, with those sides.
pub(crate) type Conflicts = BTreeMap<String, String>;

/// Merges, the later the stronger: annotations of the object, the Alert's `eventMetadata`, its `summary`, and what the
/// controller itself reports. When there is nothing the event's own metadata stays.
pub(crate) fn merge(
    event: &Event,
    alert: &BTreeMap<String, String>,
    summary: &str,
) -> (BTreeMap<String, String>, Conflicts) {
    let group = format!("{}/", event.group());
    let stripped = |prefix: &str| {
        let entries = event.metadata.iter();
        entries
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
            .collect::<BTreeMap<_, _>>()
    };
    let summary = (!summary.is_empty()).then(|| ("summary".to_owned(), summary.to_owned()));
    let sources = [
        ("involved object annotations", stripped(EVENT_ANNOTATION_PREFIX)),
        ("Alert object .spec.eventMetadata", alert.clone()),
        ("Alert object .spec.summary", summary.into_iter().collect()),
        ("involved object controller metadata", stripped(&group)),
    ];
    let mut merged = BTreeMap::new();
    let mut origins: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (origin, entries) in sources {
        for (key, value) in entries {
            origins.entry(key.clone()).or_default().push(origin);
            merged.insert(key, value);
        }
    }
    let conflicts = origins
        .into_iter()
        .filter(|(_, origins)| origins.len() > 1)
        .map(|(key, origins)| (key, origins.join(", ")))
        .collect();
    if merged.is_empty() {
        merged.clone_from(&event.metadata);
    }
    (merged, conflicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;

    #[test]
    fn controllers_beat_alerts_and_alerts_beat_annotations() {
        let event = event(
            "info",
            &[
                ("kustomize.toolkit.fluxcd.io/revision", "main@sha1:1"),
                ("event.toolkit.fluxcd.io/env", "from the object"),
                ("event.toolkit.fluxcd.io/app", "webapp"),
            ],
        );
        let alert = BTreeMap::from([
            ("env".to_owned(), "prod".to_owned()),
            ("revision".to_owned(), "of the alert".to_owned()),
        ]);
        let (merged, conflicts) = merge(&event, &alert, "cluster-1");
        let expected =
            [("app", "webapp"), ("env", "prod"), ("revision", "main@sha1:1"), ("summary", "cluster-1")];
        assert_eq!(merged.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
        assert_eq!(conflicts.keys().collect::<Vec<_>>(), ["env", "revision"]);
        assert_eq!(
            conflicts["revision"],
            "Alert object .spec.eventMetadata, involved object controller metadata"
        );
    }
}

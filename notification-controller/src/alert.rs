//! Which Alerts want an event.

use sluice_api::notification::{Alert, AlertSpec, EventSeverity};
use sluice_regexp::Regexp;
use sluice_runtime::ObjectKey;

use crate::event::Event;
use crate::memo::Memo;

/// Compiled patterns; none where one does not compile.
pub(crate) type Patterns = Memo<String, Option<Regexp>>;

/// Whether an Alert looks at objects like the one of the event, labels left aside. The sources that do, by index.
pub(crate) fn matching_sources(alert: &Alert, event: &Event) -> Vec<usize> {
    let spec = &alert.spec;
    if spec.suspend || (spec.event_severity() == EventSeverity::Error && !event.is_error()) {
        return Vec::new();
    }
    let own = ObjectKey::of(alert).namespace;
    let matches = |source: &sluice_api::notification::CrossNamespaceObjectReference| {
        source.kind == event.kind()
            && source.namespace_or(&own) == event.namespace()
            && (source.name == "*" || source.name == event.name())
    };
    (0..spec.event_sources.len()).filter(|index| matches(&spec.event_sources[*index])).collect()
}

/// Whether the message passes the Alert's lists. Expressions that do not compile are reported and match nothing.
pub(crate) fn passes_lists(
    spec: &AlertSpec,
    message: &str,
    patterns: &Patterns,
    mut invalid: impl FnMut(String),
) -> bool {
    let mut any = |list: &[String], what: &str| {
        list.iter().any(|pattern| {
            match &*patterns.get_or_insert(pattern.as_str(), || Regexp::new(pattern).ok()) {
                Some(expression) => expression.is_match(message),
                None => {
                    invalid(format!("failed to compile {what} regex: {pattern}"));
                    false
                }
            }
        })
    };
    (spec.inclusion_list.is_empty() || any(&spec.inclusion_list, "inclusion"))
        && !any(&spec.exclusion_list, "exclusion")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;

    fn alert(spec: serde_json::Value) -> Alert {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
            "metadata": {"name": "a", "namespace": "gitops-system"}, "spec": spec,
        }))
        .unwrap()
    }

    fn sources(spec: serde_json::Value, severity: &str) -> Vec<usize> {
        let mut full = serde_json::json!({"providerRef": {"name": "p"}, "eventSources": [
            {"kind": "GitRepository", "name": "*"}, {"kind": "Kustomization", "name": "*"},
            {"kind": "Kustomization", "name": "webapp", "namespace": "gitops-system"},
            {"kind": "Kustomization", "name": "webapp", "namespace": "other"},
        ]});
        for (key, value) in spec.as_object().unwrap() {
            full[key] = value.clone();
        }
        matching_sources(&alert(full), &event(severity, &[]))
    }

    #[test]
    fn kind_name_namespace_and_severity_count() {
        assert_eq!(sources(serde_json::json!({}), "info"), [1, 2]);
        assert_eq!(sources(serde_json::json!({}), "trace"), [1, 2]);
        assert!(sources(serde_json::json!({"eventSeverity": "error"}), "info").is_empty());
        assert_eq!(sources(serde_json::json!({"eventSeverity": "error"}), "error"), [1, 2]);
        assert!(sources(serde_json::json!({"suspend": true}), "error").is_empty());
    }

    #[test]
    fn lists_filter_messages_and_bad_expressions_are_told() {
        let patterns = Patterns::default();
        let check = |spec: serde_json::Value| {
            let mut full = serde_json::json!({"providerRef": {"name": "p"}, "eventSources": []});
            for (key, value) in spec.as_object().unwrap() {
                full[key] = value.clone();
            }
            let mut invalid = Vec::new();
            let passes = passes_lists(&alert(full).spec, "Health check passed", &patterns, |message| {
                invalid.push(message);
            });
            (passes, invalid.join("; "))
        };
        let none = String::new();
        assert_eq!(check(serde_json::json!({})), (true, none.clone()));
        assert_eq!(check(serde_json::json!({"inclusionList": ["^Health"]})), (true, none.clone()));
        assert_eq!(check(serde_json::json!({"inclusionList": ["^health"]})), (false, none.clone()));
        assert_eq!(check(serde_json::json!({"exclusionList": ["passed"]})), (false, none));
        let (passes, message) = check(serde_json::json!({"inclusionList": ["("]}));
        assert_eq!((passes, message.as_str()), (false, "failed to compile inclusion regex: ("));
        assert!(check(serde_json::json!({"exclusionList": ["("]})).0);
    }
}

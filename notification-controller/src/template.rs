//! Messages in the words of the Alert's author: `sluice.dev/message-template`, a Go template over the event.

use std::time::Duration;

use kube::ResourceExt;
use sluice_api::notification::Alert;
use sluice_gotemplate::{Ctx, Functions, Host, Limits, TemplateSet, Value};

use crate::event::Event;

/// The annotation of an Alert.
pub(crate) const ANNOTATION: &str = "sluice.dev/message-template";
/// Longest template, in bytes.
const MAX_TEMPLATE: usize = 16 * 1024;

/// The template of an Alert.
pub(crate) fn of(alert: &Alert) -> Option<&str> {
    alert.annotations().get(ANNOTATION).map(String::as_str).filter(|text| !text.is_empty())
}

/// A template sees the event and nothing else.
struct Nothing;

impl Host for Nothing {}

/// The message that a template makes of an event.
pub(crate) fn render(text: &str, event: &Event) -> Result<String, String> {
    let problem = |error: &dyn std::fmt::Display| format!("the annotation {ANNOTATION} is not used: {error}");
    if text.len() > MAX_TEMPLATE {
        return Err(problem(&format!("it is longer than {MAX_TEMPLATE} bytes")));
    }
    let mut set = TemplateSet::new("message", Functions::helm());
    set.parse("message", text).map_err(|error| problem(&error))?;
    let limits = Limits {
        depth: 100,
        output: 64 * 1024,
        steps: 100_000,
        allocation: 4 << 20,
        time: Duration::from_millis(100),
    };
    let data = serde_json::to_value(event).map_err(|error| problem(&error))?;
    let mut host = Nothing;
    let rendered = Ctx::new(&set, &mut host, limits).execute("message", &Value::from_json(&data));
    let rendered = rendered.map_err(|error| problem(&error))?;
    Ok(String::from_utf8_lossy(&rendered).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;

    #[test]
    fn a_template_sees_the_event() {
        let event = event("error", &[("revision", "main@sha1:1")]);
        let text = "{{ .involvedObject.name | upper }} {{ .severity }}: {{ .message | trunc 12 }} ({{ .metadata.revision }})";
        assert_eq!(render(text, &event).unwrap(), "WEBAPP error: Health check (main@sha1:1)");
    }

    #[test]
    fn a_bad_or_greedy_template_is_refused_with_its_place() {
        let event = event("error", &[]);
        let error = render("{{ .message ", &event).unwrap_err();
        assert!(error.contains("message:1"), "{error}");
        assert!(render("{{ range $i := until 100000000 }}x{{ end }}", &event).is_err());
        assert!(render("{{ fail \"no\" }}", &event).is_err());
        assert!(render(&"x".repeat(MAX_TEMPLATE + 1), &event).is_err());
    }
}

//! `--status-selector`: objects by the status of one of their conditions.

use anyhow::{Result, bail};

use crate::object::Object;

/// `type=status` or `type!=status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusSelector {
    type_: String,
    status: String,
    equal: bool,
}

impl StatusSelector {
    /// Reads a selector.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (type_, status, equal) = match text.split_once("!=") {
            Some((type_, status)) => (type_, status, false),
            None => match text.split_once('=') {
                Some((type_, status)) => (type_, status, true),
                None => ("", "", true),
            },
        };
        if type_.is_empty() || status.is_empty() || status.contains('=') {
            bail!("expected status selector in type=status or type!=status format, but found: {text}");
        }
        Ok(Self { type_: type_.to_owned(), status: status.to_owned(), equal })
    }

    /// Whether an object is selected. Without the condition it is unequal to every status.
    pub(crate) fn matches(&self, object: &Object, is_static: bool) -> bool {
        let status = if is_static {
            // Kinds without a status count as ready.
            self.type_.eq_ignore_ascii_case("ready").then_some("True")
        } else {
            let conditions = object.list("/status/conditions").iter();
            conditions
                .filter(|entry| {
                    entry["type"].as_str().is_some_and(|type_| type_.eq_ignore_ascii_case(&self.type_))
                })
                .find_map(|entry| entry["status"].as_str())
        };
        match status {
            Some(status) => status.eq_ignore_ascii_case(&self.status) == self.equal,
            None => !self.equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selected(selector: &str, status: &str) -> bool {
        let object = Object(json!({"status": {"conditions": [{"type": "Ready", "status": status}]}}));
        StatusSelector::parse(selector).unwrap().matches(&object, false)
    }

    #[test]
    fn letter_case_does_not_matter_and_a_missing_condition_is_unequal() {
        assert!(selected("ready=true", "True") && !selected("Ready=false", "True"));
        assert!(selected("READY!=TRUE", "False") && !selected("ready!=true", "True"));
        assert!(selected("healthy!=true", "True") && !selected("healthy=true", "True"));
    }

    #[test]
    fn kinds_without_status_are_ready() {
        let alert = Object(json!({}));
        assert!(StatusSelector::parse("ready=true").unwrap().matches(&alert, true));
        assert!(!StatusSelector::parse("ready=false").unwrap().matches(&alert, true));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["ready", "=true", "ready=", "a=b=c", ""] {
            let error = StatusSelector::parse(text).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("expected status selector in type=status or type!=status format, but found: {text}")
            );
        }
    }
}

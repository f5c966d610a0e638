//! Values from Secrets are kept out of conditions, events and logs, whatever an error says.

use serde_json::Value;

/// What stands in the place of a value.
const MASK: &str = "***";
/// Shorter texts are everywhere: masking them would hide nothing and spoil every message.
const SHORTEST: usize = 4;

/// Texts that nobody may see.
#[derive(Clone, Debug, Default)]
pub struct Redaction(Vec<String>);

impl Redaction {
    /// Adds a text, and what it holds if it is YAML.
    pub fn add(&mut self, text: &str) {
        self.push(text.trim());
        if let Ok(values) = sluice_helm::values::read_values(text.as_bytes()) {
            self.add_values(&Value::Object(values));
        }
        // Longer ones first: a part of a secret must not spoil the whole.
        self.0.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.0.dedup();
    }

    fn add_values(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.push(text),
            Value::Array(items) => items.iter().for_each(|item| self.add_values(item)),
            Value::Object(map) => map.values().for_each(|item| self.add_values(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn push(&mut self, text: &str) {
        if text.len() >= SHORTEST {
            self.0.push(text.to_owned());
            let quoted = Value::from(text).to_string();
            let quoted = quoted.trim_matches('"');
            if quoted != text {
                self.0.push(quoted.to_owned());
            }
        }
    }

    /// The text without what nobody may see.
    pub fn apply(&self, text: impl Into<String>) -> String {
        let mut text = text.into();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_whole_or_as_values_and_short_ones_left() {
        let mut redaction = Redaction::default();
        redaction
            .add("password: hunter22\nnested: {list: [topsecret, ab]}\nmulti: |\n  line one\n  line two\n");
        let text = redaction
            .apply("at '/password': 'hunter22' does not match; topsecret, ab; \"line one\\nline two\\n\"");
        assert_eq!(text, "at '/password': '***' does not match; ***, ab; \"***\"");
        assert_eq!(Redaction::default().apply("a"), "a");
    }
}

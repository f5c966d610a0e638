//! What is wrong with a value, as a tree, and its text.

use serde_json::Value;

use crate::go;

/// A finding.
#[derive(Debug)]
pub(super) struct Failure {
    path: Vec<String>,
    kind: Kind,
    causes: Vec<Failure>,
}

/// What a finding is.
#[derive(Debug)]
pub(super) enum Kind {
    /// Several findings of one schema.
    Group,
    /// Findings of a schema that was referred to.
    Reference,
    /// One finding.
    Message(String),
}

impl Failure {
    pub(super) fn new(path: &[String], kind: Kind, causes: Vec<Failure>) -> Self {
        Failure { path: path.to_vec(), kind, causes }
    }

    /// What a reference reports of the findings behind it.
    pub(super) fn referred(self, path: &[String]) -> Self {
        let causes = match self.kind {
            Kind::Group => self.causes,
            _ => vec![self],
        };
        Failure::new(path, Kind::Reference, causes)
    }

    /// A finding about a property's name, with what is wrong with the name.
    pub(super) fn of_name(self, path: &[String], name: &str) -> Self {
        let causes = match self.kind {
            Kind::Group => self.causes,
            _ => vec![self],
        };
        Failure::new(path, Kind::Message(format!("invalid propertyName {}", quote(name))), causes)
    }

    /// All lines.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        match self.kind {
            Kind::Group => self.causes.iter().for_each(|cause| cause.write(&mut text, 0)),
            _ => self.write(&mut text, 0),
        }
        text
    }

    fn write(&self, text: &mut String, indent: usize) {
        let mut indent = indent;
        if !(matches!(self.kind, Kind::Reference) && self.causes.len() == 1) {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&"  ".repeat(indent));
            let mut pointer = String::new();
            for token in &self.path {
                pointer.push('/');
                pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
            }
            let message = match &self.kind {
                Kind::Message(message) => message,
                Kind::Group | Kind::Reference => "validation failed",
            };
            text.push_str(&format!("- at {}: {message}", quote(&pointer)));
            indent += 1;
        }
        for cause in &self.causes {
            cause.write(text, indent);
        }
    }
}

/// In single quotes.
pub(super) fn quote(text: &str) -> String {
    let quoted = go::quote(text).replace("\\\"", "\"").replace('\'', "\\'");
    format!("'{}'", &quoted[1..quoted.len() - 1])
}

/// Several texts in single quotes.
pub(super) fn quote_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// A scalar as messages show it.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(_) | Value::Object(_) => "value".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
    }
}

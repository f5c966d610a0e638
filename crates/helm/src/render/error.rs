//! Errors of templates in helm's words.

use sluice_gotemplate::Error;

/// Why a chart does not render.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A template that cannot be parsed.
    #[error("{0}")]
    Parse(String),
    /// A template that failed.
    #[error("{0}")]
    Execution(String),
    /// A template that printed bytes that are no UTF-8, such as a half of a letter.
    #[error("YAML parse error on {file}: error converting YAML to JSON: {problem}")]
    NotText {
        /// The template.
        file: String,
        /// What YAML says of the bytes.
        problem: String,
    },
    /// The system gave no thread.
    #[error("rendering needs a thread: {0}")]
    Thread(std::io::Error),
}

/// The place and the last part of the message.
pub(super) fn parse_error(file: &str, error: &Error) -> RenderError {
    let text = error.text();
    let tokens: Vec<&str> = text.split(": ").collect();
    RenderError::Parse(match tokens.as_slice() {
        [] | [_] => format!("parse error in ({file}): {text}"),
        [_, location, .., message] => format!("parse error at ({location}): {message}"),
        [_, message] => format!("parse error at ({message}): {message}"),
    })
}

/// What `required` and `fail` put around their messages.
const WARN_START: &str = "HELM_ERR_START";
const WARN_END: &str = "HELM_ERR_END";

pub(super) fn execution_error(file: &str, error: &Error) -> RenderError {
    RenderError::Execution(execution_text(file, error))
}

fn execution_text(file: &str, error: &Error) -> String {
    let text = error.text();
    if !error.is_execution() {
        return text.to_owned();
    }
    let mut tokens = text.splitn(3, ": ");
    let (_, Some(location), Some(rest)) = (tokens.next(), tokens.next(), tokens.next()) else {
        return format!("execution error in ({file}): {text}");
    };
    if let (Some(start), Some(end)) = (rest.find(WARN_START), rest.rfind(WARN_END))
        && start + WARN_START.len() <= end
    {
        return format!("execution error at ({location}): {}", &rest[start + WARN_START.len()..end]);
    }
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut current = Some(error);
    while let Some(error) = current {
        // An error that no template made keeps the one line.
        let Some(step) = Step::read(error.text()) else { return text.to_owned() };
        if steps.last() != Some(&step) {
            steps.push(step);
        }
        current = error.cause();
    }
    let all: String = steps.iter().map(Step::lines).collect();
    all.trim().to_owned()
}

/// One level of a chain of templates.
#[derive(Debug, PartialEq, Eq)]
struct Step<'a> {
    location: &'a str,
    executing: Option<(&'a str, &'a str)>,
    message: &'a str,
}

impl<'a> Step<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            return Some(Step { location: "", executing: None, message: text });
        }
        if let Some((location, after)) = rest.split_once(": executing ")
            && let Some(after) = after.strip_prefix('"')
            && let Some((name, after)) = after.split_once('"')
            && let Some(after) = after.strip_prefix(" at <")
            && let Some((expression, message)) = after.split_once(">: ")
        {
            return Some(Step { location, executing: Some((name, expression)), message: cut(message) });
        }
        let (location, message) = rest.rsplit_once(": ")?;
        Some(Step { location, executing: None, message: cut(message) })
    }

    fn lines(&self) -> String {
        let mut lines = String::new();
        if !self.location.is_empty() {
            lines.push_str(&format!("{}\n  ", self.location));
        }
        if let Some((name, expression)) = self.executing {
            lines.push_str(&format!("executing \"{name}\" at <{expression}>:\n    "));
        }
        if !self.message.is_empty() {
            lines.push_str(self.message);
            lines.push('\n');
        }
        lines
    }
}

/// The message without the error that it wraps.
fn cut(message: &str) -> &str {
    message.find(" template:").map_or(message, |end| &message[..end])
}

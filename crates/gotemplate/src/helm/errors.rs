//! How helm words the errors of its templates.

use crate::error::Error;

/// What helm puts around the messages of `required` and `fail`, to find them again.
pub(super) const WARNING: [&str; 2] = ["HELM_ERR_START", "HELM_ERR_END"];

/// The message of a template that does not parse.
pub fn parse_message(file: &str, error: &Error) -> String {
    let parts: Vec<&str> = error.text().split(": ").collect();
    match parts[..] {
        [_, location, .., last] => format!("parse error at ({location}): {last}"),
        [_, last] => format!("parse error at ({last}): {last}"),
        _ => format!("parse error in ({file}): {error}"),
    }
}

/// One place in the chain of an error.
#[derive(PartialEq, Eq)]
struct Place {
    location: String,
    function: String,
    message: String,
}

/// The message of a template that fails: one block for each template on the way, or the message of
/// `required` or `fail` alone.
pub fn execution_message(file: &str, error: &Error) -> String {
    if !error.is_execution() {
        return error.text().to_owned();
    }
    let mut tokens = error.text().splitn(3, ": ");
    let (Some(_), Some(location), Some(rest)) = (tokens.next(), tokens.next(), tokens.next()) else {
        return format!("execution error in ({file}): {error}");
    };
    let [start, end] = WARNING;
    if let Some(from) = rest.find(start)
        && let Some(to) = rest.rfind(end)
        && from + start.len() <= to
    {
        return format!("execution error at ({location}): {}", &rest[from + start.len()..to]);
    }
    let mut places: Vec<Place> = Vec::new();
    let mut current = Some(error);
    while let Some(cause) = current {
        let Some(place) = Place::parse(cause.text()) else {
            // A function's own message: then the whole chain stays on one line.
            return error.text().to_owned();
        };
        if places.last() != Some(&place) {
            places.push(place);
        }
        current = cause.cause();
    }
    let shown: String = places.iter().map(Place::show).collect();
    shown.trim_matches(crate::unicode::is_space).to_owned()
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            return Some(Self { location: String::new(), function: String::new(), message: text.to_owned() });
        }
        let until_next = |message: &str| message.split(" template:").next().unwrap_or_default().to_owned();
        if let Some((location, after)) = rest.split_once(": executing ")
            && let Some(after) = after.strip_prefix('"')
            && let Some((name, after)) = after.split_once('"')
            && let Some(after) = after.strip_prefix(" at <")
            && let Some((at, message)) = after.split_once(">: ")
        {
            return Some(Self {
                location: location.to_owned(),
                function: format!("executing \"{name}\" at <{at}>:"),
                message: until_next(message),
            });
        }
        let (location, message) = rest.rsplit_once(": ")?;
        Some(Self { location: location.to_owned(), function: String::new(), message: until_next(message) })
    }

    fn show(&self) -> String {
        let mut out = String::new();
        for (text, separator) in [(&self.location, "\n  "), (&self.function, "\n    "), (&self.message, "\n")]
        {
            if !text.is_empty() {
                out.push_str(text);
                out.push_str(separator);
            }
        }
        out
    }
}

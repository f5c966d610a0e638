//! Directories that a pattern with captures names, and texts that their parts are put into.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use regex::Regex;

use crate::pattern::walk;

/// A directory that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its path in the source.
    pub directory: String,
    /// What each capture stands for in it.
    pub values: BTreeMap<String, String>,
}

/// Why captures could not be found or put in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// A brace without its other.
    #[error("'{text}': the brace at offset {offset} has no other")]
    Brace {
        /// The pattern or text.
        text: String,
        /// Where, in bytes.
        offset: usize,
    },
    /// A name that is no name.
    #[error("'{text}': capture variable '{name}' must match [A-Za-z_][A-Za-z0-9_]*")]
    Name {
        /// The pattern or text.
        text: String,
        /// The name.
        name: String,
    },
    /// A name that the pattern has twice.
    #[error("'{text}': duplicate capture variable '{name}'")]
    Duplicate {
        /// The pattern.
        text: String,
        /// The name.
        name: String,
    },
    /// A name that the pattern does not have.
    #[error("'{text}': capture variable '{name}' is not defined by pathPattern")]
    Unknown {
        /// The text.
        text: String,
        /// The name.
        name: String,
    },
    /// The pattern is too large.
    #[error("'{text}': invalid path pattern")]
    Pattern {
        /// The pattern.
        text: String,
        /// Why.
        source: regex::Error,
    },
    /// The source cannot be read.
    #[error("cannot read the source")]
    Io(#[from] io::Error),
}

/// The directories below `root` whose path is `pattern`, where `{name}` stands for a part of one component.
pub fn captures(root: &Path, pattern: &str) -> Result<Vec<Captured>, CaptureError> {
    let mut expression = String::from("^");
    let mut names: Vec<&str> = Vec::new();
    for part in parts(pattern)? {
        match part {
            Part::Text(text) => expression.push_str(&regex::escape(text)),
            Part::Capture(name) if names.contains(&name) => {
                return Err(CaptureError::Duplicate { text: pattern.to_owned(), name: name.to_owned() });
            }
            Part::Capture(name) => {
                expression.push_str(&format!("(?P<{name}>[^/]+)"));
                names.push(name);
            }
        }
    }
    expression.push('$');
    let expression = Regex::new(&expression)
        .map_err(|source| CaptureError::Pattern { text: pattern.to_owned(), source })?;
    let depth = pattern.split('/').count();
    let mut found = Vec::new();
    walk(root, Path::new(""), &mut |path| {
        let matched = path.to_str().filter(|_| root.join(path).is_dir());
        if let Some((directory, captured)) = matched.and_then(|path| Some((path, expression.captures(path)?)))
        {
            let value = |name: &&str| Some(((*name).to_owned(), captured.name(name)?.as_str().to_owned()));
            let values = names.iter().filter_map(value).collect();
            found.push(Captured { directory: directory.to_owned(), values });
        }
        path.iter().count() < depth
    })?;
    Ok(found)
}

/// `text` with the values in place of `{name}`.
pub fn render(text: &str, values: &BTreeMap<String, String>) -> Result<String, CaptureError> {
    let mut rendered = String::new();
    for part in parts(text)? {
        rendered.push_str(match part {
            Part::Text(text) => text,
            Part::Capture(name) => values
                .get(name)
                .ok_or_else(|| CaptureError::Unknown { text: text.to_owned(), name: name.to_owned() })?,
        });
    }
    Ok(rendered)
}

enum Part<'a> {
    Text(&'a str),
    Capture(&'a str),
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, CaptureError> {
    let brace = |offset| CaptureError::Brace { text: text.to_owned(), offset };
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find(['{', '}']).map(|at| from + at) {
        if text.as_bytes()[open] == b'}' {
            return Err(brace(open));
        }
        let close = text[open..].find('}').map(|at| open + at).ok_or_else(|| brace(open))?;
        let name = &text[open + 1..close];
        let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(CaptureError::Name { text: text.to_owned(), name: name.to_owned() });
        }
        parts.push(Part::Text(&text[from..open]));
        parts.push(Part::Capture(name));
        from = close + 1;
    }
    parts.push(Part::Text(&text[from..]));
    Ok(parts)
}

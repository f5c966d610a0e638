//! Trees as YAML, as yaml.v3 prints nodes with an indentation of four.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_yaml::number::format_float;
use sluice_yaml::write_v3;

use crate::tree::{Branch, Comment, Element, Item, Value};

const STEP: usize = 4;

/// Prints the documents.
pub(super) fn write(branches: &[Branch]) -> String {
    let mut out = String::new();
    for (index, branch) in branches.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        if entries(branch) == 0 {
            comments(&mut out, branch.iter().filter_map(Item::comment), 0);
            out.push_str("{}\n");
        } else {
            map(&mut out, branch, 0, false);
        }
    }
    out
}

impl Item {
    fn comment(&self) -> Option<&Comment> {
        match self {
            Self::Comment(comment) => Some(comment),
            Self::Entry(..) => None,
        }
    }
}

fn entries(branch: &[Item]) -> usize {
    branch.iter().filter(|item| item.comment().is_none()).count()
}

fn elements(list: &[Element]) -> usize {
    list.iter().filter(|element| matches!(element, Element::Value(_))).count()
}

/// The column of what stands within a collection: two more behind a dash, else the next multiple of the step.
fn deeper(indent: usize, behind_dash: bool) -> usize {
    if behind_dash { indent + 2 } else { STEP * ((indent + STEP) / STEP) }
}

fn comments<'a>(out: &mut String, list: impl IntoIterator<Item = &'a Comment>, indent: usize) {
    for comment in list {
        margin(out, indent);
        for (index, line) in comment.text.split('\n').enumerate() {
            // Comments of INI files have several lines, each with a sign of its own or none.
            match (index, line) {
                (0, _) => out.push('#'),
                (_, "") => {}
                (_, line) => {
                    margin(out, indent);
                    if !line.starts_with('#') {
                        out.push_str("# ");
                    }
                }
            }
            out.push_str(line);
            out.push('\n');
        }
    }
}

fn margin(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Comments that wait for what they belong to.
#[derive(Default)]
struct Waiting<'a> {
    above: Vec<&'a Comment>,
    behind: Vec<&'a Comment>,
}

impl<'a> Waiting<'a> {
    fn push(&mut self, comment: &'a Comment) {
        if comment.inline { self.behind.push(comment) } else { self.above.push(comment) }
    }

    /// What is left at the end of a collection, below its last entry.
    fn rest(self, out: &mut String, indent: usize) {
        comments(out, self.above.into_iter().chain(self.behind), indent);
    }
}

/// Prints a map that has entries. `running`: the first entry goes on the line that was begun, and the comments before
/// it are printed already.
fn map(out: &mut String, branch: &[Item], indent: usize, running: bool) {
    let mut waiting = Waiting::default();
    let mut running = running;
    for item in branch {
        let (key, value) = match item {
            Item::Comment(comment) => {
                waiting.push(comment);
                continue;
            }
            Item::Entry(key, value) => (key, value),
        };
        let above = std::mem::take(&mut waiting.above);
        if running {
            running = false;
        } else {
            comments(out, above, indent);
            margin(out, indent);
        }
        write_key(out, key, indent);
        after_indicator(out, value, std::mem::take(&mut waiting.behind), indent, false);
    }
    waiting.rest(out, indent);
}

fn list(out: &mut String, list: &[Element], indent: usize, running: bool) {
    let mut waiting = Waiting::default();
    let mut running = running;
    for element in list {
        let value = match element {
            Element::Comment(comment) => {
                waiting.push(comment);
                continue;
            }
            Element::Value(value) => value,
        };
        let above = std::mem::take(&mut waiting.above);
        if running {
            running = false;
        } else {
            comments(out, above, indent);
            comments(out, leading(value), indent);
            margin(out, indent);
        }
        out.push('-');
        after_indicator(out, value, std::mem::take(&mut waiting.behind), indent, true);
    }
    waiting.rest(out, indent);
}

/// The comments before the first entry of a collection: behind a dash, they go above it.
fn leading(value: &Value) -> Vec<&Comment> {
    match value {
        Value::Map(branch) if entries(branch) > 0 => {
            branch.iter().map_while(Item::comment).filter(|comment| !comment.inline).collect()
        }
        Value::List(list) if elements(list) > 0 => {
            let mut found = Vec::new();
            for element in list {
                match element {
                    Element::Comment(comment) if !comment.inline => found.push(comment),
                    Element::Comment(_) => {}
                    Element::Value(value) => {
                        found.extend(leading(value));
                        break;
                    }
                }
            }
            found
        }
        _ => Vec::new(),
    }
}

/// Prints a value behind `key:` or `-`.
fn after_indicator(out: &mut String, value: &Value, behind: Vec<&Comment>, indent: usize, dash: bool) {
    let inner = deeper(indent, dash);
    match value {
        Value::Map(branch) if entries(branch) > 0 => {
            start_block(out, &behind, dash);
            map(out, branch, inner, dash);
        }
        Value::List(items) if elements(items) > 0 => {
            start_block(out, &behind, dash);
            list(out, items, inner, dash);
        }
        _ => {
            let (head, body) = scalar(value, inner);
            out.push(' ');
            out.push_str(&head);
            line_comments(out, &behind);
            out.push('\n');
            out.push_str(&body);
        }
    }
}

fn start_block(out: &mut String, behind: &[&Comment], dash: bool) {
    if dash {
        out.push(' ');
    } else {
        line_comments(out, behind);
        out.push('\n');
    }
}

fn line_comments(out: &mut String, behind: &[&Comment]) {
    for (index, comment) in behind.iter().enumerate() {
        out.push_str(if index == 0 { " #" } else { "\n#" });
        out.push_str(&comment.text);
    }
}

fn write_key(out: &mut String, key: &str, indent: usize) {
    let entry = sluice_yaml::Mapping::from_iter([(key.to_owned(), sluice_yaml::Value::Null)]);
    let text = write_v3(&sluice_yaml::Value::Mapping(entry));
    let text = text.trim_end().strip_suffix("null").unwrap_or(&text).trim_end();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
            margin(out, indent);
        }
        out.push_str(line);
    }
}

/// A value that stands on the line of its key, and the lines below it if it is a block.
fn scalar(value: &Value, indent: usize) -> (String, String) {
    let line = |text: &str| (text.to_owned(), String::new());
    match value {
        Value::Null | Value::Foreign(_) => line("null"),
        Value::Bool(value) => line(if *value { "true" } else { "false" }),
        Value::Int(value) => line(&value.to_string()),
        Value::Float(value) if value.is_nan() => line(".nan"),
        Value::Float(value) if value.is_infinite() => line(if *value > 0.0 { ".inf" } else { "-.inf" }),
        Value::Float(value) => line(&format_float(*value)),
        Value::Time(text) => line(text),
        Value::Map(_) => line("{}"),
        Value::List(_) => line("[]"),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => string(text, indent),
            Err(_) => binary(bytes, indent),
        },
    }
}

/// Bytes that are no text; broken into lines where one is not enough.
fn binary(bytes: &[u8], indent: usize) -> (String, String) {
    const WIDTH: usize = 70;
    let encoded = STANDARD.encode(bytes);
    if encoded.len() < WIDTH {
        return (format!("!!binary {encoded}"), String::new());
    }
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / WIDTH + 1);
    for line in encoded.as_bytes().chunks(WIDTH) {
        lines.extend(line.iter().map(|byte| char::from(*byte)));
        lines.push('\n');
    }
    let (head, body) = string(&lines, indent);
    (format!("!!binary {head}"), body)
}

fn string(text: &str, indent: usize) -> (String, String) {
    // The library takes it for a merge, though it is a text.
    if text == "<<" {
        return ("!!merge <<".to_owned(), String::new());
    }
    let printed = write_v3(&sluice_yaml::Value::String(text.to_owned()));
    let Some(head) = printed.lines().next().filter(|head| head.starts_with('|')) else {
        return (printed.trim_end_matches('\n').to_owned(), String::new());
    };
    // The hint for leading blanks is the step.
    let head = head.replace('2', &STEP.to_string());
    let mut body = String::new();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            margin(&mut body, indent);
            body.push_str(line);
        }
        body.push('\n');
    }
    (head, body)
}

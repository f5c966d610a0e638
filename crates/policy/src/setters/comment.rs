//! Markers in comments, and the scalars that they are for.

use std::collections::{BTreeMap, BTreeSet};

use sluice_yaml::Style;

use super::document::{Role, Scalar};

/// A marker.
#[derive(Debug)]
pub(super) struct Marker {
    /// Its line, from 1.
    pub(super) line: usize,
    pub(super) setter: String,
    /// The scalar that it is for.
    pub(super) scalar: Option<usize>,
}

/// All markers of a text, in its order.
pub(super) fn markers(text: &str, scalars: &[Scalar]) -> Vec<Marker> {
    let lines = Lines::new(text);
    let mut found: BTreeMap<usize, Marker> = BTreeMap::new();
    for (at, scalar) in scalars.iter().enumerate() {
        let Some((line, setter)) = marker_of(text, &lines, scalar) else { continue };
        // The last scalar of a line is the one that its comment is for.
        found.insert(line, Marker { line, setter, scalar: Some(at) });
    }
    // What is left is at no scalar. Text in scalars only looks like a marker.
    let inside: BTreeSet<usize> = scalars.iter().flat_map(|scalar| covered(&lines, scalar)).collect();
    for line in 1..=lines.all.len() {
        let content = lines.text(text, line);
        if found.contains_key(&line) || inside.contains(&line) {
            continue;
        }
        if let Some(setter) = content.find('#').and_then(|at| parse(&content[at..])) {
            found.insert(line, Marker { line, setter, scalar: None });
        }
    }
    found.into_values().collect()
}

/// The lines that are wholly content of a block or of a quoted text: those after its first.
fn covered(lines: &Lines, scalar: &Scalar) -> std::ops::RangeInclusive<usize> {
    let block = matches!(scalar.style, Style::Literal | Style::Folded);
    let last = lines.at(scalar.end.saturating_sub(usize::from(block)).max(scalar.start));
    (lines.at(scalar.start) + 1)..=last
}

/// The marker of a scalar: on its line, or right above it.
fn marker_of(text: &str, lines: &Lines, scalar: &Scalar) -> Option<(usize, String)> {
    // Not as the reader counts, which knows more kinds of line breaks, and a line after the last one.
    let line = lines.at(scalar.start);
    if scalar.role == Role::Key {
        return None;
    }
    if matches!(scalar.style, Style::Literal | Style::Folded) {
        let header = &text[scalar.start..];
        // Where the reader ends the line, or lone carriage returns make the rest of the text a header again and again.
        let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
        let header = &header[..header.find(breaks).unwrap_or(header.len())];
        let at = header.find(" #").or_else(|| header.find("\t#"))?;
        return parse(&header[at + 1..]).map(|setter| (line, setter));
    }
    let last = lines.at(scalar.end.saturating_sub(1).max(scalar.start));
    let rest = &text[scalar.end..lines.end(last).max(scalar.end)];
    let rest = rest.trim_start_matches([' ', '\t']);
    let comma = rest.strip_prefix(',').map(|rest| rest.trim_start_matches([' ', '\t']));
    if let Some(setter) = comma.unwrap_or(rest).strip_prefix('#').and_then(parse) {
        return (scalar.end > scalar.start).then_some((last, setter));
    }
    // A comment above belongs to an item, or to a value that has its line to itself.
    let before = &lines.all[line - 1];
    let alone = match scalar.role {
        Role::Item => scalar.start <= before.dashes,
        Role::Value => scalar.start <= before.blanks,
        Role::Key | Role::Root => false,
    };
    if !alone || line < 2 || scalar.end == scalar.start {
        return None;
    }
    let above = lines.text(text, line - 1).trim_start();
    let higher = line > 2 && lines.text(text, line - 2).trim_start().starts_with('#');
    if !above.starts_with('#') || higher {
        return None;
    }
    parse(above).map(|setter| (line - 1, setter))
}

/// The marker in a comment: exactly one JSON object whose values are texts.
fn parse(comment: &str) -> Option<String> {
    let json = comment.trim_start_matches('#');
    // This ends at the first lone carriage return, as the comment does for the reader; a search for the key would go on
    // to the newline, again for each such comment.
    let mut object: BTreeMap<String, String> = serde_json::from_str(json).ok()?;
    object.remove("$imagepolicy").filter(|_| json.contains("$imagepolicy"))
}

/// The lines of a text. All that is asked about one is found once: very many scalars may stand in it.
struct Lines {
    all: Vec<Line>,
}

struct Line {
    start: usize,
    /// Without its line end.
    end: usize,
    /// Where the blanks that it begins with are over.
    blanks: usize,
    /// Where the blanks and dashes that it begins with are over.
    dashes: usize,
}

impl Lines {
    fn new(text: &str) -> Self {
        let mut start = 0;
        let line = |whole: &str| {
            let line = whole.trim_end_matches('\r');
            let end = start + line.len();
            let dashes = line.trim_start_matches([' ', '\t', '-']);
            let found =
                Line { start, end, blanks: end - line.trim_start().len(), dashes: end - dashes.len() };
            start += whole.len() + 1;
            found
        };
        Self { all: text.split('\n').map(line).collect() }
    }

    /// The line of a place, from 1.
    fn at(&self, offset: usize) -> usize {
        self.all.partition_point(|line| line.start <= offset)
    }

    /// Where a line ends, without its line end.
    fn end(&self, line: usize) -> usize {
        self.all[line - 1].end
    }

    fn text<'t>(&self, text: &'t str, line: usize) -> &'t str {
        let line = &self.all[line - 1];
        &text[line.start..line.end]
    }
}

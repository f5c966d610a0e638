//! Comments in YAML: the library gives events with places, and comments are in the gaps between them.

/// A comment in the text.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The text behind the `#`.
    pub(super) text: String,
    /// Where its line has it, in characters.
    pub(super) column: usize,
    /// Whether nothing but blanks stands before it on its line.
    pub(super) alone: bool,
    /// The line, from 0.
    pub(super) line: usize,
    /// Whether a dash follows it in the gap: it then belongs to the list, not to the element.
    pub(super) before_dash: bool,
}

/// The comments in the gap of `text` between two places in bytes. `line` is the line of the first place.
pub(super) fn in_gap(text: &str, from: usize, to: usize, mut line: usize) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let Some(gap) = text.get(from..to) else { return found };
    if !gap.contains('#') {
        return found;
    }
    // A lone carriage return ends a line too; were it passed over, each gap would count from the very beginning.
    let line_start = text[..from].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let mut column = text[line_start..from].chars().count();
    let mut alone = text[line_start..from].trim().is_empty();
    let mut after_blank = text[..from].chars().next_back().is_none_or(char::is_whitespace);
    let mut rest = gap;
    while let Some(character) = rest.chars().next() {
        if character == '#' && after_blank {
            let end = rest.find('\n').unwrap_or(rest.len());
            let text = rest[1..end].trim_end_matches('\r').to_owned();
            found.push(Found { text, column, alone, line, before_dash: false });
            rest = &rest[end..];
            continue;
        }
        rest = &rest[character.len_utf8()..];
        if character == '\n' {
            line += 1;
            column = 0;
            alone = true;
            after_blank = true;
            continue;
        }
        column += 1;
        after_blank = character.is_whitespace();
        alone &= after_blank;
        if character == '-' && rest.starts_with([' ', '\t', '\n', '\r']) {
            for comment in &mut found {
                comment.before_dash = true;
            }
        }
    }
    found
}

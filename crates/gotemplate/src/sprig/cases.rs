//! Upper and lower case.

use crate::unicode::{is_lower, is_space, is_upper, to_lower, to_upper};

/// Go's `strings.Title`: the first letter of each word.
pub(super) fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|c| {
            let mapped = if is_separator(before) { crate::unicode::to_title(c) } else { c };
            before = c;
            mapped
        })
        .collect()
}

fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !(crate::unicode::is_letter(c) || crate::unicode::is_digit(c)) && is_space(c)
}

/// The first letter of each word lowered.
pub(super) fn untitle(text: &str) -> String {
    let mut at_start = true;
    text.chars()
        .map(|c| {
            if is_space(c) {
                at_start = true;
                c
            } else if std::mem::take(&mut at_start) {
                to_lower(c)
            } else {
                c
            }
        })
        .collect()
}

pub(super) fn swap(text: &str) -> String {
    let mut after_space = true;
    text.chars()
        .map(|c| {
            if is_upper(c) || crate::unicode::is_title(c) {
                after_space = false;
                to_lower(c)
            } else if is_lower(c) {
                if std::mem::take(&mut after_space) { crate::unicode::to_title(c) } else { to_upper(c) }
            } else {
                after_space = is_space(c);
                c
            }
        })
        .collect()
}

/// The first *byte* of each word: what is not ASCII comes out as Latin-1 has it.
pub(super) fn initials(text: &[u8]) -> String {
    let mut after_gap = true;
    let mut out = String::new();
    for c in text.iter().map(|byte| char::from(*byte)) {
        if is_space(c) {
            after_gap = true;
        } else if std::mem::take(&mut after_gap) {
            out.push(c);
        }
    }
    out
}

/// Without white space, byte by byte as Latin-1.
pub(super) fn without_space(text: &crate::value::Str) -> crate::value::Str {
    if !text.iter().any(|byte| is_space(char::from(*byte))) {
        return text.clone();
    }
    text.iter().map(|byte| char::from(*byte)).filter(|c| !is_space(*c)).collect::<String>().into()
}

pub(super) fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || is_space(c)
}

/// `some_words` to `SomeWords`; connectors at the start stay.
pub(super) fn pascal(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::with_capacity(text.len());
    let mut current = None;
    let mut run_is_upper = false;
    for c in chars.by_ref() {
        if is_connector(c) {
            out.push(c);
            current = Some((c, true));
        } else {
            run_is_upper = is_upper(c);
            current = Some((to_upper(c), false));
            break;
        }
    }
    let Some((mut current, written)) = current else {
        return out;
    };
    if chars.as_str().is_empty() {
        // The last character is written once more if it was a connector: as the original does.
        out.push(current);
        let _ = written;
        return out;
    }
    for c in chars {
        let before = current;
        current = c;
        if is_connector(current) && is_connector(before) {
            out.push(before);
            continue;
        }
        if is_connector(before) {
            run_is_upper = is_upper(current);
            current = to_upper(current);
        } else {
            if run_is_upper {
                if is_upper(current) {
                    current = to_lower(current);
                } else {
                    run_is_upper = false;
                }
            }
            out.push(before);
        }
    }
    out.push(current);
    out
}

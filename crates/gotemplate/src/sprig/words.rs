//! Words in names of mixed case, for `snakecase` and `kebabcase`.

use super::cases::is_connector;
use crate::unicode::{is_number, is_punctuation, is_upper, to_lower};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

fn is_alphabet(c: char) -> bool {
    // Letters of scripts that have case.
    crate::unicode::is_letter(c) && crate::unicode::has_case_script(c)
}

/// The first word and what follows it.
fn next(text: &str) -> (Kind, &str, &str) {
    let Some(first) = text.chars().next() else {
        return (Kind::None, "", "");
    };
    let run = |test: &dyn Fn(char) -> bool| text.find(|c| !test(c)).unwrap_or(text.len());
    let (kind, end) = if is_connector(first) {
        (Kind::Connector, run(&is_connector))
    } else if is_punctuation(first) {
        (Kind::Punctuation, run(&is_punctuation))
    } else if is_upper(first) {
        return upper(text, first);
    } else if is_alphabet(first) {
        (Kind::Letters, run(&|c| is_alphabet(c) && !is_upper(c)))
    } else if is_number(first) {
        (Kind::Number, run(&is_number))
    } else {
        let ends = |c: char| is_connector(c) || is_alphabet(c) || is_number(c) || is_punctuation(c);
        (Kind::Other, run(&|c| !ends(c)))
    };
    (kind, &text[..end], &text[end..])
}

/// `HTTPStatus` is `HTTP` and `Status`.
fn upper(text: &str, first: char) -> (Kind, &str, &str) {
    let rest = &text[first.len_utf8()..];
    let mut end = text.len();
    match rest.chars().next() {
        None => {}
        Some(second) if is_upper(second) => {
            let run = rest.find(|c| !is_upper(c)).map(|at| at + first.len_utf8());
            if let Some(run) = run {
                end = run;
                let follower = text[run..].chars().next();
                if follower.is_some_and(is_alphabet) {
                    end -= text[..run].chars().next_back().map_or(0, char::len_utf8);
                }
            }
        }
        Some(second) if is_alphabet(second) => {
            let run = rest.find(|c| !is_alphabet(c) || is_upper(c));
            end = run.map_or(text.len(), |at| at + first.len_utf8());
        }
        Some(_) => end = first.len_utf8(),
    }
    (Kind::Upper, &text[..end], &text[end..])
}

fn push_word(out: &mut String, kind: Kind, word: &str, connector: char) {
    if !matches!(kind, Kind::Upper | Kind::Connector) {
        out.push_str(word);
        return;
    }
    for c in word.chars() {
        out.push(if is_connector(c) { connector } else { to_lower(c) });
    }
}

/// Words in lower case with a connector between them; numbers stay with the word before.
pub(super) fn separate(text: &str, connector: char) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut kind, mut word, mut rest) = next(text);
    while !rest.is_empty() {
        if kind != Kind::Connector {
            push_word(&mut out, kind, word, connector);
        }
        let (before, last) = (kind, word);
        (kind, word, rest) = next(rest);
        match before {
            Kind::Number => {
                while matches!(kind, Kind::Letters | Kind::Number) {
                    push_word(&mut out, kind, word, connector);
                    (kind, word, rest) = next(rest);
                }
                if !matches!(kind, Kind::None | Kind::Punctuation | Kind::Connector) {
                    out.push(connector);
                }
            }
            Kind::Connector => push_word(&mut out, before, last, connector),
            Kind::Punctuation => {}
            _ if kind != Kind::Number => {
                if !matches!(kind, Kind::Connector | Kind::Punctuation) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = word;
                (kind, word, rest) = next(rest);
                if kind != Kind::Letters {
                    push_word(&mut out, Kind::Number, number, connector);
                    if !matches!(kind, Kind::Connector | Kind::Punctuation) {
                        out.push(connector);
                    }
                    continue;
                }
                // Lower case after a number: the number begins the word.
                out.push(connector);
                push_word(&mut out, Kind::Number, number, connector);
                while matches!(kind, Kind::Letters | Kind::Number) {
                    push_word(&mut out, kind, word, connector);
                    (kind, word, rest) = next(rest);
                }
                if !matches!(kind, Kind::None | Kind::Connector | Kind::Punctuation) {
                    out.push(connector);
                }
            }
        }
    }
    push_word(&mut out, kind, word, connector);
    out
}

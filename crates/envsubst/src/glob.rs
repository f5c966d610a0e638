//! Glob patterns on bytes: `*`, `?`, `[a-z]`, `[^a]`, `\c`; nothing stops at a slash.
//!
//! A pattern with a fault is only a fault when the match comes to that place, as in the reference.

/// The end of a match before an answer.
pub(crate) enum Stop {
    /// The pattern has a fault.
    BadPattern,
    /// The allowed number of steps is used up.
    OutOfSteps,
}

/// A compiled pattern: pieces between stars.
pub(crate) struct Glob {
    pieces: Vec<Piece>,
}

struct Piece {
    /// Whether a star stands before the piece.
    star: bool,
    tokens: Vec<Token>,
}

enum Token {
    Byte(u8),
    /// `?`: one character; of broken UTF-8 one byte.
    Any,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Bad,
}

impl Glob {
    pub(crate) fn new(pattern: &[u8]) -> Self {
        let mut pieces = Vec::new();
        let mut rest = pattern;
        while !rest.is_empty() {
            let stars = rest.iter().take_while(|byte| **byte == b'*').count();
            let (piece, after) = rest[stars..].split_at(piece_end(&rest[stars..]));
            pieces.push(Piece { star: stars > 0, tokens: tokens(piece) });
            rest = after;
        }
        Self { pieces }
    }

    /// Whether the pattern matches all of `text`.
    pub(crate) fn matches(&self, text: &[u8], steps: &mut usize) -> Result<bool, Stop> {
        let mut rest = text;
        'pieces: for (index, piece) in self.pieces.iter().enumerate() {
            if piece.star && piece.tokens.is_empty() {
                return Ok(true);
            }
            let last = index + 1 == self.pieces.len();
            let starts = if piece.star { rest.len() + 1 } else { 1 };
            for start in 0..starts {
                if let Some(after) = piece.strip(&rest[start..], steps)?
                    && (after.is_empty() || !last)
                {
                    rest = after;
                    continue 'pieces;
                }
            }
            return Ok(false);
        }
        Ok(rest.is_empty())
    }
}

impl Piece {
    /// What follows the piece at the start of `text`, if it is there.
    fn strip<'t>(&self, text: &'t [u8], steps: &mut usize) -> Result<Option<&'t [u8]>, Stop> {
        let mut rest = text;
        for token in &self.tokens {
            *steps = steps.checked_sub(1).ok_or(Stop::OutOfSteps)?;
            let Some(first) = rest.first() else { return Ok(None) };
            let width = match token {
                Token::Byte(byte) if byte == first => 1,
                Token::Byte(_) => return Ok(None),
                Token::Any => decode(rest).1,
                Token::Class { negated, ranges } => {
                    let (character, width) = decode(rest);
                    let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                    if inside == *negated {
                        return Ok(None);
                    }
                    width
                }
                Token::Bad => return Err(Stop::BadPattern),
            };
            rest = &rest[width..];
        }
        Ok(Some(rest))
    }
}

/// Where the piece ends: at the next star outside a class.
fn piece_end(pattern: &[u8]) -> usize {
    let mut in_class = false;
    let mut index = 0;
    while let Some(byte) = pattern.get(index) {
        match byte {
            b'\\' => index += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class => return index,
            _ => {}
        }
        index += 1;
    }
    pattern.len()
}

fn tokens(piece: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = piece;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let token = match first {
            b'?' => Token::Any,
            b'[' => class(&mut rest).unwrap_or(Token::Bad),
            b'\\' => match rest.split_first() {
                Some((escaped, after)) => {
                    rest = after;
                    Token::Byte(*escaped)
                }
                None => Token::Bad,
            },
            byte => Token::Byte(*byte),
        };
        let bad = matches!(token, Token::Bad);
        tokens.push(token);
        if bad {
            break;
        }
    }
    tokens
}

/// Reads a class behind its `[`.
fn class(rest: &mut &[u8]) -> Option<Token> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !ranges.is_empty() {
            *rest = &rest[1..];
            return Some(Token::Class { negated, ranges });
        }
        let low = class_character(rest)?;
        let high = if rest.first() == Some(&b'-') {
            *rest = &rest[1..];
            class_character(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

fn class_character(rest: &mut &[u8]) -> Option<char> {
    match rest.first()? {
        b'-' | b']' => return None,
        b'\\' => *rest = &rest[1..],
        _ => {}
    }
    if rest.is_empty() {
        return None;
    }
    let (character, width) = decode(rest);
    if character == char::REPLACEMENT_CHARACTER && width == 1 {
        return None;
    }
    *rest = &rest[width..];
    // A class must be closed, so something has to follow.
    if rest.is_empty() { None } else { Some(character) }
}

/// The first character and its width in bytes; U+FFFD of width 1 where the bytes are not UTF-8. `bytes` is not empty.
pub(crate) fn decode(bytes: &[u8]) -> (char, usize) {
    let width = match bytes.first() {
        None => return (char::REPLACEMENT_CHARACTER, 0),
        Some(0..=0x7f) => 1,
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(_) => 4,
    };
    bytes
        .get(..width)
        .and_then(|sequence| std::str::from_utf8(sequence).ok())
        .and_then(|sequence| sequence.chars().next())
        .map_or((char::REPLACEMENT_CHARACTER, 1), |character| (character, character.len_utf8()))
}

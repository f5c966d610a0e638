//! Actions that were parsed before: templates say the same things again and again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::tree::Pipe;

/// How many different actions are known at once.
const MOST: usize = 10_000;
/// Longer ones seldom come again.
const LONGEST: usize = 1 << 10;

/// What the text of an action means wherever it stands: actions whose meaning depends on where they are, as it does with
/// variables, are not known.
#[derive(Default)]
pub(crate) struct Actions(HashMap<Piece, Known, RandomState>);

/// An action as it is parsed.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) word: Word,
    /// Nothing for `end`.
    pub(super) pipe: Option<Arc<Pipe>>,
    /// How many nodes got identities.
    pub(super) ids: u32,
    /// Where the first token is, from the start of the action.
    pub(super) first: u32,
}

/// What an action begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// No keyword.
    Command,
    If,
    With,
    Range,
    End,
}

impl Word {
    /// As messages name it.
    pub(super) const fn context(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
            Self::End => "end",
        }
    }
}

/// A part of a template's text, by its bytes.
struct Piece {
    text: Arc<[u8]>,
    start: u32,
    end: u32,
}

impl Borrow<[u8]> for Piece {
    fn borrow(&self) -> &[u8] {
        &self.text[self.start as usize..self.end as usize]
    }
}

impl Hash for Piece {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let bytes: &[u8] = self.borrow();
        bytes.hash(state);
    }
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        let (one, two): (&[u8], &[u8]) = (self.borrow(), other.borrow());
        one == two
    }
}

impl Eq for Piece {}

impl Actions {
    pub(super) fn get(&self, text: &[u8]) -> Option<&Known> {
        self.0.get(text)
    }

    /// Notes what `text[start..start + length]` means.
    pub(super) fn insert(&mut self, text: &Arc<[u8]>, start: u32, length: usize, known: Known) {
        if length <= LONGEST && self.0.len() < MOST {
            let piece = Piece { text: Arc::clone(text), start, end: start + length as u32 };
            self.0.insert(piece, known);
        }
    }
}

//! Finding, splitting, replacing.

use crate::Regexp;

/// Where a match and its groups are: pairs of start and end.
pub type Groups = Vec<Option<(usize, usize)>>;

impl Regexp {
    /// The first match.
    pub fn find(&self, text: impl AsRef<[u8]>) -> Option<(usize, usize)> {
        self.program.find(text.as_ref()).map(|found| (found.start(), found.end()))
    }

    /// The first match and its groups.
    pub fn find_groups(&self, text: impl AsRef<[u8]>) -> Option<Groups> {
        self.groups_at(text.as_ref(), 0)
    }

    fn groups_at(&self, text: &[u8], at: usize) -> Option<Groups> {
        let captures = self.program.captures_at(text, at)?;
        Some(captures.iter().map(|group| group.map(|group| (group.start(), group.end()))).collect())
    }

    /// Up to `limit` matches that do not overlap; all of them if it is negative.
    pub fn find_all(&self, text: impl AsRef<[u8]>, limit: i64) -> Vec<(usize, usize)> {
        let text = text.as_ref();
        let mut found = Vec::new();
        let mut at = 0;
        let mut last_end = None;
        while at <= text.len() && (limit < 0 || (found.len() as i64) < limit) {
            let Some(next) = self.program.find_at(text, at) else { break };
            let (start, end) = (next.start(), next.end());
            let mut accept = true;
            if end == at {
                // An empty match right behind another does not count.
                accept = last_end != Some(start);
                at += width(text, at).max(1);
            } else {
                at = end;
            }
            last_end = Some(end);
            if accept {
                found.push((start, end));
            }
        }
        found
    }

    /// Replaces each match by the template with its `$name` references filled in.
    pub fn replace_all(&self, text: impl AsRef<[u8]>, template: impl AsRef<[u8]>) -> Vec<u8> {
        let (text, template) = (text.as_ref(), template.as_ref());
        if !template.contains(&b'$') {
            return self.replace_all_literal(text, template);
        }
        replace(
            text,
            |at| self.groups_at(text, at),
            |groups| groups.first().copied().flatten().unwrap_or_default(),
            |out, groups| self.expand(out, template, text, groups),
        )
    }

    /// Replaces each match by the text as it is.
    pub fn replace_all_literal(&self, text: impl AsRef<[u8]>, replacement: impl AsRef<[u8]>) -> Vec<u8> {
        let (text, replacement) = (text.as_ref(), replacement.as_ref());
        replace(
            text,
            |at| self.program.find_at(text, at),
            |found| (found.start(), found.end()),
            |out, _| out.extend_from_slice(replacement),
        )
    }

    /// The parts between matches, at most `limit` of them; all if it is negative.
    pub fn split<'t>(&self, text: &'t [u8], limit: i64) -> Vec<&'t [u8]> {
        if limit == 0 {
            return Vec::new();
        }
        if !self.pattern.is_empty() && text.is_empty() {
            return vec![text];
        }
        let mut parts = Vec::new();
        let mut from = 0;
        let mut to = 0;
        for (start, end) in self.find_all(text, limit) {
            if limit > 0 && parts.len() as i64 == limit - 1 {
                break;
            }
            to = start;
            if end != 0 {
                parts.push(&text[from..to]);
            }
            from = end;
        }
        if to != text.len() {
            parts.push(&text[from..]);
        }
        parts
    }
}

fn replace<M>(
    text: &[u8],
    mut next: impl FnMut(usize) -> Option<M>,
    range: impl Fn(&M) -> (usize, usize),
    mut fill: impl FnMut(&mut Vec<u8>, &M),
) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut last_end = 0;
    let mut at = 0;
    while at <= text.len() {
        let Some(found) = next(at) else { break };
        let (start, end) = range(&found);
        out.extend_from_slice(&text[last_end..start]);
        // Not for an empty match right behind another.
        if end > last_end || start == 0 {
            fill(&mut out, &found);
        }
        last_end = end;
        at = end.max(at + width(text, at).max(1));
    }
    out.extend_from_slice(&text[last_end..]);
    out
}

/// How many bytes the character at that place has; 0 at the end.
fn width(text: &[u8], at: usize) -> usize {
    let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) else {
        return 0;
    };
    let window = &rest[..rest.len().min(4)];
    let first = window.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    first.map_or(1, char::len_utf8)
}

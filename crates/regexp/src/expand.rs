//! Templates with `$1`, `$name` and `${name}`.

use crate::Regexp;
use crate::find::Groups;

impl Regexp {
    /// Appends the template with what the groups matched.
    pub fn expand(&self, out: &mut Vec<u8>, template: &[u8], text: &[u8], groups: &Groups) {
        let mut rest = template;
        while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            if rest.first() == Some(&b'$') {
                out.push(b'$');
                rest = &rest[1..];
                continue;
            }
            let Some((reference, used)) = reference(rest) else {
                // Malformed: the `$` stands for itself.
                out.push(b'$');
                continue;
            };
            rest = &rest[used..];
            let group = match reference {
                Reference::Number(number) => groups.get(number).copied().flatten(),
                Reference::Name(name) => {
                    let mut named = self.names.iter().zip(groups);
                    named.find_map(|(known, group)| group.filter(|_| known == name))
                }
            };
            if let Some((start, end)) = group {
                out.extend_from_slice(&text[start..end]);
            }
        }
        out.extend_from_slice(rest);
    }
}

enum Reference<'t> {
    Number(usize),
    Name(&'t str),
}

/// The reference after a `$`, and how many bytes it takes.
fn reference(rest: &[u8]) -> Option<(Reference<'_>, usize)> {
    const LARGE: usize = 100_000_000;
    let brace = rest.first() == Some(&b'{');
    let inner = &rest[usize::from(brace)..];
    let valid = inner.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let end = valid.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(valid.len());
    if end == 0 || brace && inner.get(end) != Some(&b'}') {
        return None;
    }
    let name = &valid[..end];
    let used = end + if brace { 2 } else { 0 };
    let number = name.parse::<usize>().ok().filter(|number| {
        let leading_zero = name.len() > 1 && name.starts_with('0');
        !leading_zero && *number < LARGE * 10 && name.bytes().all(|byte| byte.is_ascii_digit())
    });
    Some((number.map_or(Reference::Name(name), Reference::Number), used))
}

//! The token grammar that versions and constraints share.

/// A version-like token, cut into its parts. Numbers may be wildcards here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) major: &'a str,
    pub(crate) minor: Option<&'a str>,
    pub(crate) patch: Option<&'a str>,
    pub(crate) prerelease: Option<&'a str>,
    pub(crate) metadata: Option<&'a str>,
}

/// Reads the longest version token at the start of `text`; `number` says which bytes a number segment may hold.
pub(crate) fn token(text: &str, number: fn(u8) -> bool) -> Option<Token<'_>> {
    let start = usize::from(text.starts_with('v'));
    let (major, mut end) = run(text, start, number)?;
    let dotted = |end: &mut usize| {
        let (segment, next) = text[*end..].starts_with('.').then(|| run(text, *end + 1, number))??;
        *end = next;
        Some(segment)
    };
    let minor = dotted(&mut end);
    let patch = if minor.is_some() { dotted(&mut end) } else { None };
    let mut suffix = |mark: char| {
        let (part, next) = text[end..].starts_with(mark).then(|| identifiers(text, end + 1))??;
        end = next;
        Some(part)
    };
    let prerelease = suffix('-');
    let metadata = suffix('+');
    Some(Token { text: &text[..end], major, minor, patch, prerelease, metadata })
}

fn run(text: &str, start: usize, accept: fn(u8) -> bool) -> Option<(&str, usize)> {
    let length = text.as_bytes()[start..].iter().take_while(|b| accept(**b)).count();
    (length > 0).then(|| (&text[start..start + length], start + length))
}

/// Dot-separated identifiers: letters, digits and hyphens.
fn identifiers(text: &str, start: usize) -> Option<(&str, usize)> {
    let (_, mut end) = run(text, start, is_identifier)?;
    while text[end..].starts_with('.') {
        let Some((_, next)) = run(text, end + 1, is_identifier) else { break };
        end = next;
    }
    Some((&text[start..end], end))
}

pub(crate) fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

pub(crate) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// Digits, wildcards and, as the reference's character class has it by accident, a single bar.
pub(crate) fn is_digit_or_wildcard(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'|' | b'x' | b'X' | b'*')
}

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

pub(crate) fn skip_space(text: &str) -> &str {
    &text[text.bytes().take_while(|b| is_space(*b)).count()..]
}

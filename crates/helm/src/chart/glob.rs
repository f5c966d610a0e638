//! Go's `filepath.Match`: `*` and `?` stay within a segment, `[a-z]`, `[^x]`, `\c`.

/// A pattern that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub(crate) struct BadPattern;

/// Whether the whole of `name` matches `pattern`. The answer may come before all of a bad pattern was read.
pub(crate) fn match_path(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    match_chunks(&pattern, &name)
}

fn match_chunks(mut pattern: &[char], mut name: &[char]) -> Result<bool, BadPattern> {
    while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            // A final star takes the rest unless that crosses a separator.
            return Ok(!name.contains(&'/'));
        }
        if let Some(left) = match_chunk(chunk, name)?
            && (left.is_empty() || !pattern.is_empty())
        {
            name = left;
            continue;
        }
        let mut found = None;
        if star {
            for skipped in 0..name.len() {
                if name[skipped] == '/' {
                    break;
                }
                if let Some(left) = match_chunk(chunk, &name[skipped + 1..])? {
                    if pattern.is_empty() && !left.is_empty() {
                        continue;
                    }
                    found = Some(left);
                    break;
                }
            }
        }
        match found {
            Some(left) => name = left,
            None => {
                // Read on, so that a bad pattern is an error whatever the name.
                while !pattern.is_empty() {
                    let (_, chunk, rest) = next_chunk(pattern);
                    pattern = rest;
                    match_chunk(chunk, &[])?;
                }
                return Ok(false);
            }
        }
    }
    Ok(name.is_empty())
}

/// Leading stars, the part up to the next star, the rest.
fn next_chunk(pattern: &[char]) -> (bool, &[char], &[char]) {
    let stars = pattern.iter().take_while(|c| **c == '*').count();
    let pattern = &pattern[stars..];
    let mut in_class = false;
    let mut index = 0;
    while index < pattern.len() {
        match pattern[index] {
            '\\' => index += 1,
            '[' => in_class = true,
            ']' => in_class = false,
            '*' if !in_class => break,
            _ => {}
        }
        index += 1;
    }
    let end = index.min(pattern.len());
    (stars > 0, &pattern[..end], &pattern[end..])
}

/// What is left of the name after a chunk without stars. Once the name failed, only the syntax is checked.
fn match_chunk<'a>(mut chunk: &[char], mut name: &'a [char]) -> Result<Option<&'a [char]>, BadPattern> {
    let mut failed = false;
    while let Some(&first) = chunk.first() {
        failed |= name.is_empty();
        match first {
            '[' => {
                let current = if failed { '\0' } else { name[0] };
                if !failed {
                    name = &name[1..];
                }
                chunk = &chunk[1..];
                let negated = chunk.first() == Some(&'^');
                if negated {
                    chunk = &chunk[1..];
                }
                let mut hit = false;
                let mut ranges = 0;
                loop {
                    if chunk.first() == Some(&']') && ranges > 0 {
                        chunk = &chunk[1..];
                        break;
                    }
                    let (low, rest) = class_char(chunk)?;
                    chunk = rest;
                    let mut high = low;
                    if chunk.first() == Some(&'-') {
                        (high, chunk) = class_char(&chunk[1..])?;
                    }
                    hit |= low <= current && current <= high;
                    ranges += 1;
                }
                failed |= hit == negated;
            }
            '?' => {
                if !failed {
                    failed = name[0] == '/';
                    name = &name[1..];
                }
                chunk = &chunk[1..];
            }
            mut literal => {
                if literal == '\\' {
                    chunk = &chunk[1..];
                    literal = *chunk.first().ok_or(BadPattern)?;
                }
                if !failed {
                    failed = literal != name[0];
                    name = &name[1..];
                }
                chunk = &chunk[1..];
            }
        }
    }
    Ok((!failed).then_some(name))
}

/// One possibly escaped character of a class.
fn class_char(chunk: &[char]) -> Result<(char, &[char]), BadPattern> {
    let mut chunk = chunk;
    match chunk.first() {
        None | Some('-' | ']') => return Err(BadPattern),
        Some('\\') => chunk = &chunk[1..],
        Some(_) => {}
    }
    let first = *chunk.first().ok_or(BadPattern)?;
    let rest = &chunk[1..];
    // A class must still be closed.
    if rest.is_empty() { Err(BadPattern) } else { Ok((first, rest)) }
}

#[cfg(test)]
mod tests {
    use super::match_path;

    #[test]
    fn patterns_match_as_in_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "ab/c", Some(false)),
            ("a*/b", "abc/b", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", Some(true)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", Some(false)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("ab[c]", "abc", Some(true)),
            ("ab[b-d]", "abc", Some(true)),
            ("ab[^c]", "abc", Some(false)),
            ("ab[^e-g]", "abc", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a?b", "a☺b", Some(true)),
            ("a?b", "a/b", Some(false)),
            ("[a-ζ]*", "α", Some(true)),
            ("*[a-ζ]", "A", Some(false)),
            ("[]a]", "]", None),
            ("[-]", "-", None),
            ("[a-b-c]", "a", None),
            ("[", "a", None),
            ("a[", "ab", None),
            ("*x", "xxx", Some(true)),
            ("templates/.?*", "templates/.git", Some(true)),
        ] {
            assert_eq!(match_path(pattern, name).ok(), expected, "{pattern} {name}");
        }
    }
}

//! A stream of documents into documents.

use memchr::memmem;

use crate::go::trim_left;

/// Splits at each `---` that begins a line, whatever follows it; blank documents are dropped.
pub fn split(text: &str) -> Vec<&str> {
    let text = trim_left(text);
    let mut documents = Vec::new();
    let mut start = 0;
    let mut position = 0;
    // A line begins at the start and after each newline; a match may begin where the last one ended.
    while let Some(found) = next_separator(text, position) {
        push(&mut documents, &text[start..found]);
        let after = found + 3;
        let blanks = text[after..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        start = after + blanks;
        position = start;
    }
    push(&mut documents, &text[start..]);
    documents
}

fn next_separator(text: &str, from: usize) -> Option<usize> {
    if from == 0 && text.starts_with("---") {
        return Some(0);
    }
    // The newline in front of the separator is not part of it, so look from just before.
    let base = from.saturating_sub(1);
    memmem::find(text.as_bytes().get(base..)?, b"\n---")
        .map(|offset| base + offset + 1)
        .filter(|found| *found >= from)
}

fn push<'a>(documents: &mut Vec<&'a str>, text: &'a str) {
    let document = trim_left(text);
    if !document.is_empty() {
        documents.push(document);
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn separators_split_wherever_they_begin_a_line() {
        assert_eq!(split("a: 1\n---\nb: 2\n"), ["a: 1\n", "b: 2\n"]);
        assert_eq!(split("\n ---a: 1\n--- # c\nb: 2\n---\n\n---"), ["a: 1\n", "# c\nb: 2\n"]);
        assert_eq!(split("---\n---\na\n ---\nb"), ["a\n ---\nb"]);
        assert_eq!(split("a\n---é: 1"), ["a\n", "é: 1"]);
        assert!(split(" \n").is_empty());
    }
}

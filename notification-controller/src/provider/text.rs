//! Pieces of text that several services show.

use std::fmt::Write;

use crate::event::Event;

/// `kind/name.namespace`, the kind in lower case.
pub(crate) fn object(event: &Event) -> String {
    format!("{}/{}.{}", event.kind().to_lowercase(), event.name(), event.namespace())
}

/// A check mark or a bomb.
pub(crate) fn emoji(event: &Event) -> &'static str {
    if event.is_error() { "💣" } else { "✅" }
}

/// A reason in CamelCase as words in lower case.
pub(crate) fn words(reason: &str) -> String {
    let mut words = String::new();
    let mut previous_lower = false;
    let mut characters = reason.chars().peekable();
    while let Some(character) = characters.next() {
        let starts_word = character.is_uppercase()
            && (previous_lower || characters.peek().is_some_and(|next| next.is_lowercase()));
        if starts_word && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
        previous_lower = character.is_lowercase() || character.is_ascii_digit();
    }
    words
}

/// The Markdown of comments and streams: a heading, the object, the message, the metadata.
pub(crate) fn markdown(event: &Event) -> String {
    let sign = if event.is_error() { "⚠️" } else { "ℹ️" };
    let mut text = format!("## Flux Status\n\n{sign} {}\n\n{}\n", event.subject(), event.message);
    let metadata: Vec<_> = event.metadata.iter().filter(|(key, _)| *key != "change_request").collect();
    if !metadata.is_empty() {
        text.push_str("\nMetadata:\n");
        for (key, value) in metadata {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "* `{key}`: {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_become_words() {
        assert_eq!(words("ReconciliationSucceeded"), "reconciliation succeeded");
        assert_eq!(words("OCIArtifactPullFailed"), "oci artifact pull failed");
        assert_eq!(words("Failed"), "failed");
    }
}

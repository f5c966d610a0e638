//! Errors and addresses as text for people.

use std::error::Error;

use reqwest::Url;

/// An error and its causes joined by `: `. A cause whose text the outer one ends with already is not repeated.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// A URL without what may be secret: login and query.
pub fn display(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    // Those fail for URLs that cannot have a login.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] std::io::Error);

    #[test]
    fn causes_are_told_once() {
        let cause = || std::io::Error::other("refused");
        assert_eq!(chain(&Outer("no answer", cause())), "no answer: refused");
        assert_eq!(chain(&Outer("no answer: refused", cause())), "no answer: refused");
    }

    #[test]
    fn addresses_show_no_login() {
        let shown = |text: &str| display(&Url::parse(text).unwrap());
        assert_eq!(shown("https://me:s3cr3t@host:8443/a?sig=s3cr3t"), "https://host:8443/a");
        assert_eq!(shown("mailto:a@b"), "mailto:a@b");
    }
}

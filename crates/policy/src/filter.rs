//! Which tags count, and what of them is compared.

use std::collections::HashMap;

use sluice_regexp::Regexp;

/// A pattern, and what is taken out of what it matches.
#[derive(Debug, Clone)]
pub struct Filter {
    pattern: Regexp,
    extract: String,
}

/// Why a filter cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid regular expression pattern '{pattern}': {error}")]
pub struct FilterError {
    pattern: String,
    error: String,
}

impl Filter {
    /// A filter from a pattern in Go's syntax and a template such as `$version`; with an empty one tags are compared as
    /// they are.
    pub fn new(pattern: &str, extract: &str) -> Result<Self, FilterError> {
        let invalid = |error: sluice_regexp::Error| FilterError {
            pattern: pattern.to_owned(),
            error: error.to_string(),
        };
        Ok(Self { pattern: Regexp::new(pattern).map_err(invalid)?, extract: extract.to_owned() })
    }

    /// What is compared of each tag that counts, with the tag. Where several tags have the same, the last one stands
    /// for all of them.
    pub fn apply<'t>(&self, tags: impl IntoIterator<Item = &'t str>) -> Vec<(String, &'t str)> {
        let mut kept: Vec<(String, &str)> = Vec::new();
        let mut places = HashMap::new();
        for tag in tags {
            let Some(key) = self.key(tag) else { continue };
            match places.get(&key) {
                Some(place) => {
                    let (_, known): &mut (String, &str) = &mut kept[*place];
                    *known = tag;
                }
                None => {
                    places.insert(key.clone(), kept.len());
                    kept.push((key, tag));
                }
            }
        }
        kept
    }

    fn key(&self, tag: &str) -> Option<String> {
        if self.extract.is_empty() {
            return self.pattern.is_match(tag).then(|| tag.to_owned());
        }
        let groups = self.pattern.find_groups(tag)?;
        let mut key = Vec::new();
        self.pattern.expand(&mut key, self.extract.as_bytes(), tag.as_bytes(), &groups);
        Some(String::from_utf8_lossy(&key).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pattern: &str, extract: &str, tags: &[&'static str]) -> Vec<(String, &'static str)> {
        Filter::new(pattern, extract).unwrap().apply(tags.iter().copied())
    }

    fn pair(key: &str, tag: &'static str) -> (String, &'static str) {
        (key.to_owned(), tag)
    }

    #[test]
    fn a_pattern_matches_anywhere_unless_it_is_anchored() {
        assert_eq!(keys("ver", "", &["aver1", "x"]), [pair("aver1", "aver1")]);
        assert!(keys("^ver", "", &["aver1", "x"]).is_empty());
    }

    #[test]
    fn groups_are_extracted_by_name_and_number() {
        let tags = &["main-9f3-170", "dev-1-2"];
        assert_eq!(keys("^main-[a-f0-9]+-(?P<ts>[0-9]+)", "$ts", tags), [pair("170", "main-9f3-170")]);
        assert_eq!(
            keys("^main-(?<sha>.+)-([0-9]+)$", "${2}.$sha$$", tags),
            [pair("170.9f3$", "main-9f3-170")]
        );
        assert_eq!(keys("^(main)", "$1x${1}x$0", tags), [pair("mainxmain", "main-9f3-170")]);
    }

    #[test]
    fn the_last_of_several_tags_with_one_key_stands_for_them() {
        let tags = &["b-2", "b-1", "a-2"];
        assert_eq!(keys("-([0-9])", "$1", tags), [pair("2", "a-2"), pair("1", "b-1")]);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        assert_eq!(
            Filter::new("a(b", "").unwrap_err().to_string(),
            "invalid regular expression pattern 'a(b': error parsing regexp: missing closing ): `a(b`"
        );
    }
}

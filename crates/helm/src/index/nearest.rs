//! Versions that somebody may have meant who asked for one that is not there.

use sluice_semver::Version;

/// How many versions are named on each side of what was asked for.
const EACH_SIDE: usize = 2;

/// Versions that there are, highest first. Shown as ` (nearest: …)` behind an error, or as nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nearest(pub Vec<String>);

impl Nearest {
    /// The versions next to the one that a version or range names first; the highest of all where it names none.
    pub fn of<'a>(known: impl IntoIterator<Item = &'a str>, wanted: &str) -> Self {
        let mut known: Vec<Version> =
            known.into_iter().filter_map(|text| Version::parse(text).ok()).collect();
        known.sort_by(|a, b| b.cmp(a));
        known.dedup();
        // Those before `at` are above what was asked for.
        let at = anchor(wanted).map_or(0, |wanted| known.partition_point(|version| *version > wanted));
        let from = at.saturating_sub(EACH_SIDE);
        let until = (at + EACH_SIDE).max(from + EACH_SIDE + 1).min(known.len());
        let from = from.min(until.saturating_sub(EACH_SIDE + 1));
        Self(known[from..until].iter().map(|version| version.original().to_owned()).collect())
    }
}

impl std::fmt::Display for Nearest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (nearest: {})", self.0.join(", ")) }
    }
}

/// The first version in a range such as `>=1.2.x <2`, with nothing for what it leaves open.
fn anchor(range: &str) -> Option<Version> {
    let start = range.find(|c: char| c.is_ascii_digit())?;
    let end = range[start..].find(|c: char| c.is_whitespace() || c == ',' || c == '|');
    let text = &range[start..end.map_or(range.len(), |end| start + end)];
    let numbers: Vec<&str> =
        text.split('.').take_while(|part| part.starts_with(|c: char| c.is_ascii_digit())).collect();
    Version::parse(&numbers.join(".")).ok()
}

#[cfg(test)]
mod tests {
    use super::Nearest;

    #[test]
    fn those_beside_the_wanted_version_are_named() {
        let known = ["1.0.0", "1.1.0", "1.2.0", "v1.3.0", "2.0.0", "junk", "3.0.0-rc.1"];
        let find = |wanted: &str| Nearest::of(known, wanted).0.join(" ");
        assert_eq!(find("1.1.5"), "v1.3.0 1.2.0 1.1.0 1.0.0");
        assert_eq!(find("9.0.0"), "3.0.0-rc.1 2.0.0 v1.3.0");
        assert_eq!(find("3.x"), "3.0.0-rc.1 2.0.0 v1.3.0");
        assert_eq!(find(">=4, <5"), "3.0.0-rc.1 2.0.0 v1.3.0");
        assert_eq!(find("~0.3.x"), "1.2.0 1.1.0 1.0.0");
        assert_eq!(find("*"), "3.0.0-rc.1 2.0.0 v1.3.0");
        assert_eq!(Nearest::of([], "1.0.0").to_string(), "");
    }
}

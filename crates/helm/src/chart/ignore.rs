//! `.helmignore`. Looks like `.gitignore`, but the first rule that decides wins and `!` ignores what does not match.

use super::glob::match_path;

/// Why a `.helmignore` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreError {
    /// `**` has no meaning here.
    #[error("double-star (**) syntax is not supported")]
    DoubleStar,
    /// A class that is not closed, or the like.
    #[error("syntax error in pattern")]
    Pattern,
}

/// The rules of one `.helmignore`.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    negated: bool,
    directories_only: bool,
    whole_path: bool,
}

impl IgnoreRules {
    /// Reads the text of a `.helmignore` and adds the rule that always holds: no dot files in `templates/`.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut rules = IgnoreRules::default();
        for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
            rules.add(line)?;
        }
        rules.add("templates/.?*")?;
        Ok(rules)
    }

    fn add(&mut self, line: &str) -> Result<(), IgnoreError> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains("**") {
            return Err(IgnoreError::DoubleStar);
        }
        match_path(line, "abc").map_err(|_| IgnoreError::Pattern)?;
        let (negated, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (directories_only, pattern) =
            pattern.strip_suffix('/').map_or((false, pattern), |rest| (true, rest));
        let (rooted, pattern) = pattern.strip_prefix('/').map_or((false, pattern), |rest| (true, rest));
        self.rules.push(Rule {
            pattern: pattern.to_owned(),
            negated,
            directories_only,
            whole_path: rooted || pattern.contains('/'),
        });
        Ok(())
    }

    /// Whether a path below the chart's folder is left out.
    pub fn ignores(&self, path: &str, is_directory: bool) -> bool {
        for rule in &self.rules {
            if rule.negated {
                if (rule.directories_only && !is_directory) || !rule.matches(path) {
                    return true;
                }
            } else if (is_directory || !rule.directories_only) && rule.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn matches(&self, path: &str) -> bool {
        let name = if self.whole_path { path } else { path.rsplit('/').next().unwrap_or(path) };
        match_path(&self.pattern, name).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::{IgnoreError, IgnoreRules};

    #[test]
    fn the_first_rule_that_decides_wins() {
        let rules = IgnoreRules::parse("\u{feff}# comment\n\n *.txt \nci/\n/top\na/b.*\n").expect("valid");
        for (path, is_directory, ignored) in [
            ("x.txt", false, true),
            ("deep/x.txt", false, true),
            ("ci", true, true),
            ("ci", false, false),
            ("top", false, true),
            ("deep/top", false, false),
            ("a/b.c", false, true),
            ("z/a/b.c", false, false),
            ("templates/.swp", false, true),
            ("templates/.", false, false),
            ("Chart.yaml", false, false),
        ] {
            assert_eq!(rules.ignores(path, is_directory), ignored, "{path}");
        }
    }

    #[test]
    fn a_negated_rule_ignores_all_that_does_not_match() {
        let rules = IgnoreRules::parse("!Chart.yaml").expect("valid");
        assert!(rules.ignores("values.yaml", false));
        assert!(!rules.ignores("Chart.yaml", false));
    }

    #[test]
    fn bad_rules_are_told() {
        assert_eq!(IgnoreRules::parse("a/**").map(|_| ()), Err(IgnoreError::DoubleStar));
        assert_eq!(IgnoreRules::parse("[").map(|_| ()), Err(IgnoreError::Pattern));
    }
}

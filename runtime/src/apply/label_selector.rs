//! Label selectors in their text form, such as `app=web,tier in (a, b),!old`.

use std::collections::BTreeMap;

/// A parsed selector; all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Greater(String, i64),
    Less(String, i64),
}

impl LabelSelector {
    /// Reads a selector.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        split(text).into_iter().map(requirement).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the labels (or annotations) meet all requirements.
    pub(crate) fn matches(&self, labels: &BTreeMap<&str, &str>) -> bool {
        let number = |key: &String| labels.get(key.as_str()).and_then(|value| value.parse::<i64>().ok());
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => labels.contains_key(key.as_str()),
            Requirement::Absent(key) => !labels.contains_key(key.as_str()),
            Requirement::In(key, values) => {
                labels.get(key.as_str()).is_some_and(|v| values.iter().any(|w| w == v))
            }
            Requirement::NotIn(key, values) => {
                labels.get(key.as_str()).is_none_or(|value| values.iter().all(|other| other != value))
            }
            Requirement::Greater(key, bound) => number(key).is_some_and(|value| value > *bound),
            Requirement::Less(key, bound) => number(key).is_some_and(|value| value < *bound),
        })
    }
}

/// The requirements: what stands between commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let fault = || format!("unable to parse requirement: {text:?}");
    let key = |key: &str| {
        let key = key.trim();
        let valid = !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || "()!=<>,".contains(c));
        if valid { Ok(key.to_owned()) } else { Err(fault()) }
    };
    if let Some(name) = text.strip_prefix('!') {
        return key(name).map(Requirement::Absent);
    }
    for (operator, negated) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((name, value)) = text.split_once(operator) {
            let values = vec![value.trim().to_owned()];
            let name = key(name)?;
            return Ok(if negated {
                Requirement::NotIn(name, values)
            } else {
                Requirement::In(name, values)
            });
        }
    }
    for (operator, greater) in [('>', true), ('<', false)] {
        if let Some((name, bound)) = text.split_once(operator) {
            let bound = bound.trim().parse().map_err(|_| fault())?;
            let name = key(name)?;
            return Ok(if greater {
                Requirement::Greater(name, bound)
            } else {
                Requirement::Less(name, bound)
            });
        }
    }
    let Some((name, rest)) = text.split_once(char::is_whitespace) else {
        return key(text).map(Requirement::Exists);
    };
    let (operator, list) = rest.trim().split_once('(').ok_or_else(fault)?;
    let list = list.strip_suffix(')').ok_or_else(fault)?;
    let values = list.split(',').map(|value| value.trim().to_owned()).collect();
    match operator.trim() {
        "in" => Ok(Requirement::In(key(name)?, values)),
        "notin" => Ok(Requirement::NotIn(key(name)?, values)),
        _ => Err(fault()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_match_as_those_of_kubernetes() {
        let labels = BTreeMap::from([("app", "web"), ("tier", "a"), ("n", "5"), ("e", "")]);
        for (text, matches) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("app=web", true),
            ("app==web,tier!=a", false),
            ("tier in (a, b),!old", true),
            ("tier notin (a,b)", false),
            ("x notin (a)", true),
            ("x!=y", true),
            ("x=y", false),
            ("n>4", true),
            ("n<5", false),
            ("e=", true),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&labels), matches, "{text}");
        }
        for text in ["a b", "in (a)", "a in b", "a in (b", "=x", "n>x", "a of (b)"] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }
}

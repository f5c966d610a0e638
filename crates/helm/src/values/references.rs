//! Values of a release from references and from the release itself, in the order that helm-controller merges them.

use serde_json::Value;

use super::{Values, ValuesError, floats, merge_maps, read_values, set_string, set_typed};

/// One text of values and what is to be done with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferencedValues {
    /// Where the text belongs, as `a.b[0]`; empty where it is YAML to be merged at the root.
    pub target_path: String,
    /// Whether the text at the path is taken as it is.
    pub literal: bool,
    /// The text.
    pub text: String,
}

/// Why a referenced text cannot be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// No table of YAML.
    #[error(transparent)]
    Yaml(#[from] ValuesError),
    /// The path or the text at the path cannot be read.
    #[error(transparent)]
    Set(#[from] super::SetError),
}

/// A table from JSON, with the numbers that Go's decoder makes. `None` for what is no table; `null` is an empty one.
pub fn values_of_json(mut value: Value) -> Option<Values> {
    floats(&mut value);
    match value {
        Value::Object(map) => Some(map),
        Value::Null => Some(Values::new()),
        _ => None,
    }
}

/// Merges referenced values in their order, and `inline` over them. A text with a path is set on top of what is there,
/// `inline` included; what `inline` says itself at a path that an earlier reference has too goes over it again.
///
/// The error comes with the index of the reference.
pub fn compose(inline: &Values, references: &[ReferencedValues]) -> Result<Values, (usize, ReferenceError)> {
    let mut inline = inline.clone();
    let mut result = Values::new();
    for (index, reference) in references.iter().enumerate() {
        let failed = |error| (index, error);
        if reference.target_path.is_empty() {
            let values = read_values(reference.text.as_bytes()).map_err(|error| failed(error.into()))?;
            merge_maps(&mut result, values);
            continue;
        }
        // Where only `inline` has the table of the path, helm-controller sets the value in `inline` itself.
        let shared = is_only_inline(&result, &inline, &reference.target_path);
        merge_maps(&mut result, inline.clone());
        set(&mut result, reference).map_err(|error| failed(error.into()))?;
        if shared {
            set(&mut inline, reference).map_err(|error| failed(error.into()))?;
        }
    }
    merge_maps(&mut result, inline);
    Ok(result)
}

fn set(values: &mut Values, reference: &ReferencedValues) -> Result<(), super::SetError> {
    let ReferencedValues { target_path: path, literal, text } = reference;
    if *literal {
        let mut escaped = String::with_capacity(text.len());
        for character in text.chars() {
            if matches!(character, '\\' | ',' | '[' | ']' | '{' | '}') {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        return set_string(&format!("{path}={escaped}"), values);
    }
    for quote in ['\'', '"'] {
        if text.len() > 1 && text.starts_with(quote) && text.ends_with(quote) {
            return set_string(&format!("{path}={}", text.trim_matches(quote)), values);
        }
    }
    set_typed(&format!("{path}={text}"), values)
}

/// Whether the table or list that a path leads into comes from `inline` alone.
fn is_only_inline(result: &Values, inline: &Values, path: &str) -> bool {
    let mut steps = keys(path);
    steps.pop();
    let (mut result, mut inline) = (Some(result), inline);
    for step in steps {
        let own = match inline.get(&step) {
            Some(Value::Object(own)) => own,
            // Lists are never merged, so they are always those of `inline`.
            Some(Value::Array(_)) => return true,
            _ => return false,
        };
        inline = own;
        result = result.and_then(|result| result.get(&step)).and_then(Value::as_object);
        if result.is_none() {
            return true;
        }
    }
    false
}

/// The keys of a path up to its first index.
fn keys(path: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut key = String::new();
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.extend(characters.next()),
            '.' => keys.push(std::mem::take(&mut key)),
            '[' => {
                keys.push(std::mem::take(&mut key));
                break;
            }
            other => key.push(other),
        }
    }
    keys.push(key);
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn composed(inline: Value, references: &[(&str, bool, &str)]) -> Result<Value, String> {
        let references: Vec<_> = references
            .iter()
            .map(|(path, literal, text)| ReferencedValues {
                target_path: (*path).into(),
                literal: *literal,
                text: (*text).into(),
            })
            .collect();
        let inline = values_of_json(inline).expect("a table");
        compose(&inline, &references).map(Value::Object).map_err(|(index, error)| format!("{index}: {error}"))
    }

    #[test]
    fn later_references_go_over_earlier_ones_and_inline_over_all() {
        let values = composed(
            json!({"a": {"x": 1.0}, "c": null}),
            &[("", false, "a: {x: 9, z: 2}\nb: [1]\nc: 3"), ("", false, "b: [2]\nd: {e: null}")],
        );
        assert_eq!(values, Ok(json!({"a": {"x": 1.0, "z": 2.0}, "b": [2.0], "c": null, "d": {"e": null}})));
    }

    #[test]
    fn a_path_wins_over_inline_where_only_inline_has_its_table() {
        let nested = composed(json!({"a": {"x": "inline", "l": ["p", "q"]}}), &[("a.x", false, "path")]);
        assert_eq!(nested, Ok(json!({"a": {"x": "path", "l": ["p", "q"]}})));
        let list = composed(json!({"a": {"l": ["p", "q"]}}), &[("a.l[1]", false, "path")]);
        assert_eq!(list, Ok(json!({"a": {"l": ["p", "path"]}})));
        let top = composed(json!({"x": "inline"}), &[("x", false, "path")]);
        assert_eq!(top, Ok(json!({"x": "inline"})));
        let both =
            composed(json!({"a": {"x": "inline"}}), &[("", false, "a: {z: 1}"), ("a.x", false, "path")]);
        assert_eq!(both, Ok(json!({"a": {"x": "inline", "z": 1.0}})));
    }

    #[test]
    fn texts_at_paths_are_typed_quoted_or_literal() {
        for (literal, text, expected) in [
            (false, "1", json!({"a": {"b": 1}})),
            (false, "'1'", json!({"a": {"b": "1"}})),
            (false, "\"true\"", json!({"a": {"b": "true"}})),
            (false, "{x,y}", json!({"a": {"b": ["x", "y"]}})),
            (true, "{x,y}", json!({"a": {"b": "{x,y}"}})),
            (true, "a,b=\\[1]", json!({"a": {"b": "a,b=\\[1]"}})),
        ] {
            assert_eq!(composed(json!({}), &[("a.b", literal, text)]), Ok(expected), "{text}");
        }
        assert_eq!(composed(json!({}), &[("a\\.b/c", false, "1")]), Ok(json!({"a.b/c": 1})));
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_place() {
        let error = composed(json!({}), &[("", false, "a: 1"), ("", false, "[1]")]).expect_err("no table");
        assert!(error.starts_with("1: "), "{error}");
        assert!(composed(json!({}), &[("a[x]", false, "1")]).is_err());
        assert_eq!(values_of_json(json!([])), None);
    }
}

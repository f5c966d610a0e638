//! Values files: YAML of several documents, each merged over the one before.

use serde_json::Value;

use super::Values;
use crate::document;

/// Why a values file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValuesError {
    /// No YAML.
    #[error("cannot unmarshal yaml document: error converting YAML to JSON: {0}")]
    Yaml(#[from] sluice_yaml::Error),
    /// Not a table.
    #[error(
        "cannot unmarshal yaml document: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {0} \
         into Go value of type map[string]interface {{}}"
    )]
    NotATable(&'static str),
}

/// Reads the text of a values file.
pub fn read_values(text: &[u8]) -> Result<Values, ValuesError> {
    let mut values = Values::new();
    for document in documents(text) {
        match document::to_json_with_floats(document)? {
            Value::Null => {}
            Value::Object(map) if values.is_empty() => values = map,
            Value::Object(map) => merge_maps(&mut values, map),
            Value::Bool(_) => return Err(ValuesError::NotATable("bool")),
            Value::Number(_) => return Err(ValuesError::NotATable("number")),
            Value::String(_) => return Err(ValuesError::NotATable("string")),
            Value::Array(_) => return Err(ValuesError::NotATable("array")),
        }
    }
    Ok(values)
}

/// Puts `over` on top of `base`: tables are merged, all else is replaced, `null` too.
pub fn merge_maps(base: &mut Values, over: Values) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge_maps(below, above),
            (Some(below), value) => *below = value,
            (None, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Splits at lines that hold `---` and at most a comment.
fn documents(text: &[u8]) -> Vec<&[u8]> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut position = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let next = position + line.len();
        if let Some(rest) = line.strip_prefix(b"---") {
            let rest = rest.trim_ascii();
            if rest.is_empty() || rest[0] == b'#' {
                if position > start {
                    documents.push(&text[start..position]);
                }
                start = next;
            }
        }
        position = next;
    }
    if position > start {
        documents.push(&text[start..position]);
    }
    documents
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::read_values;

    #[test]
    fn documents_are_merged_in_order_and_numbers_are_floats() {
        let text = "---\na: {b: 1, c: x}\n--- # next\na: {b: null, d: 2.5}\n---\n\n--- \n# nothing\n";
        let values = Value::Object(read_values(text.as_bytes()).expect("valid"));
        assert_eq!(values, json!({"a": {"b": null, "c": "x", "d": 2.5}}));
        let values = read_values(b"port: 7").expect("valid");
        assert!(values["port"].is_f64());
    }

    #[test]
    fn a_list_is_no_values_file() {
        assert!(read_values(b"[1]").is_err());
        assert!(read_values(b"").expect("empty is fine").is_empty());
    }
}

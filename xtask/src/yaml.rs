//! Prints JSON values as YAML: block style, keys in the order of the map, strings quoted wherever there is a doubt.

use serde_json::Value;

/// The value as one document.
pub(crate) fn print(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(&mut out, value, 0),
        Value::Array(list) if !list.is_empty() => block(&mut out, value, 0),
        _ => {
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
    out
}

/// Prints the entries of a map or list that is not empty, each on lines of its own.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                out.push_str(&" ".repeat(indent));
                out.push_str(&text(key));
                out.push(':');
                nested(out, value, indent);
            }
        }
        Value::Array(list) => {
            for item in list {
                out.push_str(&" ".repeat(indent));
                out.push('-');
                match item {
                    Value::Object(map) if !map.is_empty() => {
                        // The first key stands behind the dash, in the column of those that follow.
                        let mut inner = String::new();
                        block(&mut inner, item, indent + 2);
                        out.push(' ');
                        out.push_str(&inner[indent + 2..]);
                    }
                    _ => nested(out, item, indent + 2),
                }
            }
        }
        _ => {}
    }
}

fn nested(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            block(out, value, indent + 2);
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            block(out, value, indent);
        }
        _ => {
            out.push(' ');
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Number(number) => match number.as_f64() {
            // Schemas know no integers: a limit of 0.0 is meant as 0.
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => format!("{}", float as i64),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Plain where no reader could take it for something else, else in double quotes, where JSON is YAML.
fn text(string: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '(' | ')' | '$');
    let sentence = |c: char| word(c) || matches!(c, ' ' | ',' | ';' | '\'' | '+' | '=');
    let starts = string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '.' || c == '$' || c == '/');
    let meaning = matches!(
        string.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n" | "null" | ".inf" | ".nan"
    );
    if starts && !meaning && string.chars().all(sentence) && !string.ends_with(' ') {
        return string.to_owned();
    }
    Value::from(string).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::print;

    #[test]
    fn nested_maps_and_lists_keep_their_shape() {
        let value = json!({
            "a": {"b": [1, "two", {"c": true, "d": {}}, [3, []]]},
            "e": "x: y", "f": "", "g": "yes", "h": 0.0, "i": "1.5", "j": "line\nbreak", "k": null
        });
        let expected = "a:\n  b:\n  - 1\n  - two\n  - c: true\n    d: {}\n  -\n    - 3\n    - []\n\
            e: \"x: y\"\nf: \"\"\ng: \"yes\"\nh: 0\ni: \"1.5\"\nj: \"line\\nbreak\"\nk: null\n";
        assert_eq!(print(&value), expected);
    }
}

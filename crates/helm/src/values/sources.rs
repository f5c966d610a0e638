//! Where values come from on a command line, and in which order.

use serde_json::Value;

use super::set::{Parser, Reader, SetError};
use super::{Values, ValuesError, floats, merge_maps, read_values};

/// The options of a command that takes values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueSources {
    /// `--values`: files.
    pub files: Vec<String>,
    /// `--set-json`.
    pub json: Vec<String>,
    /// `--set`.
    pub typed: Vec<String>,
    /// `--set-string`.
    pub strings: Vec<String>,
    /// `--set-file`.
    pub file_contents: Vec<String>,
    /// `--set-literal`.
    pub literals: Vec<String>,
}

/// Why the values of a command line cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file that cannot be had.
    #[error("{0}")]
    Read(String),
    /// A file that is no values file.
    #[error("failed to parse {file}: {error}")]
    File {
        /// Which.
        file: String,
        /// What is wrong.
        error: ValuesError,
    },
    /// `--set-json` with an object.
    #[error("failed parsing --set-json data JSON: {0}")]
    JsonObject(String),
    /// `--set-json` with keys.
    #[error("failed parsing --set-json data {0}")]
    Json(String),
    /// One of the others.
    #[error("failed parsing {option} data: {error}")]
    Set {
        /// The option.
        option: &'static str,
        /// What is wrong.
        error: SetError,
    },
}

impl ValueSources {
    /// Merges all of them: files, JSON, `--set`, `--set-string`, `--set-file`, `--set-literal`. `fetch` reads what
    /// a file name or address stands for.
    pub fn merge(
        &self,
        fetch: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Values, SourceError> {
        let mut values = Values::new();
        for file in &self.files {
            let text = fetch(file).map_err(SourceError::Read)?;
            let read = read_values(&text).map_err(|error| SourceError::File { file: file.clone(), error })?;
            merge_maps(&mut values, read);
        }
        for text in &self.json {
            if text.trim().starts_with('{') {
                let mut object: Value =
                    serde_json::from_str(text.trim()).map_err(|_| SourceError::JsonObject(text.clone()))?;
                floats(&mut object);
                if let Value::Object(object) = object {
                    merge_maps(&mut values, object);
                }
            } else {
                set_json(text, &mut values).map_err(|_| SourceError::Json(text.clone()))?;
            }
        }
        for text in &self.typed {
            set_typed(text, &mut values).map_err(|error| SourceError::Set { option: "--set", error })?;
        }
        for text in &self.strings {
            set_string(text, &mut values)
                .map_err(|error| SourceError::Set { option: "--set-string", error })?;
        }
        for text in &self.file_contents {
            let mut read = |name: &str| Ok(String::from_utf8_lossy(&fetch(name)?).into_owned());
            set_from_file(text, &mut values, &mut read)
                .map_err(|error| SourceError::Set { option: "--set-file", error })?;
        }
        for text in &self.literals {
            set_literal(text, &mut values)
                .map_err(|error| SourceError::Set { option: "--set-literal", error })?;
        }
        Ok(values)
    }
}

/// `a.b=1,c={x,y}`: integers, bools and null are recognised.
pub fn set_typed(text: &str, values: &mut Values) -> Result<(), SetError> {
    Parser::new(text, Reader::Typed).run(values)
}

/// `a.b=1`: all values are strings.
pub fn set_string(text: &str, values: &mut Values) -> Result<(), SetError> {
    Parser::new(text, Reader::Text).run(values)
}

/// `a.b={"c":1},d=[2]`: all values are JSON.
pub fn set_json(text: &str, values: &mut Values) -> Result<(), SetError> {
    Parser::new(text, Reader::Json).run(values)
}

/// `a.b=file`: all values are names that `read` turns into contents.
pub fn set_from_file(
    text: &str,
    values: &mut Values,
    read: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<(), SetError> {
    Parser::new(text, Reader::Fetch(read)).run(values)
}

/// `a.b=c`: one key; all that follows is the value.
pub fn set_literal(text: &str, values: &mut Values) -> Result<(), SetError> {
    Parser::new(text, Reader::Literal).run(values)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn typed(text: &str) -> Result<Value, String> {
        let mut values = Values::new();
        set_typed(text, &mut values).map_err(|error| error.to_string())?;
        Ok(Value::Object(values))
    }

    #[test]
    fn set_reads_paths_lists_and_types() {
        for (text, expected) in [
            ("a=b", json!({"a": "b"})),
            ("a=1,b=01,c=-2,d=1.5,e=0", json!({"a": 1, "b": "01", "c": -2, "d": "1.5", "e": 0})),
            ("a=TRUE,b=null,c=", json!({"a": true, "b": null, "c": ""})),
            ("a.b.c=x,a.b.d=y", json!({"a": {"b": {"c": "x", "d": "y"}}})),
            ("a={1,b, c}", json!({"a": [1, "b", " c"]})),
            ("a={},b=1", json!({"a": [""], "b": 1})),
            ("a[1]=x", json!({"a": [null, "x"]})),
            ("a[0].b=1,a[0].c=2,a[1][0]=3", json!({"a": [{"b": 1, "c": 2}, [3]]})),
            ("a\\.b=c\\,d", json!({"a.b": "c,d"})),
            ("a=b=c", json!({"a": "b=c"})),
            ("", json!({})),
            // An index without an end is the end.
            ("a=1,b[0", json!({"a": 1})),
        ] {
            assert_eq!(typed(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_as_helm_does() {
        for (text, message) in [
            ("a", "key \"a\" has no value"),
            ("a,b=1", "key \"a\" has no value (cannot end with ,)"),
            ("a[x]=1", "error parsing index: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("a[-1]=1", "negative -1 index not allowed"),
            ("a[70000]=1", "index of 70000 is greater than maximum supported index of 65536"),
            ("a[0]x=1", "unexpected data at end of array index: \"x\""),
            ("a={b", "list must terminate with '}'"),
            (
                "a=b,a.c=d",
                "unable to parse key: interface conversion: interface {} is string, not map[string]interface {}",
            ),
            (
                "a=b,a[0]=d",
                "unable to parse key: interface conversion: interface {} is string, not []interface {}",
            ),
        ] {
            assert_eq!(typed(text), Err(message.to_owned()), "{text}");
        }
        assert!(typed(&format!("{}=1", ["a"; 32].join("."))).is_err());
    }

    #[test]
    fn json_strings_and_literals() {
        let mut values = Values::new();
        set_json("a={\"b\": [1, 2]} ,c=null,d=", &mut values).expect("valid");
        assert_eq!(Value::Object(values.clone()), json!({"a": {"b": [1.0, 2.0]}, "c": null, "d": null}));
        set_string("a.x=1", &mut values).expect("valid");
        set_literal("l.m=a,b\\c={[", &mut values).expect("valid");
        assert_eq!(values["a"]["x"], json!("1"));
        assert_eq!(values["l"]["m"], json!("a,b\\c={["));
    }
}

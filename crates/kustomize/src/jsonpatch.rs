//! RFC 6902 patches with the habits of the Go library that kustomize uses.

use sluice_yaml::Value;

use crate::error::{Context as _, Error, Result};
use crate::tree;

/// A decoded patch.
#[derive(Clone, Debug, Default)]
pub(crate) struct JsonPatch {
    operations: Vec<Operation>,
}

#[derive(Clone, Debug, Default)]
struct Operation {
    kind: String,
    path: Option<String>,
    from: Option<String>,
    value: Option<Value>,
}

/// What all operations of a patch may copy together.
const MAX_COPIED: usize = 1_000_000;

impl JsonPatch {
    /// Reads a patch: JSON if it begins with a bracket, else YAML.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::new("empty json patch operations"));
        }
        let value = if text.starts_with('[') {
            let json: serde_json::Value =
                serde_json::from_str(text).map_err(|error| Error::new(error.to_string()))?;
            Value::from(json)
        } else {
            let value = sluice_yaml::read(text)?;
            sluice_yaml::json::to_string(&value)?;
            value
        };
        let items = match value {
            Value::Null => Vec::new(),
            Value::Sequence(items) => items,
            _ => {
                return Err(Error::new(
                    "json: cannot unmarshal object into Go value of type jsonpatch.Patch",
                ));
            }
        };
        let operations = items
            .into_iter()
            .map(|item| match item {
                Value::Mapping(mut members) => {
                    let text = |value: Option<Value>| match value {
                        Some(Value::String(text)) => Some(text),
                        _ => None,
                    };
                    Ok(Operation {
                        kind: text(members.shift_remove("op")).unwrap_or_else(|| "unknown".to_owned()),
                        path: text(members.shift_remove("path")),
                        from: text(members.shift_remove("from")),
                        value: members.shift_remove("value"),
                    })
                }
                Value::Null => Ok(Operation { kind: "unknown".to_owned(), ..Operation::default() }),
                _ => {
                    Err(Error::new("json: cannot unmarshal array into Go value of type jsonpatch.Operation"))
                }
            })
            .collect::<Result<_>>()?;
        Ok(Self { operations })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Applies all operations in order.
    pub(crate) fn apply(&self, document: &mut Value) -> Result<()> {
        let mut copied = 0;
        for operation in &self.operations {
            match operation.kind.as_str() {
                "add" => operation.add(document)?,
                "remove" => operation.remove(document)?,
                "replace" => operation.replace(document)?,
                "move" => operation.relocate(document)?,
                "test" => operation.test(document)?,
                "copy" => operation.copy(document, &mut copied)?,
                other => return Err(Error::new(format!("Unexpected kind: {other}"))),
            }
        }
        Ok(())
    }
}

impl Operation {
    fn path(&self, words: &str) -> Result<&str> {
        self.path.as_deref().ok_or_else(|| Error::new(format!("{words}: missing value")))
    }

    fn value(&self) -> Value {
        self.value.clone().unwrap_or_default()
    }

    fn add(&self, document: &mut Value) -> Result<()> {
        let path = self.path("add operation failed to decode path")?;
        let Some((container, key)) = find(document, path) else {
            return Err(Error::new(format!(
                "add operation does not apply: doc is missing path: \"{path}\": missing value"
            )));
        };
        let value = self.value();
        check_depth(path, &value)?;
        insert(container, &key, value).with_context(|| format!("error in add for path: '{path}'"))
    }

    fn remove(&self, document: &mut Value) -> Result<()> {
        let path = self.path("remove operation failed to decode path")?;
        let Some((container, key)) = find(document, path) else {
            return Err(Error::new(format!(
                "remove operation does not apply: doc is missing path: \"{path}\": missing value"
            )));
        };
        take(container, &key).map(drop).with_context(|| format!("error in remove for path: '{path}'"))
    }

    fn replace(&self, document: &mut Value) -> Result<()> {
        let path = self.path("replace operation failed to decode path: operation missing path field")?;
        if path.is_empty() {
            return match self.value() {
                value @ (Value::Mapping(_) | Value::Sequence(_)) => {
                    *document = value;
                    Ok(())
                }
                _ => Err(Error::new("replace operation value must be object or array: %!w(<nil>)")),
            };
        }
        let Some((container, key)) = find(document, path) else {
            return Err(Error::new(format!(
                "replace operation does not apply: doc is missing path: {path}: missing value"
            )));
        };
        let value = self.value();
        check_depth(path, &value)?;
        match container {
            Value::Mapping(members) => {
                members.insert(key, value);
                Ok(())
            }
            Value::Sequence(items) => match index(items.len(), &key) {
                Ok(at) => {
                    items[at] = value;
                    Ok(())
                }
                Err(_) => Err(Error::new(format!(
                    "replace operation does not apply: doc is missing key: {path}: missing value"
                ))),
            },
            _ => Ok(()),
        }
    }

    fn from(&self, words: &str) -> Result<&str> {
        self.from
            .as_deref()
            .ok_or_else(|| Error::new(format!("{words}: operation, missing from field: missing value")))
    }

    fn relocate(&self, document: &mut Value) -> Result<()> {
        let from = self.from("move operation failed to decode from")?;
        let Some((container, key)) = find(document, from) else {
            return Err(Error::new(format!(
                "move operation does not apply: doc is missing from path: {from}: missing value"
            )));
        };
        let value = take(container, &key).with_context(|| format!("error in move for path: '{key}'"))?;
        let path = self.path("move operation failed to decode path: operation missing path field")?;
        let Some((container, key)) = find(document, path) else {
            return Err(Error::new(format!(
                "move operation does not apply: doc is missing destination path: {path}: missing value"
            )));
        };
        check_depth(path, &value)?;
        insert(container, &key, value).with_context(|| format!("error in move for path: '{path}'"))
    }

    fn copy(&self, document: &mut Value, copied: &mut usize) -> Result<()> {
        let from = self.from("copy operation failed to decode from")?;
        let Some((container, key)) = find(document, from) else {
            return Err(Error::new(format!(
                "copy operation does not apply: doc is missing from path: {from}: missing value"
            )));
        };
        let value = get(container, &key).with_context(|| format!("error in copy for from: '{from}'"))?;
        let value = value.cloned().unwrap_or_default();
        *copied += size(&value);
        if *copied > MAX_COPIED {
            return Err(Error::new("the copy operations of the patch copy too much"));
        }
        let path = self.path("copy operation failed to decode path")?;
        let Some((container, key)) = find(document, path) else {
            return Err(Error::new(format!(
                "copy operation does not apply: doc is missing destination path: {path}: missing value"
            )));
        };
        check_depth(path, &value)?;
        insert(container, &key, value).context("error while adding value during copy")
    }

    fn test(&self, document: &mut Value) -> Result<()> {
        let path = self.path("test operation failed to decode path: operation missing path field")?;
        let failed = || Error::new(format!("testing value {path} failed: test failed"));
        if path.is_empty() {
            return if equal(document, &self.value()) { Ok(()) } else { Err(failed()) };
        }
        let Some((container, key)) = find(document, path) else {
            return Err(Error::new(format!(
                "test operation does not apply: is missing path: {path}: missing value"
            )));
        };
        let found = get(container, &key).with_context(|| format!("error in test for path: '{path}'"))?;
        let wanted = self.value.as_ref().filter(|value| !value.is_null());
        match (found.filter(|value| !value.is_null()), wanted) {
            (None, None) => Ok(()),
            (Some(found), Some(wanted)) if equal(found, wanted) => Ok(()),
            _ => Err(failed()),
        }
    }
}

/// Refuses a value that would make the document too deep to be walked.
fn check_depth(path: &str, value: &Value) -> Result<()> {
    tree::check_depth(path.matches('/').count(), depth(value))
        .map_err(|error| error.prefixed(format!("error for path: '{path}'")))
}

fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Sequence(items) => items.iter().map(depth).max(),
        Value::Mapping(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}

fn size(value: &Value) -> usize {
    match value {
        Value::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Mapping(members) => 1 + members.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (a, b) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
    }
}

fn unescape(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// The container that the path ends in, and the last key.
fn find<'v>(document: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let parts: Vec<&str> = path.split('/').collect();
    let (last, way) = parts.get(1..)?.split_last()?;
    let mut at = document;
    for part in way {
        let key = unescape(part);
        at = match at {
            Value::Mapping(members) => members.get_mut(&key)?,
            Value::Sequence(items) => {
                let index = index(items.len(), &key).ok()?;
                items.get_mut(index)?
            }
            _ => return None,
        };
        if !matches!(at, Value::Mapping(_) | Value::Sequence(_)) {
            return None;
        }
    }
    Some((at, unescape(last)))
}

fn atoi(key: &str) -> Result<i64> {
    let digits = key.strip_prefix(['-', '+']).unwrap_or(key);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain
        .then(|| key.parse().ok())
        .flatten()
        .ok_or_else(|| Error::new(format!("strconv.Atoi: parsing \"{key}\": invalid syntax")))
}

fn invalid_index(index: i64) -> Error {
    Error::new(format!("Unable to access invalid index: {index}: invalid index referenced"))
}

/// An existing index; negative ones count from the end.
fn index(length: usize, key: &str) -> Result<usize> {
    let wanted = atoi(key)?;
    let at = if wanted < 0 { wanted + length as i64 } else { wanted };
    usize::try_from(at).ok().filter(|at| *at < length).ok_or_else(|| invalid_index(wanted))
}

fn get<'v>(container: &'v Value, key: &str) -> Result<Option<&'v Value>> {
    match container {
        Value::Mapping(members) => Ok(members.get(key)),
        Value::Sequence(items) => index(items.len(), key).map(|at| items.get(at)),
        _ => Ok(None),
    }
}

fn take(container: &mut Value, key: &str) -> Result<Value> {
    match container {
        Value::Mapping(members) => members
            .shift_remove(key)
            .ok_or_else(|| Error::new(format!("Unable to remove nonexistent key: {key}: missing value"))),
        Value::Sequence(items) => index(items.len(), key).map(|at| items.remove(at)),
        _ => Ok(Value::Null),
    }
}

fn insert(container: &mut Value, key: &str, value: Value) -> Result<()> {
    match container {
        Value::Mapping(members) => {
            members.insert(key.to_owned(), value);
        }
        Value::Sequence(items) if key == "-" => items.push(value),
        Value::Sequence(items) => {
            let wanted = atoi(key)
                .map_err(|error| error.prefixed(format!("value was not a proper array index: '{key}'")))?;
            let length = items.len() as i64 + 1;
            let at = if wanted < 0 { wanted + length } else { wanted };
            match usize::try_from(at).ok().filter(|at| *at <= items.len()) {
                Some(at) => items.insert(at, value),
                None => return Err(invalid_index(wanted)),
            }
        }
        _ => {}
    }
    Ok(())
}

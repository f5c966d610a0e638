//! Which schema a reference means.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::CheckError;

/// The version of the specification that a schema follows.
pub(super) type Draft = u16;

const LATEST: Draft = 2020;

/// A schema with an address of its own.
pub(super) struct Resource<'a> {
    pub(super) url: String,
    pub(super) root: &'a Value,
    pub(super) draft: Draft,
    pub(super) recursive_anchor: bool,
    anchors: BTreeMap<String, &'a Value>,
    dynamic_anchors: BTreeMap<String, &'a Value>,
}

/// A schema and the resource that it lies in.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) value: &'a Value,
    pub(super) resource: usize,
}

/// What a reference leads to.
pub(super) enum Target<'a> {
    Found(Site<'a>),
    /// A document that must be fetched first.
    Elsewhere(String),
    /// A schema of the specification itself: whatever it says, values pass.
    Standard,
    Nothing(String),
}

/// All schemas at hand.
pub(super) struct Resources<'a> {
    pub(super) all: Vec<Resource<'a>>,
    by_url: HashMap<String, usize>,
    by_root: HashMap<usize, usize>,
}

/// Where a value lies in memory: tells schemas apart.
pub(super) fn place(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

pub(super) fn split_fragment(url: &str) -> (&str, &str) {
    url.split_once('#').unwrap_or((url, ""))
}

impl<'a> Resources<'a> {
    /// Finds the addresses and anchors in documents.
    pub(super) fn index(documents: &'a [(String, Value)]) -> Result<Self, CheckError> {
        let mut resources = Resources { all: Vec::new(), by_url: HashMap::new(), by_root: HashMap::new() };
        for (url, document) in documents {
            let resource = resources.add(url.clone(), document, LATEST)?;
            resources.walk(document, resource, true)?;
        }
        Ok(resources)
    }

    fn add(&mut self, url: String, root: &'a Value, inherited: Draft) -> Result<usize, CheckError> {
        let draft = match root.get("$schema").and_then(Value::as_str) {
            Some(dialect) => draft_of(dialect).ok_or_else(|| CheckError::Dialect(dialect.to_owned()))?,
            None => inherited,
        };
        let index = self.all.len();
        self.by_url.insert(url.clone(), index);
        self.by_root.insert(place(root), index);
        let recursive_anchor = root.get("$recursiveAnchor").and_then(Value::as_bool).unwrap_or(false);
        self.all.push(Resource {
            url,
            root,
            draft,
            recursive_anchor,
            anchors: BTreeMap::new(),
            dynamic_anchors: BTreeMap::new(),
        });
        Ok(index)
    }

    fn walk(&mut self, value: &'a Value, resource: usize, is_root: bool) -> Result<(), CheckError> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.walk(item, resource, false)),
            Value::Object(map) => {
                let resource = self.enter(value, map, resource, is_root)?;
                for (key, inner) in map {
                    if !matches!(key.as_str(), "enum" | "const" | "default" | "examples") || inner.is_object()
                    {
                        self.walk(inner, resource, false)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Notes the address and the anchors of one schema.
    fn enter(
        &mut self,
        value: &'a Value,
        map: &'a Map<String, Value>,
        resource: usize,
        is_root: bool,
    ) -> Result<usize, CheckError> {
        let draft = self.all[resource].draft;
        let id = map.get(if draft == 4 { "id" } else { "$id" }).and_then(Value::as_str);
        let id = id.filter(|_| draft >= 2019 || !map.contains_key("$ref"));
        let mut resource = resource;
        if let Some(id) = id {
            let (base, fragment) = split_fragment(id);
            if !base.is_empty() {
                let url = join(&self.all[resource].url, base);
                if is_root {
                    self.by_url.insert(url.clone(), resource);
                    self.all[resource].url = url;
                } else {
                    resource = self.add(url, value, draft)?;
                }
            }
            if draft < 2019 && !fragment.is_empty() {
                self.all[resource].anchors.insert(fragment.to_owned(), value);
            }
        }
        if draft >= 2019
            && let Some(anchor) = map.get("$anchor").and_then(Value::as_str)
        {
            self.all[resource].anchors.insert(anchor.to_owned(), value);
        }
        if draft >= 2020
            && let Some(anchor) = map.get("$dynamicAnchor").and_then(Value::as_str)
        {
            self.all[resource].anchors.insert(anchor.to_owned(), value);
            self.all[resource].dynamic_anchors.insert(anchor.to_owned(), value);
        }
        Ok(resource)
    }

    /// A schema within another.
    pub(super) fn child(&self, parent: Site<'a>, value: &'a Value) -> Site<'a> {
        Site { value, resource: self.by_root.get(&place(value)).copied().unwrap_or(parent.resource) }
    }

    pub(super) fn draft(&self, site: Site<'_>) -> Draft {
        self.all[site.resource].draft
    }

    pub(super) fn dynamic_anchor(&self, resource: usize, name: &str) -> Option<Site<'a>> {
        let value = self.all[resource].dynamic_anchors.get(name)?;
        Some(self.child(Site { value, resource }, value))
    }

    /// Follows a reference.
    pub(super) fn resolve(&self, from: Site<'a>, reference: &str) -> Target<'a> {
        let url = join(&self.all[from.resource].url, reference);
        let (base, fragment) = split_fragment(&url);
        let Some(&resource) = self.by_url.get(base) else {
            return if draft_of(base).is_some() {
                Target::Standard
            } else {
                Target::Elsewhere(base.to_owned())
            };
        };
        let fragment = unescape(fragment);
        let root = Site { value: self.all[resource].root, resource };
        if fragment.is_empty() {
            return Target::Found(root);
        }
        let found = if let Some(pointer) = fragment.strip_prefix('/') {
            pointer.split('/').try_fold(root, |site, token| {
                let token = token.replace("~1", "/").replace("~0", "~");
                let value = match site.value {
                    Value::Object(map) => map.get(&token),
                    Value::Array(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
                    _ => None,
                };
                value.map(|value| self.child(site, value))
            })
        } else {
            self.all[resource].anchors.get(&fragment).map(|value| self.child(root, value))
        };
        match found {
            Some(site) => Target::Found(site),
            None => Target::Nothing(url),
        }
    }
}

fn draft_of(dialect: &str) -> Option<Draft> {
    let (url, fragment) = split_fragment(dialect);
    let path = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    if !fragment.is_empty() {
        return None;
    }
    match path {
        "json-schema.org/schema" => Some(LATEST),
        "json-schema.org/draft/2020-12/schema" => Some(2020),
        "json-schema.org/draft/2019-09/schema" => Some(2019),
        "json-schema.org/draft-07/schema" => Some(7),
        "json-schema.org/draft-06/schema" => Some(6),
        "json-schema.org/draft-04/schema" => Some(4),
        _ => None,
    }
}

/// A reference relative to a base.
fn join(base: &str, reference: &str) -> String {
    let scheme_end = reference.find(':').unwrap_or(0);
    let is_absolute = scheme_end > 1
        && reference[..scheme_end].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if is_absolute {
        return reference.to_owned();
    }
    let (base, _) = split_fragment(base);
    if reference.is_empty() || reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let Some(authority) = base.find("://").map(|at| at + 3) else { return reference.to_owned() };
    let path = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{}{rest}", &base[..authority]);
    }
    let (reference_path, suffix) = reference.split_at(reference.find(['?', '#']).unwrap_or(reference.len()));
    let merged = if reference_path.starts_with('/') {
        reference_path.to_owned()
    } else {
        let folder = base[path..].rfind('/').map_or("/", |at| &base[path..=path + at]);
        format!("{folder}{reference_path}")
    };
    let mut segments: Vec<&str> = Vec::new();
    for segment in merged.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    format!("{}/{}{suffix}", &base[..path], segments.join("/"))
}

/// Undoes `%xx`.
fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes.get(index + 1..index + 3).filter(|_| bytes[index] == b'%');
        let value = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        plain.push(value.unwrap_or(bytes[index]));
        index += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

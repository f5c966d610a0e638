//! Documents with schemas: the addresses and anchors in them, and whether they are schemas at all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::draft::{Draft, LATEST, is_published, published};
use super::url::{decode, encode, join, split, unescape};
use super::{CheckError, format};

/// Documents at hand, by address.
pub(super) type Documents = BTreeMap<String, Value>;

/// Why schemas could not be made ready.
#[derive(Debug)]
pub(super) enum Stop {
    /// A document is needed that is not at hand.
    Missing(String),
    Error(CheckError),
}

impl From<CheckError> for Stop {
    fn from(error: CheckError) -> Self {
        Stop::Error(error)
    }
}

/// A schema with an address of its own.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) root: usize,
    pub(super) pointer: String,
    pub(super) draft: Draft,
    id: String,
    anchors: BTreeMap<String, String>,
    /// Anchors that a dynamic reference finds, too.
    dynamic: BTreeSet<String>,
}

/// A document.
struct Root<'a> {
    url: String,
    document: &'a Value,
    resources: BTreeMap<String, usize>,
    /// Pointers of what was walked as a schema.
    walked: HashSet<String>,
}

/// Where a reference leads: a document and a pointer in it.
pub(super) type Target = (usize, String);

/// The documents that schemas lead to.
pub(super) struct Roots<'a> {
    documents: &'a Documents,
    roots: Vec<Root<'a>>,
    by_url: HashMap<String, usize>,
    pub(super) resources: Vec<Resource>,
}

impl<'a> Roots<'a> {
    pub(super) fn new(documents: &'a Documents) -> Self {
        Roots { documents, roots: Vec::new(), by_url: HashMap::new(), resources: Vec::new() }
    }

    fn document(&self, url: &str) -> Result<&'a Value, Stop> {
        match self.documents.get(url).or_else(|| published(url)) {
            Some(document) => Ok(document),
            None => Err(Stop::Missing(url.to_owned())),
        }
    }

    /// The document of an address, walked and checked.
    pub(super) fn open(&mut self, url: &str) -> Result<usize, Stop> {
        if let Some(root) = self.by_url.get(url) {
            return Ok(*root);
        }
        let document = self.document(url)?;
        let root = self.roots.len();
        let (resources, walked) = (BTreeMap::new(), HashSet::new());
        self.roots.push(Root { url: url.to_owned(), document, resources, walked });
        self.walk(root, document, url, "", LATEST)?;
        if !is_published(url) {
            self.check(root, document, "")?;
        }
        self.by_url.insert(url.to_owned(), root);
        Ok(root)
    }

    /// The address of a place in a document, as messages have it.
    pub(super) fn place(&self, root: usize, pointer: &str) -> String {
        format!("{}#{}", self.roots[root].url, encode(pointer))
    }

    /// The schema with an address that a place lies in.
    pub(super) fn resource(&self, root: usize, pointer: &str) -> usize {
        let resources = &self.roots[root].resources;
        let mut pointer = pointer;
        loop {
            if let Some(resource) = resources.get(pointer) {
                return *resource;
            }
            pointer = pointer.rfind('/').map_or("", |slash| &pointer[..slash]);
        }
    }

    /// What a pointer leads to.
    pub(super) fn lookup(&self, root: usize, pointer: &str) -> Result<&'a Value, CheckError> {
        let mut value = self.roots[root].document;
        for token in pointer.split('/').skip(1) {
            let Some(name) = unescape(token) else {
                let place = self.place(root, pointer);
                return Err(CheckError::Reference(format!("invalid json-pointer {place:?}")));
            };
            let inner = match value {
                Value::Object(map) => map.get(&name),
                Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            value = inner.ok_or_else(|| {
                CheckError::Reference(format!("json-pointer in {:?} not found", self.place(root, pointer)))
            })?;
        }
        Ok(value)
    }

    /// Sees to it that a place was walked as a schema and is one.
    pub(super) fn ensure(&mut self, root: usize, pointer: &str) -> Result<&'a Value, Stop> {
        let value = self.lookup(root, pointer)?;
        if !self.roots[root].walked.contains(pointer) {
            let base = self.resource(root, pointer);
            let (id, draft) = (self.resources[base].id.clone(), self.resources[base].draft);
            self.walk(root, value, &id, pointer, draft)?;
            self.check(root, value, pointer)?;
        }
        Ok(value)
    }

    /// Where a reference leads.
    pub(super) fn resolve(&mut self, from: usize, reference: &str) -> Result<Target, Stop> {
        let (path, fragment) = split(reference);
        let fragment = decode(fragment).map_err(|escape| {
            CheckError::Reference(format!("error in parsing {reference:?}: invalid URL escape {escape:?}"))
        })?;
        if let Some(reason) = format::problem("uri-reference", path) {
            return Err(CheckError::Reference(format!("error in parsing {path:?}: {reason}")).into());
        }
        let url = join(&self.resources[from].id, path);
        let own = self.resources[from].root;
        let resource = if url == self.roots[own].url {
            Some(self.roots[own].resources[""])
        } else {
            self.roots[own].resources.values().copied().find(|resource| self.resources[*resource].id == url)
        };
        let resource = match resource {
            Some(resource) => resource,
            None => {
                let root = self.open(&url)?;
                self.roots[root].resources[""]
            }
        };
        let Resource { root, pointer, id, anchors, .. } = &self.resources[resource];
        if fragment.is_empty() || fragment.starts_with('/') {
            return Ok((*root, format!("{pointer}{fragment}")));
        }
        match anchors.get(&fragment) {
            Some(pointer) => Ok((*root, pointer.clone())),
            None => Err(CheckError::Reference(format!(
                "anchor in {:?} not found in schema {:?}",
                format!("{id}#{}", encode(&fragment)),
                self.roots[*root].url
            ))
            .into()),
        }
    }

    /// Anchors of a schema with an address that dynamic references find.
    pub(super) fn dynamic_anchors(&self, resource: usize) -> impl Iterator<Item = (&String, &String)> {
        let Resource { anchors, dynamic, .. } = &self.resources[resource];
        anchors.iter().filter(|(name, _)| dynamic.contains(*name))
    }

    fn walk(
        &mut self,
        root: usize,
        schema: &'a Value,
        base: &str,
        pointer: &str,
        inherited: Draft,
    ) -> Result<(), Stop> {
        if self.roots[root].walked.contains(pointer) {
            return Ok(());
        }
        let Value::Object(keywords) = schema else {
            if pointer.is_empty() {
                self.add(root, pointer, base.to_owned(), inherited)?;
            }
            self.roots[root].walked.insert(pointer.to_owned());
            return Ok(());
        };
        let mut draft = self.draft_of(root, pointer, schema, inherited)?;
        let mut id = draft.id(keywords);
        if id.is_none() && !pointer.is_empty() {
            draft = inherited;
            id = draft.id(keywords);
        }
        let mut base = base.to_owned();
        if let Some(id) = id {
            if format::problem("uri-reference", id).is_some() {
                let place = self.place(root, pointer);
                return Err(CheckError::Reference(format!("error in parsing id at {place:?}")).into());
            }
            base = join(&base, id);
        }
        if id.is_some() || pointer.is_empty() {
            let draft = if keywords.get("$schema").is_some_and(Value::is_string) { draft } else { inherited };
            self.add(root, pointer, base.clone(), draft)?;
        }
        let resources = &self.roots[root].resources;
        let own = resources.values().copied().find(|resource| self.resources[*resource].id == base);
        let own = own.unwrap_or_else(|| self.resource(root, pointer));
        self.note_anchors(root, keywords, pointer, own)?;
        let inherited = self.resources[own].draft;
        for (pointer, inner) in draft.subschemas(keywords, pointer) {
            self.walk(root, inner, &base, &pointer, inherited)?;
        }
        self.roots[root].walked.insert(pointer.to_owned());
        Ok(())
    }

    fn add(&mut self, root: usize, pointer: &str, id: String, draft: Draft) -> Result<(), Stop> {
        for resource in self.roots[root].resources.values() {
            let other = &self.resources[*resource];
            if other.id != id {
                continue;
            }
            if other.pointer == pointer {
                return Ok(());
            }
            return Err(CheckError::Reference(format!(
                "duplicate id {id:?} in {:?} at {pointer:?} and {:?}",
                self.roots[root].url, other.pointer
            ))
            .into());
        }
        let (anchors, dynamic) = (BTreeMap::new(), BTreeSet::new());
        self.roots[root].resources.insert(pointer.to_owned(), self.resources.len());
        self.resources.push(Resource { root, pointer: pointer.to_owned(), draft, id, anchors, dynamic });
        Ok(())
    }

    fn note_anchors(
        &mut self,
        root: usize,
        keywords: &serde_json::Map<String, Value>,
        pointer: &str,
        resource: usize,
    ) -> Result<(), Stop> {
        let draft = self.resources[resource].draft;
        let text = |keyword: &str| keywords.get(keyword).and_then(Value::as_str);
        let mut found = Vec::new();
        if draft < Draft::Y2019 {
            if keywords.contains_key("$ref") {
                return Ok(());
            }
            if let Some(id) = text(draft.id_keyword()) {
                let anchor = decode(split(id).1).map_err(|_| {
                    let place = self.place(root, pointer);
                    CheckError::Reference(format!("error in parsing anchor at {place:?}"))
                })?;
                found.extend(Some(anchor).filter(|anchor| !anchor.is_empty() && !anchor.starts_with('/')));
            }
        } else {
            found.extend(text("$anchor").map(str::to_owned));
        }
        let dynamic = text("$dynamicAnchor").filter(|_| draft >= Draft::Y2020).map(str::to_owned);
        found.extend(dynamic.clone());
        for anchor in found {
            match self.resources[resource].anchors.get(&anchor) {
                Some(other) if other != pointer => {
                    return Err(CheckError::Reference(format!(
                        "duplicate anchor {anchor:?} in {:?} at {other:?} and {pointer:?}",
                        self.roots[root].url
                    ))
                    .into());
                }
                _ => {
                    self.resources[resource].anchors.insert(anchor, pointer.to_owned());
                }
            }
        }
        self.resources[resource].dynamic.extend(dynamic);
        Ok(())
    }

    /// The version that a schema follows: `$schema` may lead there through schemas of schemas of others.
    fn draft_of(&self, root: usize, pointer: &str, schema: &Value, inherited: Draft) -> Result<Draft, Stop> {
        let mut schema = schema;
        let mut place = (self.roots[root].url.clone(), pointer.is_empty());
        let mut seen = BTreeSet::new();
        while let Some(dialect) = schema.get("$schema").and_then(Value::as_str) {
            if let Some(draft) = Draft::from_url(dialect) {
                return Ok(draft);
            }
            let url = split(dialect).0;
            if place.1 && place.0 == url {
                return Err(CheckError::Reference(format!("draft {url:?} is not supported")).into());
            }
            if !seen.insert(url.to_owned()) {
                return Err(CheckError::Reference(format!("cycle in resolving $schema in {url:?}")).into());
            }
            schema = self.document(url)?;
            place = (url.to_owned(), true);
        }
        Ok(inherited)
    }

    /// Whether a place is a schema.
    fn check(&self, root: usize, schema: &Value, pointer: &str) -> Result<(), Stop> {
        let resources = &self.roots[root].resources;
        let drafts =
            resources.iter().map(|(pointer, resource)| (pointer.clone(), self.resources[*resource].draft));
        let meta = self.resources[self.resource(root, pointer)].draft;
        match meta.metaschema().and_then(|checker| checker.check_schema(schema, &drafts.collect())) {
            None => Ok(()),
            Some(failure) => Err(CheckError::Metaschema {
                place: self.place(root, pointer),
                dialect: format!("{}#", meta.url()),
                findings: failure.text(),
            }
            .into()),
        }
    }
}

//! The schemas that one leads to, with their references followed and their expressions compiled.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde_json::{Map, Value};
use sluice_regexp::Regexp;

use super::CheckError;
use super::draft::Draft;
use super::roots::{Roots, Stop, Target};
use super::url::escape;

/// A schema and the number of the resource that it lies in.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) value: &'a Value,
    pub(super) resource: usize,
}

/// A schema with an address of its own.
pub(super) struct Resource<'a> {
    pub(super) draft: Draft,
    pub(super) recursive_anchor: bool,
    pub(super) dynamic_anchors: BTreeMap<String, Site<'a>>,
}

/// Schemas that are ready for values.
pub(super) struct Compiled<'a> {
    pub(super) root: Site<'a>,
    pub(super) resources: Vec<Resource<'a>>,
    pub(super) patterns: BTreeMap<String, Regexp>,
    sites: HashMap<usize, (usize, String)>,
    references: HashMap<(usize, &'static str), Site<'a>>,
}

/// Where a value lies in memory: tells schemas apart.
pub(super) fn place(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

impl<'a> Compiled<'a> {
    /// Makes the document of an address ready, and all that it refers to.
    pub(super) fn new(roots: &mut Roots<'a>, url: &str) -> Result<Self, Stop> {
        let first = (roots.open(url)?, String::new());
        let mut compiler = Compiler {
            roots,
            queue: VecDeque::new(),
            queued: HashSet::new(),
            values: HashMap::new(),
            references: Vec::new(),
            patterns: BTreeMap::new(),
        };
        compiler.enqueue(first.clone());
        while let Some(target) = compiler.queue.pop_front() {
            compiler.compile(target)?;
        }
        let Compiler { roots, values, references, patterns, .. } = compiler;
        let site = |target: &Target| {
            values.get(target).map(|value| Site { value, resource: roots.resource(target.0, &target.1) })
        };
        let resources = roots.resources.iter().enumerate().map(|(index, resource)| {
            let recursive = values.get(&(resource.root, resource.pointer.clone()));
            let recursive = recursive.and_then(|value| value.get("$recursiveAnchor")?.as_bool());
            let anchors = roots.dynamic_anchors(index);
            let anchors = anchors
                .filter_map(|(name, pointer)| Some((name.clone(), site(&(resource.root, pointer.clone()))?)));
            Resource {
                draft: resource.draft,
                recursive_anchor: recursive.unwrap_or(false) && resource.draft >= Draft::Y2019,
                dynamic_anchors: anchors.collect(),
            }
        });
        let Some(root) = site(&first) else { return Err(Stop::Missing(url.to_owned())) };
        Ok(Compiled {
            root,
            resources: resources.collect(),
            patterns,
            references: references
                .into_iter()
                .filter_map(|(from, keyword, target)| Some(((from, keyword), site(&target)?)))
                .collect(),
            sites: values
                .iter()
                .map(|((root, pointer), value)| {
                    (place(value), (roots.resource(*root, pointer), roots.place(*root, pointer)))
                })
                .collect(),
        })
    }

    /// A schema within another.
    pub(super) fn child(&self, parent: Site<'a>, value: &'a Value) -> Site<'a> {
        Site {
            value,
            resource: self.sites.get(&place(value)).map_or(parent.resource, |(resource, _)| *resource),
        }
    }

    /// Where a reference of a schema leads.
    pub(super) fn reference(&self, from: Site<'a>, keyword: &'static str) -> Option<Site<'a>> {
        self.references.get(&(place(from.value), keyword)).copied()
    }

    /// The address of a schema.
    pub(super) fn location(&self, site: Site<'a>) -> &str {
        self.sites.get(&place(site.value)).map_or("", |(_, location)| location)
    }

    pub(super) fn draft(&self, site: Site<'a>) -> Draft {
        self.resources[site.resource].draft
    }
}

struct Compiler<'r, 'a> {
    roots: &'r mut Roots<'a>,
    queue: VecDeque<Target>,
    queued: HashSet<Target>,
    values: HashMap<Target, &'a Value>,
    references: Vec<(usize, &'static str, Target)>,
    patterns: BTreeMap<String, Regexp>,
}

impl<'a> Compiler<'_, 'a> {
    fn enqueue(&mut self, target: Target) {
        if self.queued.insert(target.clone()) {
            self.queue.push_back(target);
        }
    }

    fn compile(&mut self, target: Target) -> Result<(), Stop> {
        let (root, pointer) = &target;
        let value = self.roots.ensure(*root, pointer)?;
        let resource = self.roots.resource(*root, pointer);
        let draft = self.roots.resources[resource].draft;
        let own = self.roots.resources[resource].pointer.clone();
        if draft >= Draft::Y2020 && own == *pointer {
            let anchors: Vec<String> =
                self.roots.dynamic_anchors(resource).map(|(_, pointer)| pointer.clone()).collect();
            for pointer in anchors {
                self.enqueue((*root, pointer));
            }
        }
        self.enqueue((*root, own));
        if let Value::Object(keywords) = value {
            self.keywords(&target, value, keywords, resource, draft)?;
        }
        self.values.insert(target, value);
        Ok(())
    }

    fn keywords(
        &mut self,
        target: &Target,
        value: &'a Value,
        keywords: &'a Map<String, Value>,
        resource: usize,
        draft: Draft,
    ) -> Result<(), Stop> {
        if self.reference(value, keywords, resource, "$ref")? && draft < Draft::Y2019 {
            return Ok(());
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            self.list(target, keywords, keyword);
        }
        self.single(target, keywords, "not");
        if draft < Draft::Y2020 {
            if keywords.get("items").is_some_and(Value::is_array) {
                self.list(target, keywords, "items");
                self.single(target, keywords, "additionalItems");
            } else {
                self.single(target, keywords, "items");
            }
        }
        self.table(target, keywords, "properties");
        self.table(target, keywords, "patternProperties");
        if let Some(Value::Object(patterns)) = keywords.get("patternProperties") {
            for pattern in patterns.keys() {
                self.pattern(target, "patternProperties", pattern)?;
            }
        }
        self.single(target, keywords, "additionalProperties");
        self.table(target, keywords, "dependencies");
        if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str) {
            self.pattern(target, "pattern", pattern)?;
        }
        if draft >= Draft::Six {
            self.single(target, keywords, "contains");
            self.single(target, keywords, "propertyNames");
        }
        if let Some(condition) = keywords.get("if").filter(|_| draft >= Draft::Seven) {
            self.single(target, keywords, "if");
            if condition != &Value::Bool(false) {
                self.single(target, keywords, "then");
            }
            if condition != &Value::Bool(true) {
                self.single(target, keywords, "else");
            }
        }
        if draft >= Draft::Y2019 {
            self.reference(value, keywords, resource, "$recursiveRef")?;
            self.table(target, keywords, "dependentSchemas");
            self.single(target, keywords, "unevaluatedItems");
            self.single(target, keywords, "unevaluatedProperties");
        }
        if draft >= Draft::Y2020 {
            self.reference(value, keywords, resource, "$dynamicRef")?;
            self.list(target, keywords, "prefixItems");
            self.single(target, keywords, "items");
        }
        Ok(())
    }

    fn reference(
        &mut self,
        value: &'a Value,
        keywords: &'a Map<String, Value>,
        resource: usize,
        keyword: &'static str,
    ) -> Result<bool, Stop> {
        let Some(reference) = keywords.get(keyword).and_then(Value::as_str) else { return Ok(false) };
        let target = self.roots.resolve(resource, reference)?;
        self.references.push((place(value), keyword, target.clone()));
        self.enqueue(target);
        Ok(true)
    }

    fn single(&mut self, (root, pointer): &Target, keywords: &Map<String, Value>, keyword: &str) {
        if keywords.contains_key(keyword) {
            self.enqueue((*root, format!("{pointer}/{keyword}")));
        }
    }

    fn list(&mut self, (root, pointer): &Target, keywords: &Map<String, Value>, keyword: &str) {
        let items = keywords.get(keyword).and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..items {
            self.enqueue((*root, format!("{pointer}/{keyword}/{index}")));
        }
    }

    /// A map of schemas; lists among them are names (of properties that another depends on).
    fn table(&mut self, (root, pointer): &Target, keywords: &Map<String, Value>, keyword: &str) {
        let Some(Value::Object(map)) = keywords.get(keyword) else { return };
        for (name, _) in map.iter().filter(|(_, inner)| !inner.is_array()) {
            self.enqueue((*root, format!("{pointer}/{keyword}/{}", escape(name))));
        }
    }

    fn pattern(&mut self, (root, pointer): &Target, keyword: &str, pattern: &str) -> Result<(), CheckError> {
        if self.patterns.contains_key(pattern) {
            return Ok(());
        }
        let compiled = Regexp::new(pattern).map_err(|error| CheckError::Regex {
            pattern: pattern.to_owned(),
            place: self.roots.place(*root, &format!("{pointer}/{keyword}")),
            reason: error.to_string(),
        })?;
        self.patterns.insert(pattern.to_owned(), compiled);
        Ok(())
    }
}

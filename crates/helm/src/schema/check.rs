//! One value against one schema.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};

use super::compile::{Compiled, Site, place};
use super::draft::Draft;
use super::failure::{Failure, Kind, display, quote, quote_all};
use super::roots::{Documents, Roots, Stop};
use super::url::{escape, split};
use super::{format, number};
use crate::go;

/// How deep schemas may lead to one another for one value.
const MAX_DEPTH: usize = 512;

/// Checks values against a schema.
pub(super) struct Checker<'a> {
    compiled: Compiled<'a>,
    /// Formats count whatever the version: so it is for schemas of schemas.
    formats: bool,
}

/// Properties and items that no keyword has looked at yet.
#[derive(Debug, Default)]
struct Unevaluated {
    properties: BTreeSet<String>,
    items: BTreeSet<usize>,
}

impl Unevaluated {
    fn of(value: &Value, schema: &Value, draft: Draft, caller_needs: bool) -> Self {
        let mut unevaluated = Unevaluated::default();
        let has = |keyword: &str| schema.get(keyword).is_some();
        match value {
            Value::Object(map)
                if !has("additionalProperties") && (caller_needs || has("unevaluatedProperties")) =>
            {
                unevaluated.properties = map.keys().cloned().collect();
            }
            Value::Array(items) if caller_needs || has("unevaluatedItems") => {
                let list = schema.get(if draft >= Draft::Y2020 { "prefixItems" } else { "items" });
                let evaluated = match schema.get("items") {
                    Some(items_schema) if draft >= Draft::Y2020 || !items_schema.is_array() => items.len(),
                    Some(_) if has("additionalItems") => items.len(),
                    _ => list.and_then(Value::as_array).map_or(0, Vec::len),
                };
                unevaluated.items = (evaluated..items.len()).collect();
            }
            _ => {}
        }
        unevaluated
    }

    fn is_empty(&self) -> bool {
        self.properties.is_empty() && self.items.is_empty()
    }

    fn keep(&mut self, other: &Self) {
        self.properties.retain(|name| other.properties.contains(name));
        self.items.retain(|index| other.items.contains(index));
    }
}

/// The schemas that led here.
struct Scope<'s, 'a> {
    site: Site<'a>,
    /// The keyword that jumped here, if one did.
    reference: Option<&'static str>,
    /// Tells values apart: a schema that comes back to itself for one value would never end.
    value: usize,
    depth: usize,
    parent: Option<&'s Scope<'s, 'a>>,
}

/// One schema at work on one value.
struct Work<'s, 'a, 'v> {
    site: Site<'a>,
    keywords: &'a Map<String, Value>,
    draft: Draft,
    value: &'v Value,
    scope: &'s Scope<'s, 'a>,
    unevaluated: Unevaluated,
    failures: Vec<Failure>,
}

/// The versions that places in a schema follow, where they have an address of their own.
type Drafts = BTreeMap<String, Draft>;

impl<'a> Checker<'a> {
    /// Makes the document of an address ready.
    pub(super) fn new(documents: &'a Documents, url: &str) -> Result<Self, Stop> {
        Ok(Checker { compiled: Compiled::new(&mut Roots::new(documents), url)?, formats: false })
    }

    /// What is wrong with a value.
    pub(super) fn check(&self, value: &Value) -> Option<Failure> {
        self.run(value, None)
    }

    /// What is wrong with a schema, if this is of schemas.
    pub(super) fn check_schema(&self, schema: &Value, drafts: &Drafts) -> Option<Failure> {
        self.run(schema, Some(drafts))
    }

    fn run(&self, value: &Value, drafts: Option<&Drafts>) -> Option<Failure> {
        let path = RefCell::new(Vec::new());
        Run { checker: self, drafts, path: &path }.whole(value).err()
    }
}

impl Checker<'static> {
    /// The specification's schema of schemas: there is one for each version, as a case shows.
    pub(super) fn of_draft(draft: Draft) -> Option<Self> {
        static NONE: Documents = Documents::new();
        let compiled = Compiled::new(&mut Roots::new(&NONE), draft.url()).ok()?;
        Some(Checker { compiled, formats: true })
    }
}

/// One check: the schemas and where in the value it is.
#[derive(Clone, Copy)]
struct Run<'c, 'a> {
    checker: &'c Checker<'a>,
    /// What the value follows, if that is a schema itself.
    drafts: Option<&'c Drafts>,
    path: &'c RefCell<Vec<String>>,
}

impl<'c, 'a> Run<'c, 'a> {
    /// The whole schema on a value.
    fn whole(&self, value: &Value) -> Result<Unevaluated, Failure> {
        let root = self.checker.compiled.root;
        let scope = Scope { site: root, reference: None, value: 0, depth: 0, parent: None };
        let draft = self.checker.compiled.draft(root);
        self.schema(root, value, &scope, Unevaluated::of(value, root.value, draft, false))
    }

    /// The check of a schema within a schema, when that follows another version.
    fn of_other_draft(&self, site: Site<'a>) -> Option<Run<'c, 'a>> {
        let root = self.checker.compiled.root;
        let drafts = self.drafts.filter(|_| place(site.value) == place(root.value))?;
        let mut pointer = String::new();
        for token in self.path.borrow().iter() {
            pointer.push('/');
            pointer.push_str(&escape(token));
        }
        let draft = *drafts.get(&pointer)?;
        if draft == self.checker.compiled.draft(root) {
            return None;
        }
        Some(Run { checker: draft.metaschema()?, drafts: self.drafts, path: self.path })
    }

    fn failure(&self, kind: Kind, causes: Vec<Failure>) -> Failure {
        Failure::new(&self.path.borrow(), kind, causes)
    }

    fn message(&self, message: impl Into<String>) -> Failure {
        self.failure(Kind::Message(message.into()), Vec::new())
    }

    fn schema(
        &self,
        site: Site<'a>,
        value: &Value,
        scope: &Scope<'_, 'a>,
        unevaluated: Unevaluated,
    ) -> Result<Unevaluated, Failure> {
        let keywords = match site.value {
            Value::Bool(false) => return Err(self.message("false schema")),
            Value::Object(keywords) => keywords,
            _ => return Ok(unevaluated),
        };
        let mut outer = scope.parent;
        while let Some(above) = outer.filter(|above| above.value == scope.value) {
            if place(above.site.value) == place(site.value) {
                let (here, there) = (self.keywords_to(scope), self.keywords_to(above));
                let location = go::quote(self.checker.compiled.location(site));
                let message =
                    format!("both {here} and {there} resolve to {location} causing reference cycle");
                return Err(self.message(message));
            }
            outer = above.parent;
        }
        if scope.depth > MAX_DEPTH {
            return Err(self.message("schemas nest too deeply"));
        }
        let draft = self.checker.compiled.draft(site);
        let mut work = Work { site, keywords, draft, value, scope, unevaluated, failures: Vec::new() };
        let reference = self.checker.compiled.reference(site, "$ref");
        if let Some(target) = reference.filter(|_| draft < Draft::Y2019) {
            self.referred(&mut work, target, "$ref")?;
            return Ok(work.unevaluated);
        }
        self.scalar_keywords(keywords, draft, value)?;
        if let Some(target) = reference {
            let result = self.referred(&mut work, target, "$ref");
            Self::add(&mut work, result);
        }
        match value {
            Value::Object(map) => self.object(&mut work, map),
            Value::Array(items) => self.array(&mut work, items),
            Value::String(text) => self.text(&mut work, text),
            Value::Number(number) => self.number(&mut work, number),
            _ => {}
        }
        if draft >= Draft::Y2019 {
            self.dynamic_references(&mut work);
        }
        self.conditions(&mut work);
        if draft >= Draft::Y2019 {
            self.unevaluated(&mut work);
        }
        let mut failures = work.failures;
        match failures.len() {
            0 => Ok(work.unevaluated),
            1 => Err(failures.remove(0)),
            _ => Err(self.failure(Kind::Group, failures)),
        }
    }

    /// Type, constants and format: the first that fails is all that is told.
    fn scalar_keywords(
        &self,
        keywords: &Map<String, Value>,
        draft: Draft,
        value: &Value,
    ) -> Result<(), Failure> {
        if let Some(types) = keywords.get("type") {
            let wanted = types_of(types);
            let got = type_of(value);
            let matches = wanted.contains(&got)
                || (wanted.contains(&"integer") && value.as_number().is_some_and(number::is_integer));
            if !wanted.is_empty() && !matches {
                return Err(self.message(format!("got {got}, want {}", wanted.join(" or "))));
            }
        }
        if let Some(wanted) = keywords.get("const").filter(|_| draft >= Draft::Six)
            && !equals(value, wanted)
        {
            return Err(self.message(match wanted {
                Value::Array(_) | Value::Object(_) => "'const' failed".to_owned(),
                scalar => format!("value must be {}", display(scalar)),
            }));
        }
        if let Some(Value::Array(choices)) = keywords.get("enum")
            && !choices.iter().any(|choice| equals(value, choice))
        {
            let plain = !choices.iter().any(|choice| choice.is_array() || choice.is_object());
            let list = || choices.iter().map(display).collect::<Vec<_>>().join(", ");
            return Err(self.message(match (plain, choices.len()) {
                (false, _) => "'enum' failed".to_owned(),
                (true, 1) => format!("value must be {}", list()),
                (true, _) => format!("value must be one of {}", list()),
            }));
        }
        if (draft < Draft::Y2019 || self.checker.formats)
            && let (Some(name), Value::String(text)) = (keywords.get("format").and_then(Value::as_str), value)
            && let Some(problem) = format::problem(name, text)
        {
            return Err(self.message(format!("{} is not valid {name}: {problem}", quote(text))));
        }
        Ok(())
    }

    /// Another schema on the same value.
    fn same_value(
        &self,
        work: &mut Work<'_, 'a, '_>,
        schema: Site<'a>,
        reference: Option<&'static str>,
    ) -> Result<(), Failure> {
        if let Some(other) = self.of_other_draft(schema) {
            return other.whole(work.value).map(|_| ());
        }
        let scope = Scope {
            site: schema,
            reference,
            value: work.scope.value,
            depth: work.scope.depth + 1,
            parent: Some(work.scope),
        };
        let draft = self.checker.compiled.draft(schema);
        let unevaluated = Unevaluated::of(work.value, schema.value, draft, !work.unevaluated.is_empty());
        let left = self.schema(schema, work.value, &scope, unevaluated)?;
        work.unevaluated.keep(&left);
        Ok(())
    }

    fn same(&self, work: &mut Work<'_, 'a, '_>, schema: &'a Value) -> Result<(), Failure> {
        let site = self.checker.compiled.child(work.site, schema);
        self.same_value(work, site, None)
    }

    /// A schema on a part of the value.
    fn part(
        &self,
        work: &Work<'_, 'a, '_>,
        schema: &'a Value,
        value: &Value,
        token: &str,
    ) -> Result<(), Failure> {
        self.path.borrow_mut().push(token.to_owned());
        let site = self.checker.compiled.child(work.site, schema);
        let scope = Self::inner_scope(work, site);
        let result = match self.of_other_draft(site) {
            Some(other) => other.whole(value),
            None => {
                let draft = self.checker.compiled.draft(site);
                self.schema(site, value, &scope, Unevaluated::of(value, schema, draft, false))
            }
        };
        self.path.borrow_mut().pop();
        result.map(|_| ())
    }

    /// What a schema on a part of the value is in.
    fn inner_scope<'s>(work: &Work<'s, 'a, '_>, site: Site<'a>) -> Scope<'s, 'a> {
        Scope {
            site,
            reference: None,
            value: work.scope.value + 1,
            depth: work.scope.depth + 1,
            parent: Some(work.scope),
        }
    }

    fn add(work: &mut Work<'_, 'a, '_>, result: Result<(), Failure>) {
        work.failures.extend(result.err());
    }

    fn referred(
        &self,
        work: &mut Work<'_, 'a, '_>,
        target: Site<'a>,
        keyword: &'static str,
    ) -> Result<(), Failure> {
        self.same_value(work, target, Some(keyword)).map_err(|failure| failure.referred(&self.path.borrow()))
    }

    fn dynamic_references(&self, work: &mut Work<'_, 'a, '_>) {
        let compiled = &self.checker.compiled;
        if let Some(mut target) = compiled.reference(work.site, "$recursiveRef") {
            if target.value.get("$recursiveAnchor") == Some(&Value::Bool(true)) {
                let mut scope = Some(work.scope);
                while let Some(current) = scope {
                    if compiled.resources[current.site.resource].recursive_anchor {
                        target = current.site;
                    }
                    scope = current.parent;
                }
            }
            let result = self.referred(work, target, "$recursiveRef");
            Self::add(work, result);
        }
        if let Some(mut target) = compiled.reference(work.site, "$dynamicRef") {
            let reference = work.keywords.get("$dynamicRef").and_then(Value::as_str).unwrap_or_default();
            let anchor = split(reference).1;
            let own = target.value.get("$dynamicAnchor").and_then(Value::as_str);
            if !anchor.is_empty() && own == Some(anchor) {
                let mut scope = Some(work.scope);
                while let Some(current) = scope {
                    let resource = &compiled.resources[current.site.resource];
                    if let Some(site) = resource.dynamic_anchors.get(anchor) {
                        target = *site;
                    }
                    scope = current.parent;
                }
            }
            let result = self.referred(work, target, "$dynamicRef");
            Self::add(work, result);
        }
    }

    /// The keywords that led from the first schema to one.
    fn keywords_to(&self, scope: &Scope<'_, 'a>) -> String {
        let mut steps = Vec::new();
        let mut current = scope;
        while let Some(above) = current.parent {
            let location = |scope: &Scope<'_, 'a>| self.checker.compiled.location(scope.site);
            steps.push(match current.reference {
                Some(keyword) => format!("/{keyword}"),
                None => location(current).get(location(above).len()..).unwrap_or_default().to_owned(),
            });
            current = above;
        }
        steps.into_iter().rev().collect()
    }

    fn object(&self, work: &mut Work<'_, 'a, '_>, map: &Map<String, Value>) {
        let keywords = work.keywords;
        if let Some(least) = size(keywords, "minProperties").filter(|least| map.len() < *least) {
            work.failures.push(self.message(bound("minProperties", map.len(), least)));
        }
        if let Some(most) = size(keywords, "maxProperties").filter(|most| map.len() > *most) {
            work.failures.push(self.message(bound("maxProperties", map.len(), most)));
        }
        let missing = missing(map, keywords.get("required"));
        match missing.as_slice() {
            [] => {}
            [one] => work.failures.push(self.message(format!("missing property {}", quote(one)))),
            many => {
                let names = quote_all(many.iter().copied());
                work.failures.push(self.message(format!("missing properties {names}")));
            }
        }
        self.dependencies(work, map, "dependencies", true);
        let mut additional = Vec::new();
        for (name, value) in map {
            let mut evaluated = false;
            if let Some(schema) = keywords.get("properties").and_then(|properties| properties.get(name)) {
                evaluated = true;
                let result = self.part(work, schema, value, name);
                Self::add(work, result);
            }
            if let Some(Value::Object(patterns)) = keywords.get("patternProperties") {
                for (pattern, schema) in patterns {
                    let compiled = self.checker.compiled.patterns.get(pattern.as_str());
                    if compiled.is_some_and(|pattern| pattern.is_match(name)) {
                        evaluated = true;
                        let result = self.part(work, schema, value, name);
                        Self::add(work, result);
                    }
                }
            }
            if !evaluated && let Some(schema) = keywords.get("additionalProperties") {
                evaluated = true;
                if schema == &Value::Bool(false) {
                    additional.push(name.as_str());
                } else {
                    let result = self.part(work, schema, value, name);
                    Self::add(work, result);
                }
            }
            if evaluated {
                work.unevaluated.properties.remove(name);
            }
        }
        if !additional.is_empty() {
            let names = quote_all(additional);
            work.failures.push(self.message(format!("additional properties {names} not allowed")));
        }
        if work.draft == Draft::Four {
            return;
        }
        if let Some(schema) = keywords.get("propertyNames") {
            for name in map.keys() {
                let text = Value::String(name.clone());
                let site = self.checker.compiled.child(work.site, schema);
                let scope = Self::inner_scope(work, site);
                // The name is a value of its own, so paths in its findings begin anew.
                let path = RefCell::new(Vec::new());
                let run = Run { checker: self.checker, drafts: self.drafts, path: &path };
                if let Err(failure) = run.schema(site, &text, &scope, Unevaluated::default()) {
                    work.failures.push(failure.of_name(&self.path.borrow(), name));
                }
            }
        }
        if work.draft >= Draft::Y2019 {
            self.dependencies(work, map, "dependentSchemas", false);
            self.dependencies(work, map, "dependentRequired", true);
        }
    }

    fn dependencies(
        &self,
        work: &mut Work<'_, 'a, '_>,
        map: &Map<String, Value>,
        keyword: &str,
        lists: bool,
    ) {
        let Some(Value::Object(dependencies)) = work.keywords.get(keyword) else { return };
        for (name, dependency) in dependencies.iter().filter(|(name, _)| map.contains_key(*name)) {
            if dependency.is_array() {
                let missing = missing(map, Some(dependency));
                if lists && !missing.is_empty() {
                    let names = quote_all(missing);
                    let message = format!("properties {names} required, if {} exists", quote(name));
                    work.failures.push(self.message(message));
                }
            } else {
                let result = self.same(work, dependency);
                Self::add(work, result);
            }
        }
    }

    fn array(&self, work: &mut Work<'_, 'a, '_>, items: &[Value]) {
        let keywords = work.keywords;
        if let Some(least) = size(keywords, "minItems").filter(|least| items.len() < *least) {
            work.failures.push(self.message(bound("minItems", items.len(), least)));
        }
        if let Some(most) = size(keywords, "maxItems").filter(|most| items.len() > *most) {
            work.failures.push(self.message(bound("maxItems", items.len(), most)));
        }
        if keywords.get("uniqueItems") == Some(&Value::Bool(true))
            && let Some((first, second)) = duplicates(items)
        {
            work.failures.push(self.message(format!("items at {first} and {second} are equal")));
        }
        let each = |work: &mut Work<'_, 'a, '_>, schema: &'a Value, from: usize| {
            for (index, item) in items.iter().enumerate().skip(from) {
                let result = self.part(work, schema, item, &index.to_string());
                Self::add(work, result);
            }
        };
        let prefix =
            if work.draft >= Draft::Y2020 { keywords.get("prefixItems") } else { keywords.get("items") };
        let prefix = prefix.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, (schema, item)) in prefix.iter().zip(items).enumerate() {
            let result = self.part(work, schema, item, &index.to_string());
            Self::add(work, result);
        }
        let evaluated = prefix.len().min(items.len());
        match keywords.get("items") {
            Some(schema @ (Value::Object(_) | Value::Bool(_))) => each(work, schema, evaluated),
            Some(Value::Array(_)) if work.draft < Draft::Y2020 => match keywords.get("additionalItems") {
                Some(Value::Bool(false)) if evaluated < items.len() => {
                    let left = number::grouped(items.len() - evaluated);
                    work.failures.push(self.message(format!("last {left} additionalItem(s) not allowed")));
                }
                Some(schema @ Value::Object(_)) => each(work, schema, evaluated),
                _ => {}
            },
            _ => {}
        }
        if let Some(schema) = keywords.get("contains").filter(|_| work.draft >= Draft::Six) {
            self.contains(work, schema, items);
        }
    }

    fn contains(&self, work: &mut Work<'_, 'a, '_>, schema: &'a Value, items: &[Value]) {
        let mut failures = Vec::new();
        let mut matched = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match self.part(work, schema, item, &index.to_string()) {
                Ok(()) => {
                    matched.push(index);
                    if work.draft >= Draft::Y2020 {
                        work.unevaluated.items.remove(&index);
                    }
                }
                Err(failure) => failures.push(failure),
            }
        }
        let list = || matched.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let least = size(work.keywords, "minContains").filter(|_| work.draft >= Draft::Y2019);
        let most = size(work.keywords, "maxContains").filter(|_| work.draft >= Draft::Y2019);
        let message = match least {
            Some(least) if matched.len() < least => {
                let start =
                    format!("min {} items required to match contains schema, but", number::grouped(least));
                Some(if matched.is_empty() {
                    format!("{start} none matched")
                } else {
                    format!("{start} matched {} items at {}", matched.len(), list())
                })
            }
            None if matched.is_empty() => Some("no items match contains schema".to_owned()),
            _ => None,
        };
        if let Some(message) = message {
            work.failures.push(self.failure(Kind::Message(message), failures));
        }
        if let Some(most) = most.filter(|most| matched.len() > *most) {
            let most = number::grouped(most);
            let message = format!(
                "max {most} items required to match contains schema, but matched {} items at {}",
                matched.len(),
                list()
            );
            work.failures.push(self.message(message));
        }
    }

    fn text(&self, work: &mut Work<'_, 'a, '_>, text: &str) {
        let length = text.chars().count();
        if let Some(least) = size(work.keywords, "minLength").filter(|least| length < *least) {
            work.failures.push(self.message(bound("minLength", length, least)));
        }
        if let Some(most) = size(work.keywords, "maxLength").filter(|most| length > *most) {
            work.failures.push(self.message(bound("maxLength", length, most)));
        }
        if let Some(pattern) = work.keywords.get("pattern").and_then(Value::as_str)
            && !self.checker.compiled.patterns.get(pattern).is_some_and(|compiled| compiled.is_match(text))
        {
            let message = format!("{} does not match pattern {}", quote(text), quote(pattern));
            work.failures.push(self.message(message));
        }
    }

    fn number(&self, work: &mut Work<'_, 'a, '_>, value: &Number) {
        let keywords = work.keywords;
        let is_set = |keyword: &str| keywords.get(keyword) == Some(&Value::Bool(true));
        let limit = |keyword: &str| keywords.get(keyword).and_then(Value::as_number);
        let mut fail = |keyword: &str, limit: &Number| {
            let message = format!("{keyword}: got {}, want {}", number::shown(value), number::shown(limit));
            work.failures.push(self.message(message));
        };
        // In draft 4 the exclusive forms are flags on the plain ones.
        for (plain, exclusive, outside) in [
            ("minimum", "exclusiveMinimum", Ordering::Less),
            ("maximum", "exclusiveMaximum", Ordering::Greater),
        ] {
            let (at, beyond) =
                if is_set(exclusive) { (None, limit(plain)) } else { (limit(plain), limit(exclusive)) };
            if let Some(limit) = at.filter(|limit| number::compare(value, limit) == outside) {
                fail(plain, limit);
            }
            if let Some(limit) = beyond.filter(|limit| number::compare(value, limit) != outside.reverse()) {
                fail(exclusive, limit);
            }
        }
        if let Some(step) = limit("multipleOf").filter(|step| !number::is_multiple(value, step)) {
            fail("multipleOf", step);
        }
    }

    fn conditions(&self, work: &mut Work<'_, 'a, '_>) {
        let keywords = work.keywords;
        if let Some(schema) = keywords.get("not")
            && self.same(work, schema).is_ok()
        {
            work.failures.push(self.message("'not' failed"));
        }
        let list =
            |keyword: &str| keywords.get(keyword).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let failures: Vec<Failure> =
            list("allOf").iter().filter_map(|schema| self.same(work, schema).err()).collect();
        if !failures.is_empty() {
            work.failures.push(self.failure(Kind::Message("'allOf' failed".to_owned()), failures));
        }
        self.any_of(work, list("anyOf"));
        self.one_of(work, list("oneOf"));
        if work.draft >= Draft::Seven
            && let Some(schema) = keywords.get("if")
        {
            let branch = if self.same(work, schema).is_ok() { "then" } else { "else" };
            if let Some(schema) = keywords.get(branch) {
                let result = self.same(work, schema);
                Self::add(work, result);
            }
        }
    }

    fn any_of(&self, work: &mut Work<'_, 'a, '_>, schemas: &'a [Value]) {
        let mut failures = Vec::new();
        let mut matched = schemas.is_empty();
        for schema in schemas {
            match self.same(work, schema) {
                Err(failure) => failures.push(failure),
                Ok(()) => {
                    matched = true;
                    // All of them count where properties must be evaluated.
                    if work.unevaluated.is_empty() {
                        break;
                    }
                }
            }
        }
        if !matched {
            work.failures.push(self.failure(Kind::Message("'anyOf' failed".to_owned()), failures));
        }
    }

    fn one_of(&self, work: &mut Work<'_, 'a, '_>, schemas: &'a [Value]) {
        let mut failures = Vec::new();
        let mut matched = None;
        for (index, schema) in schemas.iter().enumerate() {
            match (self.same(work, schema), matched) {
                (Err(failure), None) => failures.push(failure),
                (Err(_), Some(_)) => {}
                (Ok(()), None) => matched = Some(index),
                (Ok(()), Some(first)) => {
                    let message = format!("'oneOf' failed, subschemas {first}, {index} matched");
                    work.failures.push(self.message(message));
                    break;
                }
            }
        }
        if matched.is_none() && !schemas.is_empty() {
            let message = "'oneOf' failed, none matched".to_owned();
            work.failures.push(self.failure(Kind::Message(message), failures));
        }
    }

    fn unevaluated(&self, work: &mut Work<'_, 'a, '_>) {
        if let (Value::Object(map), Some(schema)) = (work.value, work.keywords.get("unevaluatedProperties")) {
            for name in std::mem::take(&mut work.unevaluated.properties) {
                if let Some(value) = map.get(&name) {
                    let result = self.part(work, schema, value, &name);
                    Self::add(work, result);
                }
            }
        }
        if let (Value::Array(items), Some(schema)) = (work.value, work.keywords.get("unevaluatedItems")) {
            for index in std::mem::take(&mut work.unevaluated.items) {
                if let Some(value) = items.get(index) {
                    let result = self.part(work, schema, value, &index.to_string());
                    Self::add(work, result);
                }
            }
        }
    }
}

fn size(keywords: &Map<String, Value>, keyword: &str) -> Option<usize> {
    let number = keywords.get(keyword)?.as_f64()?;
    (number >= 0.0 && number.fract() == 0.0).then_some(number as usize)
}

fn bound(keyword: &str, got: usize, want: usize) -> String {
    format!("{keyword}: got {}, want {}", number::grouped(got), number::grouped(want))
}

fn missing<'k>(map: &Map<String, Value>, names: Option<&'k Value>) -> Vec<&'k str> {
    let names = names.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    names.filter(|name| !map.contains_key(*name)).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The types that a keyword names, always in the same order.
fn types_of(types: &Value) -> Vec<&'static str> {
    let named = |name: &&str| match types {
        Value::String(one) => one == name,
        Value::Array(many) => many.iter().any(|one| one.as_str() == Some(name)),
        _ => false,
    };
    ["null", "boolean", "number", "integer", "string", "array", "object"].into_iter().filter(named).collect()
}

fn equals(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => number::compare(a, b) == Ordering::Equal,
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equals(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equals(value, other)))
        }
        (a, b) => a == b,
    }
}

fn duplicates(items: &[Value]) -> Option<(usize, usize)> {
    (1..items.len()).find_map(|second| {
        (0..second).find(|first| equals(&items[*first], &items[second])).map(|first| (first, second))
    })
}

//! Parsed templates.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use foldhash::fast::RandomState;
use memchr::memmem::Finder;

use crate::error::Error;
use crate::func::Functions;
use crate::parse::{self, Actions, Template};
use crate::value::Str;

/// What reading a missing key of a map gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// No value: it prints as `<no value>` (Go's `default` and `invalid`).
    #[default]
    Invalid,
    /// The zero value of the element type (as helm).
    Zero,
    /// An error (as helm's strict mode).
    Error,
}

/// Named templates that can call one another.
#[derive(Clone)]
pub struct TemplateSet {
    name: String,
    functions: Arc<Functions>,
    missing_key: MissingKey,
    left: String,
    right: String,
    templates: HashMap<Str, Arc<Template>, RandomState>,
    deferred: HashMap<Str, Deferred, RandomState>,
    /// What actions of texts parsed before mean.
    actions: Arc<Mutex<Actions>>,
}

/// A text that is parsed when it is asked for.
#[derive(Clone)]
struct Deferred {
    text: Arc<[u8]>,
    /// Nothing where the text is no template.
    parsed: OnceLock<Option<Arc<Template>>>,
}

impl TemplateSet {
    /// An empty set; `name` appears in the messages about templates that are not there.
    pub fn new(name: impl Into<String>, functions: Arc<Functions>) -> Self {
        Self {
            name: name.into(),
            functions,
            missing_key: MissingKey::default(),
            left: String::new(),
            right: String::new(),
            templates: HashMap::default(),
            deferred: HashMap::default(),
            actions: Arc::default(),
        }
    }

    /// Sets what missing keys give.
    pub fn with_missing_key(mut self, missing_key: MissingKey) -> Self {
        self.missing_key = missing_key;
        self
    }

    /// Sets the delimiters of actions in templates parsed from now on; empty: `{{` and `}}`.
    pub fn with_delimiters(mut self, left: impl Into<String>, right: impl Into<String>) -> Self {
        self.left = left.into();
        self.right = right.into();
        self
    }

    /// Parses a template, and those it defines, into the set. A later one replaces an earlier one
    /// of the same name, unless it is blank.
    pub fn parse(&mut self, name: &str, text: impl AsRef<[u8]>) -> Result<(), Error> {
        for template in self.parse_known(name, text.as_ref().into())? {
            if template.is_blank && self.templates.contains_key(&template.name) {
                continue;
            }
            self.templates.insert(template.name.clone(), Arc::new(template));
        }
        Ok(())
    }

    /// Parses a text without adding what it defines; the outermost template is the last.
    pub(crate) fn parse_apart(&self, name: &str, text: Arc<[u8]>) -> Result<Vec<Template>, Error> {
        parse::parse(name, text, &self.left, &self.right, &self.functions, &mut Actions::default())
    }

    /// Like [`TemplateSet::parse_apart`], of a text that belongs to the set: equal actions are parsed once and shared.
    fn parse_known(&self, name: &str, text: Arc<[u8]>) -> Result<Vec<Template>, Error> {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        parse::parse(name, text, &self.left, &self.right, &self.functions, &mut actions)
    }

    /// Frees what only helps to parse more texts of the set.
    pub fn complete(&self) {
        *self.actions.lock().unwrap_or_else(PoisonError::into_inner) = Actions::default();
    }

    /// Adds a template that is parsed when it is executed or called. False where that cannot be, as the text may define
    /// others or the name is taken: it is to be parsed then. That a text is no template shows when it is asked for only.
    pub fn defer(&mut self, name: &str, text: &Arc<[u8]>) -> bool {
        static DEFINING: LazyLock<[Finder<'static>; 2]> =
            LazyLock::new(|| [Finder::new(b"define"), Finder::new(b"block")]);
        if DEFINING.iter().any(|word| word.find(text).is_some()) || self.contains(name) {
            return false;
        }
        self.deferred.insert(name.into(), Deferred { text: Arc::clone(text), parsed: OnceLock::new() });
        true
    }

    /// Whether nothing is defined under the name of a template that was deferred.
    pub fn is_unambiguous(&self) -> bool {
        self.deferred.keys().all(|name| !self.templates.contains_key(name))
    }

    /// A template that was deferred, parsed now unless a call has had that done. Nothing where there is none.
    pub(crate) fn deferred(&self, name: &str) -> Option<Result<Arc<Template>, Error>> {
        let deferred = self.deferred.get(name.as_bytes())?;
        if let Some(Some(known)) = deferred.parsed.get() {
            return Some(Ok(Arc::clone(known)));
        }
        match self.parse_known(name, Arc::clone(&deferred.text)) {
            Ok(mut templates) => templates.pop().map(|template| Ok(Arc::new(template))),
            Err(error) => Some(Err(error)),
        }
    }

    /// Whether there is a template of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.templates.contains_key(name.as_bytes()) || self.deferred.contains_key(name.as_bytes())
    }

    /// The names of all templates, in no order.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.templates.keys().chain(self.deferred.keys()).map(|name| name.to_text().into_owned())
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Template>> {
        if let Some(known) = self.templates.get(name) {
            return Some(known);
        }
        let (name, deferred) = self.deferred.get_key_value(name)?;
        let parse = || self.deferred(&name.to_text())?.ok();
        deferred.parsed.get_or_init(parse).as_ref()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) const fn missing_key(&self) -> MissingKey {
        self.missing_key
    }
}

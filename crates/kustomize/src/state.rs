//! The schema of a build: what the reference keeps in a global is a member here.

use std::cell::RefCell;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::options::CustomSchema;
use crate::schema::{Schema, parse_custom, parse_scopes};
use crate::scope::{Scopes, is_scope_known};

/// Which schema holds. The first kustomization that names one decides for the rest of the build.
pub(crate) struct SchemaState {
    mode: CustomSchema,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    is_set: bool,
    custom: Option<Vec<u8>>,
    current: Option<Arc<Schema>>,
    scopes: Scopes,
    /// Why the custom schema cannot be used. It is no fault until somebody asks for a schema.
    problem: Option<Error>,
    /// A kind was seen that is not among those whose scope is known beforehand.
    unknown_kinds: bool,
}

impl SchemaState {
    pub(crate) fn new(mode: CustomSchema) -> Self {
        Self { mode, inner: RefCell::default() }
    }

    /// What an `openapi` field says: the content of the file at `path`, or a version.
    pub(crate) fn set(&self, version: Option<&str>, content: Option<Vec<u8>>, is_root: bool) -> Result<()> {
        let mut inner = self.inner.borrow_mut();
        if inner.is_set && !is_root {
            return Ok(());
        }
        if let Some(content) = content {
            if version.is_some() {
                return Err(Error::new("builtin version and custom schema provided, cannot use both"));
            }
            match parse_scopes(&content) {
                Ok(scopes) => (inner.scopes, inner.problem) = (scopes, None),
                Err(problem) => inner.problem = Some(problem),
            }
            inner.custom = Some(content);
            inner.is_set = true;
            return Ok(());
        }
        match version {
            None | Some("") => Ok(()),
            Some("v1.21.2") => {
                inner.is_set = true;
                Ok(())
            }
            Some(_) => Err(Error::new("the specified OpenAPI version is not built in")),
        }
    }

    /// Which kinds have no namespace, by what is known so far.
    pub(crate) fn scopes(&self) -> Scopes {
        self.inner.borrow().scopes.clone()
    }

    /// Takes note of a resource that was read.
    pub(crate) fn note_kind(&self, api_version: &str, kind: &str) {
        let mut inner = self.inner.borrow_mut();
        let is_early = inner.custom.is_none() && inner.current.is_none();
        if (is_early || inner.problem.is_some()) && !inner.unknown_kinds {
            inner.unknown_kinds = !is_scope_known(api_version, kind);
        }
    }

    /// Fails if there were resources whose scope only a schema could tell, and the schema cannot be used.
    pub(crate) fn finish(&self) -> Result<()> {
        let mut inner = self.inner.borrow_mut();
        match inner.problem.take() {
            Some(problem) if inner.unknown_kinds => Err(problem),
            _ => Ok(()),
        }
    }

    /// The schema to merge by.
    pub(crate) fn schema(&self) -> Result<Arc<Schema>> {
        let mut inner = self.inner.borrow_mut();
        if let Some(problem) = inner.problem.take() {
            return Err(problem);
        }
        if let Some(content) = inner.custom.take() {
            let schema = match (&inner.current, self.mode) {
                // One that was in use already is only added to.
                (Some(current), _) => parse_custom(&content, Some(current), false)?,
                (None, CustomSchema::Extends) => parse_custom(&content, Some(&Schema::builtin()), false)?,
                // The reference has put off reading the built-in one, and reads it now as well.
                (None, CustomSchema::Replaces) if inner.unknown_kinds => {
                    parse_custom(&content, Some(&Schema::builtin()), true)?
                }
                (None, CustomSchema::Replaces) => parse_custom(&content, None, false)?,
            };
            inner.current = Some(Arc::new(schema));
        }
        Ok(inner.current.get_or_insert_with(Schema::builtin).clone())
    }
}

//! Parsed templates kept from one render to the next.

use std::sync::{Arc, Mutex, PoisonError};

use sluice_gotemplate::TemplateSet;

use super::context::Template;
use super::{RenderError, parse};
use crate::chart::Content;

/// The parsed templates of the charts that were rendered last. Safe to share between threads.
pub struct TemplateCache {
    capacity: usize,
    kept: Mutex<Vec<Arc<Compiled>>>,
}

impl std::fmt::Debug for TemplateCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TemplateCache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// A parsed set and what it was parsed from.
struct Compiled {
    sources: Vec<(String, Content)>,
    set: Arc<TemplateSet>,
}

impl Compiled {
    fn is_of(&self, templates: &[Template<'_>]) -> bool {
        // Charts loaded once share their bytes, so most comparisons end at the pointer.
        self.sources.len() == templates.len()
            && self
                .sources
                .iter()
                .zip(templates)
                .all(|((name, data), template)| *name == template.name && *data == template.file.data)
    }
}

impl TemplateCache {
    /// Keeps the templates of so many charts.
    pub fn new(capacity: usize) -> Self {
        TemplateCache { capacity, kept: Mutex::new(Vec::new()) }
    }

    /// The parsed templates, from the last time if they are the same.
    pub(super) fn get(&self, templates: &[Template<'_>]) -> Result<Arc<TemplateSet>, RenderError> {
        if let Some(set) = self.find(templates) {
            return Ok(set);
        }
        let set = Arc::new(parse(templates)?);
        let sources =
            templates.iter().map(|template| (template.name.clone(), template.file.data.clone())).collect();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(0, Arc::new(Compiled { sources, set: Arc::clone(&set) }));
        kept.truncate(self.capacity);
        Ok(set)
    }

    /// Looks them up and puts them in front.
    fn find(&self, templates: &[Template<'_>]) -> Option<Arc<TemplateSet>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|compiled| compiled.is_of(templates))?;
        let compiled = kept.remove(place);
        let set = Arc::clone(&compiled.set);
        kept.insert(0, compiled);
        Some(set)
    }
}

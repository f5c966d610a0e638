//! Templates to texts.

mod cache;
mod context;
mod error;
mod files;
mod metadata;
mod objects;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use sluice_gotemplate::{Ctx, Functions, Host, Limits, MissingKey, Origin, TemplateSet, with_large_stack};

use crate::capabilities::Capabilities;
use crate::chart::Chart;
use crate::values::Coalesced;

pub use cache::TemplateCache;
pub use error::RenderError;

/// `.Release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseOptions {
    /// Name of the release.
    pub name: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Revision, from 1.
    pub revision: i64,
    /// Whether a release is changed rather than made.
    pub is_upgrade: bool,
}

/// All that rendering needs beside the chart.
#[derive(Debug, Clone, Copy)]
pub struct RenderInput<'a> {
    /// The chart, with its dependencies processed.
    pub chart: &'a Chart,
    /// The coalesced values.
    pub values: &'a Coalesced<'a>,
    /// `.Release`.
    pub release: &'a ReleaseOptions,
    /// `.Capabilities`.
    pub capabilities: &'a Capabilities,
}

/// What each template file printed, by its full name. Partials are not among them.
pub type Rendered = BTreeMap<String, String>;

fn functions() -> Arc<Functions> {
    static FUNCTIONS: OnceLock<Arc<Functions>> = OnceLock::new();
    Arc::clone(FUNCTIONS.get_or_init(Functions::helm))
}

/// Renders all templates of a chart and its subcharts, on a thread with a stack that deep templates need. With a
/// cache, templates that it holds are not parsed again.
pub fn render(
    input: RenderInput<'_>,
    host: &mut (dyn Host + Send),
    limits: Limits,
    cache: Option<&TemplateCache>,
) -> Result<Rendered, RenderError> {
    with_large_stack(|| render_here(input, host, limits, cache)).map_err(RenderError::Thread)?
}

/// Like [`render`], on the thread of the caller: deep templates fail earlier.
pub fn render_here(
    input: RenderInput<'_>,
    host: &mut dyn Host,
    limits: Limits,
    cache: Option<&TemplateCache>,
) -> Result<Rendered, RenderError> {
    let templates = context::all_templates(input);
    let set = parsed(&templates, cache)?;
    execute(&templates, Ctx::new(&set, host, limits))
}

/// The place in a template that a line of what `file` prints comes from, counted from 1, found by rendering once more.
/// `None` where that does not go as before: templates may ask for the time, or the cluster.
pub fn origin(
    input: RenderInput<'_>,
    host: &mut (dyn Host + Send),
    limits: Limits,
    cache: Option<&TemplateCache>,
    file: &str,
    line: usize,
) -> Option<Origin> {
    let find = || {
        let templates = context::all_templates(input);
        let set = parsed(&templates, cache).ok()?;
        let mut context = Ctx::new(&set, host, limits);
        for template in templates.iter().filter(|template| !template.is_partial()) {
            let data = template.data();
            if template.name == file {
                return context.origin(&template.name, &data, line.checked_sub(1)?).ok()?;
            }
            // Templates may change what later ones see.
            context.execute_once(&template.name, &data).ok()?;
        }
        None
    };
    with_large_stack(find).ok()?
}

fn parsed(
    templates: &[context::Template<'_>],
    cache: Option<&TemplateCache>,
) -> Result<Arc<TemplateSet>, RenderError> {
    match cache {
        Some(cache) => cache.get(templates),
        None => match parse_partials(templates) {
            Some(set) => Ok(Arc::new(set)),
            None => Ok(Arc::new(parse(templates)?)),
        },
    }
}

/// Executes the templates that make files.
fn execute(templates: &[context::Template<'_>], mut context: Ctx<'_>) -> Result<Rendered, RenderError> {
    let mut rendered = Rendered::new();
    // The first by name is told, once nothing has failed.
    let mut no_text: Option<(&str, String)> = None;
    for template in templates.iter().filter(|template| !template.is_partial()) {
        match context.execute_once(&template.name, &template.data()) {
            Ok(output) => {
                let text = String::from_utf8(output).unwrap_or_else(|error| {
                    let name = template.name.as_str();
                    let is_first = no_text.as_ref().is_none_or(|(first, _)| name < *first);
                    if is_first && !name.ends_with("NOTES.txt") {
                        no_text = sluice_yaml::read(error.as_bytes())
                            .err()
                            .map(|problem| (name, problem.to_string()));
                    }
                    String::from_utf8_lossy(error.as_bytes()).into_owned()
                });
                rendered.insert(template.name.clone(), without_no_value(text));
            }
            Err(error) => {
                // What cannot be parsed is told before anything that fails while it runs.
                parse(templates)?;
                return Err(error::execution_error(&template.name, &error));
            }
        }
    }
    if let Some((file, problem)) = no_text {
        return Err(RenderError::NotText { file: file.to_owned(), problem });
    }
    Ok(rendered)
}

/// Parses what others may call, and leaves what only prints for later: most templates run once, and their trees need not
/// all be in memory. Nothing where something is wrong or unusual.
fn parse_partials(templates: &[context::Template<'_>]) -> Option<TemplateSet> {
    let mut set = TemplateSet::new("gotpl", functions()).with_missing_key(MissingKey::Zero);
    for template in templates {
        if template.is_partial() || !set.defer(&template.name, &template.file.data.shared()) {
            set.parse(&template.name, &template.file.data).ok()?;
        }
    }
    set.is_unambiguous().then_some(set)
}

fn parse(templates: &[context::Template<'_>]) -> Result<TemplateSet, RenderError> {
    let mut set = TemplateSet::new("gotpl", functions()).with_missing_key(MissingKey::Zero);
    for template in templates {
        set.parse(&template.name, &template.file.data)
            .map_err(|error| error::parse_error(&template.name, &error))?;
    }
    set.complete();
    Ok(set)
}

/// Go prints `<no value>` for what is missing; none of it reaches a manifest.
fn without_no_value(text: String) -> String {
    if text.contains("<no value>") { text.replace("<no value>", "") } else { text }
}

//! Templates to texts.

mod cache;
mod context;
mod error;
mod files;
mod metadata;
mod objects;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, mpsc};

use sluice_gotemplate::{
    Ctx, Functions, Host, Limits, MissingKey, ParsedTemplate, TemplateSet, with_large_stack,
};

use crate::capabilities::Capabilities;
use crate::chart::Chart;
use crate::parallel;
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
    let set = match cache {
        Some(cache) => cache.get(&templates)?,
        None => match parse_partials(&templates) {
            Some(set) => Arc::new(set),
            None => Arc::new(parse(&templates)?),
        },
    };
    let context = Ctx::new(&set, host, limits);
    let size = templates.iter().map(|template| template.file.data.len()).sum();
    if cache.is_some() || !parallel::is_worth_while(size) {
        return execute(&templates, context, || None);
    }
    let names: Vec<&str> = printing(&templates).map(|template| &*template.name).collect();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        let set = &*set;
        // Where no thread can be had, nothing comes and each template is parsed as it is executed.
        let _ = std::thread::Builder::new().name("parser".into()).spawn_scoped(scope, move || {
            let parse = |names: &[&str]| names.iter().map(|name| set.parse_ahead(name)).collect::<Vec<_>>();
            let _ = names.chunks(TOGETHER).try_for_each(|names| sender.send(parse(names)));
        });
        let mut parsed = Vec::new().into_iter();
        execute(&templates, context, move || {
            if parsed.len() == 0 {
                parsed = receiver.recv().unwrap_or_default().into_iter();
            }
            parsed.next().flatten()
        })
    })
}

/// How many templates are handed over at once, since each time may wake a thread, and how many times that may be done before
/// they are executed: their trees are large.
const TOGETHER: usize = 6;
const AHEAD: usize = 1;

/// The templates that make files, in the order in which they are executed.
fn printing<'t, 'c>(
    templates: &'t [context::Template<'c>],
) -> impl Iterator<Item = &'t context::Template<'c>> {
    templates.iter().filter(|template| !template.is_partial())
}

/// Executes what makes files; `parsed` gives the next template if another thread has parsed it.
fn execute(
    templates: &[context::Template<'_>],
    mut context: Ctx<'_>,
    mut parsed: impl FnMut() -> Option<ParsedTemplate>,
) -> Result<Rendered, RenderError> {
    let mut rendered = Rendered::new();
    for template in printing(templates) {
        let data = template.data();
        let output = match parsed() {
            Some(parsed) => context.execute_parsed(parsed, &data),
            None => context.execute_once(&template.name, &data),
        };
        match output {
            Ok(output) => rendered.insert(template.name.clone(), without_no_value(output)),
            Err(error) => {
                // What cannot be parsed is told before anything that fails while it runs.
                parse(templates)?;
                return Err(error::execution_error(&template.name, &error));
            }
        };
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
    Ok(set)
}

/// Go prints `<no value>` for what is missing; none of it reaches a manifest.
fn without_no_value(output: Vec<u8>) -> String {
    let text = String::from_utf8(output)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    if text.contains("<no value>") { text.replace("<no value>", "") } else { text }
}

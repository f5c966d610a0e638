//! `helm template` in one call.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use sluice_gotemplate::{Host, Limits};

use crate::capabilities::Capabilities;
use crate::chart::{
    Chart, DependencyError, File, LoadError, load_lean, match_path, missing_dependencies,
    process_dependencies,
};
use crate::manifest::{
    HookEvent, ManifestError, PostRenderError, PostRenderStrategy, PostRenderer, Sorted, post_render, sort,
    split,
};
use crate::release_name::{self, ReleaseNameError};
use crate::render::{ReleaseOptions, RenderError, RenderInput, TemplateCache, origin, render};
use crate::schema::{FetchSchema, NoFetch};
use crate::values::{CoalesceError, Coalesced, SchemaError, Values, coalesce, validate};

/// What a command line may ask for.
#[derive(Debug, Clone)]
pub struct TemplateOptions {
    /// Name of the release.
    pub release_name: String,
    /// Namespace of the release.
    pub namespace: String,
    /// Revision of the release.
    pub revision: i64,
    /// Whether `.Release.IsUpgrade` is set in place of `.Release.IsInstall`.
    pub is_upgrade: bool,
    /// Version of Kubernetes and its APIs.
    pub capabilities: Capabilities,
    /// Whether the files of `crds/` come first.
    pub include_crds: bool,
    /// Whether tests are left out.
    pub skip_tests: bool,
    /// Whether hooks are left out.
    pub no_hooks: bool,
    /// Whether `values.schema.json` is not looked at.
    pub skip_schema_validation: bool,
    /// How schemas that others refer to are read.
    pub schemas: Arc<dyn FetchSchema>,
    /// Only what these files, or patterns of files, printed.
    pub show_only: Vec<String>,
    /// What a post-renderer sees.
    pub post_render_strategy: PostRenderStrategy,
    /// Bounds on the templates.
    pub limits: Limits,
}

impl Default for TemplateOptions {
    fn default() -> Self {
        TemplateOptions {
            release_name: "release-name".to_owned(),
            namespace: "default".to_owned(),
            revision: 1,
            is_upgrade: false,
            capabilities: Capabilities::default(),
            include_crds: false,
            skip_tests: false,
            no_hooks: false,
            skip_schema_validation: false,
            schemas: Arc::new(NoFetch),
            show_only: Vec::new(),
            post_render_strategy: PostRenderStrategy::default(),
            limits: Limits::default(),
        }
    }
}

/// Why a chart cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The chart cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A chart of a format that is not supported.
    #[error("{0}")]
    ApiVersion(&'static str),
    /// A library.
    #[error("{0} charts are not installable")]
    NotInstallable(String),
    /// A dependency of `Chart.yaml` that is not there.
    #[error(
        "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to \
         fetch missing dependencies: {0}"
    )]
    MissingDependencies(DependencyError),
    /// Values that do not fit the dependencies.
    #[error(transparent)]
    Dependencies(DependencyError),
    /// A name that no release may have.
    #[error("release name check failed: release name {name:?}: {error}")]
    ReleaseName {
        /// The name.
        name: String,
        /// What is wrong.
        error: ReleaseNameError,
    },
    /// Values that do not fit the chart.
    #[error(transparent)]
    Values(#[from] CoalesceError),
    /// Values that break a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A chart for other versions of Kubernetes.
    #[error("chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {found}")]
    KubeVersion {
        /// The range in `Chart.yaml`.
        wanted: String,
        /// The version.
        found: String,
    },
    /// A template failed.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A file of the chart that was there when the chart was loaded and cannot be read now.
    #[error("cannot read {file} of the chart: {problem}")]
    Unread {
        /// Its path within its chart.
        file: String,
        /// What the system says.
        problem: String,
    },
    /// Like [`TemplateError::Unread`], of a file that was being printed.
    #[error("cannot read a file of the chart: {0}")]
    Read(#[from] std::io::Error),
    /// A document that is no YAML.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The post-renderer failed.
    #[error(transparent)]
    PostRender(#[from] PostRenderError),
    /// A file of `--show-only` that printed nothing.
    #[error("could not find template {0} in chart")]
    NoSuchTemplate(String),
}

impl TemplateError {
    /// What `helm template` says below the message of an error that came after the values were found good.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::KubeVersion { .. } | Self::Render(_) | Self::Manifest(_) | Self::PostRender(_) => {
                Some("Use --debug flag to render out invalid YAML")
            }
            _ => None,
        }
    }
}

/// A rendered chart.
#[derive(Debug, Clone, Default)]
pub struct RenderedChart {
    /// Objects and hooks.
    pub sorted: Sorted,
    /// What `NOTES.txt` of the root chart printed.
    pub notes: String,
    /// The chart's CRD files, if asked for.
    pub crds: Vec<(String, File)>,
    /// What a careful reader should know.
    pub warnings: Vec<String>,
}

/// Renders the chart in a folder or archive and gives the text that `helm template` prints.
pub fn template(
    path: &Path,
    values: &Values,
    options: &TemplateOptions,
    host: &mut (dyn Host + Send),
    renderer: Option<&mut dyn PostRenderer>,
) -> Result<String, TemplateError> {
    let mut chart = load_lean(path)?;
    check_installable(&chart)?;
    missing_dependencies(&chart).map_err(TemplateError::MissingDependencies)?;
    let rendered = render_chart(&mut chart, values, options, host, renderer)?;
    rendered.text(options)
}

/// Refuses charts that cannot be installed.
pub fn check_installable(chart: &Chart) -> Result<(), TemplateError> {
    match chart.metadata.api_version.as_str() {
        "v1" | "v2" => {}
        "v3" => return Err(TemplateError::ApiVersion("invalid chart apiVersion")),
        _ => return Err(TemplateError::ApiVersion("unsupported chart version")),
    }
    match chart.metadata.kind.as_str() {
        "" | "application" => Ok(()),
        other => Err(TemplateError::NotInstallable(other.to_owned())),
    }
}

/// Renders a loaded chart. Its dependencies are processed on the way.
pub fn render_chart(
    chart: &mut Chart,
    values: &Values,
    options: &TemplateOptions,
    host: &mut (dyn Host + Send),
    renderer: Option<&mut dyn PostRenderer>,
) -> Result<RenderedChart, TemplateError> {
    render_chart_cached(chart, values, options, host, renderer, None)
}

/// Like [`render_chart`]; templates that the cache holds are not parsed again.
pub fn render_chart_cached(
    chart: &mut Chart,
    values: &Values,
    options: &TemplateOptions,
    host: &mut (dyn Host + Send),
    renderer: Option<&mut dyn PostRenderer>,
    cache: Option<&TemplateCache>,
) -> Result<RenderedChart, TemplateError> {
    let prepared = prepare(chart, values, options)?;
    let mut files = prepared.render(host, cache)?;
    let notes = take_notes(prepared.chart.name(), &mut files);
    let sorted = match renderer {
        None => sort(files).map_err(|error| prepared.located(error.into(), host, cache))?,
        Some(renderer) => {
            let changed = post_render(files, renderer, options.post_render_strategy)
                .map_err(|error| prepared.located(error.into(), host, cache))?;
            sort(changed)?
        }
    };
    let chart = prepared.chart;
    let crds = if options.include_crds {
        chart.crds().iter().map(|(name, file)| (name, file.clone())).collect()
    } else {
        Vec::new()
    };
    let mut warnings: Vec<String> = chart.all_warnings().into_iter().map(str::to_owned).collect();
    if chart.metadata.deprecated {
        warnings.push("this chart is deprecated".to_owned());
    }
    Ok(RenderedChart { sorted, notes, crds, warnings })
}

/// What the templates of a chart print, whether or not that is YAML: what `helm template --debug` shows of a chart whose
/// documents cannot be read.
pub fn printed(
    chart: &mut Chart,
    values: &Values,
    options: &TemplateOptions,
    host: &mut (dyn Host + Send),
) -> Result<String, TemplateError> {
    let prepared = prepare(chart, values, options)?;
    let mut files = prepared.render(host, None)?;
    take_notes(prepared.chart.name(), &mut files);
    let mut text = String::new();
    for (path, content) in files.iter().filter(|(_, content)| !content.trim().is_empty()) {
        append(&mut text, path, content);
    }
    Ok(text)
}

/// A chart whose values have been found good.
struct Prepared<'a> {
    chart: &'a Chart,
    values: Coalesced<'a>,
    release: ReleaseOptions,
    options: &'a TemplateOptions,
}

fn prepare<'a>(
    chart: &'a mut Chart,
    values: &'a Values,
    options: &'a TemplateOptions,
) -> Result<Prepared<'a>, TemplateError> {
    release_name::validate(&options.release_name)
        .map_err(|error| TemplateError::ReleaseName { name: options.release_name.clone(), error })?;
    process_dependencies(chart, values).map_err(TemplateError::Dependencies)?;
    let chart: &Chart = chart;
    let values = coalesce(chart, values)?;
    if !options.skip_schema_validation {
        validate(chart, &values, &*options.schemas)?;
    }
    check_kube_version(chart, &options.capabilities)?;
    let release = ReleaseOptions {
        name: options.release_name.clone(),
        namespace: options.namespace.clone(),
        revision: options.revision,
        is_upgrade: options.is_upgrade,
    };
    Ok(Prepared { chart, values, release, options })
}

impl Prepared<'_> {
    fn input(&self) -> RenderInput<'_> {
        RenderInput {
            chart: self.chart,
            values: &self.values,
            release: &self.release,
            capabilities: &self.options.capabilities,
        }
    }

    /// What each template of the chart and its dependencies prints.
    fn render(
        &self,
        host: &mut (dyn Host + Send),
        cache: Option<&TemplateCache>,
    ) -> Result<BTreeMap<String, String>, TemplateError> {
        let files = render(self.input(), host, self.options.limits, cache)?;
        if let Some((file, problem)) = self.chart.unread_file() {
            return Err(TemplateError::Unread { file: file.to_owned(), problem: problem.to_owned() });
        }
        Ok(files)
    }

    /// An error of a rendered document with the line of a template that printed it.
    fn located(
        &self,
        mut error: TemplateError,
        host: &mut (dyn Host + Send),
        cache: Option<&TemplateCache>,
    ) -> TemplateError {
        let (TemplateError::Manifest(ManifestError { file, place, .. })
        | TemplateError::PostRender(
            PostRenderError::Parse { file, place, .. }
            | PostRenderError::Manifest(ManifestError { file, place, .. }),
        )) = &mut error
        else {
            return error;
        };
        place.origin = origin(self.input(), host, self.options.limits, cache, file, place.line);
        error
    }
}

fn check_kube_version(chart: &Chart, capabilities: &Capabilities) -> Result<(), TemplateError> {
    let wanted = &chart.metadata.kube_version;
    if wanted.is_empty() || crate::chart::is_compatible(wanted, capabilities.kube_version.text()) {
        return Ok(());
    }
    Err(TemplateError::KubeVersion {
        wanted: wanted.clone(),
        found: capabilities.kube_version.version.clone(),
    })
}

/// Removes what any `NOTES.txt` printed; gives that of the root chart.
pub fn take_notes(chart: &str, files: &mut BTreeMap<String, String>) -> String {
    let own = format!("{chart}/templates/NOTES.txt");
    let notes = files.get(&own).cloned().unwrap_or_default();
    files.retain(|path, _| !path.ends_with("NOTES.txt"));
    notes
}

impl RenderedChart {
    /// The manifest that a release stores: CRDs if asked for, then objects.
    pub fn manifest(&self) -> String {
        let crds = self.crds.iter().map(|(path, file)| path.len() + file.data.len());
        let documents =
            self.sorted.documents.iter().map(|document| document.path.len() + document.text.len());
        // What stands around each document is shorter than this.
        let size = crds.chain(documents).map(|length| length + 32).sum();
        let mut text = String::with_capacity(size);
        for (path, file) in &self.crds {
            append(&mut text, path, &file.text());
        }
        for document in &self.sorted.documents {
            append(&mut text, &document.path, &document.text);
        }
        text
    }

    /// What `helm template` prints.
    pub fn text(&self, options: &TemplateOptions) -> Result<String, TemplateError> {
        let mut text = String::new();
        self.print(options, &mut |part| {
            text.push_str(part);
            Ok::<_, std::io::Error>(())
        })?;
        if options.show_only.is_empty() { Ok(text) } else { show_only(&text, &options.show_only) }
    }

    /// Hands out what `helm template` prints, whatever it is to show only, in large pieces: the text as a whole is
    /// never in memory.
    pub fn print<E: From<std::io::Error>>(
        &self,
        options: &TemplateOptions,
        out: &mut dyn FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut pieces = Pieces { gathered: String::new(), out };
        // The end of all objects is trimmed, and no document is blank with its path in front.
        let trimmed = |path: &str, text: &str| {
            let whole = format!("---\n# Source: {path}\n{text}");
            crate::go::trim(&whole).to_owned()
        };
        let mut crds = self.crds.iter().peekable();
        while let Some((path, file)) = crds.next() {
            if crds.peek().is_some() || !self.sorted.documents.is_empty() {
                pieces.head(path)?;
                pieces.push(&String::from_utf8_lossy(&file.data.once()?))?;
                pieces.push("\n")?;
            } else {
                pieces.push(&trimmed(path, &file.text()))?;
            }
        }
        let mut objects = self.sorted.documents.iter().peekable();
        while let Some(object) = objects.next() {
            if objects.peek().is_some() {
                pieces.document(&object.path, &object.text)?;
            } else {
                pieces.push(&trimmed(&object.path, &object.text))?;
            }
        }
        pieces.push("\n")?;
        if !options.no_hooks {
            for hook in &self.sorted.hooks {
                if options.skip_tests && hook.events.contains(&HookEvent::Test) {
                    continue;
                }
                pieces.document(&hook.path, &hook.manifest)?;
            }
        }
        pieces.finish()
    }
}

/// Small parts wait here until they are worth a write.
struct Pieces<'o, E> {
    gathered: String,
    out: &'o mut dyn FnMut(&str) -> Result<(), E>,
}

impl<E> Pieces<'_, E> {
    /// Bytes of one write.
    const ENOUGH: usize = 64 << 10;

    fn document(&mut self, path: &str, text: &str) -> Result<(), E> {
        self.head(path)?;
        self.push(text)?;
        self.push("\n")
    }

    fn head(&mut self, path: &str) -> Result<(), E> {
        ["---\n# Source: ", path, "\n"].into_iter().try_for_each(|part| self.push(part))
    }

    fn push(&mut self, part: &str) -> Result<(), E> {
        if self.gathered.len() + part.len() > Self::ENOUGH {
            self.finish()?;
        }
        if part.len() >= Self::ENOUGH {
            return (self.out)(part);
        }
        self.gathered.push_str(part);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), E> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        (self.out)(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

fn append(text: &mut String, path: &str, document: &str) {
    for part in ["---\n# Source: ", path, "\n", document, "\n"] {
        text.push_str(part);
    }
}

/// The documents of the files that patterns name, in the order of the patterns.
fn show_only(text: &str, patterns: &[String]) -> Result<String, TemplateError> {
    let documents: Vec<(&str, &str)> =
        split(text).into_iter().filter_map(|document| Some((source(document)?, document))).collect();
    let mut shown = String::new();
    for pattern in patterns {
        let mut missing = true;
        for (path, document) in &documents {
            if match_path(pattern, path).unwrap_or(false) {
                missing = false;
                let _ = write!(shown, "---\n{document}\n");
            }
        }
        if missing {
            return Err(TemplateError::NoSuchTemplate(pattern.clone()));
        }
    }
    Ok(shown)
}

/// The path in `# Source: chart/path`, without the chart.
fn source(document: &str) -> Option<&str> {
    document.lines().find_map(|line| {
        let (_, path) = line.split_once("# Source: ")?;
        let (chart, path) = path.split_once('/')?;
        (!chart.is_empty() && !path.is_empty()).then_some(path)
    })
}

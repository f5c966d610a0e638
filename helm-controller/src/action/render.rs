//! Charts to releases that are not recorded yet.

use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use sluice_gotemplate::Limits;
use sluice_helm::chart::missing_dependencies;
use sluice_helm::manifest::{Customization, PostRenderStrategy};
use sluice_helm::release::{ApplyMethod, RecordedChart, RecordedHook, Release};
use sluice_helm::render::TemplateCache;
use sluice_helm::template::{TemplateOptions, check_installable, render_chart_cached};
use sluice_helm::{Capabilities, Values};
use sluice_releases::{Lookups, Schemas};
use sluice_runtime::apply::Cluster;
use tokio::sync::Semaphore;

use super::schemas::Known;
use super::{Error, Method, Session};

/// A chart that can be rendered.
pub(crate) type Chart = Arc<sluice_helm::Chart>;

/// How charts are rendered.
#[derive(Clone)]
pub(crate) struct RenderOptions {
    /// Name of the release.
    pub(crate) name: String,
    /// Namespace of the release.
    pub(crate) namespace: String,
    /// Whether values are not checked against the chart's schema.
    pub(crate) skip_schema: bool,
    /// Where schemas on the web come from.
    pub(crate) schemas: Arc<Schemas>,
    /// Whether templates may ask for addresses of hosts.
    pub(crate) dns: bool,
    /// Changes to what was rendered.
    pub(crate) customization: Customization,
    /// What the changes see.
    pub(crate) strategy: PostRenderStrategy,
    /// Parsed templates.
    pub(crate) cache: Arc<TemplateCache>,
}

/// Which revision is rendered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turnover {
    /// The revision.
    pub(crate) revision: i64,
    /// Whether there is one before.
    pub(crate) is_upgrade: bool,
}

/// Places for charts that are rendered at the same time. More than cores are for those whose templates ask the server;
/// beyond that nothing gets faster, and each takes memory.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(2 + available_parallelism().map_or(1, usize::from)));

/// Renders a chart. What comes back has neither state nor times.
pub(crate) async fn render(
    session: &Session<'_>,
    cluster: &Arc<Cluster>,
    capabilities: Arc<Capabilities>,
    chart: sluice_helm::Chart,
    values: Values,
    options: RenderOptions,
    turnover: Turnover,
) -> Result<Release, Error> {
    let schemas = options.schemas.clone();
    let mut known = Arc::new(Known::default());
    let mut work = Work { capabilities, chart, values, options, turnover };
    loop {
        // Schemas on the web are asked for where nothing is held up: what needs one breaks off, and begins again with it.
        let again = work.may_need_schemas().then(|| work.clone());
        let host = Lookups::new(cluster.clone(), session.client.clone(), work.options.dns);
        let with = known.clone();
        let rendered = {
            // Never closed.
            let _place = PLACES.acquire().await;
            tokio::task::spawn_blocking(move || work.render(host, with)).await.unwrap_or_else(|error| {
                Err(Error::Render(format!("rendering ended in a bug of Sluice: {error}")))
            })
        };
        let missing = known.missing();
        match again {
            Some(again) if !missing.is_empty() => work = again,
            _ => return rendered,
        }
        let next = known.with(&schemas, missing);
        known = session.idle(Box::pin(async { Ok(Arc::new(next.await)) })).await?;
    }
}

/// What is rendered.
#[derive(Clone)]
struct Work {
    capabilities: Arc<Capabilities>,
    chart: sluice_helm::Chart,
    values: Values,
    options: RenderOptions,
    turnover: Turnover,
}

impl Work {
    fn may_need_schemas(&self) -> bool {
        fn has_schema(chart: &sluice_helm::Chart) -> bool {
            chart.schema.is_some() || chart.subcharts.iter().any(has_schema)
        }
        !self.options.skip_schema && has_schema(&self.chart)
    }

    fn render(self, mut host: Lookups, known: Arc<Known>) -> Result<Release, Error> {
        let Self { capabilities, mut chart, values, options, turnover: Turnover { revision, is_upgrade } } =
            self;
        let failed = |error: &dyn std::fmt::Display| Error::Render(error.to_string());
        check_installable(&chart).map_err(|error| failed(&error))?;
        missing_dependencies(&chart).map_err(|error| failed(&error))?;
        let template = TemplateOptions {
            release_name: options.name.clone(),
            namespace: options.namespace.clone(),
            revision,
            is_upgrade,
            capabilities: Capabilities::clone(&capabilities),
            skip_schema_validation: options.skip_schema,
            schemas: known,
            post_render_strategy: options.strategy,
            limits: Limits::default(),
            ..TemplateOptions::default()
        };
        let mut customization = options.customization;
        let rendered = render_chart_cached(
            &mut chart,
            &values,
            &template,
            &mut host,
            Some(&mut customization),
            Some(&options.cache),
        )
        .map_err(|error| failed(&error))?;
        let manifest = rendered.manifest();
        let mut release = Release {
            name: options.name,
            chart: RecordedChart::from(&chart),
            config: values,
            manifest,
            hooks: rendered.sorted.hooks.into_iter().map(RecordedHook::from).collect(),
            version: revision,
            namespace: options.namespace,
            ..Release::default()
        };
        release.info.notes = rendered.notes;
        Ok(release)
    }
}

/// How the objects of a recorded release were written.
pub(crate) fn method_of(release: &Release) -> Method {
    match release.apply_method {
        Some(ApplyMethod::ServerSide) => Method::Server,
        Some(ApplyMethod::ClientSide) | None => Method::Client,
    }
}

/// The word of a record for a method.
pub(crate) fn recorded(method: Method) -> ApplyMethod {
    match method {
        Method::Server => ApplyMethod::ServerSide,
        Method::Client => ApplyMethod::ClientSide,
    }
}

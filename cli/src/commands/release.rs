//! A HelmRelease rendered from a chart of this machine: what `build` and `diff` have in common.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;
use sluice_api::helm::{CrdsPolicy, GROUP, HelmRelease, ValuesReference};
use sluice_gotemplate::{Host, SystemHost};
use sluice_helm::chart::{load, missing_dependencies};
use sluice_helm::manifest::PostRenderStrategy;
use sluice_helm::template::{RenderedChart, check_installable, render_chart};
use sluice_helm::values::{merge_maps, read_values};
use sluice_helm::{Capabilities, Chart, KubeVersion, TemplateError, TemplateOptions, Values};
use sluice_releases::{
    CapabilitiesCache, ClusterReferences, Found, GivenReferences, Lookups, NAME_LABEL, Redaction, References,
    compose, customization, release_name, strategy,
};
use sluice_runtime::apply::Cluster;

use crate::app::App;
use crate::documents;
use crate::kinds::HELM_RELEASE;
use crate::schemas::Web;

/// Which HelmRelease, and which chart.
#[derive(Args)]
pub(crate) struct ReleaseArgs {
    /// The HelmRelease.
    pub(crate) name: String,
    /// Folder or archive of the chart that stands for the one that the HelmRelease names.
    #[arg(long, value_name = "CHART")]
    chart: PathBuf,
    /// A file with the HelmRelease, and with ConfigMaps and Secrets that it takes values from; what is not there is looked
    /// for in the cluster.
    #[arg(long, value_name = "FILE")]
    pub(crate) helmrelease_file: Option<PathBuf>,
}

/// What is told of a cluster that is not asked.
#[derive(Args)]
pub(crate) struct OfflineArgs {
    /// Ask no cluster for anything; needs --helmrelease-file, and `lookup` finds nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: the version of Kubernetes that the chart is told.
    #[arg(long, value_name = "VERSION", requires = "dry_run")]
    kube_version: Option<String>,
    /// With --dry-run: APIs that the chart may find: group/version or group/version/Kind.
    #[arg(short, long, value_delimiter = ',', action = clap::ArgAction::Append, requires = "dry_run")]
    api_versions: Vec<String>,
}

/// Where the HelmRelease and what it refers to are looked for.
pub(crate) enum Lookup {
    /// In the file alone, with what templates are told of a cluster.
    File(Box<Capabilities>),
    /// In the file, then in the cluster. `new`: whether the HelmRelease may be in the file alone.
    Cluster { new: bool },
}

impl OfflineArgs {
    pub(crate) fn lookup(&self) -> Result<Lookup> {
        if !self.dry_run {
            return Ok(Lookup::Cluster { new: true });
        }
        let mut capabilities = Capabilities::default();
        if let Some(version) = &self.kube_version {
            capabilities.kube_version = KubeVersion::parse(version)
                .map_err(|error| anyhow!("invalid kube version '{version}': {error}"))?;
        }
        capabilities.api_versions.extend(self.api_versions.iter().cloned());
        Ok(Lookup::File(Box::new(capabilities)))
    }
}

/// A release as it would be.
pub(crate) struct Built {
    /// The HelmRelease, with the status that it has in the cluster.
    pub(crate) object: HelmRelease,
    /// The name of the release.
    pub(crate) name: String,
    /// The chart, its dependencies processed.
    pub(crate) chart: Chart,
    pub(crate) options: TemplateOptions,
    pub(crate) rendered: RenderedChart,
}

impl Built {
    /// What becomes of the definitions of the chart.
    pub(crate) fn crds(&self) -> CrdsPolicy {
        let spec = &self.object.spec;
        let policy = if self.options.is_upgrade {
            spec.upgrade.as_ref().and_then(|upgrade| upgrade.crds)
        } else {
            spec.install.as_ref().and_then(|install| install.crds)
        };
        policy.unwrap_or_default()
    }
}

/// Renders a HelmRelease.
pub(crate) async fn built(app: &App, args: &ReleaseArgs, lookup: Lookup) -> Result<Built> {
    let given = match &args.helmrelease_file {
        None => Vec::new(),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            documents::read_all(&text).with_context(|| file.display().to_string())?
        }
    };
    let mut object = find(app, args, &given, &lookup).await?;
    object.metadata.namespace.get_or_insert(app.namespace()?);
    let given = GivenReferences(given);
    let mut redaction = Redaction::default();
    let (values, capabilities, host) = match lookup {
        Lookup::File(capabilities) => {
            let values = compose(&given, &object, &mut redaction).await;
            let host: Box<dyn Host + Send> = Box::new(SystemHost);
            (values.map_err(|error| anyhow!(error))?, *capabilities, host)
        }
        Lookup::Cluster { .. } => {
            let client = app.cluster().await?.client.clone();
            let cluster = Arc::new(Cluster::new(client.clone(), NAME_LABEL));
            let references = Layered(given, ClusterReferences(client.clone()));
            let work = async {
                let values = compose(&references, &object, &mut redaction).await;
                let capabilities = CapabilitiesCache::default().get(&cluster).await;
                Ok((values.map_err(|error| anyhow!(error))?, capabilities.map_err(|error| anyhow!(error))?))
            };
            let (values, capabilities) = app.bounded("reading values", work).await?;
            let host: Box<dyn Host + Send> = Box::new(Lookups::new(cluster, client, false));
            (values, Capabilities::clone(&capabilities), host)
        }
    };
    let path = args.chart.clone();
    tokio::task::spawn_blocking(move || render(object, &path, values, capabilities, host)).await?
}

fn render(
    object: HelmRelease,
    path: &Path,
    values: Values,
    capabilities: Capabilities,
    mut host: Box<dyn Host + Send>,
) -> Result<Built> {
    if !path.exists() {
        bail!("invalid chart path {:?}", path.display().to_string());
    }
    let mut chart = load(path)?;
    check_installable(&chart)?;
    missing_dependencies(&chart).map_err(TemplateError::MissingDependencies)?;
    choose_values(&object, path, &mut chart)?;
    let newest = object.status.as_ref().and_then(|status| status.history.first());
    let spec = &object.spec;
    let skip_schema_validation = if newest.is_some() {
        spec.upgrade.as_ref().is_some_and(|upgrade| upgrade.disable_schema_validation)
    } else {
        spec.install.as_ref().is_some_and(|install| install.disable_schema_validation)
    };
    let name = release_name(&object);
    let options = TemplateOptions {
        release_name: name.clone(),
        namespace: object.release_namespace().to_owned(),
        revision: newest.map_or(1, |newest| newest.version + 1),
        is_upgrade: newest.is_some(),
        capabilities,
        skip_schema_validation,
        schemas: Arc::new(Web::default()),
        post_render_strategy: strategy(&object, PostRenderStrategy::Combined),
        ..TemplateOptions::default()
    };
    let mut changes = customization(&object);
    let rendered = render_chart(&mut chart, &values, &options, &mut *host, Some(&mut changes))?;
    Ok(Built { object, name, chart, options, rendered })
}

/// Puts the values files that the HelmRelease names in the place of the chart's own, as the source-controller does.
fn choose_values(object: &HelmRelease, path: &Path, chart: &mut Chart) -> Result<()> {
    let Some(template) = &object.spec.chart else { return Ok(()) };
    let spec = &template.spec;
    let old = Some(&spec.values_file).filter(|file| !file.is_empty());
    let mut merged: Option<Values> = None;
    for file in old.into_iter().chain(&spec.values_files) {
        let Some(bytes) = values_file(path, &spec.chart, file, chart)? else {
            if spec.ignore_missing_values_files {
                continue;
            }
            bail!("the chart has no values file {file:?}");
        };
        let values = read_values(&bytes).with_context(|| file.clone())?;
        merge_maps(merged.get_or_insert_default(), values);
    }
    if merged.is_some() {
        chart.values = merged.map(Arc::new);
    }
    Ok(())
}

/// A file of the chart or, where the chart is in a tree as the HelmRelease says, of that tree.
fn values_file(path: &Path, chart_path: &str, file: &str, chart: &Chart) -> Result<Option<Vec<u8>>> {
    let relative = Path::new(file);
    if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        bail!("values file {file:?} leads out of the source");
    }
    let within = file.trim_start_matches("./");
    if let Some(found) = chart.raw.iter().find(|known| &*known.name == within) {
        return Ok(Some(found.data.to_vec()));
    }
    let full = path.canonicalize().with_context(|| path.display().to_string())?;
    let below: PathBuf =
        Path::new(chart_path).components().filter(|part| *part != Component::CurDir).collect();
    if !full.ends_with(&below) {
        return Ok(None);
    }
    let Some(root) = full.ancestors().nth(below.components().count()) else { return Ok(None) };
    match std::fs::read(root.join(relative)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| file.to_owned()),
    }
}

/// ConfigMaps and Secrets of a file, then those of a cluster.
struct Layered(GivenReferences, ClusterReferences);

impl References for Layered {
    async fn read(&self, namespace: &str, reference: &ValuesReference) -> Result<Found, String> {
        match self.0.read(namespace, reference).await? {
            Ok(data) => Ok(Ok(data)),
            Err(_) => self.1.read(namespace, reference).await,
        }
    }
}

async fn find(app: &App, args: &ReleaseArgs, given: &[Value], lookup: &Lookup) -> Result<HelmRelease> {
    let namespace = app.namespace()?;
    let is_it = |document: &&Value| {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        text("/apiVersion").split('/').next() == Some(GROUP)
            && text("/kind") == "HelmRelease"
            && text("/metadata/name") == args.name
            && ["", &*namespace].contains(&text("/metadata/namespace"))
    };
    let file = args.helmrelease_file.as_ref().map(|file| file.display().to_string());
    let given = match &file {
        None => None,
        Some(file) => {
            let found = given.iter().find(is_it).with_context(|| {
                format!("there is no HelmRelease '{}' of namespace '{namespace}' in file '{file}'", args.name)
            })?;
            Some(serde_json::from_value::<HelmRelease>(found.clone()).with_context(|| file.clone())?)
        }
    };
    let Lookup::Cluster { new } = lookup else {
        return given.context("--dry-run needs --helmrelease-file");
    };
    let cluster = app.cluster().await?;
    let asked =
        app.bounded("asking for the object", cluster.find(&HELM_RELEASE, &namespace, &args.name)).await;
    let live = asked.context("failed to get the HelmRelease")?;
    let live = live.map(|object| serde_json::from_value::<HelmRelease>(object.0)).transpose()?;
    match (given, live) {
        (Some(mut given), Some(live)) => {
            given.status = live.status;
            Ok(given)
        }
        (Some(given), None) if *new => Ok(given),
        (None, Some(live)) => Ok(live),
        (_, None) => bail!("helmreleases.{GROUP} {:?} not found in namespace {namespace:?}", args.name),
    }
}

//! `create helmrelease`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use sluice_helm::values::{merge_maps, read_values};

use super::Common;
use super::draft::{Draft, Spec, Words, dependency, reference};
use crate::app::App;
use crate::arguments;
use crate::failure::misuse;
use crate::kinds::HELM_RELEASE;

/// Flags of `create helmrelease`.
#[derive(Args)]
pub(super) struct HelmReleaseArgs {
    /// The name of the HelmRelease.
    name: Option<String>,
    /// Where the chart is: Kind/name or Kind/name.namespace (HelmRepository, GitRepository, Bucket).
    #[arg(long)]
    source: Option<String>,
    /// The chart's name or path in the source.
    #[arg(long)]
    chart: Option<String>,
    /// The chart's version or a range.
    #[arg(long)]
    chart_version: Option<String>,
    /// How often to look for a new chart.
    #[arg(long, value_parser = arguments::duration)]
    chart_interval: Option<Duration>,
    /// What makes a new chart: ChartVersion or Revision.
    #[arg(long, default_value = "ChartVersion", value_parser = super::STRATEGIES)]
    reconcile_strategy: String,
    /// In place of --source: OCIRepository/name or HelmChart/name, perhaps with .namespace.
    #[arg(long)]
    chart_ref: Option<String>,
    /// The name of the release.
    #[arg(long)]
    release_name: Option<String>,
    /// The namespace that the release is installed into.
    #[arg(long)]
    target_namespace: Option<String>,
    /// The namespace of the release's records.
    #[arg(long)]
    storage_namespace: Option<String>,
    /// Create the target namespace.
    #[arg(long)]
    create_target_namespace: bool,
    /// A HelmRelease that must be ready before: name or namespace/name; may be repeated.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    depends_on: Vec<String>,
    /// The service account to work as.
    #[arg(long)]
    service_account: Option<String>,
    /// Files with values.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    values: Vec<String>,
    /// Values from the cluster: Secret/name or ConfigMap/name; may be repeated.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    values_from: Vec<String>,
    /// What an upgrade does with CRDs: Skip, Create or CreateReplace.
    #[arg(long)]
    crds: Option<String>,
    /// The Secret with the kubeconfig of another cluster.
    #[arg(long)]
    kubeconfig_secret_ref: Option<String>,
}

const POLICIES: [&str; 3] = ["Skip", "Create", "CreateReplace"];

pub(super) async fn run(app: &App, common: &Common, args: &HelmReleaseArgs) -> Result<()> {
    let spec = spec(common, args, &mut |file| {
        std::fs::read(file).with_context(|| format!("reading values from {file} failed"))
    })?;
    let draft = Draft::new(&HELM_RELEASE, args.name.as_ref(), Words::Ready, spec)?;
    draft.finish(app, common).await.map(drop)
}

fn spec(
    common: &Common,
    args: &HelmReleaseArgs,
    read: &mut dyn FnMut(&str) -> Result<Vec<u8>>,
) -> Result<Spec> {
    let mut spec = Spec::default();
    match (&args.chart_ref, &args.source, &args.chart) {
        (Some(chart), None, None) => {
            spec.set("chartRef", reference(chart, None, &["OCIRepository", "HelmChart"])?.field());
        }
        (None, Some(source), Some(chart)) => {
            let source = reference(source, None, &["HelmRepository", "GitRepository", "Bucket"])?;
            spec.set("chart.spec.chart", chart.as_str())
                .text("chart.spec.version", args.chart_version.as_ref());
            spec.set("chart.spec.sourceRef", source.field());
            spec.set("chart.spec.reconcileStrategy", args.reconcile_strategy.as_str());
            spec.duration("chart.spec.interval", args.chart_interval);
        }
        (Some(_), _, _) => bail!("chart-ref cannot go with source or chart"),
        (None, _, None) => return Err(misuse("chart or chart-ref is required")),
        (None, None, _) => return Err(misuse("source or chart-ref is required")),
    }
    spec.duration("interval", Some(common.interval)).text("releaseName", args.release_name.as_ref());
    spec.text("targetNamespace", args.target_namespace.as_ref());
    spec.text("storageNamespace", args.storage_namespace.as_ref());
    spec.list("dependsOn", args.depends_on.iter().map(dependency).collect());
    spec.text("serviceAccountName", args.service_account.as_ref());
    spec.text("kubeConfig.secretRef.name", args.kubeconfig_secret_ref.as_ref());
    spec.switch("install.createNamespace", args.create_target_namespace);
    if let Some(crds) = &args.crds {
        if !POLICIES.contains(&crds.as_str()) {
            bail!("unsupported CRDs policy {crds:?}, must be one of: {}", POLICIES.join(", "));
        }
        // What is not there yet is made in any case.
        spec.set("install.crds", "Create").set("upgrade.crds", crds.as_str());
    }
    let mut values = Map::new();
    for file in &args.values {
        merge_maps(
            &mut values,
            read_values(&read(file)?).with_context(|| format!("reading values from {file} failed"))?,
        );
    }
    if !values.is_empty() {
        spec.set("values", Value::Object(values));
    }
    let from = args.values_from.iter().map(|text| {
        let found = reference(text, None, &["Secret", "ConfigMap"])?;
        Ok(json!({"kind": found.kind, "name": found.name}))
    });
    spec.list("valuesFrom", from.collect::<Result<Vec<_>>>()?);
    Ok(spec)
}

//! `helm`: the chart engine's door, with the flags, texts and codes of helm.

mod lint;
mod package;
mod pull;
mod template;
mod values;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use sluice_helm::KubeVersion;
use sluice_helm::chart::load;
use sluice_helm::show::{Part, show};

use crate::app::App;
use crate::failure::Exit;

/// What follows `helm`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct HelmArgs {
    #[command(subcommand)]
    command: HelmCommand,
}

#[derive(Subcommand)]
enum HelmCommand {
    /// Render a chart and print the manifests.
    Template(Box<template::TemplateArgs>),
    /// Look for mistakes in charts.
    Lint(lint::LintArgs),
    /// Pack charts into archives.
    Package(package::PackageArgs),
    /// Fetch a chart from a repository or a registry.
    #[command(alias = "fetch", arg_required_else_help = true)]
    Pull(pull::PullArgs),
    /// Print a part of a chart.
    #[command(alias = "inspect", arg_required_else_help = true)]
    Show {
        #[command(subcommand)]
        part: ShowPart,
    },
}

#[derive(Subcommand)]
enum ShowPart {
    /// Everything.
    All(ShowArgs),
    /// Chart.yaml.
    Chart(ShowArgs),
    /// The CRDs.
    #[command(alias = "crd")]
    Crds(ShowArgs),
    /// The readme.
    Readme(ShowArgs),
    /// values.yaml.
    Values(ShowArgs),
}

#[derive(Args)]
struct ShowArgs {
    /// Folder or archive of the chart.
    chart: PathBuf,
}

impl HelmArgs {
    /// Whether it is work on this machine alone.
    pub(crate) fn is_local(&self) -> bool {
        !matches!(self.command, HelmCommand::Pull(_))
    }

    /// How many `--set` and `--values` were read.
    #[cfg(test)]
    pub(crate) fn given(&self) -> (usize, usize) {
        match &self.command {
            HelmCommand::Template(args) => (args.values.set.len(), args.values.values.len()),
            _ => (0, 0),
        }
    }
}

pub(crate) async fn run(app: &App, args: HelmArgs) -> Result<()> {
    let result = match args.command {
        HelmCommand::Template(args) => template::run(app, *args),
        HelmCommand::Lint(args) => lint::run(app, &args),
        HelmCommand::Package(args) => package::run(app, &args),
        HelmCommand::Pull(args) => pull::run(app, &args).await,
        HelmCommand::Show { part } => show_part(app, &part),
    };
    result.map_err(Exit::as_tool)
}

/// The namespace of releases: as told, and not what a kubeconfig of this machine says.
fn namespace(app: &App) -> String {
    let named = app.globals.namespace.clone().or_else(|| std::env::var("HELM_NAMESPACE").ok());
    named.filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| "default".into())
}

/// A chart on this machine.
fn found(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        return Ok(path.to_owned());
    }
    let text = path.display().to_string();
    if text.contains("://") {
        bail!("{text} is an address: fetch the chart first, charts are read from this machine only");
    }
    bail!("path {text:?} not found")
}

fn show_part(app: &App, part: &ShowPart) -> Result<()> {
    let (part, args) = match part {
        ShowPart::All(args) => (Part::All, args),
        ShowPart::Chart(args) => (Part::Chart, args),
        ShowPart::Crds(args) => (Part::Crds, args),
        ShowPart::Readme(args) => (Part::Readme, args),
        ShowPart::Values(args) => (Part::Values, args),
    };
    let chart = load(&found(&args.chart)?)?;
    app.output.data(show(&chart, part))
}

/// A version of Kubernetes as a flag has it.
fn kube_version(text: &str) -> Result<KubeVersion> {
    KubeVersion::parse(text).map_err(|error| anyhow!("invalid kube version '{text}': {error}"))
}

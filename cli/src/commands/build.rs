//! `build`: what a Kustomization or a HelmRelease would apply, printed, with the libraries of the controllers.

use anyhow::Result;
use clap::{Args, Subcommand};
use sluice_api::helm::CrdsPolicy;

use super::artifact;
use super::local::{self, LocalArgs, Lookup};
use super::release::{self, OfflineArgs, ReleaseArgs};
use crate::app::App;
use crate::documents;

/// What follows `build`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct BuildArgs {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// Print what a Kustomization applies when its path is a local directory.
    #[command(visible_alias = "ks")]
    Kustomization {
        #[command(flatten)]
        local: LocalArgs,
        /// Ask no cluster for anything; needs --kustomization-file, and variables of Secrets and ConfigMaps are not read.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what a HelmRelease makes of a chart on this machine.
    #[command(visible_alias = "hr")]
    Helmrelease {
        #[command(flatten)]
        release: ReleaseArgs,
        #[command(flatten)]
        offline: OfflineArgs,
    },
    #[command(flatten)]
    Pushable(artifact::build::BuildTarget),
}

pub(crate) async fn run(app: &App, args: BuildArgs) -> Result<()> {
    let (local, dry_run) = match args.subject {
        Subject::Kustomization { local, dry_run } => (local, dry_run),
        Subject::Helmrelease { release, offline } => return build_release(app, &release, &offline).await,
        Subject::Pushable(target) => return artifact::build::run(app, target),
    };
    let lookup = if dry_run { Lookup::File } else { Lookup::Cluster };
    let all = local::built(app, &local, lookup).await?;
    let mut text = String::new();
    for object in all.into_iter().flat_map(|local| local.built.objects) {
        text.push_str(&documents::yaml(&object.into_value())?);
        text.push_str("---\n");
    }
    app.output.data(text)
}

/// Definitions, objects and hooks in the order in which they come into being, as `helm template` prints them.
async fn build_release(app: &App, args: &ReleaseArgs, offline: &OfflineArgs) -> Result<()> {
    let mut built = release::built(app, args, offline.lookup()?).await?;
    for warning in &built.rendered.warnings {
        app.output.say(&format!("warning: {warning}"));
    }
    if built.crds() != CrdsPolicy::Skip {
        let crds = built.chart.crds();
        built.rendered.crds = crds.iter().map(|(name, file)| (name, file.clone())).collect();
    }
    built.rendered.print(&built.options, &mut |part| app.output.data(part))
}

//! `build`: what a Kustomization would apply, printed, with the library of the controller.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::artifact;
use super::local::{self, LocalArgs, Lookup};
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
    #[command(flatten)]
    Pushable(artifact::build::BuildTarget),
}

pub(crate) async fn run(app: &App, args: BuildArgs) -> Result<()> {
    let (local, dry_run) = match args.subject {
        Subject::Kustomization { local, dry_run } => (local, dry_run),
        Subject::Pushable(target) => return artifact::build::run(app, target),
    };
    let lookup = if dry_run { Lookup::File } else { Lookup::Cluster };
    let (_, built) = local::built(app, &local, lookup).await?;
    let mut text = String::new();
    for object in built.objects {
        text.push_str(&documents::yaml(&object.into_value())?);
        text.push_str("---\n");
    }
    app.output.data(text)
}

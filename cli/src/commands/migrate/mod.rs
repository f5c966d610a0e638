//! `migrate`: objects in the cluster, or manifests in files, to the versions that are stored now; from Flux, and back.

mod cluster;
mod files;
mod flux;
mod saved;
mod taken_over;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::app::App;

/// Without --file the objects of the cluster are migrated.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct MigrateArgs {
    #[command(subcommand)]
    target: Option<Target>,
    /// A file or directory with manifests to change in place.
    #[arg(short, long, visible_alias = "path", value_name = "PATH")]
    file: Option<PathBuf>,
    /// With --file: the version of Flux whose API versions are written (2.6 to 2.9).
    #[arg(short, long, default_value = "2.9", requires = "file")]
    version: String,
    /// With --file: the endings of the files that are read.
    #[arg(short, long, value_delimiter = ',', default_value = ".yaml,.yml", requires = "file")]
    extensions: Vec<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// Only tell what would be changed.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Subcommand)]
enum Target {
    /// Put Sluice in the place of Flux in the cluster, or Flux in that of Sluice again; what they applied stays.
    Flux(Box<flux::FluxArgs>),
}

pub(crate) async fn run(app: &App, args: MigrateArgs) -> Result<()> {
    if let Some(Target::Flux(args)) = &args.target {
        return Box::pin(flux::run(app, args)).await;
    }
    match &args.file {
        Some(path) => files::run(app, path, &args),
        None => cluster::run(app, args.dry_run).await,
    }
}

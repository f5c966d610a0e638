//! `migrate`: objects in the cluster, or manifests in files, to the versions that are stored now.

mod cluster;
mod files;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::app::App;

/// Without --file the objects of the cluster are migrated.
#[derive(Args)]
pub(crate) struct MigrateArgs {
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

pub(crate) async fn run(app: &App, args: MigrateArgs) -> Result<()> {
    match &args.file {
        Some(path) => files::run(app, path, &args),
        None => cluster::run(app, args.dry_run).await,
    }
}

//! `helm package`: charts packed into archives.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use jiff::Timestamp;
use sluice_helm::chart::{load, missing_dependencies};
use sluice_helm::package::package;

use super::found;
use crate::app::App;

/// Flags of `helm package`.
#[derive(Args)]
pub(super) struct PackageArgs {
    /// Folders of charts.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Where to put the archives.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    destination: PathBuf,
    /// The version to give to the chart.
    #[arg(long)]
    version: Option<String>,
    /// The version of the software to give to the chart.
    #[arg(long)]
    app_version: Option<String>,
}

pub(super) fn run(app: &App, args: &PackageArgs) -> Result<()> {
    for path in &args.paths {
        let mut chart = load(&found(path)?)?;
        if let Some(version) = &args.version {
            chart.metadata.version.clone_from(version);
        }
        if let Some(version) = &args.app_version {
            chart.metadata.app_version.clone_from(version);
        }
        missing_dependencies(&chart)?;
        let packed = package(&chart, Some(Timestamp::now()))?;
        std::fs::create_dir_all(&args.destination)
            .with_context(|| format!("cannot create {}", args.destination.display()))?;
        // As helm does, the working directory is named in full.
        let here = args.destination == Path::new(".");
        let folder = if here { std::env::current_dir()? } else { args.destination.clone() };
        let target = folder.join(&packed.file_name);
        std::fs::write(&target, &packed.bytes)
            .with_context(|| format!("cannot write {}", target.display()))?;
        app.output.data(format!("Successfully packaged chart and saved it to: {}\n", target.display()))?;
    }
    Ok(())
}

//! `build artifact`: the archive of a folder, as `push artifact` would push it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::tree::TreeArgs;
use crate::app::App;

/// What can be built.
#[derive(Subcommand)]
pub(crate) enum BuildTarget {
    /// Write the archive of a folder or a file.
    Artifact(BuildArgs),
}

/// Flags of `build artifact`.
#[derive(Args)]
pub(crate) struct BuildArgs {
    /// The folder or file, or - for stdin.
    #[arg(short, long)]
    path: String,
    /// The file to write.
    #[arg(short, long, default_value = "artifact.tgz")]
    output: String,
    #[command(flatten)]
    tree: TreeArgs,
}

pub(crate) fn run(app: &App, target: BuildTarget) -> Result<()> {
    let BuildTarget::Artifact(args) = target;
    app.output.action(&format!("building artifact from {}", args.path));
    let archive = args.tree.archive(&args.path)?;
    fs::copy(archive.path(), &args.output).with_context(|| format!("cannot write {}", args.output))?;
    fs::set_permissions(&args.output, fs::Permissions::from_mode(0o640))?;
    app.output.success(&format!("artifact created at {}", args.output));
    Ok(())
}

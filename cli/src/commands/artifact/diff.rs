//! `diff artifact`: whether a folder is what was pushed.

use std::fs::File;
use std::io::BufReader;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use sluice_artifact::extract::{Options, extract};

use super::pull::unpack;
use super::registry::{InsecureArgs, RegistryArgs, parse};
use super::tree::{TreeArgs, contents};
use crate::app::App;

/// What can be compared.
#[derive(Subcommand)]
pub(crate) enum DiffTarget {
    /// Compare a folder with an artifact.
    Artifact(DiffArgs),
}

/// Flags of `diff artifact`.
#[derive(Args)]
pub(crate) struct DiffArgs {
    /// The artifact, as oci://host/repository:tag.
    url: String,
    /// The folder or file.
    #[arg(long)]
    path: String,
    #[command(flatten)]
    tree: TreeArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(app: &App, target: DiffTarget) -> Result<()> {
    let DiffTarget::Artifact(args) = target;
    let reference = parse(&args.url)?;
    let client = args.registry.client(app, &reference, args.insecure.insecure_registry).await?;
    let archive = args.tree.archive(&args.path)?;
    let bytes = std::fs::read(archive.path())?;
    let work = async {
        let (_, manifest) = client.manifest(&reference).await?;
        if manifest.layers.first().is_some_and(|layer| layer.digest == sluice_oci::digest(&bytes)) {
            return Ok(Vec::new());
        }
        // Another compressor makes other bytes of the same content.
        let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let local = BufReader::new(File::open(archive.path())?);
        extract(local, here.path(), &Options::artifact()).context("cannot unpack the local archive")?;
        unpack(&client, &reference, &manifest, there.path()).await?;
        let (here, there) = (contents(here.path())?, contents(there.path())?);
        let changed = |path: &&std::path::PathBuf| here.get(*path) != there.get(*path);
        let mut paths: Vec<_> = here.keys().chain(there.keys()).filter(changed).cloned().collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    };
    let paths = app.bounded("comparing with the artifact", work).await?;
    if paths.is_empty() {
        app.output.success("no changes detected");
        return Ok(());
    }
    for path in paths {
        app.output.data(format!("{}\n", path.display()))?;
    }
    bail!("the remote artifact contents differs from the local one")
}

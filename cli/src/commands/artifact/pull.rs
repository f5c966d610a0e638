//! `pull artifact`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use sluice_artifact::extract::{Options, extract};
use sluice_oci::{Client, Manifest, Reference};

use super::registry::{InsecureArgs, RegistryArgs, parse};
use super::{REVISION, SOURCE};
use crate::app::App;

/// What can be pulled.
#[derive(Subcommand)]
pub(crate) enum PullTarget {
    /// Pull an artifact and unpack it into a folder.
    Artifact(PullArgs),
}

/// Flags of `pull artifact`.
#[derive(Args)]
pub(crate) struct PullArgs {
    /// The artifact, as oci://host/repository:tag.
    url: String,
    /// The folder for its content, which must exist.
    #[arg(short, long)]
    output: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(app: &App, target: PullTarget) -> Result<()> {
    let PullTarget::Artifact(args) = target;
    if !args.output.is_dir() {
        bail!("invalid output path {:?}: it is no folder", args.output.display().to_string());
    }
    let reference = parse(&args.url)?;
    app.output.action(&format!("pulling artifact from {}", args.url.trim_start_matches("oci://")));
    let client = args.registry.client(app, &reference, args.insecure.insecure_registry).await?;
    let work = async {
        let (digest, manifest) = client.manifest(&reference).await?;
        unpack(&client, &reference, &manifest, &args.output).await?;
        Ok((digest, manifest))
    };
    let (digest, manifest) = app.bounded("pulling the artifact", work).await?;
    for (name, key) in [("source", SOURCE), ("revision", REVISION)] {
        if let Some(value) = manifest.annotations.get(key) {
            app.output.success(&format!("{name} {value}"));
        }
    }
    app.output.success(&format!("digest {}@{digest}", reference.context()));
    app.output.success(&format!("artifact content extracted to {}", args.output.display()));
    Ok(())
}

/// Unpacks the first layer, whose digest is checked before anything is.
pub(crate) async fn unpack(
    client: &Client,
    reference: &Reference,
    manifest: &Manifest,
    target: &Path,
) -> Result<()> {
    let Some(layer) = manifest.layers.first() else { bail!("the artifact has no content") };
    let file = tempfile::NamedTempFile::new()?;
    let writer = tokio::fs::File::from_std(file.reopen()?);
    client.blob(&reference.repository, layer, writer).await?;
    let mut magic = [0; 2];
    let gzip = File::open(file.path())?.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    if !gzip {
        bail!("the content is of the type {}, which is no tar.gz", layer.media_type);
    }
    let archive = std::io::BufReader::new(File::open(file.path())?);
    extract(archive, target, &Options::artifact()).context("cannot unpack the content")?;
    Ok(())
}

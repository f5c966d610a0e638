//! `push artifact`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use sluice_oci::{Client, MANIFEST_MEDIA_TYPE, Manifest, Reference, Upload};

use super::registry::{InsecureArgs, RegistryArgs, parse};
use super::tree::{TreeArgs, plain_digest};
use super::{CONFIG, CONTENT, CREATED, REVISION, SOURCE};
use crate::app::App;
use crate::documents::Format;

/// What can be pushed.
#[derive(Subcommand)]
pub(crate) enum PushTarget {
    /// Push a folder or a file as an artifact.
    Artifact(PushArgs),
}

/// Flags of `push artifact`.
#[derive(Args)]
pub(crate) struct PushArgs {
    /// The artifact, as oci://host/repository:tag.
    url: String,
    /// The folder or file, or - for stdin.
    #[arg(short = 'f', long)]
    path: String,
    /// Where the content comes from, such as the URL of a Git repository.
    #[arg(long)]
    source: String,
    /// What version it is, as <branch|tag>@sha1:<commit>.
    #[arg(long)]
    revision: String,
    /// Further annotations.
    #[arg(short, long, value_name = "KEY=VALUE")]
    annotations: Vec<String>,
    /// Say that it was made at the epoch, so that equal content is an equal artifact.
    #[arg(long)]
    reproducible: bool,
    /// Print what was pushed as JSON or YAML.
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Accepted for compatibility.
    #[arg(long, hide = true)]
    debug: bool,
    #[command(flatten)]
    tree: TreeArgs,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(app: &App, target: PushTarget) -> Result<()> {
    let PushTarget::Artifact(args) = target;
    let reference = parse(&args.url)?;
    let Some(tag) = reference.tag.clone() else { bail!("{} has no tag", args.url) };
    let annotations = args.annotations()?;
    let archive = args.tree.archive(&args.path)?;
    if args.output.is_none() {
        app.output.action(&format!("pushing artifact to {}", args.url.trim_start_matches("oci://")));
    }
    let client = args.registry.client(app, &reference, args.insecure.insecure_registry).await?;
    let pushing = upload(&client, &reference, archive.path(), &annotations);
    let digest = app.bounded("pushing the artifact", pushing).await?;
    let at = format!("{}@{digest}", reference.context());
    match args.output {
        None => app.output.success(&format!("artifact successfully pushed to {at}")),
        Some(format) => {
            let told = json!({
                "url": format!("oci://{at}"), "repository": reference.context(), "tag": tag, "digest": digest,
            });
            app.output.data(format.print(&told)?)?;
        }
    }
    Ok(())
}

/// Pushes an archive as an artifact in Flux's form; returns its digest.
pub(crate) async fn upload(
    client: &Client,
    reference: &Reference,
    archive: &Path,
    annotations: &BTreeMap<String, String>,
) -> Result<String> {
    let repository = &reference.repository;
    let config = json!({
        "architecture": "", "os": "", "config": {}, "created": annotations[CREATED],
        "rootfs": {"type": "layers", "diff_ids": [plain_digest(archive)?]},
    });
    let config = Upload::Bytes(config.to_string().into_bytes());
    let config = client.push_blob(repository, CONFIG, &config).await?;
    let layer = client.push_blob(repository, CONTENT, &Upload::File(archive.to_owned())).await?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
        config,
        layers: vec![layer],
        annotations: annotations.clone(),
        ..Manifest::default()
    };
    client.push_manifest(reference, &manifest).await.context("pushing artifact failed")
}

/// What is told of an artifact that is made now, unless `known` tells more.
pub(crate) fn annotations(
    source: &str,
    revision: &str,
    known: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut annotations =
        BTreeMap::from([(SOURCE.to_owned(), source.to_owned()), (REVISION.to_owned(), revision.to_owned())]);
    annotations.extend(known.clone());
    annotations.insert(CREATED.to_owned(), moment(Timestamp::now()));
    annotations
}

fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl PushArgs {
    fn annotations(&self) -> Result<BTreeMap<String, String>> {
        let mut annotations = annotations(&self.source, &self.revision, &BTreeMap::new());
        if self.reproducible {
            annotations.insert(CREATED.to_owned(), moment(Timestamp::UNIX_EPOCH));
        }
        for pair in &self.annotations {
            match pair.split('=').collect::<Vec<_>>().as_slice() {
                [key, value] => annotations.insert((*key).to_owned(), (*value).to_owned()),
                _ => bail!("invalid annotation {pair:?}, must be in the format key=value"),
            };
        }
        Ok(annotations)
    }
}

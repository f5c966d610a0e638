//! `tag artifact`.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::registry::{RegistryArgs, parse};
use crate::app::App;

/// What can be tagged.
#[derive(Subcommand)]
pub(crate) enum TagTarget {
    /// Give an artifact more tags.
    Artifact(TagArgs),
}

/// Flags of `tag artifact`.
#[derive(Args)]
pub(crate) struct TagArgs {
    /// The artifact, as oci://host/repository:tag.
    url: String,
    /// A tag to give.
    #[arg(long = "tag", required = true, value_delimiter = ',')]
    tags: Vec<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) async fn run(app: &App, target: TagTarget) -> Result<()> {
    let TagTarget::Artifact(args) = target;
    let reference = parse(&args.url)?;
    // A tag that is none is found before anything is written.
    let targets = args.tags.iter().map(|tag| parse(&format!("oci://{}:{tag}", reference.context())));
    let targets = targets.collect::<Result<Vec<_>>>()?;
    app.output.action("tagging artifact");
    let client = args.registry.client(app, &reference, false).await?;
    let work = async {
        let found = client.resolve(&reference).await?;
        for target in &targets {
            client.push_manifest_bytes(target, &found.media_type, found.bytes.clone()).await?;
            app.output.success(&format!("artifact tagged as {target}"));
        }
        Ok(())
    };
    app.bounded("tagging the artifact", work).await
}

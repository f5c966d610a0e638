//! `delete`: away with an object.

use std::io::BufRead;

use anyhow::{Result, bail};
use clap::Args;
use kube::api::DeleteParams;

use crate::app::App;
use crate::failure::misuse;
use crate::nouns::{Target, Verb, VerbArgs};

/// Flags of `delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// The object.
    name: Option<String>,
    /// Do not ask.
    #[arg(short, long)]
    silent: bool,
}

impl VerbArgs for DeleteArgs {
    const VERB: Verb = Verb::Delete;
}

pub(crate) async fn run(app: &App, target: Target<DeleteArgs>) -> Result<()> {
    let kind = target.kind();
    let Some(name) = target.args.name else { return Err(misuse(format!("{} name is required", kind.human))) };
    let namespace = app.namespace()?;
    let cluster = app.cluster().await?;
    let object = app.bounded("asking for the object", cluster.get(kind, &namespace, &name)).await?;
    if !target.args.silent {
        if !object.is_suspended() && object.yes("/spec/prune") {
            app.output.warning(&format!(
                "This action will remove the Kubernetes objects previously applied by the {name:?} kustomization!"
            ));
        }
        if !confirmed(app, &format!("Are you sure you want to delete this {}", kind.human)) {
            bail!("aborting");
        }
    }
    app.output.action(&format!("deleting {} {name} in {namespace} namespace", kind.human));
    let api = cluster.api(kind, Some(&namespace));
    app.bounded("deleting the object", async { Ok(api.delete(&name, &DeleteParams::default()).await?) })
        .await?;
    app.output.success(&format!("{} deleted", kind.human));
    Ok(())
}

/// Asks a question; anything but y or yes is a no.
pub(crate) fn confirmed(app: &App, question: &str) -> bool {
    app.output.talk(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if !answer.ends_with('\n') {
        app.output.say("");
    }
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

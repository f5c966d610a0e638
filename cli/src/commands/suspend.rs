//! `suspend`: no more reconciliations until resumed.

use anyhow::{Result, bail};
use clap::Args;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use crate::app::App;
use crate::failure::{self, misuse};
use crate::kinds::Kind;
use crate::nouns::{Target, Verb, VerbArgs};
use crate::object::Object;

/// Flags of `suspend`.
#[derive(Args, Debug)]
pub(crate) struct SuspendArgs {
    /// The objects.
    names: Vec<String>,
    /// All objects of the kind in the namespace.
    #[arg(long)]
    all: bool,
}

impl VerbArgs for SuspendArgs {
    const VERB: Verb = Verb::Suspend;
}

pub(crate) async fn run(app: &App, target: Target<SuspendArgs>) -> Result<()> {
    let kind = target.kind();
    let SuspendArgs { names, all } = target.args;
    if names.is_empty() && !all {
        return Err(misuse(format!("{} name is required", kind.human)));
    }
    let namespace = app.namespace()?;
    let (objects, missing) =
        app.bounded("looking for the objects", find(app, kind, &namespace, &names)).await?;
    if objects.is_empty() && names.is_empty() {
        bail!("no objects found");
    }
    for name in missing {
        app.output.failure(&format!("{} {name} not found in {namespace} namespace", kind.kind));
    }
    for object in &objects {
        app.output.action(&format!("suspending {} {} in {namespace} namespace", kind.human, object.name()));
        match app.bounded("suspending the object", set(app, kind, object, true)).await {
            Ok(()) => app.output.success(&format!("{} suspended", kind.human)),
            Err(error) => app.output.failure(&format!(
                "failed suspending {} {}: {}",
                kind.human,
                object.name(),
                failure::text(&error)
            )),
        }
    }
    Ok(())
}

/// The named objects, each once, and the names without an object. No names stand for all.
pub(crate) async fn find(
    app: &App,
    kind: &Kind,
    namespace: &str,
    names: &[String],
) -> Result<(Vec<Object>, Vec<String>)> {
    let cluster = app.cluster().await?;
    if names.is_empty() {
        return Ok((cluster.list(kind, Some(namespace), ListParams::default()).await?, Vec::new()));
    }
    let (mut objects, mut missing): (Vec<Object>, Vec<String>) = (Vec::new(), Vec::new());
    for name in names {
        if missing.contains(name) || objects.iter().any(|object| object.name() == name) {
            continue;
        }
        match cluster.find(kind, namespace, name).await? {
            Some(object) => objects.push(object),
            None => missing.push(name.clone()),
        }
    }
    Ok((objects, missing))
}

/// Sets `spec.suspend`.
pub(crate) async fn set(app: &App, kind: &Kind, object: &Object, suspend: bool) -> Result<()> {
    let api = app.cluster().await?.api(kind, Some(object.namespace()));
    let params = PatchParams { field_manager: Some("flux".into()), ..PatchParams::default() };
    api.patch(object.name(), &params, &Patch::Merge(json!({"spec": {"suspend": suspend}}))).await?;
    Ok(())
}

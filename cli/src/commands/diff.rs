//! `diff`: what a Kustomization or a HelmRelease would change in the cluster, asked of the server without writing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::Value;
use sluice_api::meta::KUSTOMIZATION_NAME_LABEL;
use sluice_manifests::is_masked;
use sluice_runtime::apply::{
    Action, Applier, Cluster, Difference, IgnoreRules, Object, Options, Takeover, Tracked, inventory,
};

use super::artifact;
use super::local::{self, Local, LocalArgs, Lookup};
use super::release::ReleaseArgs;
use super::{release_diff, revisions};
use crate::app::App;
use crate::changes;
use crate::failure::{Exit, Mark};
use crate::output::Colour;

/// The field manager of the controller whose apply is tried.
const FIELD_MANAGER: &str = "kustomize-controller";

/// What follows `diff`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct DiffArgs {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// Show what a Kustomization would change; ends with 1 if there is anything, with 2 on errors.
    #[command(visible_alias = "ks")]
    Kustomization {
        #[command(flatten)]
        local: LocalArgs,
        /// Take a Kustomization that is not in the cluster for a new one; needs --kustomization-file.
        #[arg(long)]
        ignore_not_found: bool,
        /// Accepted: no bar is shown.
        #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
        progress_bar: Option<bool>,
    },
    /// Show what a change of a repository changes in what is applied, without a cluster; ends with 1 if there is
    /// anything, with 2 on errors.
    Revisions(revisions::RevisionsArgs),
    /// Show what a HelmRelease would change with a chart on this machine; ends with 1 if there is anything, with 2 on errors.
    #[command(visible_alias = "hr")]
    Helmrelease(ReleaseArgs),
    #[command(flatten)]
    Pushed(artifact::diff::DiffTarget),
}

pub(crate) async fn run(app: &App, args: DiffArgs) -> Result<()> {
    let changed = match args.subject {
        Subject::Kustomization { local, ignore_not_found, .. } => {
            compare(app, &local, ignore_not_found).await
        }
        Subject::Helmrelease(release) => release_diff::compare(app, &release).await,
        Subject::Revisions(args) => return revisions::run(app, args).await,
        Subject::Pushed(target) => return artifact::diff::run(app, target).await,
    };
    if !changed.map_err(|error| Exit::with(2, Mark::Symbol, error))? {
        return Ok(());
    }
    let error = anyhow!("identified at least one change, exiting with non-zero exit code");
    Err(Exit::with(1, Mark::Warning, error))
}

async fn compare(app: &App, local: &LocalArgs, ignore_not_found: bool) -> Result<bool> {
    if ignore_not_found && local.kustomization_file.is_none() {
        bail!("--ignore-not-found needs --kustomization-file");
    }
    let lookup = if ignore_not_found { Lookup::ClusterOrNew } else { Lookup::Cluster };
    let mut changed = false;
    for local in local::built(app, local, lookup).await? {
        let subject = format!("Kustomization/{}/{}", local.namespace, local.name);
        if local.nested && !local.live {
            // That it is created was told with the objects of the one above it.
            continue;
        }
        if local.nested && local.kustomization.spec.kube_config.is_some() {
            line(
                app,
                &format!("⚠️ {subject} skipped: diff not supported for remote clusters"),
                Colour::Yellow,
            )?;
            continue;
        }
        changed |= compare_one(app, local, &subject).await?;
    }
    Ok(changed)
}

/// Compares the objects of one Kustomization. Returns whether any would change.
async fn compare_one(app: &App, local: Local, subject: &str) -> Result<bool> {
    let Local { kustomization, built, nested, .. } = local;
    let client = app.cluster().await?.client.clone();
    let cluster = Cluster::new(client.clone(), KUSTOMIZATION_NAME_LABEL);
    let ignore = Arc::new(IgnoreRules::compile(&kustomization.spec.ignore)?);
    let mut options = preview(FIELD_MANAGER, sluice_api::kustomize::GROUP, ignore);
    options.force = kustomization.spec.force;
    let applier = Applier { cluster: &cluster, client: &client, options: &options };
    let known = cluster.identities(built.objects.iter()).await;
    let mut heading = nested.then(|| format!("📁 {subject} changed"));
    let mut changed = differences(app, &applier, built.objects, &mut heading).await?;
    if kustomization.spec.prune {
        let old = kustomization.status.as_ref().and_then(|status| status.inventory.as_ref());
        let kept: BTreeSet<_> = known.into_iter().map(|tracked| tracked.id).collect();
        for gone in inventory::read(old).into_iter().filter(|tracked| !kept.contains(&tracked.id)) {
            announce(app, &mut heading)?;
            deleted(app, &gone)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// How a controller would apply, asked and not done.
pub(super) fn preview(manager: &str, group: &'static str, ignore: Arc<IgnoreRules>) -> Options {
    Options {
        field_manager: manager.to_owned(),
        group,
        takeover: Arc::new(Takeover::new(manager, &[])),
        custom_kinds: Arc::default(),
        concurrency: 1,
        force: false,
        migrate_api_version: false,
        ignore,
        preview: true,
        stage_timeout: Duration::from_mins(1),
    }
}

/// Prints how objects differ from those in the cluster, with a heading if any does. Returns whether any does.
pub(super) async fn differences(
    app: &App,
    applier: &Applier<'_>,
    objects: Vec<Object>,
    heading: &mut Option<String>,
) -> Result<bool> {
    let mut errors = Vec::new();
    let mut changed = false;
    for object in objects {
        let hidden = is_masked(&object.clone().into_value());
        let asked = app.bounded("comparing", async { Ok(applier.difference(object).await) }).await?;
        match asked {
            Ok(difference) => {
                if difference.action.is_change() {
                    announce(app, heading)?;
                }
                changed |= show(app, &difference, hidden)?;
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() { Ok(changed) } else { bail!("{}", errors.join("\n")) }
}

/// Prints, once, above the first change of something that is one of several.
fn announce(app: &App, heading: &mut Option<String>) -> Result<()> {
    heading.take().map_or(Ok(()), |text| line(app, &text, Colour::Cyan))
}

/// Prints that an object would go.
pub(super) fn deleted(app: &App, gone: &Tracked) -> Result<()> {
    line(app, &format!("► {} deleted", gone.id), Colour::Red)
}

fn line(app: &App, text: &str, colour: Colour) -> Result<()> {
    app.output.data(app.output.data_style.paint(colour, text) + "\n")
}

/// Prints one difference. Returns whether there is one.
fn show(app: &App, difference: &Difference, hidden: bool) -> Result<bool> {
    let subject = &difference.subject;
    match difference.action {
        Action::Created => line(app, &format!("► {subject} created"), Colour::Green)?,
        Action::Skipped => {
            line(app, &format!("► {subject} skipped"), Colour::Dim)?;
            return Ok(false);
        }
        Action::Configured => {
            let (Some(live), Some(merged)) = (&difference.live, &difference.merged) else { return Ok(false) };
            let (live, merged) = (live.clone().into_value(), merged.clone().into_value());
            // What is hidden cannot be compared: only whether the same keys are there.
            if hidden && keys(&live) == keys(&merged) {
                return Ok(false);
            }
            line(app, &format!("► {subject} drifted"), Colour::Yellow)?;
            app.output.data(changes::between(&live, &merged, app.output.data_style))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn keys(object: &Value) -> BTreeSet<String> {
    object["data"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

//! `resume`: reconciliations go on.

use anyhow::{Result, bail};
use clap::Args;
use futures::future::join_all;

use super::suspend;
use crate::app::App;
use crate::failure::{self, misuse};
use crate::nouns::{Target, Verb, VerbArgs};
use crate::progress::Progress;
use crate::wait;

/// Flags of `resume`.
#[derive(Args, Debug)]
pub(crate) struct ResumeArgs {
    /// The objects.
    names: Vec<String>,
    /// All objects of the kind in the namespace.
    #[arg(long)]
    all: bool,
    /// Wait for the reconciliation [default: true for one name, else false].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    wait: Option<bool>,
}

impl VerbArgs for ResumeArgs {
    const VERB: Verb = Verb::Resume;
}

pub(crate) async fn run(app: &App, target: Target<ResumeArgs>) -> Result<()> {
    let kind = target.kind();
    let ResumeArgs { names, all, wait } = target.args;
    if names.is_empty() && !all {
        return Err(misuse(format!("{} name is required", kind.human)));
    }
    let namespace = app.namespace()?;
    let (objects, missing) =
        app.bounded("looking for the objects", suspend::find(app, kind, &namespace, &names)).await?;
    if objects.is_empty() && names.is_empty() {
        app.output.failure(&format!("no {} objects found in {namespace} namespace", kind.kind));
        return Ok(());
    }
    for name in missing {
        app.output.failure(&format!("{} object '{name}' not found in {namespace} namespace", kind.kind));
    }
    let mut resumed = Vec::new();
    for object in &objects {
        app.output.action(&format!("resuming {} {} in {namespace} namespace", kind.human, object.name()));
        match app.bounded("resuming the object", suspend::set(app, kind, object, false)).await {
            Ok(()) => {
                app.output.success(&format!("{} resumed", kind.human));
                resumed.push(object.name().to_owned());
            }
            Err(error) => app.output.failure(&format!(
                "failed resuming {} {}: {}",
                kind.human,
                object.name(),
                failure::text(&error)
            )),
        }
    }
    if resumed.is_empty() || !wait.unwrap_or(names.len() == 1) {
        return Ok(());
    }
    resumed.sort();
    app.output.waiting(&format!("waiting for {} reconciliation", kind.kind));
    let progress = Progress::start(&app.output, "waiting for the controller");
    let waits = resumed.iter().map(|name| {
        wait::ready(app, kind, &namespace, name, wait::Patience::FirstAttempt, |state| progress.set(state))
    });
    let results = join_all(waits).await;
    drop(progress);
    let mut failed = 0;
    for (name, result) in resumed.iter().zip(results) {
        match result {
            Ok(object) => {
                app.output.success(&format!("{} {name} reconciliation completed", kind.kind));
                if !kind.is_static(&object) {
                    app.output.success(&kind.success(&object));
                }
            }
            Err(error) => {
                failed += 1;
                app.output.failure(&format!(
                    "{} {name} reconciliation failed: {}",
                    kind.kind,
                    failure::text(&error)
                ));
            }
        }
    }
    if failed > 0 {
        bail!("reconciliation failed for {failed} {}(s)", kind.kind);
    }
    Ok(())
}

//! Uninstalling for good.

use kube::api::PropagationPolicy;
use sluice_api::helm::{DeletionPropagation, HelmReleaseSpec};
use sluice_api::meta::ConditionStatus;
use sluice_runtime::Severity;

use super::super::plan::Plan;
use super::super::release::tell;
use super::super::run::{Run, snapshot_metadata};
use super::super::{Context, history, reason};
use super::{timeout, waiting};
use crate::action::{self, Common, Session, Uninstall, Uninstalled};

/// The options of an uninstallation.
pub(super) fn uninstallation(spec: &HelmReleaseSpec, name: &str) -> Uninstall {
    let options = spec.uninstall.clone().unwrap_or_default();
    Uninstall {
        name: name.to_owned(),
        common: Common {
            timeout: timeout(spec, &Plan::Remove),
            hooks: !options.disable_hooks,
            waiting: waiting(options.disable_wait, false),
        },
        keep_history: options.keep_history,
        propagation: match options.deletion_propagation.unwrap_or_default() {
            DeletionPropagation::Background => PropagationPolicy::Background,
            DeletionPropagation::Foreground => PropagationPolicy::Foreground,
            DeletionPropagation::Orphan => PropagationPolicy::Orphan,
        },
    }
}

/// Uninstalls for good. The error tells why it could not be done.
pub(crate) async fn uninstall(
    context: &Context,
    run: &mut Run,
    session: &Session<'_>,
    name: &str,
) -> Result<(), String> {
    let newest = run.status.history.first().cloned();
    let outcome = action::uninstall(session, uninstallation(&run.object.spec, name)).await;
    let written = session.take_written();
    history::note_all(&mut run.status.history, context.settings.digest, &written, "uninstall", false);
    let subject = newest.as_ref().map_or_else(
        || format!("{}/{name}", run.object.release_namespace()),
        |newest| format!("{} with chart {}", newest.full_release_name(), newest.versioned_chart_name()),
    );
    let metadata = newest.as_ref().map(snapshot_metadata).unwrap_or_default();
    let quiet = |run: &mut Run, message: String| {
        run.set(reason::RELEASED, ConditionStatus::False, reason::UNINSTALL_SUCCEEDED, message);
        run.summarize();
        Ok(())
    };
    match outcome {
        Ok(Uninstalled::NotFound) => {
            quiet(run, format!("Release {subject} was not found, assuming it is uninstalled"))
        }
        Ok(Uninstalled::Already) => quiet(run, format!("Release {subject} was already uninstalled")),
        Ok(Uninstalled::Done) => {
            run.status.inventory = None;
            let message = format!("Helm uninstall succeeded for release {subject}");
            run.set(reason::RELEASED, ConditionStatus::False, reason::UNINSTALL_SUCCEEDED, message.clone());
            run.summarize();
            tell(context, run, Severity::Info, reason::UNINSTALL_SUCCEEDED, message, metadata);
            Ok(())
        }
        Err(error) if session.is_broken_off() => Err(error.to_string()),
        Err(error) => {
            let message = format!("Helm uninstall failed for release {subject}: {error}");
            run.status.failures += 1;
            run.set(reason::RELEASED, ConditionStatus::False, reason::UNINSTALL_FAILED, message.clone());
            run.summarize();
            let text = session.log.after(&message);
            tell(context, run, Severity::Error, reason::UNINSTALL_FAILED, text, metadata);
            Err(message)
        }
    }
}

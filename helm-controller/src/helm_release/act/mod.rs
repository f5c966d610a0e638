//! Actions on a release, and what they leave in status and events.

mod remedy;
mod revision;
mod takeover;
mod test;
mod uninstall;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_api::helm::{HelmReleaseSpec, ServerSideApplyMode};
use sluice_runtime::Severity;

use super::Context;
use super::plan::Plan;
use super::release::{Request, tell};
use super::run::Run;
use crate::action::{Chart, Error, Method, Session, Waiting};
pub(crate) use takeover::adopt;
pub(crate) use uninstall::uninstall;

/// What actions on the release of an object have at hand.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) context: &'a Arc<Context>,
    pub(crate) request: &'a Request,
    pub(crate) session: &'a Session<'a>,
}

impl Stage<'_> {
    /// The chart, which was loaded when the action was chosen.
    async fn chart(&self) -> Result<Chart, Error> {
        self.request.chart.take(self.context).await.map_err(|failure| Error::State(failure.message))
    }

    /// An error as conditions and events tell it.
    fn shown(&self, error: &Error) -> String {
        self.request.redaction.apply(error.to_string())
    }

    /// Tells that something went well.
    fn praise(&self, run: &Run, reason: &str, message: String, metadata: BTreeMap<String, String>) {
        tell(self.context, run, Severity::Info, reason, message, metadata);
    }

    /// Tells that something failed, and what was logged last.
    fn blame(&self, run: &Run, reason: &str, message: &str, metadata: BTreeMap<String, String>) {
        let text = self.request.redaction.apply(self.session.log.after(message));
        tell(self.context, run, Severity::Error, reason, text, metadata);
    }
}

/// How long each step of an action may take.
pub(crate) fn timeout(spec: &HelmReleaseSpec, plan: &Plan) -> Duration {
    let own = match plan {
        Plan::Install => spec.install.as_ref().and_then(|install| install.timeout),
        Plan::Upgrade { .. } => spec.upgrade.as_ref().and_then(|upgrade| upgrade.timeout),
        Plan::Test => spec.test.as_ref().and_then(|test| test.timeout),
        Plan::RollBack(_) => spec.rollback.as_ref().and_then(|rollback| rollback.timeout),
        Plan::Remove => spec.uninstall.as_ref().and_then(|uninstall| uninstall.timeout),
        _ => None,
    };
    own.unwrap_or(spec.timeout()).to_std()
}

fn waiting(disable: bool, disable_for_jobs: bool) -> Waiting {
    match (disable, disable_for_jobs) {
        (true, _) => Waiting::Hooks,
        (false, true) => Waiting::Objects,
        (false, false) => Waiting::ObjectsAndJobs,
    }
}

fn method(mode: Option<ServerSideApplyMode>) -> Option<Method> {
    match mode.unwrap_or_default() {
        ServerSideApplyMode::Enabled => Some(Method::Server),
        ServerSideApplyMode::Disabled => Some(Method::Client),
        ServerSideApplyMode::Auto => None,
    }
}

/// Does what a plan says. The error: it failed, and nothing of it is recorded.
pub(crate) async fn perform(stage: Stage<'_>, run: &mut Run, plan: &Plan) -> Result<(), String> {
    match plan {
        Plan::Install => revision::install(stage, run).await,
        Plan::Upgrade { forget } => {
            if *forget {
                run.status.history.clear();
            }
            revision::upgrade(stage, run).await
        }
        Plan::Test => Box::pin(test::test(stage, run)).await,
        Plan::RollBack(snapshot) => Box::pin(remedy::roll_back(stage, run, snapshot)).await,
        Plan::Remove => Box::pin(remedy::remove(stage, run)).await,
        Plan::Unlock(status) => Box::pin(takeover::unlock(stage, run, *status)).await,
        Plan::Adopt
        | Plan::CorrectDrift
        | Plan::ReportDrift
        | Plan::Done
        | Plan::GiveUp
        | Plan::NoTarget
        | Plan::Fail(_) => Ok(()),
    }
}

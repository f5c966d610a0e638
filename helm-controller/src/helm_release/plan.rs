//! What to do with a release, from what is recorded and what is wanted. Nothing here asks anybody.

use std::time::Duration;

use sluice_api::helm::{
    HelmRelease, HelmReleaseSpec, HelmReleaseStatus, Remediation, RemediationStrategy, Snapshot, StrategyName,
};
use sluice_artifact::Algorithm;
use sluice_helm::release::{Release, Status};

use super::records::Record;
use super::{digest, history};

/// The action of a status that installs.
pub(crate) const INSTALL: &str = "install";
/// The action of a status that upgrades.
pub(crate) const UPGRADE: &str = "upgrade";

/// What the release is to be made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) chart_name: &'a str,
    pub(crate) chart_version: &'a str,
    pub(crate) config_digest: &'a str,
    pub(crate) post_renderers_digest: &'a str,
    pub(crate) common_metadata_digest: &'a str,
}

/// How a release stands to what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As it should be, as far as records tell.
    InSync,
    /// Something was being done to it.
    Locked(Status),
    /// There is none.
    Absent(&'static str),
    /// There is one that somebody else made, just as it is wanted.
    Adoptable,
    /// There is one that this object did not make.
    Unmanaged(&'static str),
    /// Something else is wanted.
    OutOfSync(&'static str),
    /// Its tests have not run.
    Untested,
    /// It failed.
    Failed(&'static str),
    /// Objects are not as the release made them.
    Drifted,
    /// Nobody knows what to make of it.
    Unclear(String),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Nothing.
    Done,
    Install,
    /// `forget`: the history is that of another release.
    Upgrade {
        forget: bool,
    },
    Test,
    /// Roll back to this revision, if it is still recorded as it was.
    RollBack(Box<Snapshot>),
    /// Undo by uninstalling.
    Remove,
    /// Take over what is there, as it is.
    Adopt,
    /// Give a release free that somebody was at work on.
    Unlock(Status),
    CorrectDrift,
    /// Tell of drift, and leave it.
    ReportDrift,
    /// Nothing more: all tries are used up.
    GiveUp,
    /// There is nothing to roll back to.
    NoTarget,
    /// The state cannot be told.
    Fail(String),
}

/// Of what sort an action is: one of each sort in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Release,
    Remediate,
    Test,
    Unlock,
    Drift,
}

impl Plan {
    /// Whether it takes the chart itself.
    pub(crate) fn needs_chart(&self) -> bool {
        matches!(self, Self::Install | Self::Upgrade { .. } | Self::Adopt)
    }

    /// The sort of the action, and its name in messages. Nothing where nothing is done.
    pub(crate) fn action(&self) -> Option<(Sort, &'static str)> {
        match self {
            Self::Install => Some((Sort::Release, "install")),
            Self::Upgrade { .. } => Some((Sort::Release, "upgrade")),
            Self::Test => Some((Sort::Test, "test")),
            Self::RollBack(_) => Some((Sort::Remediate, "rollback")),
            Self::Remove => Some((Sort::Remediate, "uninstall")),
            Self::Unlock(_) => Some((Sort::Unlock, "unlock")),
            Self::CorrectDrift => Some((Sort::Drift, "correct cluster drift")),
            Self::Done | Self::Adopt | Self::ReportDrift | Self::GiveUp | Self::NoTarget | Self::Fail(_) => {
                None
            }
        }
    }
}

/// The state of a release, but for drift.
pub(crate) fn observe(
    object: &HelmRelease,
    status: &HelmReleaseStatus,
    stored: Option<&Record>,
    wanted: Wanted<'_>,
) -> State {
    let Some(Record { release, fits }) = stored else {
        return State::Absent("no release in storage for object");
    };
    let stands = release.info.status;
    if is_locked(stands) {
        return State::Locked(stands);
    }
    let Some(newest) = status.history.first() else {
        return match stands {
            Status::Uninstalled => State::Absent("found uninstalled release in storage"),
            // Beyond Flux, which upgrades whatever it did not make.
            Status::Deployed if is_as_wanted(object, release, wanted) => State::Adoptable,
            _ => State::Unmanaged("found existing release in storage"),
        };
    };
    match fits {
        Ok(true) => {}
        Ok(false) => return State::Unmanaged("release not observed to be made for object"),
        Err(_) => return State::Unmanaged("release digest verification error"),
    }
    match stands {
        Status::Deployed => {}
        Status::Failed => return State::Failed("release is in a failed state"),
        Status::Uninstalled => return State::Absent("found uninstalled release in storage"),
        other => {
            return State::Unclear(format!("unable to determine state for release with status '{other}'"));
        }
    }
    let metadata = &release.chart.metadata;
    if metadata.name != wanted.chart_name || metadata.version != wanted.chart_version {
        return State::OutOfSync("release chart changed");
    }
    if newest.config_digest != wanted.config_digest {
        return State::OutOfSync("release config values changed");
    }
    if Some(status.observed_generation) != object.metadata.generation {
        if status.observed_post_renderers_digest != wanted.post_renderers_digest {
            return State::OutOfSync("postrenderers digest has changed");
        }
        if status.observed_common_metadata_digest != wanted.common_metadata_digest {
            return State::OutOfSync("common metadata digest has changed");
        }
    }
    let test = object.spec.test.clone().unwrap_or_default();
    if test.enable {
        if !history::has_been_tested(newest) {
            return State::Untested;
        }
        if let Some(remedy) = Remedy::active(&object.spec, status)
            && history::has_failed_test(newest)
            && !remedy.ignores_tests
        {
            return State::Failed("release has test in failed phase");
        }
    }
    State::InSync
}

/// Whether somebody is at work on a release that stands so, or was when they were stopped. Beyond Flux, which knows of no
/// way out where that was an uninstallation.
pub(crate) fn is_locked(status: Status) -> bool {
    status.is_pending() || status == Status::Uninstalling
}

/// Whether a release that somebody else made is what this object would make.
fn is_as_wanted(object: &HelmRelease, release: &Release, wanted: Wanted<'_>) -> bool {
    let metadata = &release.chart.metadata;
    let Some((algorithm, _)) = wanted.config_digest.split_once(':') else { return false };
    let algorithm = Algorithm::ALL.into_iter().find(|known| known.name() == algorithm).unwrap_or_default();
    object.spec.post_renderers.is_empty()
        && object.spec.common_metadata.is_none()
        && release.namespace == object.release_namespace()
        && metadata.name == wanted.chart_name
        && metadata.version == wanted.chart_version
        && digest::of_values(algorithm, &release.config) == wanted.config_digest
}

/// What to do about a failure of the last action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// How often the action failed.
    pub(crate) failures: i64,
    /// Whether no try is left.
    pub(crate) exhausted: bool,
    /// Whether a failed test is no failure.
    pub(crate) ignores_tests: bool,
    /// Whether the last failure is undone too.
    pub(crate) last_too: bool,
    /// How it is undone.
    pub(crate) strategy: RemediationStrategy,
    /// Whether the action was an upgrade.
    pub(crate) of_upgrade: bool,
}

impl Remedy {
    /// The remedy for the last action; nothing when there was none.
    pub(crate) fn active(spec: &HelmReleaseSpec, status: &HelmReleaseStatus) -> Option<Self> {
        match status.last_attempted_release_action.as_str() {
            INSTALL => Some(Self::of_install(spec, status)),
            UPGRADE => Some(Self::of_upgrade(spec, status)),
            _ => None,
        }
    }

    pub(crate) fn of_install(spec: &HelmReleaseSpec, status: &HelmReleaseStatus) -> Self {
        let remediation =
            spec.install.as_ref().and_then(|install| install.remediation.clone()).unwrap_or_default();
        Self::new(spec, &remediation, status.install_failures, false)
    }

    pub(crate) fn of_upgrade(spec: &HelmReleaseSpec, status: &HelmReleaseStatus) -> Self {
        let remediation =
            spec.upgrade.as_ref().and_then(|upgrade| upgrade.remediation.clone()).unwrap_or_default();
        Self::new(spec, &remediation, status.upgrade_failures, true)
    }

    fn new(spec: &HelmReleaseSpec, remediation: &impl Remediation, failures: i64, of_upgrade: bool) -> Self {
        let ignored = spec.test.as_ref().is_some_and(|test| test.ignore_failures);
        Self {
            failures,
            exhausted: remediation.exhausted(failures),
            ignores_tests: remediation.ignore_test_failures(ignored),
            last_too: remediation.remediate_last_failure(),
            strategy: remediation.strategy(),
            of_upgrade,
        }
    }
}

/// When to try the last action again, where it is not undone but tried again. `by_default`: where nothing is said.
pub(crate) fn retry_interval(
    spec: &HelmReleaseSpec,
    status: &HelmReleaseStatus,
    by_default: bool,
) -> Option<Duration> {
    let strategy = match status.last_attempted_release_action.as_str() {
        INSTALL => spec.install.as_ref().and_then(|install| {
            install.strategy.as_ref().map(|strategy| (strategy.name, strategy.retry_interval))
        }),
        UPGRADE => spec.upgrade.as_ref().and_then(|upgrade| {
            upgrade.strategy.as_ref().map(|strategy| (strategy.name, strategy.retry_interval))
        }),
        _ => return None,
    };
    let interval = match strategy {
        Some((StrategyName::RetryOnFailure, interval)) => interval,
        None if by_default => None,
        _ => return None,
    };
    Some(interval.map_or(Duration::from_mins(5), |interval| interval.to_std()))
}

/// What is known beside the state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// Whether somebody asked for the action whatever the state.
    pub(crate) forced: bool,
    /// Whether failures are tried again where the spec does not say.
    pub(crate) retry_by_default: bool,
    /// Whether drift is undone.
    pub(crate) correct_drift: bool,
}

/// The next action for a state.
pub(crate) fn next(
    spec: &HelmReleaseSpec,
    status: &HelmReleaseStatus,
    state: &State,
    around: Circumstances,
) -> Plan {
    match state {
        State::InSync if around.forced => Plan::Upgrade { forget: false },
        State::InSync => Plan::Done,
        State::Locked(status) => Plan::Unlock(*status),
        State::Absent(_) if Remedy::of_install(spec, status).exhausted && !around.forced => Plan::GiveUp,
        State::Absent(_) => Plan::Install,
        State::Adoptable if !around.forced => Plan::Adopt,
        State::Adoptable | State::Unmanaged(_) => Plan::Upgrade { forget: true },
        State::OutOfSync(_) if Remedy::of_upgrade(spec, status).exhausted && !around.forced => Plan::GiveUp,
        State::OutOfSync(_) => Plan::Upgrade { forget: false },
        State::Untested => Plan::Test,
        State::Drifted if around.correct_drift => Plan::CorrectDrift,
        State::Drifted => Plan::ReportDrift,
        State::Unclear(error) => Plan::Fail(error.clone()),
        State::Failed(_) => after_failure(spec, status, around),
    }
}

fn after_failure(spec: &HelmReleaseSpec, status: &HelmReleaseStatus, around: Circumstances) -> Plan {
    let again = Plan::Upgrade { forget: false };
    if retry_interval(spec, status, around.retry_by_default).is_some() {
        return again;
    }
    let Some(remedy) = Remedy::active(spec, status) else { return again };
    if remedy.failures <= 0 || around.forced {
        return again;
    }
    if remedy.exhausted && !remedy.last_too {
        return Plan::GiveUp;
    }
    match remedy.strategy {
        RemediationStrategy::Uninstall => Plan::Remove,
        RemediationStrategy::Rollback => match history::previous(&status.history, remedy.ignores_tests) {
            Some(snapshot) => Plan::RollBack(Box::new(snapshot.clone())),
            None => Plan::NoTarget,
        },
    }
}

#[cfg(test)]
mod tests;

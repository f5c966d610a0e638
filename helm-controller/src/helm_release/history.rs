//! The history in the status: snapshots of the recorded revisions, newest first.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_api::helm::{Snapshot, TestHookStatus};
use sluice_artifact::Algorithm;
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{Moment, Release, Status};

use super::digest;

/// The form of snapshots that this controller writes.
pub(crate) const API_VERSION: &str = "v2";
/// How many snapshots are kept where none of them is one to go back to.
const KEPT: usize = 5;
/// The phase of a test that failed.
const FAILED: &str = "Failed";

/// A snapshot of a recorded release.
pub(crate) fn snapshot(algorithm: Algorithm, release: &Release, action: &str, oci_digest: &str) -> Snapshot {
    let time = |moment: &Moment| moment.timestamp().map(whole_seconds);
    let epoch = || Time(jiff::Timestamp::UNIX_EPOCH);
    Snapshot {
        action: action.to_owned(),
        api_version: API_VERSION.to_owned(),
        app_version: release.chart.metadata.app_version.clone(),
        chart_name: release.chart.metadata.name.clone(),
        chart_version: release.chart.metadata.version.clone(),
        config_digest: digest::of_values(algorithm, &release.config),
        deleted: time(&release.info.deleted),
        digest: digest::of_release(algorithm, release, oci_digest),
        first_deployed: time(&release.info.first_deployed).unwrap_or_else(epoch),
        last_deployed: time(&release.info.last_deployed).unwrap_or_else(epoch),
        name: release.name.clone(),
        namespace: release.namespace.clone(),
        oci_digest: oci_digest.to_owned(),
        status: release.info.status.to_string(),
        test_hooks: None,
        version: release.version,
    }
}

fn whole_seconds(time: jiff::Timestamp) -> Time {
    Time(jiff::Timestamp::from_second(time.as_second()).unwrap_or_default())
}

/// Whether a snapshot is of this revision.
pub(crate) fn targets(snapshot: &Snapshot, release: &Release) -> bool {
    snapshot.name == release.name
        && snapshot.namespace == release.namespace
        && snapshot.version == release.version
}

/// The runs of the tests of a release that `wanted` names.
pub(crate) fn test_hooks(
    release: &Release,
    wanted: impl Fn(&str) -> bool,
) -> BTreeMap<String, TestHookStatus> {
    let tests = release.hooks.iter().filter(|hook| hook.runs_on(HookEvent::Test) && wanted(&hook.name));
    tests
        .map(|hook| {
            let run = &hook.last_run;
            let status = TestHookStatus {
                last_completed: run.completed_at.timestamp().map(whole_seconds),
                last_started: run.started_at.timestamp().map(whole_seconds),
                phase: run.phase.clone(),
            };
            (hook.name.clone(), status)
        })
        .collect()
}

/// Whether a revision was tested, with whatever result.
pub(crate) fn has_been_tested(snapshot: &Snapshot) -> bool {
    let Some(hooks) = &snapshot.test_hooks else { return false };
    has_failed_test(snapshot) || hooks.values().all(|hook| hook.phase == "Succeeded")
}

/// Whether a test of a revision failed.
pub(crate) fn has_failed_test(snapshot: &Snapshot) -> bool {
    snapshot.test_hooks.iter().flat_map(BTreeMap::values).any(|hook| hook.phase == FAILED)
}

/// Where the revision to go back to is in the history: the first after the newest that was deployed, with good tests
/// unless these do not matter.
fn previous_at(history: &[Snapshot], ignore_tests: bool) -> Option<usize> {
    let is_good = |snapshot: &&Snapshot| {
        matches!(Status::parse(&snapshot.status), Status::Deployed | Status::Superseded)
            && (ignore_tests || !has_failed_test(snapshot))
    };
    history.iter().skip(1).position(|snapshot| is_good(&snapshot)).map(|at| at + 1)
}

/// The revision to go back to.
pub(crate) fn previous(history: &[Snapshot], ignore_tests: bool) -> Option<&Snapshot> {
    previous_at(history, ignore_tests).and_then(|at| history.get(at))
}

/// Drops what is older than the revision to go back to. `newest_only`: keeps a number of snapshots instead.
pub(crate) fn truncate(history: &mut Vec<Snapshot>, ignore_tests: bool, newest_only: bool) {
    let keep = match previous_at(history, ignore_tests) {
        Some(at) if !newest_only => at + 1,
        _ => KEPT,
    };
    history.truncate(keep);
}

/// Notes the revisions that an installation or upgrade has written, oldest first: new ones in front, and those that are
/// known as they are now.
pub(crate) fn note(
    history: &mut Vec<Snapshot>,
    algorithm: Algorithm,
    written: &[Release],
    action: &str,
    oci_digest: &str,
) {
    for release in written {
        match history.iter_mut().find(|known| targets(known, release)) {
            Some(known) => {
                let mut new = snapshot(algorithm, release, "", &known.oci_digest);
                new.test_hooks = known.test_hooks.take();
                *known = new;
            }
            None => history.insert(0, snapshot(algorithm, release, action, oci_digest)),
        }
    }
}

/// Notes the revisions that a rollback or uninstallation has written; `insert`: also those that are not known.
pub(crate) fn note_all(
    history: &mut Vec<Snapshot>,
    algorithm: Algorithm,
    written: &[Release],
    action: &str,
    insert: bool,
) {
    for release in written {
        match history.iter_mut().find(|known| targets(known, release)) {
            Some(known) => {
                let mut new = snapshot(algorithm, release, action, &known.oci_digest);
                new.test_hooks = known.test_hooks.take();
                *known = new;
            }
            None if insert => history.insert(0, snapshot(algorithm, release, action, "")),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: i64, status: Status) -> Release {
        let mut release = Release { name: "r".into(), namespace: "n".into(), version, ..Release::default() };
        release.info.status = status;
        release
    }

    fn history(list: &[(i64, Status, &[&str])]) -> Vec<Snapshot> {
        list.iter()
            .map(|(version, status, phases)| {
                let mut snapshot = snapshot(Algorithm::Sha256, &release(*version, *status), "install", "");
                let hook =
                    |phase: &&str| TestHookStatus { phase: (*phase).to_owned(), ..TestHookStatus::default() };
                let hooks = phases.iter().enumerate().map(|(at, phase)| (at.to_string(), hook(phase)));
                snapshot.test_hooks = Some(hooks.collect());
                snapshot
            })
            .collect()
    }

    fn versions(history: &[Snapshot]) -> Vec<i64> {
        history.iter().map(|snapshot| snapshot.version).collect()
    }

    #[test]
    fn one_goes_back_to_the_last_that_was_deployed_and_passed_its_tests() {
        let history = history(&[
            (4, Status::Deployed, &[]),
            (3, Status::Failed, &[]),
            (2, Status::Superseded, &["Failed"]),
            (1, Status::Superseded, &["Succeeded"]),
        ]);
        assert_eq!(previous(&history, false).unwrap().version, 1);
        assert_eq!(previous(&history, true).unwrap().version, 2);
        assert!(previous(&history[..2], true).is_none());
    }

    #[test]
    fn the_history_ends_at_the_revision_to_go_back_to() {
        let full: Vec<_> = (1..=9).rev().map(|version| (version, Status::Failed, &[] as &[&str])).collect();
        let mut failed = history(&full);
        truncate(&mut failed, false, false);
        assert_eq!(versions(&failed), [9, 8, 7, 6, 5]);
        let mut good = history(&[
            (3, Status::Deployed, &[]),
            (2, Status::Superseded, &[]),
            (1, Status::Superseded, &[]),
        ]);
        truncate(&mut good, false, false);
        assert_eq!(versions(&good), [3, 2]);
        let mut retried = history(&full[..7]);
        retried[1].status = "superseded".into();
        truncate(&mut retried, false, true);
        assert_eq!(retried.len(), 5);
    }

    #[test]
    fn tests_count_when_all_have_ended_or_one_has_failed() {
        let tested = |phases: &[&str]| has_been_tested(&history(&[(1, Status::Deployed, phases)])[0]);
        assert!(tested(&[]) && tested(&["Succeeded"]) && tested(&["Failed", "Running"]));
        assert!(!tested(&["Succeeded", "Running"]) && !tested(&[""]));
        let mut untested = history(&[(1, Status::Deployed, &[])]);
        untested[0].test_hooks = None;
        assert!(!has_been_tested(&untested[0]));
    }

    #[test]
    fn new_revisions_go_in_front_and_known_ones_keep_their_place_and_tests() {
        let mut list = history(&[(1, Status::Deployed, &["Succeeded"])]);
        list[0].oci_digest = "sha256:a".into();
        let written = [release(1, Status::Superseded), release(2, Status::Deployed)];
        note(&mut list, Algorithm::Sha256, &written, "upgrade", "sha256:b");
        assert_eq!(versions(&list), [2, 1]);
        assert_eq!((list[0].action.as_str(), list[0].oci_digest.as_str()), ("upgrade", "sha256:b"));
        assert_eq!((list[1].action.as_str(), list[1].status.as_str()), ("", "superseded"));
        assert_eq!(list[1].oci_digest, "sha256:a");
        assert!(has_been_tested(&list[1]));
        note_all(
            &mut list,
            Algorithm::Sha256,
            &[release(2, Status::Uninstalled), release(9, Status::Failed)],
            "uninstall",
            false,
        );
        assert_eq!((list[0].action.as_str(), versions(&list)), ("uninstall", vec![2, 1]));
    }
}

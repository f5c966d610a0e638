use serde_json::{Value, json};
use sluice_artifact::Algorithm;

use super::*;

const CONFIG: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn object(spec: Value) -> HelmRelease {
    let mut all = json!({"interval": "5m", "chartRef": {"kind": "OCIRepository", "name": "x"}});
    for (key, value) in spec.as_object().unwrap() {
        all[key] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "r", "namespace": "n", "generation": 2}, "spec": all,
    }))
    .unwrap()
}

fn release(status: Status) -> Release {
    let mut release = Release { name: "r".into(), namespace: "n".into(), version: 2, ..Release::default() };
    release.info.status = status;
    release.chart.metadata.name = "chart".into();
    release.chart.metadata.version = "1.0.0".into();
    release
}

fn wanted() -> Wanted<'static> {
    Wanted {
        chart_name: "chart",
        chart_version: "1.0.0",
        config_digest: CONFIG,
        post_renderers_digest: "",
        common_metadata_digest: "",
    }
}

/// A status whose newest snapshot is of this release.
fn status_of(release: &Release) -> HelmReleaseStatus {
    HelmReleaseStatus {
        observed_generation: 2,
        history: vec![history::snapshot(Algorithm::Sha256, release, INSTALL, "")],
        ..HelmReleaseStatus::default()
    }
}

fn state(spec: Value, status: &HelmReleaseStatus, stored: Option<&Release>) -> State {
    let record = stored.map(|release| Record::of(release.clone(), status.history.first()));
    observe(&object(spec), status, record.as_ref(), wanted())
}

#[test]
fn without_a_record_or_with_one_of_a_release_that_is_gone_it_is_absent() {
    let none = HelmReleaseStatus::default();
    assert_eq!(state(json!({}), &none, None), State::Absent("no release in storage for object"));
    let gone = release(Status::Uninstalled);
    let absent = State::Absent("found uninstalled release in storage");
    assert_eq!(state(json!({}), &none, Some(&gone)), absent);
    assert_eq!(state(json!({}), &status_of(&gone), Some(&gone)), absent);
}

#[test]
fn what_somebody_was_at_work_on_is_locked() {
    for status in
        [Status::PendingInstall, Status::PendingUpgrade, Status::PendingRollback, Status::Uninstalling]
    {
        let stored = release(status);
        assert_eq!(state(json!({}), &HelmReleaseStatus::default(), Some(&stored)), State::Locked(status));
        assert_eq!(state(json!({}), &status_of(&stored), Some(&stored)), State::Locked(status));
    }
}

#[test]
fn a_release_of_somebody_else_is_unmanaged_unless_it_is_just_what_is_wanted() {
    let none = HelmReleaseStatus::default();
    let unmanaged = State::Unmanaged("found existing release in storage");
    assert_eq!(state(json!({}), &none, Some(&release(Status::Deployed))), State::Adoptable);
    assert_eq!(state(json!({}), &none, Some(&release(Status::Failed))), unmanaged);
    let mut other = release(Status::Deployed);
    other.chart.metadata.version = "0.9.0".into();
    assert_eq!(state(json!({}), &none, Some(&other)), unmanaged);
    let mut other = release(Status::Deployed);
    other.config.insert("a".into(), json!(1.0));
    assert_eq!(state(json!({}), &none, Some(&other)), unmanaged);
    let changed = json!({"commonMetadata": {"labels": {"a": "b"}}});
    assert_eq!(state(changed, &none, Some(&release(Status::Deployed))), unmanaged);
}

#[test]
fn a_release_that_was_changed_behind_our_back_is_unmanaged() {
    let stored = release(Status::Deployed);
    let status = status_of(&stored);
    let mut changed = stored.clone();
    changed.manifest = "a: b".into();
    let unmanaged = State::Unmanaged("release not observed to be made for object");
    assert_eq!(state(json!({}), &status, Some(&changed)), unmanaged);
    let mut broken = status.clone();
    broken.history[0].digest = "nonsense".into();
    assert_eq!(
        state(json!({}), &broken, Some(&stored)),
        State::Unmanaged("release digest verification error")
    );
    // The digests of older forms are not looked at.
    broken.history[0].api_version = "v1".into();
    assert_eq!(state(json!({}), &broken, Some(&stored)), State::InSync);
}

#[test]
fn failed_and_strange_releases_are_told_apart() {
    let failed = release(Status::Failed);
    assert_eq!(
        state(json!({}), &status_of(&failed), Some(&failed)),
        State::Failed("release is in a failed state")
    );
    for status in [Status::Superseded, Status::Unknown] {
        let stored = release(status);
        assert!(
            matches!(state(json!({}), &status_of(&stored), Some(&stored)), State::Unclear(_)),
            "{status}"
        );
    }
}

#[test]
fn chart_values_and_with_a_new_generation_renderers_and_metadata_make_it_out_of_sync() {
    let stored = release(Status::Deployed);
    let status = status_of(&stored);
    let see = |status: &HelmReleaseStatus, wanted: Wanted<'_>| {
        let record = Record::of(stored.clone(), status.history.first());
        observe(&object(json!({})), status, Some(&record), wanted)
    };
    assert_eq!(see(&status, wanted()), State::InSync);
    for changed in [Wanted { chart_version: "1.0.1", ..wanted() }, Wanted { chart_name: "other", ..wanted() }]
    {
        assert_eq!(see(&status, changed), State::OutOfSync("release chart changed"));
    }
    let values = Wanted { config_digest: "sha256:0", ..wanted() };
    assert_eq!(see(&status, values), State::OutOfSync("release config values changed"));
    let renderers = Wanted { post_renderers_digest: "sha256:0", ..wanted() };
    let metadata = Wanted { common_metadata_digest: "sha256:0", ..wanted() };
    assert_eq!(see(&status, renderers), State::InSync, "the generation was seen");
    let old = HelmReleaseStatus { observed_generation: 1, ..status };
    assert_eq!(see(&old, renderers), State::OutOfSync("postrenderers digest has changed"));
    assert_eq!(see(&old, metadata), State::OutOfSync("common metadata digest has changed"));
}

#[test]
fn tests_are_to_run_once_and_their_failure_counts_unless_ignored() {
    let stored = release(Status::Deployed);
    let mut status = status_of(&stored);
    let test = json!({"test": {"enable": true}});
    assert_eq!(state(test.clone(), &status, Some(&stored)), State::Untested);
    let phase = |phase: &str| {
        let hook = sluice_api::helm::TestHookStatus { phase: phase.into(), ..Default::default() };
        Some([("t".to_owned(), hook)].into())
    };
    status.history[0].test_hooks = phase("Succeeded");
    assert_eq!(state(test.clone(), &status, Some(&stored)), State::InSync);
    status.history[0].test_hooks = phase("Failed");
    assert_eq!(state(test.clone(), &status, Some(&stored)), State::InSync, "no action to blame");
    status.last_attempted_release_action = INSTALL.into();
    assert_eq!(state(test, &status, Some(&stored)), State::Failed("release has test in failed phase"));
    let ignored = json!({"test": {"enable": true, "ignoreFailures": true}});
    assert_eq!(state(ignored, &status, Some(&stored)), State::InSync);
    let by_install =
        json!({"test": {"enable": true}, "install": {"remediation": {"ignoreTestFailures": true}}});
    assert_eq!(state(by_install, &status, Some(&stored)), State::InSync);
}

// --- from state to action ---

fn plan_for(spec: Value, status: &HelmReleaseStatus, state: &State, around: Circumstances) -> Plan {
    next(&object(spec).spec, status, state, around)
}

const CALM: Circumstances = Circumstances { forced: false, retry_by_default: false, correct_drift: false };
const FORCED: Circumstances = Circumstances { forced: true, ..CALM };
const AGAIN: Plan = Plan::Upgrade { forget: false };

#[test]
fn each_quiet_state_has_its_action() {
    let status = HelmReleaseStatus::default();
    for (state, plan, forced) in [
        (State::InSync, Plan::Done, AGAIN),
        (
            State::Locked(Status::PendingUpgrade),
            Plan::Unlock(Status::PendingUpgrade),
            Plan::Unlock(Status::PendingUpgrade),
        ),
        (State::Absent(""), Plan::Install, Plan::Install),
        (State::Adoptable, Plan::Adopt, Plan::Upgrade { forget: true }),
        (State::Unmanaged(""), Plan::Upgrade { forget: true }, Plan::Upgrade { forget: true }),
        (State::OutOfSync(""), AGAIN, AGAIN),
        (State::Untested, Plan::Test, Plan::Test),
        (State::Drifted, Plan::ReportDrift, Plan::ReportDrift),
        (State::Unclear("x".into()), Plan::Fail("x".into()), Plan::Fail("x".into())),
    ] {
        assert_eq!(plan_for(json!({}), &status, &state, CALM), plan, "{state:?}");
        assert_eq!(plan_for(json!({}), &status, &state, FORCED), forced, "{state:?}");
    }
    let corrects = Circumstances { correct_drift: true, ..CALM };
    assert_eq!(plan_for(json!({}), &status, &State::Drifted, corrects), Plan::CorrectDrift);
}

#[test]
fn tries_end_when_they_are_used_up_unless_forced() {
    let install = HelmReleaseStatus { install_failures: 2, ..HelmReleaseStatus::default() };
    let spec = |retries: i64| json!({"install": {"remediation": {"retries": retries}}, "upgrade": {"remediation": {"retries": retries}}});
    assert_eq!(plan_for(spec(1), &install, &State::Absent(""), CALM), Plan::GiveUp);
    assert_eq!(plan_for(spec(1), &install, &State::Absent(""), FORCED), Plan::Install);
    assert_eq!(plan_for(spec(2), &install, &State::Absent(""), CALM), Plan::Install);
    assert_eq!(plan_for(spec(-1), &install, &State::Absent(""), CALM), Plan::Install);
    let upgrade = HelmReleaseStatus { upgrade_failures: 1, ..HelmReleaseStatus::default() };
    assert_eq!(plan_for(json!({}), &upgrade, &State::OutOfSync(""), CALM), Plan::GiveUp);
    assert_eq!(plan_for(json!({}), &upgrade, &State::OutOfSync(""), FORCED), AGAIN);
    assert_eq!(plan_for(spec(1), &upgrade, &State::OutOfSync(""), CALM), AGAIN);
}

fn failed(action: &str, failures: i64) -> HelmReleaseStatus {
    let mut status =
        HelmReleaseStatus { last_attempted_release_action: action.into(), ..HelmReleaseStatus::default() };
    if action == INSTALL {
        status.install_failures = failures;
    } else {
        status.upgrade_failures = failures;
    }
    status
}

fn after(spec: Value, status: &HelmReleaseStatus, around: Circumstances) -> Plan {
    plan_for(spec, status, &State::Failed(""), around)
}

#[test]
fn a_failure_without_anything_to_undo_is_upgraded() {
    assert_eq!(after(json!({}), &failed("", 0), CALM), AGAIN, "no action is known");
    assert_eq!(after(json!({}), &failed(INSTALL, 0), CALM), AGAIN, "nothing was counted");
    assert_eq!(after(json!({}), &failed(UPGRADE, 5), FORCED), AGAIN, "forced");
    let retry = json!({"upgrade": {"strategy": {"name": "RetryOnFailure"}}});
    assert_eq!(after(retry, &failed(UPGRADE, 5), CALM), AGAIN);
    let by_default = Circumstances { retry_by_default: true, ..CALM };
    assert_eq!(after(json!({}), &failed(INSTALL, 5), by_default), AGAIN);
    let explicit = json!({"install": {"strategy": {"name": "RemediateOnFailure"}}});
    assert_eq!(after(explicit, &failed(INSTALL, 5), by_default), Plan::GiveUp);
}

#[test]
fn a_failed_installation_is_removed_and_the_last_one_only_when_asked() {
    let spec = |last: Option<bool>| json!({"install": {"remediation": {"retries": 1, "remediateLastFailure": last}}});
    assert_eq!(after(spec(None), &failed(INSTALL, 1), CALM), Plan::Remove);
    assert_eq!(after(spec(None), &failed(INSTALL, 2), CALM), Plan::GiveUp);
    assert_eq!(after(spec(Some(true)), &failed(INSTALL, 2), CALM), Plan::Remove);
    assert_eq!(after(json!({}), &failed(INSTALL, 1), CALM), Plan::GiveUp);
}

#[test]
fn a_failed_upgrade_is_rolled_back_or_removed() {
    let with_history = |failures| {
        let mut status = failed(UPGRADE, failures);
        let old = release(Status::Superseded);
        let mut new = release(Status::Failed);
        new.version = 3;
        let snapshot = |release: &Release| history::snapshot(Algorithm::Sha256, release, UPGRADE, "");
        status.history = vec![snapshot(&new), snapshot(&old)];
        status
    };
    let spec = json!({"upgrade": {"remediation": {"retries": 1}}});
    let Plan::RollBack(target) = after(spec.clone(), &with_history(1), CALM) else { panic!("no rollback") };
    assert_eq!(target.version, 2);
    assert!(matches!(after(spec.clone(), &with_history(2), CALM), Plan::RollBack(_)), "the last one too");
    let not_the_last = json!({"upgrade": {"remediation": {"retries": 1, "remediateLastFailure": false}}});
    assert_eq!(after(not_the_last, &with_history(2), CALM), Plan::GiveUp);
    assert_eq!(after(spec, &failed(UPGRADE, 1), CALM), Plan::NoTarget);
    let removes = json!({"upgrade": {"remediation": {"retries": 1, "strategy": "uninstall"}}});
    assert_eq!(after(removes, &with_history(1), CALM), Plan::Remove);
}

#[test]
fn retries_have_an_interval_of_their_own() {
    let interval = |spec: Value, action: &str, by_default| {
        retry_interval(&object(spec).spec, &failed(action, 1), by_default)
    };
    let spec = json!({"install": {"strategy": {"name": "RetryOnFailure", "retryInterval": "30s"}},
                      "upgrade": {"strategy": {"name": "RetryOnFailure"}}});
    assert_eq!(interval(spec.clone(), INSTALL, false), Some(Duration::from_secs(30)));
    assert_eq!(interval(spec.clone(), UPGRADE, false), Some(Duration::from_mins(5)));
    assert_eq!(interval(spec, "", true), None);
    assert_eq!(interval(json!({}), UPGRADE, true), Some(Duration::from_mins(5)));
    assert_eq!(interval(json!({}), UPGRADE, false), None);
}

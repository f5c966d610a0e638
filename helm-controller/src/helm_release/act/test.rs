//! Tests of the newest revision.

use sluice_api::meta::ConditionStatus;

use super::super::plan::{Plan, Remedy};
use super::super::run::{Run, snapshot_metadata};
use super::super::{history, reason};
use super::{Stage, timeout};
use crate::action::{self, Error, TestFilter};

/// Runs the tests, and tells how they went.
pub(super) async fn test(stage: Stage<'_>, run: &mut Run) -> Result<(), String> {
    let Stage { request, session, .. } = stage;
    let spec = run.object.spec.clone();
    let options = spec.test.clone().unwrap_or_default();
    let named = |exclude: bool| {
        let filters = options.filters.iter().filter(|filter| filter.exclude == exclude);
        filters.map(|filter| filter.name.clone()).collect::<Vec<_>>()
    };
    let filter = TestFilter { only: named(false), without: named(true) };
    let tested = action::test(session, &request.name, &filter, timeout(&spec, &Plan::Test)).await;
    session.take_written();
    let newest = run.status.history.first().cloned();
    let (hooks, outcome) = match tested {
        Ok((release, outcome)) => {
            let matches = newest.as_ref().is_some_and(|newest| history::targets(newest, &release));
            if matches {
                (Some(history::test_hooks(&release, |name| filter.wants(name))), outcome)
            } else {
                let text = format!(
                    "release mismatch: tested release {}/{}.v{}",
                    release.namespace, release.name, release.version
                );
                (None, Err(Error::State(text)))
            }
        }
        Err(error) => (None, Err(error)),
    };
    let (Some(newest), Some(snapshot)) = (newest, run.status.history.first_mut()) else {
        return Err("there is no release to test".to_owned());
    };
    let ran = hooks.is_some();
    let count = hooks.as_ref().map_or(0, std::collections::BTreeMap::len);
    if let Some(hooks) = hooks {
        snapshot.test_hooks = Some(hooks);
    }
    let (release, chart) = (newest.full_release_name(), newest.versioned_chart_name());
    let metadata = snapshot_metadata(&newest);
    match outcome {
        Ok(()) => {
            let tests = match count {
                0 => "no test hooks".to_owned(),
                1 => "1 test hook completed successfully".to_owned(),
                count => format!("{count} test hooks completed successfully"),
            };
            let message = format!("Helm test succeeded for release {release} with chart {chart}: {tests}");
            run.set(reason::TEST_SUCCESS, ConditionStatus::True, reason::TEST_SUCCEEDED, message.clone());
            run.summarize();
            stage.praise(run, reason::TEST_SUCCEEDED, message, metadata);
            Ok(())
        }
        Err(error) if session.is_broken_off() => Err(stage.shown(&error)),
        Err(error) => {
            let error = stage.shown(&error);
            let message = format!("Helm test failed for release {release} with chart {chart}: {error}");
            run.set(reason::TEST_SUCCESS, ConditionStatus::False, reason::TEST_FAILED, message.clone());
            run.status.failures += 1;
            let failed = run.status.history.first().is_some_and(history::has_failed_test);
            if let Some(remedy) = Remedy::active(&spec, &run.status)
                && failed
                && !remedy.ignores_tests
            {
                if remedy.of_upgrade {
                    run.status.upgrade_failures += 1;
                } else {
                    run.status.install_failures += 1;
                }
            }
            run.summarize();
            stage.blame(run, reason::TEST_FAILED, &message, metadata);
            if ran { Ok(()) } else { Err(message) }
        }
    }
}

//! Tests: the hooks of the last revision that test it.

use std::time::Duration;

use sluice_helm::manifest::HookEvent;
use sluice_helm::release::Release;

use super::{Error, Session, hooks};

/// Which tests run.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestFilter {
    /// Only these, when there are any.
    pub(crate) only: Vec<String>,
    /// None of these.
    pub(crate) without: Vec<String>,
}

impl TestFilter {
    /// Whether a test runs.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|wanted| wanted == name);
        !named(&self.without) && (self.only.is_empty() || named(&self.only))
    }
}

/// Tests the last revision of a release. Gives it with the runs of its tests, and how they ended.
pub(crate) async fn test(
    session: &Session<'_>,
    name: &str,
    filter: &TestFilter,
    timeout: Duration,
) -> Result<(Release, Result<(), Error>), Error> {
    let Some(mut release) = session.storage.last(name).await? else {
        return Err(Error::State("release: not found".to_owned()));
    };
    let outcome =
        hooks::run(session, &mut release, HookEvent::Test, timeout, |hook| filter.wants(hook)).await;
    if session.is_broken_off()
        && let Err(error) = outcome
    {
        // They are run again: how they ended is not known.
        return Err(error);
    }
    session.update(&release).await?;
    Ok((release, outcome))
}

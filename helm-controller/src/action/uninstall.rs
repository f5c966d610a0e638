//! Uninstalling: the objects go, and the records too unless they are to be kept.

use kube::api::PropagationPolicy;
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{Release, Status};

use super::{Common, Error, Session, Waiting, delete, hooks, now, wait};

/// What to uninstall and how.
pub(crate) struct Uninstall {
    pub(crate) name: String,
    pub(crate) common: Common,
    /// Whether the records stay.
    pub(crate) keep_history: bool,
    /// When dependents of the objects go.
    pub(crate) propagation: PropagationPolicy,
}

/// What came of an uninstall that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uninstalled {
    Done,
    /// There was no such release.
    NotFound,
    /// It was uninstalled before.
    Already,
}

/// Uninstalls a release.
pub(crate) async fn uninstall(session: &Session<'_>, uninstall: Uninstall) -> Result<Uninstalled, Error> {
    let name = uninstall.name.as_str();
    let revisions = session.revisions(name).await?;
    let Some(mut release) = session.storage.last_of(&revisions).await? else {
        return Ok(Uninstalled::NotFound);
    };
    if release.info.status == Status::Uninstalled {
        if !uninstall.keep_history {
            purge(session, name).await?;
        }
        return Ok(Uninstalled::Already);
    }
    let common = &uninstall.common;
    release.info.status = Status::Uninstalling;
    release.info.deleted = now();
    "Deletion in progress (or silently failed)".clone_into(&mut release.info.description);
    session.update(&release).await?;
    if common.hooks {
        hooks::run(session, &mut release, HookEvent::PreDelete, common.timeout, |_| true).await?;
    }
    let items = delete::deletable(session, &release.manifest, &release.namespace).await?;
    let (deleted, errors) = delete::delete_all(session, items, uninstall.propagation.clone()).await;
    if !errors.is_empty() {
        for error in errors {
            session.log.push(format!("error: {error}"));
        }
        return Err(Error::Apply(format!("failed to delete release: {name}")));
    }
    let mut late: Vec<String> = Vec::new();
    if common.waiting != Waiting::Hooks
        && let Err(error) =
            session.without(&mut release, Box::pin(wait::gone(session, deleted, common.timeout))).await
    {
        if session.is_stopped() {
            return Err(error);
        }
        late.push(error.to_string());
    }
    if common.hooks
        && let Err(error) =
            hooks::run(session, &mut release, HookEvent::PostDelete, common.timeout, |_| true).await
    {
        if session.is_stopped() {
            return Err(error);
        }
        late.push(error.to_string());
    }
    finish(session, &mut release, &uninstall, late).await
}

async fn finish(
    session: &Session<'_>,
    release: &mut Release,
    uninstall: &Uninstall,
    late: Vec<String>,
) -> Result<Uninstalled, Error> {
    release.info.status = Status::Uninstalled;
    "Uninstallation complete".clone_into(&mut release.info.description);
    if uninstall.keep_history {
        session.update(release).await?;
    } else {
        // The last state is told although the record goes.
        session.note(release);
        purge(session, &uninstall.name).await?;
    }
    if late.is_empty() {
        return Ok(Uninstalled::Done);
    }
    let list = late.join("; ");
    Err(Error::State(format!("uninstallation completed with {} error(s): {list}", late.len())))
}

/// Forgets all revisions, the oldest first: a crash in between leaves the latest, so that the rest is found again.
async fn purge(session: &Session<'_>, name: &str) -> Result<(), Error> {
    for revision in session.storage.revisions(name).await? {
        session.storage.delete(name, revision.version).await?;
    }
    Ok(())
}

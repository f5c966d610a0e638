//! Rolling back: a new revision with the content of an older one.

use std::sync::Arc;

use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{HookRun, Packed, Status};
use sluice_releases::{parse, resolve};
use sluice_runtime::apply::Cluster;

use super::apply::Applying;
use super::install::fail;
use super::upgrade::{Change, clean_up, current, supersede};
use super::{Common, Error, Method, Session, now, render};

/// Where to go back to and how.
pub(crate) struct Rollback {
    pub(crate) name: String,
    /// The revision to go back to.
    pub(crate) version: i64,
    pub(crate) common: Common,
    /// How objects are written; as those of the older revision were when not set.
    pub(crate) method: Option<Method>,
    /// Whether objects are put in place of those that are there.
    pub(crate) force: bool,
    /// Whether what a failed rollback has made is deleted.
    pub(crate) cleanup: bool,
    /// How many revisions are kept.
    pub(crate) max_history: i64,
}

/// Rolls a release back.
pub(crate) async fn rollback(
    session: &Session<'_>,
    cluster: &Arc<Cluster>,
    rollback: Rollback,
) -> Result<(), Error> {
    let name = rollback.name.as_str();
    let revisions = session.revisions(name).await?;
    let Some(last) = session.storage.last_of(&revisions).await? else {
        return Err(Error::State("release: not found".to_owned()));
    };
    if last.info.status.is_pending() {
        return Err(Error::State("another operation (install/upgrade/rollback) is in progress".to_owned()));
    }
    let Some(target) = session.storage.get(name, rollback.version).await? else {
        return Err(Error::State(format!("release has no {} version", rollback.version)));
    };
    let method = rollback.method.unwrap_or_else(|| render::method_of(&target));
    let mut release = target;
    release.version = last.version + 1;
    release.info.first_deployed = last.info.first_deployed.clone();
    release.info.last_deployed = now();
    release.info.deleted = sluice_helm::release::Moment::none();
    release.info.status = Status::PendingRollback;
    release.info.description = format!("Rollback to {}", rollback.version);
    release.info.rollback_revision = rollback.version;
    release.apply_method = Some(render::recorded(method));
    for hook in &mut release.hooks {
        hook.last_run = HookRun::default();
    }
    let namespace = release.namespace.clone();
    let current = current(session, &last).await?;
    let wanted = resolve(cluster, parse(&release.manifest)?, &namespace).await?;
    session.storage.trim(name, &revisions, rollback.max_history).await?;
    session.create(&release).await?;

    let how = Applying {
        release: name,
        namespace: &namespace,
        method,
        migrate: method == Method::Server,
        replace: rollback.force && method == Method::Client,
        tells_new: rollback.cleanup,
        strict: false,
    };
    let events = (HookEvent::PreRollback, HookEvent::PostRollback);
    let put_away = Packed::of(&last)?;
    drop(last);
    let change = Change { current, wanted, how, events };
    let (written, outcome) = change.make(session, &mut release, &rollback.common).await;
    let mut last = put_away.open()?;
    match outcome {
        Ok(()) => {
            release.info.status = Status::Deployed;
            session.update(&release).await?;
            supersede(session, &mut last, &revisions, &release).await
        }
        Err(error) => {
            if last.info.status == Status::Deployed {
                last.info.status = Status::Superseded;
                session.update(&last).await?;
            } else {
                session.note(&last);
            }
            fail(session, &mut release, format!("Rollback {name:?} failed: {error}")).await;
            if rollback.cleanup {
                clean_up(session, &written).await;
            }
            Err(error)
        }
    }
}

//! Upgrading: a revision in the place of another.

use std::sync::Arc;

use kube::api::PropagationPolicy;
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{Packed, Release, Status};
use sluice_helm::values::{coalesce, merge_tables};
use sluice_helm::{Capabilities, Values};
use sluice_releases::{Item, parse, resolve};
use sluice_runtime::apply::Cluster;

use super::apply::{Applying, Written, check_ownership, update};
use super::install::fail;
use super::{
    Chart, Common, Error, Method, RenderOptions, Revision, Session, delete, hooks, now, render, wait,
};

/// What to upgrade to and how.
pub(crate) struct Upgrade {
    pub(crate) chart: Chart,
    pub(crate) values: Values,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) render: RenderOptions,
    pub(crate) common: Common,
    /// How objects are written; as the last revision's were when not set.
    pub(crate) method: Option<Method>,
    /// Whether objects of others are taken over.
    pub(crate) adopt: bool,
    /// Whether objects are put in place of those that are there.
    pub(crate) force: bool,
    /// Whether what a failed upgrade has made is deleted.
    pub(crate) cleanup: bool,
    /// Whether the values of the last revision are kept below the new ones.
    pub(crate) preserve_values: bool,
    /// How many revisions are kept.
    pub(crate) max_history: i64,
    /// Whether unknown fields are an error.
    pub(crate) strict: bool,
}

/// The revision that the objects in the cluster are of.
async fn base(
    session: &Session<'_>,
    name: &str,
    revisions: &[Revision],
    last: Release,
) -> Result<Release, Error> {
    if last.info.status == Status::Deployed {
        return Ok(last);
    }
    let deployed = revisions.iter().rev().find(|revision| revision.status == Status::Deployed);
    if let Some(deployed) = deployed
        && let Some(found) = session.storage.get(name, deployed.version).await?
    {
        return Ok(found);
    }
    if matches!(last.info.status, Status::Failed | Status::Superseded) {
        return Ok(last);
    }
    Err(Error::State(format!("{name:?} has no deployed releases")))
}

/// Upgrades a release.
pub(crate) async fn upgrade(
    session: &Session<'_>,
    cluster: &Arc<Cluster>,
    upgrade: Upgrade,
) -> Result<(), Error> {
    // In a box that goes before the wait: what hundreds hold at the same time is to be small.
    let prepared = Box::pin(prepare(session, cluster, upgrade)).await?;
    let Prepared { mut release, base, revisions, current, wanted, common, how } = prepared;
    let (name, namespace) = (release.name.clone(), release.namespace.clone());
    let How { method, migrate, replace, cleanup, strict } = how;
    let how = Applying {
        release: &name,
        namespace: &namespace,
        method,
        migrate,
        replace,
        tells_new: cleanup,
        strict,
    };
    let events = (HookEvent::PreUpgrade, HookEvent::PostUpgrade);
    let change = Change { current, wanted, how, events };
    let (written, outcome) = change.make(session, &mut release, &common).await;
    match outcome {
        Ok(()) => {
            release.info.status = Status::Deployed;
            "Upgrade complete".clone_into(&mut release.info.description);
            // The new one first: a crash in between leaves two that are deployed, of which the newer counts.
            session.update(&release).await?;
            let mut base = Box::new(base.open()?);
            Box::pin(supersede(session, &mut base, &revisions, &release)).await
        }
        Err(error) => {
            fail(session, &mut release, format!("Upgrade {name:?} failed: {error}")).await;
            session.note_packed(base);
            if cleanup {
                Box::pin(clean_up(session, &written)).await;
            }
            Err(error)
        }
    }
}

/// A revision that is recorded as one that is to come, and how to get there.
struct Prepared {
    release: Box<Release>,
    /// The revision whose objects are in the cluster.
    base: Packed,
    /// All that there were.
    revisions: Vec<Revision>,
    current: Vec<Item>,
    wanted: Vec<Item>,
    common: Common,
    how: How,
}

/// How objects are written.
struct How {
    method: Method,
    migrate: bool,
    replace: bool,
    cleanup: bool,
    strict: bool,
}

/// Renders a revision, looks whether it can be, and records that it is to come.
async fn prepare(session: &Session<'_>, cluster: &Arc<Cluster>, upgrade: Upgrade) -> Result<Prepared, Error> {
    let name = upgrade.render.name.clone();
    let namespace = upgrade.render.namespace.clone();
    let revisions = session.revisions(&name).await?;
    let Some(last) = session.storage.last_of(&revisions).await? else {
        return Err(Error::State(format!("{name:?} has no deployed releases")));
    };
    if last.info.status.is_pending() {
        return Err(Error::State("another operation (install/upgrade/rollback) is in progress".to_owned()));
    }
    let (last_version, labels, last_method) = (last.version, last.labels.clone(), render::method_of(&last));
    let base = base(session, &name, &revisions, last).await?;
    let Upgrade { chart, mut values, capabilities, render: options, common, method, .. } = upgrade;
    let mut chart = Arc::unwrap_or_clone(chart);
    if upgrade.preserve_values {
        let recorded = sluice_helm::Chart::from(base.chart.clone());
        let old = coalesce(&recorded, &base.config)
            .map_err(|error| Error::Render(format!("failed to rebuild old values: {error}")))?
            .to_values();
        merge_tables(&mut values, &base.config);
        chart.values = Some(Arc::new(old));
    }
    let method = method.unwrap_or(last_method);
    let turnover = render::Turnover { revision: last_version + 1, is_upgrade: true };
    let rendering = render::render(session, cluster, capabilities, chart, values, options, turnover);
    let mut release = Box::new(Box::pin(rendering).await?);
    release.info.first_deployed = base.info.first_deployed.clone();
    release.info.last_deployed = now();
    release.info.status = Status::PendingUpgrade;
    "Preparing upgrade".clone_into(&mut release.info.description);
    release.apply_method = Some(render::recorded(method));
    release.labels = labels;

    let current = Box::pin(current(session, &base)).await?;
    let wanted = resolve(cluster, parse(&release.manifest)?, &namespace).await?;
    if !upgrade.adopt {
        let is_new = |item: &&Item| {
            !current
                .iter()
                .any(|known| known.id == item.id && known.object.api_version() == item.object.api_version())
        };
        Box::pin(check_ownership(session, wanted.iter().filter(is_new), &name, &namespace)).await?;
    }
    session.storage.trim(&name, &revisions, upgrade.max_history).await?;
    session.create(&release).await?;
    let how = How {
        method,
        migrate: method == Method::Server && render::method_of(&base) == Method::Client,
        replace: upgrade.force && method == Method::Client,
        cleanup: upgrade.cleanup,
        strict: upgrade.strict,
    };
    Ok(Prepared { release, base: Packed::of(&base)?, revisions, current, wanted, common, how })
}

/// The objects of a recorded revision. Kinds that are gone are told by name.
pub(super) async fn current(session: &Session<'_>, release: &Release) -> Result<Vec<Item>, Error> {
    let objects = parse(&release.manifest)?;
    let mut items = Vec::with_capacity(objects.len());
    for object in objects {
        match resolve(session.cluster, vec![object], &release.namespace).await {
            Ok(found) => items.extend(found),
            // helm refuses this. Objects of a kind that the server does not have cannot be there any more.
            Err(error) => session.log.push(format!("warning: the manifest of the current release: {error}")),
        }
    }
    Ok(items)
}

/// From the objects of one revision to those of another.
pub(super) struct Change<'a> {
    pub(super) current: Vec<Item>,
    pub(super) wanted: Vec<Item>,
    pub(super) how: Applying<'a>,
    /// The hooks before and after.
    pub(super) events: (HookEvent, HookEvent),
}

impl Change<'_> {
    /// Runs the hooks before, writes the objects, waits, and runs the hooks after.
    pub(super) async fn make(
        self,
        session: &Session<'_>,
        release: &mut Release,
        common: &Common,
    ) -> (Vec<Written>, Result<(), Error>) {
        let Self { current, wanted, how, events: (before, after) } = self;
        let prefix = |event: HookEvent| format!("{} hooks failed: ", event.name());
        if common.hooks
            && let Err(error) = Box::pin(hooks::run(session, release, before, common.timeout, |_| true)).await
        {
            return (Vec::new(), Err(error.within(&prefix(before))));
        }
        let applied = Box::pin(update(session, current, wanted, how)).await;
        if let Some(error) = applied.error {
            return (applied.written, Err(error));
        }
        let ready = Box::pin(wait::ready(session, &applied.written, common.waiting, common.timeout));
        if let Err(error) = session.without(release, ready).await {
            return (applied.written, Err(error));
        }
        if common.hooks
            && let Err(error) = Box::pin(hooks::run(session, release, after, common.timeout, |_| true)).await
        {
            return (applied.written, Err(error.within(&prefix(after))));
        }
        (applied.written, Ok(()))
    }
}

/// Records that older revisions are deployed no more.
pub(super) async fn supersede(
    session: &Session<'_>,
    base: &mut Release,
    revisions: &[Revision],
    by: &Release,
) -> Result<(), Error> {
    if base.info.status == Status::Deployed {
        base.info.status = Status::Superseded;
        session.update(base).await?;
    }
    for revision in revisions {
        if revision.status == Status::Deployed
            && revision.version != base.version
            && revision.version != by.version
            && let Some(mut stale) = session.storage.get(&by.name, revision.version).await?
        {
            stale.info.status = Status::Superseded;
            session.update(&stale).await?;
        }
    }
    Ok(())
}

/// Deletes what a failed action has made.
pub(super) async fn clean_up(session: &Session<'_>, written: &[Written]) {
    for written in written.iter().filter(|written| written.created) {
        let deletion = delete::delete(session, &written.resource, &written.id, PropagationPolicy::Background);
        if let Err(error) = deletion.await {
            session.log.push(format!("warning: cleanup: {error}"));
        }
    }
}

//! Installing: a first revision.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use sluice_helm::manifest::HookEvent;
use sluice_helm::release::{Release, Status};
use sluice_helm::{Capabilities, Values};
use sluice_releases::{Item, parse, resolve};
use sluice_runtime::apply::Cluster;
use sluice_runtime::errors::describe;

use super::apply::{Applying, check_ownership, update};
use super::{Chart, Common, Error, FIELD_MANAGER, Method, RenderOptions, Session, hooks, now, render, wait};

/// What to install and how.
pub(crate) struct Install {
    pub(crate) chart: Chart,
    pub(crate) values: Values,
    pub(crate) capabilities: Arc<Capabilities>,
    pub(crate) render: RenderOptions,
    pub(crate) common: Common,
    pub(crate) method: Method,
    /// Whether objects of others are taken over.
    pub(crate) adopt: bool,
    /// Whether the name of a release that is gone or failed may be used again.
    pub(crate) replace: bool,
    /// Whether to create the namespace.
    pub(crate) create_namespace: bool,
    /// Whether unknown fields are an error.
    pub(crate) strict: bool,
}

/// Installs a release.
pub(crate) async fn install(
    session: &Session<'_>,
    cluster: &Arc<Cluster>,
    install: Install,
) -> Result<(), Error> {
    let Install { ref common, method, strict, .. } = install;
    let common = common.clone();
    // In a box that goes before the wait: what hundreds hold at the same time is to be small.
    let (mut release, items) = Box::pin(prepare(session, cluster, install)).await?;
    let (name, namespace) = (release.name.clone(), release.namespace.clone());
    let how = Applying {
        release: &name,
        namespace: &namespace,
        method,
        migrate: false,
        replace: false,
        tells_new: false,
        strict,
    };
    match carry_out(session, &mut release, items, how, &common).await {
        Ok(()) => {
            release.info.status = Status::Deployed;
            "Install complete".clone_into(&mut release.info.description);
            session.update(&release).await
        }
        Err(error) => {
            fail(session, &mut release, format!("Release {name:?} failed: {error}")).await;
            Err(error)
        }
    }
}

/// Renders a first revision, looks whether it can be, and records that it is to come.
async fn prepare(
    session: &Session<'_>,
    cluster: &Arc<Cluster>,
    install: Install,
) -> Result<(Box<Release>, Vec<Item>), Error> {
    let name = install.render.name.clone();
    let namespace = install.render.namespace.clone();
    let last = session.storage.last_of(&session.revisions(&name).await?).await?;
    if let Some(last) = &last
        && !(install.replace && matches!(last.info.status, Status::Uninstalled | Status::Failed))
    {
        return Err(Error::State("cannot reuse a name that is still in use".to_owned()));
    }
    let revision = last.as_ref().map_or(1, |last| last.version + 1);
    let Install { chart, values, capabilities, render: options, method, .. } = install;
    let chart = Arc::unwrap_or_clone(chart);
    let turnover = render::Turnover { revision, is_upgrade: false };
    let rendering = render::render(session, cluster, capabilities, chart, values, options, turnover);
    let mut release = Box::new(Box::pin(rendering).await?);
    release.info.first_deployed = now();
    release.info.last_deployed = release.info.first_deployed.clone();
    release.info.status = Status::PendingInstall;
    "Initial install underway".clone_into(&mut release.info.description);
    release.apply_method = Some(render::recorded(method));

    let items = resolve(cluster, parse(&release.manifest)?, &namespace).await?;
    if !install.adopt {
        Box::pin(check_ownership(session, items.iter(), &name, &namespace)).await?;
    }
    if install.create_namespace {
        Box::pin(create_namespace(session, &namespace)).await?;
    }
    if let Some(mut last) = last {
        last.info.status = Status::Superseded;
        session.storage.update(&last).await?;
    }
    session.create(&release).await?;
    Ok((release, items))
}

/// Runs the hooks before, writes the objects, waits, and runs the hooks after.
async fn carry_out(
    session: &Session<'_>,
    release: &mut Release,
    items: Vec<Item>,
    how: Applying<'_>,
    common: &Common,
) -> Result<(), Error> {
    if common.hooks {
        Box::pin(hooks::run(session, release, HookEvent::PreInstall, common.timeout, |_| true))
            .await
            .map_err(|error| error.within("failed pre-install: "))?;
    }
    let applied = Box::pin(update(session, Vec::new(), items, how)).await;
    if let Some(error) = applied.error {
        return Err(error);
    }
    let ready = Box::pin(wait::ready(session, &applied.written, common.waiting, common.timeout));
    session.without(release, ready).await?;
    if common.hooks {
        Box::pin(hooks::run(session, release, HookEvent::PostInstall, common.timeout, |_| true))
            .await
            .map_err(|error| error.within("failed post-install: "))?;
    }
    Ok(())
}

/// Records that a revision has failed. The failure itself matters more than one of recording it.
pub(super) async fn fail(session: &Session<'_>, release: &mut Release, description: String) {
    release.info.status = Status::Failed;
    release.info.description = description;
    if let Err(error) = session.update(release).await {
        session.log.push(format!("error: failed to record the failed release: {error}"));
    }
}

async fn create_namespace(session: &Session<'_>, name: &str) -> Result<(), Error> {
    let api = Api::<Namespace>::all(session.client.clone());
    let exists = api.get_metadata_opt(name).await;
    if matches!(exists, Ok(Some(_))) {
        return Ok(());
    }
    let object = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"name": name}},
    });
    let params = PatchParams::apply(FIELD_MANAGER);
    match api.patch(name, &params, &Patch::Apply(object)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Apply(describe(&error))),
    }
}

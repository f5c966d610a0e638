//! HelmReleases: find the chart, compose the values, bring the release to them, tell.
//!
//! [`Reconciler`] starts a task for each run, so that a wait for objects holds no worker; [`attempt`](mod@attempt) is
//! what leads up to the release, [`release`] goes from action to action by the pure [`plan`], and the status is written by
//! [`run::Run`] alone.

mod act;
mod attempt;
mod deletion;
mod dependencies;
pub(crate) mod dependents;
mod digest;
mod drift;
mod failure;
mod history;
mod inventory;
mod plan;
mod reason;
mod records;
mod release;
mod run;
mod source;
mod tasks;
mod template;

use std::sync::Arc;
use std::time::Duration;

use sluice_api::helm::HelmRelease;
use sluice_artifact::Algorithm;
use sluice_helm::manifest::PostRenderStrategy;
use sluice_helm::render::TemplateCache;
use sluice_releases::CapabilitiesCache;
pub(crate) use sluice_releases::NAME_LABEL;
use sluice_releases::Schemas;
use sluice_runtime::apply::Takeover;
use sluice_runtime::identity::Identities;
use sluice_runtime::{Cache, Manager, Next, ObjectKey, StatusWriter, Waiting, Waker};

use crate::action::{RenderOptions, Turns};
use crate::charts::Charts;
use crate::sources::AllSources;
pub(crate) use records::Records;
pub(crate) use tasks::Tasks;

/// The conditions that this controller sets.
pub(crate) const OWNED_CONDITIONS: [&str; 7] = [
    reason::RELEASED,
    reason::REMEDIATED,
    reason::TEST_SUCCESS,
    reason::DRIFTED,
    "Reconciling",
    "Ready",
    "Stalled",
];

/// Settings from flags.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) requeue_dependency: Duration,
    pub(crate) no_cross_namespace_refs: bool,
    pub(crate) external_artifacts: bool,
    pub(crate) additive_ready_check: bool,
    pub(crate) track_digest: bool,
    pub(crate) helm3_defaults: bool,
    pub(crate) cancel_on_news: bool,
    pub(crate) retry_by_default: bool,
    pub(crate) dns: bool,
    pub(crate) digest: Algorithm,
    pub(crate) takeover: Arc<Takeover>,
}

/// What all runs share.
pub(crate) struct Context {
    pub(crate) manager: Arc<Manager>,
    pub(crate) settings: Settings,
    pub(crate) cache: Arc<Cache<HelmRelease>>,
    pub(crate) waker: Waker,
    pub(crate) status: StatusWriter<HelmRelease>,
    pub(crate) sources: AllSources,
    pub(crate) charts: Charts,
    pub(crate) identities: Identities,
    /// Who waits for whom.
    pub(crate) waiting: Waiting,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) templates: Arc<TemplateCache>,
    pub(crate) capabilities: CapabilitiesCache,
    pub(crate) turns: Turns,
    pub(crate) records: Records,
    pub(crate) tasks: Tasks,
}

impl Context {
    /// How the chart of a HelmRelease is rendered.
    fn render_options(&self, object: &HelmRelease, name: &str, skip_schema: bool) -> RenderOptions {
        let by_default = if self.settings.helm3_defaults {
            PostRenderStrategy::NoHooks
        } else {
            PostRenderStrategy::Combined
        };
        RenderOptions {
            name: name.to_owned(),
            namespace: object.release_namespace().to_owned(),
            skip_schema,
            schemas: self.schemas.clone(),
            dns: self.settings.dns,
            customization: sluice_releases::customization(object),
            strategy: sluice_releases::strategy(object, by_default),
            cache: self.templates.clone(),
        }
    }
}

/// Reconciles HelmReleases.
pub(crate) struct Reconciler(pub(crate) Arc<Context>);

impl sluice_runtime::Reconciler for Reconciler {
    type Kind = HelmRelease;

    async fn reconcile(&self, object: Arc<HelmRelease>) -> Next {
        tasks::start(&self.0, object);
        Next::AwaitChange
    }

    fn forget(&self, key: &ObjectKey) {
        self.0.tasks.forget(key);
        self.0.charts.forget(key);
        self.0.records.forget(key);
    }
}

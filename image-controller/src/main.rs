//! Looks for new tags of images, chooses among them, and commits the choice to Git.
//!
//! One module per kind: [`image_repository`] scans a registry into [`tag_store`], [`image_policy`] chooses one of the
//! tags, [`image_update_automation`] writes it into a repository. A scan that finds something new wakes its policies
//! within the process, and a policy that chooses something else wakes the automations of its namespace.

mod flags;
mod image_name;
mod image_policy;
mod image_repository;
mod image_update_automation;
mod progress;
mod registries;
mod tag_store;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::manager::StartError;
use sluice_runtime::{Controller, Manager};

use flags::Flags;
use registries::Registries;
use tag_store::TagStore;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let common = flags.common.clone();
    sluice_runtime::run("image-controller", common, |manager| controllers(manager, flags))
}

/// What all kinds share.
struct Shared {
    manager: Arc<Manager>,
    flags: Flags,
    gates: FeatureGates,
    tags: Arc<TagStore>,
    registries: Registries,
    /// For requests to clouds and to GitHub.
    http: sluice_http::Clients,
    identities: sluice_access::Identities,
    /// Tokens of GitHub Apps.
    apps: sluice_github::Tokens,
    /// Events are told under the names of Flux's two controllers, which Alerts and dashboards know.
    reflector: sluice_runtime::Recorder,
}

async fn controllers(manager: Arc<Manager>, flags: Flags) -> Result<(), StartError> {
    let gates = FeatureGates::parse(&manager.flags.feature_gates, &flags::GATES).map_err(StartError::Flag)?;
    let kept = flags.token_cache;
    let identities = sluice_access::Identities::new(
        manager.client.clone(),
        kept.tokens(),
        gates.enabled(flags::OBJECT_LEVEL_WORKLOAD_IDENTITY),
        flags.default_service_account.clone(),
    )
    .map_err(StartError::Flag)?;
    let tags = TagStore::open(&flags.storage_path, flags.storage_compression_threshold).map_err(|error| {
        StartError::Other(format!("--storage-path {}: {error}", flags.storage_path.display()))
    })?;
    let reflector = manager.recorder.named("image-reflector-controller");
    let shared = Arc::new(Shared {
        manager: manager.clone(),
        flags,
        gates,
        tags: Arc::new(tags),
        registries: Registries::default(),
        http: sluice_http::Clients::default(),
        identities,
        apps: sluice_github::Tokens::new(kept.token_cache_max_size, kept.token_cache_max_duration),
        reflector,
    });
    let repositories = Controller::new(&manager, shared.flags.concurrent);
    let policies = Controller::new(&manager, shared.flags.concurrent);
    let automations = Controller::new(&manager, shared.flags.concurrent);
    let links = Links {
        repositories: repositories.cache(),
        policies: policies.cache(),
        wake_policy: policies.waker(),
        automations: automations.cache(),
        wake_automation: automations.waker(),
    };
    tokio::join!(
        image_repository::run(shared.clone(), repositories, links.clone()),
        image_policy::run(shared.clone(), policies, links.clone()),
        image_update_automation::run(shared, automations, links),
    );
    Ok(())
}

/// How the kinds find one another.
#[derive(Clone)]
struct Links {
    repositories: Arc<sluice_runtime::Cache<sluice_api::image::ImageRepository>>,
    policies: Arc<sluice_runtime::Cache<sluice_api::image::ImagePolicy>>,
    wake_policy: sluice_runtime::Waker,
    automations: Arc<sluice_runtime::Cache<sluice_api::image::ImageUpdateAutomation>>,
    wake_automation: sluice_runtime::Waker,
}

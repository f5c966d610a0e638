//! Fetches sources and serves them as artifacts.
//!
//! One module per kind, each in the phases observe, plan, act, succeed; what they share is in `source`, the
//! storage, its file server and the reading of Secrets. It never applies anything to the cluster but the status of its own
//! kinds and the ExternalArtifacts that it makes.

mod artifact_generator;
mod bucket;
mod chart_repository;
mod file_server;
mod flags;
mod git_repository;
mod helm_chart;
mod helm_repository;
mod oci_repository;
mod registries;
mod source;
mod verification;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use sluice_artifact::Storage;
use sluice_artifact::storage::Retention;
use sluice_runtime::Manager;
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::manager::StartError;

use flags::Flags;
use registries::Registries;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let common = flags.common.clone();
    sluice_runtime::run("source-controller", common, |manager| controllers(manager, flags))
}

/// What all kinds share.
struct Shared {
    manager: Arc<Manager>,
    storage: Arc<Storage>,
    flags: Flags,
    gates: FeatureGates,
    http: sluice_http::Clients,
    registries: Registries,
    identities: sluice_access::Identities,
}

async fn controllers(manager: Arc<Manager>, flags: Flags) -> Result<(), StartError> {
    let gates = FeatureGates::parse(&manager.flags.feature_gates, &flags::GATES).map_err(StartError::Flag)?;
    let retention =
        Retention { ttl: flags.artifact_retention_ttl, records: flags.artifact_retention_records };
    let address = flags.advertised_address();
    let storage = Storage::open(&flags.storage_path, &address, flags.artifact_digest_algo, retention)
        .map_err(|error| StartError::Other(sluice_runtime::errors::chain(&error)))?;
    let storage = Arc::new(storage);
    manager.serve("artifacts", &flags.storage_addr, file_server::routes(storage.clone())).await?;
    let tokens = flags.token_cache.tokens();
    let identities = sluice_access::Identities::new(
        manager.client.clone(),
        tokens,
        gates.enabled(flags::OBJECT_LEVEL_WORKLOAD_IDENTITY),
        flags.default_service_account.clone(),
    )
    .map_err(StartError::Flag)?;
    let shared = Arc::new(Shared {
        manager,
        storage,
        flags,
        gates,
        http: sluice_http::Clients::default(),
        registries: Registries::default(),
        identities,
    });
    let generators = async {
        if shared.gates.enabled(flags::ARTIFACT_GENERATOR) {
            artifact_generator::run(shared.clone()).await;
        }
    };
    tokio::join!(
        generators,
        bucket::run(shared.clone()),
        git_repository::run(shared.clone()),
        helm_repository::run(shared.clone()),
        helm_chart::run(shared.clone()),
        oci_repository::run(shared.clone()),
    );
    Ok(())
}

//! Builds and applies Kustomizations.
//!
//! Sources become objects of a cluster: [`kustomization`] holds the loop, [`artifacts`] and [`sources`] what it reads.
//! How objects are applied is known to `sluice_runtime::apply`, how they are built to `sluice_kustomize`.

mod artifacts;
mod flags;
mod kustomization;
mod logins;
mod sources;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::Parser;
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::KUSTOMIZATION_NAME_LABEL;
use sluice_runtime::apply::{Cluster, CustomKinds, Takeover};
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::identity::{Identities, Rules};
use sluice_runtime::manager::StartError;
use sluice_runtime::{Controller, Manager, StatusWriter, run};
use tokio::sync::Semaphore;

use crate::artifacts::Artifacts;
use crate::flags::{Flags, GATES};
use crate::kustomization::{Context, FIELD_MANAGER, OWNED_CONDITIONS, Reconciler, Settings, Triggers};
use crate::logins::Logins;
use crate::sources::AllSources;

fn main() -> ExitCode {
    let flags = Flags::parse();
    run("kustomize-controller", flags.common.clone(), |manager| start(manager, flags))
}

async fn start(manager: Arc<Manager>, flags: Flags) -> Result<(), StartError> {
    let gates = FeatureGates::parse(&flags.common.feature_gates, &GATES).map_err(StartError::Flag)?;
    for (flag, value) in [
        ("--default-decryption-service-account", &flags.default_decryption_service_account),
        ("--default-kubeconfig-service-account", &flags.default_kubeconfig_service_account),
    ] {
        if !value.is_empty() && !gates.enabled("ObjectLevelWorkloadIdentity") {
            let hint = format!("{flag} needs the feature gate ObjectLevelWorkloadIdentity");
            return Err(StartError::Flag(hint));
        }
    }
    let http = if flags.no_remote_bases {
        None
    } else {
        let client = sluice_http::build(&sluice_http::Options::default());
        Some(client.map_err(|error| StartError::Other(format!("cannot ask for remote bases: {error}")))?)
    };
    let workload_identity = gates.enabled("ObjectLevelWorkloadIdentity");
    let identities = sluice_access::Identities::new(
        manager.client.clone(),
        flags.token_cache.tokens(),
        workload_identity,
        flags.default_decryption_service_account,
    )
    .map_err(StartError::Flag)?;
    // By which account a cluster is opened is said with the cluster.
    let clusters = sluice_access::Identities::new(
        manager.client.clone(),
        flags.token_cache.tokens(),
        workload_identity,
        String::new(),
    )
    .and_then(sluice_access::ClusterLogins::new)
    .map_err(StartError::Flag)?;
    let vaults = Some(flags.sops_vault_configmap).filter(|name| !name.is_empty());
    let vaults = vaults.map(|name| (manager.runtime_namespace.clone(), name));
    let logins = Arc::new(Logins::new(manager.client.clone(), identities, vaults));
    let artifacts = Artifacts::new(flags.http_retry)
        .map_err(|error| StartError::Other(format!("cannot keep artifacts: {error}")))?;
    let cluster = Arc::new(Cluster::new(manager.client.clone(), KUSTOMIZATION_NAME_LABEL));
    let mut controller = Controller::<Kustomization>::new(&manager, flags.concurrent);
    let sources =
        AllSources::watch(&manager, &cluster, &mut controller, gates.enabled("DirectSourceFetch")).await;
    let triggers = Arc::<Mutex<Triggers>>::default();
    if !gates.enabled("DisableConfigWatchers") {
        let (kustomizations, triggers) = (controller.cache(), triggers.clone());
        controller.watch_configs(move |kind, key| {
            let keys = kustomization::dependents::of_config(&kustomizations, kind, key);
            kustomization::lock(&triggers)
                .extend(keys.iter().map(|dependent| (dependent.clone(), format!("{kind}/{key}"))));
            keys
        });
    }
    let rules = Rules {
        default_service_account: flags.default_service_account,
        default_kubeconfig_service_account: flags.default_kubeconfig_service_account,
        allow_exec: flags.insecure_kubeconfig_exec,
        allow_insecure: flags.insecure_kubeconfig_tls,
    };
    let settings = Settings {
        requeue_dependency: flags.requeue_dependency,
        no_cross_namespace_refs: flags.no_cross_namespace_refs,
        artifact_hosts: flags.artifact_hosts,
        external_artifacts: gates.enabled("ExternalArtifact"),
        strict_substitution: gates.enabled("StrictPostBuildSubstitutions"),
        fail_fast: !gates.enabled("DisableFailFastBehavior"),
        group_change_log: gates.enabled("GroupChangeLog"),
        migrate_api_version: gates.enabled("MigrateAPIVersion"),
        concurrent_ssa: flags.concurrent_ssa,
        custom_kinds: Arc::new(CustomKinds::parse(&flags.custom_apply_stage_kinds)),
        takeover: Arc::new(Takeover::new(FIELD_MANAGER, &flags.override_manager)),
        sops_age_secret: flags.sops_age_secret,
        additive_ready_check: gates.enabled("AdditiveCELDependencyCheck"),
        workload_identity,
    };
    let cache = controller.cache();
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let context = Context {
        status: StatusWriter::new(
            manager.client.clone(),
            cache.clone(),
            "gotk-kustomize-controller",
            &OWNED_CONDITIONS,
        ),
        waker: controller.waker(),
        logins,
        http,
        identities: Identities::new(cluster, KUSTOMIZATION_NAME_LABEL, rules).with_clouds(Arc::new(clusters)),
        builds: Semaphore::new(cores),
        waiting: sluice_runtime::Waiting::default(),
        memories: Mutex::default(),
        manager,
        settings,
        cache,
        sources,
        artifacts,
        triggers,
    };
    controller.run(Reconciler(Arc::new(context))).await;
    Ok(())
}

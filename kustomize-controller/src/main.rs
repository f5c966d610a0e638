//! Builds and applies Kustomizations.
//!
//! Sources become objects of a cluster: [`kustomization`] holds the loop, [`artifacts`] and [`sources`] what it reads.
//! How objects are applied is known to `sluice_runtime::apply`, how they are built to `sluice_kustomize`.

mod artifacts;
mod flags;
mod kustomization;
mod sources;

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::Parser;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use sluice_api::kustomize::Kustomization;
use sluice_api::meta::KUSTOMIZATION_NAME_LABEL;
use sluice_runtime::apply::{Cluster, CustomKinds, Takeover};
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::identity::{Identities, Rules};
use sluice_runtime::manager::StartError;
use sluice_runtime::{Change, Controller, Manager, StatusWriter, run};
use tokio::sync::Semaphore;

use crate::artifacts::Artifacts;
use crate::flags::{Flags, GATES};
use crate::kustomization::{Context, FIELD_MANAGER, OWNED_CONDITIONS, Reconciler, Settings};
use crate::sources::Sources;

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
    let artifacts = Artifacts::new(flags.http_retry)
        .map_err(|error| StartError::Other(format!("cannot keep artifacts: {error}")))?;
    let cluster = Arc::new(Cluster::new(manager.client.clone(), KUSTOMIZATION_NAME_LABEL));
    let mut controller = Controller::<Kustomization>::new(&manager, flags.concurrent);
    let sources =
        Sources::watch(&manager, &cluster, &mut controller, gates.enabled("DirectSourceFetch")).await;
    let triggers = Arc::new(Mutex::default());
    if !gates.enabled("DisableConfigWatchers") {
        watch_configs::<ConfigMap>(&manager, &mut controller, &triggers);
        watch_configs::<Secret>(&manager, &mut controller, &triggers);
    }
    let rules = Rules {
        default_service_account: flags.default_service_account,
        allow_exec: flags.insecure_kubeconfig_exec,
        allow_insecure: flags.insecure_kubeconfig_tls,
    };
    let settings = Settings {
        requeue_dependency: flags.requeue_dependency,
        no_cross_namespace_refs: flags.no_cross_namespace_refs,
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
        workload_identity: gates.enabled("ObjectLevelWorkloadIdentity"),
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
        identities: Identities::new(cluster, KUSTOMIZATION_NAME_LABEL, rules),
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

/// Wakes those who refer to a ConfigMap or Secret when it changes.
fn watch_configs<K>(
    manager: &Arc<Manager>,
    controller: &mut Controller<Kustomization>,
    triggers: &Arc<Mutex<std::collections::HashMap<sluice_runtime::ObjectKey, String>>>,
) where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let kustomizations = controller.cache();
    let triggers = triggers.clone();
    let kind = K::kind(&()).into_owned();
    let api = if manager.flags.watch_all_namespaces {
        Api::<PartialObjectMeta<K>>::all(manager.client.clone())
    } else {
        Api::namespaced(manager.client.clone(), &manager.runtime_namespace)
    };
    controller.watch_metadata(
        api,
        manager.flags.configs_watch_config(),
        move |change: &Change<PartialObjectMeta<K>>| {
            if change.initial {
                return Vec::new();
            }
            let keys = kustomization::dependents::of_config(&kustomizations, &kind, &change.key);
            let mut triggers = triggers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for key in &keys {
                triggers.insert(key.clone(), format!("{kind}/{}", change.key));
            }
            keys
        },
    );
}

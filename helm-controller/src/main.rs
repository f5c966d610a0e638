//! Installs Helm charts and keeps the releases as HelmReleases say.
//!
//! [`helm_release`] holds the loop and the state machine, [`action`] what helm does to a release, [`charts`] and
//! [`sources`] what it reads. How charts are rendered and records are made is known to `sluice_helm`.

mod action;
mod charts;
mod flags;
mod helm_release;
mod sources;
#[cfg(test)]
mod test_object;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use sluice_api::helm::HelmRelease;
use sluice_helm::render::TemplateCache;
use sluice_http::AddressPolicy;
use sluice_releases::Schemas;
use sluice_runtime::apply::{Cluster, Takeover};
use sluice_runtime::flags::FeatureGates;
use sluice_runtime::identity::{Identities, Rules};
use sluice_runtime::manager::StartError;
use sluice_runtime::{Controller, Manager, StatusWriter, Waiting, errors, run};

use crate::action::{CapabilitiesCache, FIELD_MANAGER, Turns};
use crate::charts::Charts;
use crate::flags::{Flags, GATES};
use crate::helm_release::{Context, NAME_LABEL, OWNED_CONDITIONS, Reconciler, Settings};
use crate::sources::AllSources;

/// Who asks for schemas.
const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));
/// How many charts' parsed templates are kept.
const PARSED_CHARTS: usize = 8;
/// How many objects are looked at at once: a look ends at once, as the work is done by tasks.
const LOOKS: usize = 2;

fn main() -> ExitCode {
    let flags = Flags::parse();
    run("helm-controller", flags.common.clone(), |manager| start(manager, flags))
}

async fn start(manager: Arc<Manager>, flags: Flags) -> Result<(), StartError> {
    let gates = FeatureGates::parse(&flags.common.feature_gates, &GATES).map_err(StartError::Flag)?;
    if !flags.default_kubeconfig_service_account.is_empty() && !gates.enabled("ObjectLevelWorkloadIdentity") {
        let hint = "--default-kubeconfig-service-account needs the feature gate ObjectLevelWorkloadIdentity";
        return Err(StartError::Flag(hint.to_owned()));
    }
    for gate in ["DetectDrift", "CorrectDrift", "AdoptLegacyReleases"] {
        if gates.enabled(gate) {
            tracing::warn!(gate, "this feature gate has no effect any more");
        }
    }
    let charts = Charts::new(flags.http_retry, flags.http_timeout)
        .map_err(|error| StartError::Other(format!("cannot keep charts: {error}")))?;
    let denied = ("deny-schema-hosts", flags.deny_schema_hosts.as_slice());
    let policy = AddressPolicy::of_flags(denied, ("allow-schema-hosts", &flags.allow_schema_hosts));
    let schemas = Schemas::new(AGENT, policy.map_err(StartError::Flag)?)
        .map_err(|error| StartError::Other(format!("cannot fetch schemas: {}", errors::chain(&error))))?;
    let cluster = Arc::new(Cluster::new(manager.client.clone(), NAME_LABEL));
    let mut controller = Controller::<HelmRelease>::new(&manager, LOOKS);
    let external = gates.enabled("ExternalArtifact");
    let direct = gates.enabled("DirectSourceFetch");
    let sources = AllSources::watch(&manager, &cluster, &mut controller, direct, external).await;
    if !gates.enabled("DisableConfigWatchers") {
        let releases = controller.cache();
        controller.watch_configs(move |kind, key| helm_release::dependents::of_config(&releases, kind, key));
    }
    // By which account a cluster is opened is said with the cluster.
    let clusters = sluice_access::Identities::new(
        manager.client.clone(),
        flags.token_cache.tokens(),
        gates.enabled("ObjectLevelWorkloadIdentity"),
        String::new(),
    )
    .and_then(sluice_access::ClusterLogins::new)
    .map_err(StartError::Flag)?;
    let rules = Rules {
        default_service_account: flags.default_service_account,
        default_kubeconfig_service_account: flags.default_kubeconfig_service_account,
        allow_exec: flags.insecure_kubeconfig_exec,
        allow_insecure: flags.insecure_kubeconfig_tls,
    };
    let settings = Settings {
        requeue_dependency: flags.requeue_dependency,
        no_cross_namespace_refs: flags.no_cross_namespace_refs,
        external_artifacts: external,
        additive_ready_check: gates.enabled("AdditiveCELDependencyCheck"),
        track_digest: !gates.enabled("DisableChartDigestTracking"),
        helm3_defaults: gates.enabled("UseHelm3Defaults"),
        cancel_on_news: gates.enabled("CancelHealthCheckOnNewRevision"),
        retry_by_default: gates.enabled("DefaultToRetryOnFailure"),
        dns: gates.enabled("AllowDNSLookups"),
        digest: flags.snapshot_digest_algo,
        takeover: Arc::new(Takeover::only(FIELD_MANAGER, &flags.override_manager)),
    };
    let cache = controller.cache();
    let context = Context {
        status: StatusWriter::new(manager.client.clone(), cache.clone(), FIELD_MANAGER, &OWNED_CONDITIONS),
        waker: controller.waker(),
        identities: Identities::new(cluster, NAME_LABEL, rules).with_clouds(Arc::new(clusters)),
        waiting: Waiting::default(),
        schemas: Arc::new(schemas),
        templates: Arc::new(TemplateCache::new(PARSED_CHARTS)),
        capabilities: CapabilitiesCache::default(),
        turns: Turns::new(flags.concurrent),
        records: helm_release::Records::default(),
        tasks: helm_release::Tasks::default(),
        manager,
        settings,
        cache,
        sources,
        charts,
    };
    let tasks = context.manager.tasks.clone();
    controller.run(Reconciler(Arc::new(context))).await;
    // Nobody else leads before the last run has recorded how it ended.
    tasks.close();
    tasks.wait().await;
    Ok(())
}

//! A HelmRelease is deleted: its release goes with it, unless it is suspended.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::Api;
use sluice_api::meta::{ConditionStatus, READY_CONDITION};
use sluice_releases::release_name;
use sluice_runtime::expressions::HealthRules;
use sluice_runtime::{ObjectKey, errors, finalizer};
use tokio_util::sync::CancellationToken;

use super::run::Run;
use super::{Context, act, reason, template};
use crate::action::{Log, Session, Storage, Turns};

/// Uninstalls, then lets the object go. The error: it is to be tried again.
pub(crate) async fn delete(context: &Arc<Context>, run: &mut Run, turns: &Turns) -> Result<(), String> {
    if !finalizer::is_present(&*run.object) {
        return Ok(());
    }
    if !run.object.spec.suspend {
        let outcome = uninstall(context, run, turns).await;
        if let Err(error) = outcome {
            run.write(context).await;
            return Err(error);
        }
        template::remove(context, run).await.map_err(|failure| failure.message)?;
    }
    let key = ObjectKey::of(&*run.object);
    for dependent in context.waiting.take(&key) {
        context.waker.wake(&dependent);
    }
    finalizer::remove(&context.manager.client, &context.cache, &run.object)
        .await
        .map(drop)
        .map_err(|error| format!("cannot remove the finalizer: {}", errors::describe(&error)))
}

async fn uninstall(context: &Arc<Context>, run: &mut Run, turns: &Turns) -> Result<(), String> {
    if run.status.storage_namespace.is_empty() {
        return Ok(());
    }
    let spec = &run.object.spec;
    let namespace = run.object.metadata.namespace.clone().unwrap_or_default();
    if let Some(reference) = spec.kube_config.as_ref().and_then(|reference| reference.secret_ref.as_ref()) {
        let api =
            Api::<k8s_openapi::api::core::v1::Secret>::namespaced(context.manager.client.clone(), &namespace);
        if matches!(api.get_metadata_opt(&reference.name).await, Ok(None)) {
            tracing::warn!("the Secret with the kubeconfig is gone; the release is left where it is");
            return Ok(());
        }
    } else if let Some(account) = context.identities.service_account(&spec.service_account_name) {
        let api = Api::<ServiceAccount>::namespaced(context.manager.client.clone(), &namespace);
        if matches!(api.get_metadata_opt(account).await, Ok(None)) {
            tracing::warn!(account, "the ServiceAccount is gone; the release is left where it is");
            return Ok(());
        }
    }
    let identity =
        context.identities.of(&namespace, &spec.service_account_name, spec.kube_config.as_ref()).await;
    let identity = identity.inspect_err(|error| {
        run.set(READY_CONDITION, ConditionStatus::False, reason::UNINSTALL_FAILED, error.clone());
    })?;
    let name =
        run.status.history.first().map_or_else(|| release_name(&run.object), |newest| newest.name.clone());
    let storage = Storage::new(identity.client.clone(), &run.status.storage_namespace);
    let (log, rules) = (Log::default(), HealthRules::default());
    let session = Session::new(
        &identity.cluster,
        &identity.client,
        &storage,
        &log,
        &rules,
        (CancellationToken::new(), context.manager.stop.clone()),
        turns.take().await,
    );
    act::uninstall(context, run, &session, &name).await?;
    run.status.history.clear();
    run.status.storage_namespace.clear();
    Ok(())
}

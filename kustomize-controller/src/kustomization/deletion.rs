//! A Kustomization is deleted: what it applied goes with it, or stays, as its spec says.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::Api;
use sluice_api::kustomize::{DeletionPolicy, Kustomization};
use sluice_runtime::apply::{Pruner, inventory, lines};
use sluice_runtime::{Next, ObjectKey, Severity, errors, finalizer};

use super::Context;
use super::run::Run;

/// Deletes what is to be deleted, then lets the object go.
pub(crate) async fn delete(context: &Arc<Context>, object: Arc<Kustomization>) -> Next {
    super::lock(&context.memories).remove(&ObjectKey::of(&*object));
    if !finalizer::is_present(&*object) {
        return Next::AwaitChange;
    }
    let mut run = Run::new(object);
    run.revision.clone_from(&run.status.last_applied_revision);
    run.origin_revision.clone_from(&run.status.last_applied_origin_revision);
    if deletes_resources(&run.object) {
        match delete_resources(context, &run).await {
            Ok(()) => {}
            Err(error) => {
                tracing::error!(error, "cannot delete the applied objects");
                return Next::Backoff;
            }
        }
    }
    match finalizer::remove(&context.manager.client, &context.cache, &run.object).await {
        Ok(_) => Next::AwaitChange,
        Err(error) => {
            tracing::error!(error = errors::describe(&error), "cannot remove the finalizer");
            Next::Backoff
        }
    }
}

/// Whether the applied objects are to go.
fn deletes_resources(object: &Kustomization) -> bool {
    let applied = object.status.as_ref().and_then(|status| status.inventory.as_ref());
    let any = applied.is_some_and(|inventory| !inventory.entries.is_empty());
    let wanted = match object.spec.deletion_policy() {
        DeletionPolicy::MirrorPrune => object.spec.prune,
        DeletionPolicy::Delete | DeletionPolicy::WaitForTermination => true,
        DeletionPolicy::Orphan => false,
    };
    any && wanted && !object.spec.suspend
}

async fn delete_resources(context: &Context, run: &Run) -> Result<(), String> {
    let objects = inventory::read(run.status.inventory.as_ref());
    let key = ObjectKey::of(&*run.object);
    if account_is_gone(context, run).await {
        let list: Vec<_> = objects.iter().map(|tracked| tracked.id.to_string()).collect();
        let message = format!("unable to prune objects: \n{}", list.join("\n"));
        tracing::error!("{message}");
        run.event(context, Severity::Error, message, false);
        return Ok(());
    }
    let identity = super::identity(context, &run.object).await?;
    let pruner = Pruner {
        cluster: &identity.cluster,
        client: &identity.client,
        group: sluice_api::kustomize::GROUP,
        owner_name: &key.name,
        owner_namespace: &key.namespace,
    };
    let pruned = pruner.delete_all(objects).await;
    if let Some(error) = pruned.error {
        run.event(context, Severity::Error, "pruning for deleted resource failed", false);
        return Err(error);
    }
    run.event(context, Severity::Info, lines(&pruned.changes, |_| true), false);
    if run.object.spec.deletion_policy() == DeletionPolicy::WaitForTermination {
        let timeout = run.object.spec.timeout().to_std();
        if let Err(error) = pruner.wait_for_termination(&pruned.changes, timeout).await {
            let message = "failed to wait for resources termination";
            tracing::error!(error, "{message}");
            run.event(context, Severity::Error, message, false);
        }
    }
    Ok(())
}

/// Whether the ServiceAccount to act as does not exist any more: nobody could delete in its name.
async fn account_is_gone(context: &Context, run: &Run) -> bool {
    let Some(name) = context.identities.service_account(&run.object.spec.service_account_name) else {
        return false;
    };
    let namespace = run.object.metadata.namespace.as_deref().unwrap_or_default();
    let api = Api::<ServiceAccount>::namespaced(context.manager.client.clone(), namespace);
    matches!(api.get_metadata_opt(name).await, Ok(None))
}

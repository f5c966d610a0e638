//! What most cases begin with.

use crate::gitops::{SOURCE, is_ready};
use anyhow::{Context as _, Result};
use kube::api::DynamicObject;
use serde_json::json;
use sluice_tests::{Cluster, ControlPlane, Namespace, condition, install_crds, reason, wait};
use std::ops::Deref;

/// A namespace on the shared control plane, with our CRDs installed.
pub(crate) struct Setting {
    pub(crate) plane: &'static ControlPlane,
    cluster: Cluster,
    /// Goes last: fields are dropped in order.
    _namespace: Namespace,
}

impl Setting {
    /// `prefix` begins the namespace's name.
    pub(crate) async fn new(prefix: &str) -> Result<Self> {
        let setting = Self::bare(prefix).await?;
        install_crds(&setting.client).await?;
        Ok(setting)
    }

    /// Without the CRDs.
    pub(crate) async fn bare(prefix: &str) -> Result<Self> {
        let plane = tokio::task::spawn_blocking(ControlPlane::shared).await??;
        let client = plane.client().await?;
        let namespace = Namespace::create(plane, &client, prefix).await?;
        let cluster = Cluster { client, namespace: namespace.name().into() };
        Ok(Self { plane, cluster, _namespace: namespace })
    }

    /// Lets controllers make tokens of ServiceAccounts: what the chart grants along with the gate.
    pub(crate) async fn tokens_of_service_accounts(&self) -> Result<()> {
        let objects = [
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "tokens"},
                "rules": [{"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "tokens"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tokens"},
                "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:serviceaccounts"}],
            }),
        ];
        for object in objects {
            self.apply(&object.to_string()).await?;
        }
        Ok(())
    }

    /// Waits until an object is not ready for this reason, and returns it.
    pub(crate) async fn fails(
        &self,
        version: &str,
        kind: &str,
        name: &str,
        why: &str,
    ) -> Result<DynamicObject> {
        let api = self.api(version, kind).await?;
        wait::until(&api, name, &format!("failed with reason {why}"), |object| {
            condition(object, "Ready") == Some("False") && reason(object, "Ready") == Some(why)
        })
        .await
    }

    /// Waits until an object is ready with this revision.
    pub(crate) async fn has(&self, kind: &str, name: &str, revision: &str) -> Result<DynamicObject> {
        let api = self.api(SOURCE, kind).await?;
        wait::until(&api, name, &format!("ready at {revision}"), |object| {
            object.data["status"]["artifact"]["revision"] == revision && is_ready(object)
        })
        .await
        .with_context(|| format!("{kind} {name}"))
    }
}

impl Deref for Setting {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

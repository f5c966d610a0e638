//! A namespace for each test.

use crate::{control_plane::client, identities};
use anyhow::{Context, Result};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};
use serde_json::json;
use std::path::PathBuf;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

/// A namespace with a name of its own. Dropping it asks for its deletion and does not wait for the end;
/// with `SLUICE_KEEP` in the environment it stays.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    kubeconfig: PathBuf,
}

impl Namespace {
    /// Creates the namespace `prefix-…` and waits until Pods could be created in it.
    pub async fn create(plane: &crate::ControlPlane, client: &kube::Client, prefix: &str) -> Result<Self> {
        let suffix: String = std::iter::repeat_with(fastrand::lowercase).take(6).collect();
        let name = format!("{prefix}-{suffix}");
        let object = core::Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), ..Default::default() },
            ..Default::default()
        };
        let made = Api::all(client.clone()).create(&PostParams::default(), &object).await;
        let made = made.context("no namespace for the test")?;
        if identities::locked_down() {
            Self::applier(client, &made).await?;
        }
        Ok(Self { name, kubeconfig: plane.facts().kubeconfig.clone() })
    }

    /// The account that controllers apply as which may do nothing themselves.
    async fn applier(client: &kube::Client, namespace: &core::Namespace) -> Result<()> {
        let name = namespace.metadata.name.as_deref().unwrap_or_default();
        let account = json!({"metadata": {"name": identities::APPLIER}});
        let accounts: Api<core::ServiceAccount> = Api::namespaced(client.clone(), name);
        accounts.create(&PostParams::default(), &serde_json::from_value(account)?).await?;
        let binding = json!({
            "metadata": {"name": name, "ownerReferences": [
                {"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": namespace.metadata.uid},
            ]},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": identities::APPLIER, "namespace": name}],
        });
        let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
        bindings.create(&PostParams::default(), &serde_json::from_value(binding)?).await?;
        Ok(())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if std::env::var_os("SLUICE_KEEP").is_some() {
            return;
        }
        // The test's own runtime may be about to stop: another thread asks, and we wait until it has.
        let (done, finished) = mpsc::channel();
        if sweeper().send((self.name.clone(), self.kubeconfig.clone(), done)).is_ok() {
            let _ = finished.recv_timeout(Duration::from_secs(10));
        }
    }
}

type Order = (String, PathBuf, mpsc::Sender<()>);

fn sweeper() -> mpsc::Sender<Order> {
    static SWEEPER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    SWEEPER
        .get_or_init(|| {
            let (sender, orders) = mpsc::channel::<Order>();
            thread::spawn(move || {
                let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                    return;
                };
                for (name, kubeconfig, done) in orders {
                    runtime.block_on(async {
                        if let Ok(client) = client(&kubeconfig).await {
                            let namespaces: Api<core::Namespace> = Api::all(client);
                            let _ = namespaces.delete(&name, &DeleteParams::background()).await;
                        }
                    });
                    let _ = done.send(());
                }
            });
            sender
        })
        .clone()
}

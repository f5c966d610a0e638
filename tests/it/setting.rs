//! What most cases begin with.

use anyhow::Result;
use sluice_tests::{Cluster, ControlPlane, Namespace, install_crds};
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
}

impl Deref for Setting {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

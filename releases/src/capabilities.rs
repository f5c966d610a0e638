//! What templates learn of the cluster.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_helm::{Capabilities, KubeVersion};
use sluice_runtime::apply::Cluster;
use sluice_runtime::errors::describe;

/// How long versions and kinds are taken for what they were.
const FRESH: Duration = Duration::from_mins(1);

/// The versions and kinds of clusters, read once in a while.
#[derive(Debug, Default)]
pub struct CapabilitiesCache(Mutex<HashMap<usize, (Instant, Arc<Capabilities>)>>);

impl CapabilitiesCache {
    /// What a cluster offers. The error tells what was asked for and why there is no answer.
    pub async fn get(&self, cluster: &Arc<Cluster>) -> Result<Arc<Capabilities>, String> {
        let key = Arc::as_ptr(cluster) as usize;
        if let Some((read, known)) = self.lock().get(&key)
            && read.elapsed() < FRESH
        {
            return Ok(known.clone());
        }
        let found =
            Arc::new(read(cluster).await.map_err(|error| {
                format!("could not get apiVersions from Kubernetes: {}", describe(&error))
            })?);
        let mut known = self.lock();
        known.retain(|_, (read, _)| read.elapsed() < FRESH);
        known.insert(key, (Instant::now(), found.clone()));
        Ok(found)
    }

    /// Forgets everything, because there are new kinds.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<usize, (Instant, Arc<Capabilities>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(cluster: &Cluster) -> kube::Result<Capabilities> {
    let version = cluster.client().apiserver_version().await?;
    let mut api_versions = Vec::new();
    for path in ["/api", "/apis"] {
        let request = http::Request::get(path)
            .header("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
            .body(Vec::new())
            .map_err(kube::Error::HttpError)?;
        let list = cluster.client().request::<Value>(request).await?;
        list_kinds(&list, &mut api_versions);
    }
    api_versions.sort();
    api_versions.dedup();
    Ok(Capabilities {
        kube_version: KubeVersion {
            version: version.git_version,
            normalised: None,
            major: version.major,
            minor: version.minor,
        },
        api_versions,
        ..Capabilities::default()
    })
}

/// `group/version` and `group/version/Kind` of an aggregated discovery.
fn list_kinds(list: &Value, into: &mut Vec<String>) {
    let items = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    for group in items(list, "items") {
        let name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        for version in items(&group, "versions") {
            let number = version["version"].as_str().unwrap_or_default();
            let api_version = if name.is_empty() { number.to_owned() } else { format!("{name}/{number}") };
            for resource in items(&version, "resources") {
                let kinds = items(&resource, "subresources").into_iter().chain([resource]);
                for kind in
                    kinds.filter_map(|kind| kind.pointer("/responseKind/kind")?.as_str().map(str::to_owned))
                {
                    into.push(format!("{api_version}/{kind}"));
                }
            }
            into.push(api_version);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_versions_and_kinds_are_listed() {
        let mut found = Vec::new();
        let list = json!({"items": [
            {"metadata": {}, "versions": [{"version": "v1", "resources": [{"responseKind": {"kind": "Pod"}}]}]},
            {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [
                {"responseKind": {"kind": "Deployment"}, "subresources": [{"responseKind": {"kind": "Scale"}}]}]}]},
        ]});
        list_kinds(&list, &mut found);
        assert_eq!(found, ["v1/Pod", "v1", "apps/v1/Scale", "apps/v1/Deployment", "apps/v1"]);
    }
}

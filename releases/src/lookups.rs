//! What templates learn of the cluster by `lookup`.

use std::sync::Arc;

use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};
use sluice_gotemplate::{Host, Map};
use sluice_runtime::apply::{Cluster, Refusal};
use sluice_runtime::errors::{describe, is_not_found};

/// What templates may ask the cluster. Every question blocks: they must run on a thread for that.
pub struct Lookups {
    cluster: Arc<Cluster>,
    client: kube::Client,
    handle: tokio::runtime::Handle,
    dns: bool,
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookups").field("dns", &self.dns).finish_non_exhaustive()
    }
}

impl Lookups {
    /// `client` asks for objects, with the rights of whoever it stands for; `dns`: whether hosts may be resolved. To be
    /// called within a runtime.
    pub fn new(cluster: Arc<Cluster>, client: kube::Client, dns: bool) -> Self {
        Self { cluster, client, handle: tokio::runtime::Handle::current(), dns }
    }

    async fn find(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, String> {
        let resource = match self.cluster.resolve(api_version, kind).await {
            Ok(resource) => resource,
            Err(Refusal::Unmapped(_)) => return Ok(json!({})),
            Err(error) => return Err(error.to_string()),
        };
        let api = if resource.namespaced && !namespace.is_empty() {
            Api::<DynamicObject>::namespaced_with(self.client.clone(), namespace, &resource.api)
        } else {
            Api::all_with(self.client.clone(), &resource.api)
        };
        if name.is_empty() {
            let list = api.list(&ListParams::default()).await.map_err(|error| describe(&error))?;
            let items: Vec<Value> = list.items.iter().map(|item| complete(item, api_version, kind)).collect();
            return Ok(json!({"apiVersion": api_version, "kind": format!("{kind}List"), "items": items}));
        }
        match api.get(name).await {
            Ok(object) => Ok(complete(&object, api_version, kind)),
            Err(error) if is_not_found(&error) => Ok(json!({})),
            Err(error) => Err(describe(&error)),
        }
    }
}

fn complete(object: &DynamicObject, api_version: &str, kind: &str) -> Value {
    let mut value = json!(object);
    value["apiVersion"] = api_version.into();
    value["kind"] = kind.into();
    value
}

impl Host for Lookups {
    fn lookup(
        &mut self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<sluice_gotemplate::Value, String> {
        let found = self.handle.clone().block_on(self.find(api_version, kind, namespace, name))?;
        Ok(match sluice_gotemplate::Value::from_json_with_integers(&found) {
            map @ sluice_gotemplate::Value::Map(_) => map,
            _ => sluice_gotemplate::Value::Map(Map::new()),
        })
    }

    fn resolve_host(&mut self, name: &str) -> String {
        use std::net::ToSocketAddrs as _;
        if !self.dns {
            return String::new();
        }
        let addresses = (name, 0).to_socket_addrs();
        addresses
            .ok()
            .and_then(|mut found| found.next())
            .map(|address| address.ip().to_string())
            .unwrap_or_default()
    }
}

//! Any resource of the API server by the words that people use for it: `deploy`, `deployments`, `Deployment.apps`.

use anyhow::{Result, bail};
use kube::api::ApiResource;
use kube::client::{APIGroupDiscovery, APIResourceDiscovery};

use crate::cluster::Cluster;

/// A resource and whether its objects live in namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) api: ApiResource,
    pub(crate) namespaced: bool,
}

/// All resources that the server knows, in its order of preference.
pub(crate) struct Resources(Vec<Known>);

struct Known {
    resource: Resource,
    names: Vec<String>,
}

impl Resources {
    /// Asks the server: two requests.
    pub(crate) async fn discover(cluster: &Cluster) -> Result<Self> {
        let core = cluster.client.list_core_api_versions_aggregated().await?;
        let groups = cluster.client.list_api_groups_aggregated().await?;
        Ok(Self::from_groups(core.items.iter().chain(&groups.items)))
    }

    fn from_groups<'g>(groups: impl Iterator<Item = &'g APIGroupDiscovery>) -> Self {
        let mut known = Vec::new();
        for group in groups {
            let name = group.metadata.as_ref().and_then(|metadata| metadata.name.clone()).unwrap_or_default();
            for version in &group.versions {
                let number = version.version.clone().unwrap_or_default();
                known.extend(version.resources.iter().filter_map(|resource| read(&name, &number, resource)));
            }
        }
        Self(known)
    }

    /// The resource that a word means.
    pub(crate) fn named(&self, word: &str) -> Option<&Resource> {
        let word = word.to_ascii_lowercase();
        let matches = |known: &&Known| known.names.contains(&word);
        self.0.iter().find(matches).map(|known| &known.resource)
    }

    /// The resource of a kind in an API version.
    pub(crate) fn exactly(&self, api_version: &str, kind: &str) -> Result<&Resource> {
        let matches = |known: &&Known| {
            known.resource.api.api_version == api_version
                && known.resource.api.kind.eq_ignore_ascii_case(kind)
        };
        match self.0.iter().find(matches) {
            Some(known) => Ok(&known.resource),
            None => bail!("the cluster has no kind {kind} in {api_version}"),
        }
    }
}

fn read(group: &str, version: &str, resource: &APIResourceDiscovery) -> Option<Known> {
    let plural = resource.resource.clone()?;
    let kind = resource.response_kind.as_ref()?;
    let own = |part: &Option<String>, other: &str| {
        part.clone().filter(|part| !part.is_empty()).unwrap_or(other.into())
    };
    let (group, version) = (own(&kind.group, group), own(&kind.version, version));
    let kind = kind.kind.clone()?;
    let mut words = vec![plural.clone(), kind.to_ascii_lowercase()];
    words.extend(resource.singular_resource.clone().filter(|word| !word.is_empty()));
    let mut names: Vec<String> = resource.short_names.clone();
    for word in words {
        if !group.is_empty() {
            names.push(format!("{word}.{group}"));
            names.push(format!("{word}.{version}.{group}"));
        }
        names.push(word);
    }
    let api_version = if group.is_empty() { version.clone() } else { format!("{group}/{version}") };
    let namespaced = resource.scope.as_deref() == Some("Namespaced");
    Some(Known {
        resource: Resource { api: ApiResource { group, version, api_version, kind, plural }, namespaced },
        names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resources() -> Resources {
        let resource = |plural: &str, kind: &str, group: &str, version: &str, short: &str, scope: &str| {
            json!({"resource": plural, "responseKind": {"group": group, "version": version, "kind": kind},
                   "scope": scope, "singularResource": kind.to_lowercase(), "verbs": ["get"], "shortNames": [short]})
        };
        let group = |name: &str, version: &str, resource: serde_json::Value| -> APIGroupDiscovery {
            serde_json::from_value(json!({
                "metadata": {"name": name}, "versions": [{"version": version, "resources": [resource]}],
            }))
            .unwrap()
        };
        let groups = [
            group("", "v1", resource("namespaces", "Namespace", "", "v1", "ns", "Cluster")),
            group("apps", "v1", resource("deployments", "Deployment", "apps", "v1", "deploy", "Namespaced")),
        ];
        Resources::from_groups(groups.iter())
    }

    #[test]
    fn every_word_of_a_resource_is_known() {
        let resources = resources();
        for word in ["deploy", "deployment", "Deployments", "deployments.apps", "Deployment.v1.apps"] {
            assert_eq!(resources.named(word).unwrap().api.plural, "deployments", "{word}");
        }
        assert!(!resources.named("ns").unwrap().namespaced);
        assert!(resources.named("pods").is_none());
        assert!(
            resources.exactly("apps/v1", "deployment").is_ok()
                && resources.exactly("v1", "Deployment").is_err()
        );
    }
}

//! The repository of a policy, and whether the policy may use it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::Api;
use sluice_api::image::{ImagePolicy, ImageRepository};
use sluice_api::meta::{ACCESS_DENIED_REASON, AccessFrom, DEPENDENCY_NOT_READY_REASON};
use sluice_runtime::{ObjectKey, errors};

use crate::progress::Failure;
use crate::{Links, Shared};

/// The repository of a policy.
pub(super) async fn repository(
    shared: &Shared,
    links: &Links,
    policy: &ImagePolicy,
) -> Result<Arc<ImageRepository>, Failure> {
    let own = policy.namespace().unwrap_or_default();
    let reference = &policy.spec.image_repository_ref;
    let key = ObjectKey::new(reference.namespace_or(&own), &reference.name);
    let denied = |problem: String| {
        let message = format!("failed to get the referred ImageRepository: {problem}");
        Failure::new(ACCESS_DENIED_REASON, message)
    };
    let foreign = key.namespace != own;
    if foreign && shared.flags.no_cross_namespace_refs {
        return Err(denied(format!(
            "cannot access 'ImageRepository/{key}', cross-namespace references have been blocked"
        )));
    }
    let repository = links.repositories.get(&key).ok_or_else(|| {
        let problem = format!("imagerepositories.image.toolkit.fluxcd.io \"{}\" not found", key.name);
        let message = format!(
            "failed to get the referred ImageRepository: referenced ImageRepository does not exist: {problem}"
        );
        Failure::new(DEPENDENCY_NOT_READY_REASON, message)
    })?;
    if foreign {
        let namespaces = Api::<Namespace>::all(shared.manager.client.clone());
        let labels =
            match repository.spec.access_from.as_ref().filter(|from| !from.namespace_selectors.is_empty()) {
                None => return Err(denied(missing(&key))),
                Some(_) => {
                    namespaces.get(&own).await.map(|namespace| namespace.metadata.labels.unwrap_or_default())
                }
            };
        let labels = labels.map_err(|error| denied(errors::describe(&error)))?;
        let admitted = repository.spec.access_from.as_ref().is_some_and(|from| admits(from, &labels));
        if !admitted {
            return Err(denied(format!(
                "access denied: '{key}' can't be accessed due to ACL labels mismatch on namespace '{own}'"
            )));
        }
    }
    Ok(repository)
}

fn missing(key: &ObjectKey) -> String {
    format!("access denied: '{key}' can't be accessed due to missing ACL labels on 'accessFrom'")
}

/// Whether a namespace with these labels is let in.
fn admits(from: &AccessFrom, labels: &std::collections::BTreeMap<String, String>) -> bool {
    from.namespace_selectors
        .iter()
        .any(|selector| selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_selector_whose_labels_are_all_there_lets_in() {
        let from = |json| serde_json::from_value::<AccessFrom>(json).unwrap();
        let labels = [("team".to_owned(), "a".to_owned())].into();
        let admitted = |json| admits(&from(json), &labels);
        assert!(admitted(serde_json::json!({"namespaceSelectors": [{"matchLabels": {"team": "a"}}]})));
        assert!(admitted(serde_json::json!({"namespaceSelectors": [{"matchLabels": {"x": "y"}}, {}]})));
        assert!(!admitted(
            serde_json::json!({"namespaceSelectors": [{"matchLabels": {"team": "a", "x": "y"}}]})
        ));
        assert!(!admitted(serde_json::json!({"namespaceSelectors": []})));
    }
}

//! Whether a cluster can be installed into: is it new enough, and may this person do it?

use anyhow::{Result, anyhow, bail};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use crate::cluster::Cluster;
use crate::failure::hinted;

/// The oldest supported version of Kubernetes.
const OLDEST: (u32, u32) = (1, 33);
/// What to do about a cluster that is too old.
pub(crate) const UPGRADE: &str = "upgrade the cluster first: older versions are neither supported nor tested";
/// What an installation cannot do without: group and resource of what is patched. Whoever may do this in the whole cluster
/// is its administrator, and may do the rest.
const NEEDED: [(&str, &str); 3] = [
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("apps", "deployments"),
];

/// Whether a version of Kubernetes is new enough, in words.
pub(crate) fn version(version: &str) -> Result<String, String> {
    let plain = version.trim_start_matches('v');
    let range = format!(">={}.{}.0-0", OLDEST.0, OLDEST.1);
    if numbers(plain).is_some_and(|found| found >= OLDEST) {
        Ok(format!("Kubernetes {plain} {range}"))
    } else {
        Err(format!("Kubernetes version {plain} does not match {range}"))
    }
}

/// Fails where an installation would end half-way, before anything is changed. `force` tries it on an old cluster too.
pub(crate) async fn installable(cluster: &Cluster, force: bool) -> Result<()> {
    let found = cluster.client.apiserver_version().await?;
    if !force && let Err(problem) = version(&found.git_version) {
        let error = anyhow!("{problem}; nothing was changed");
        return Err(hinted(error, format!("{UPGRADE}; --force tries it nevertheless")));
    }
    for (group, resource) in NEEDED {
        if !may_patch(cluster, group, resource).await? {
            let error = anyhow!("you may not patch {resource}.{group} in this cluster; nothing was changed");
            return Err(hinted(
                error,
                "an installation needs the rights of cluster-admin: ask for them, or use another context (--context)",
            ));
        }
    }
    Ok(())
}

async fn may_patch(cluster: &Cluster, group: &str, resource: &str) -> Result<bool> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                verb: Some("patch".to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.client.clone());
    match reviews.create(&PostParams::default(), &review).await?.status {
        Some(status) => Ok(status.allowed),
        None => bail!("the API server does not say whether you may patch {resource}"),
    }
}

/// Major and minor version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '+']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{numbers, version};

    #[test]
    fn versions_of_kubernetes_may_have_suffixes() {
        assert_eq!(numbers("1.33.1"), Some((1, 33)));
        assert_eq!(numbers("1.34.0-eks.1"), Some((1, 34)));
        assert_eq!(numbers("1.35+"), Some((1, 35)));
        assert_eq!(numbers("unknown"), None);
    }

    #[test]
    fn an_old_cluster_is_told_by_its_version() {
        assert_eq!(version("v1.36.3").unwrap(), "Kubernetes 1.36.3 >=1.33.0-0");
        let problem = version("v1.28.3-eks.1").unwrap_err();
        assert_eq!(problem, "Kubernetes version 1.28.3-eks.1 does not match >=1.33.0-0");
    }
}

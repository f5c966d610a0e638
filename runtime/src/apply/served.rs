//! Kinds whose objects were applied in a version that is not served any more.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;

use super::cluster::segment;
use super::error::Refusal;
use super::{Cluster, Resource};

impl Cluster {
    /// How to address a kind that the server may serve in another version by now. Nothing where it serves none: the
    /// definition of the kind is gone, and all its objects went with it.
    pub(super) async fn served(
        &self,
        api_version: &str,
        group: &str,
        kind: &str,
    ) -> Result<Option<Arc<Resource>>, Refusal> {
        match self.resolve(api_version, kind).await {
            Err(Refusal::Unmapped(_)) if group.is_empty() => return Ok(None),
            Err(Refusal::Unmapped(_)) => {}
            other => return other.map(Some),
        }
        let request = http::Request::get(format!("/apis/{}", segment(group))).body(Vec::new());
        let request = request.map_err(|error| Refusal::from(kube::Error::HttpError(error)))?;
        let versions = match self.client().request::<APIGroup>(request).await {
            Ok(group) => group.versions,
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        for version in versions {
            match self.resolve(&version.group_version, kind).await {
                Err(Refusal::Unmapped(_)) => {}
                other => return other.map(Some),
            }
        }
        Ok(None)
    }
}

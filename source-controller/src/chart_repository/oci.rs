//! Charts in registries.

use std::sync::Arc;

use sluice_helm::index::Nearest;
use sluice_oci::{Client, Reference};
use sluice_semver::{Constraints, Version};

use super::{FoundChart, Place, RepositoryError};

/// The layer that is the chart's archive.
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The same in the days when charts in registries were new.
const OLD_CHART_LAYER: &str = "application/tar+gzip";

/// A place in a registry below which charts are.
pub(crate) struct OciRepository {
    pub(crate) client: Arc<Client>,
    base: String,
}

impl OciRepository {
    pub(super) fn new(client: Arc<Client>, base: &str) -> Self {
        OciRepository { client, base: base.to_owned() }
    }

    /// The version of a chart that a version or a range chooses. A whole version is not looked for: whether it is there
    /// shows when it is fetched.
    pub(crate) async fn find(&self, name: &str, version: &str) -> Result<FoundChart, RepositoryError> {
        let reference = Reference::parse(&format!("{}/{name}", self.base))?;
        let found = |version: &str| FoundChart {
            name: name.to_owned(),
            version: version.to_owned(),
            place: Place::Oci(reference.with_tag(&version.replace('+', "_"))),
        };
        if Version::parse_strict(version).is_ok() {
            return Ok(found(version));
        }
        let range = Constraints::parse(if version.is_empty() { "*" } else { version })
            .map_err(sluice_helm::index::LookupError::from)?;
        let tags = self.client.tags(&reference.repository).await?;
        let tags: Vec<String> = tags.iter().map(|tag| tag.replace('_', "+")).collect();
        let versions = tags.iter().filter_map(|text| Some((Version::parse(text).ok()?, text)));
        let best = versions.filter(|(version, _)| range.check(version)).max_by(|a, b| a.0.cmp(&b.0));
        match best {
            Some((_, text)) => Ok(found(text)),
            None => Err(RepositoryError::NoVersion {
                version: version.to_owned(),
                nearest: Nearest::of(tags.iter().map(String::as_str), version),
            }),
        }
    }

    /// Asks for the digest of a chart. It and its reference come back with that.
    pub(crate) async fn pin(&self, found: FoundChart) -> Result<(FoundChart, Reference), RepositoryError> {
        let Place::Oci(reference) = &found.place else {
            return Err(RepositoryError::NoUrl { name: found.name });
        };
        let pinned = reference.with_digest(&self.client.digest(reference).await?);
        Ok((FoundChart { place: Place::Oci(pinned.clone()), ..found }, pinned))
    }

    pub(super) async fn download(
        &self,
        reference: &Reference,
        limit: u64,
    ) -> Result<Vec<u8>, RepositoryError> {
        let (_, manifest) = self.client.manifest(reference).await?;
        let layer = |media_type: &str| manifest.layers.iter().find(|layer| layer.media_type == media_type);
        let Some(layer) = layer(CHART_LAYER).or_else(|| layer(OLD_CHART_LAYER)) else {
            let problem = "the manifest has no layer with a chart".to_owned();
            return Err(RepositoryError::NotAChart { reference: reference.to_string(), problem });
        };
        if layer.size > limit {
            return Err(RepositoryError::TooLarge { url: reference.to_string(), limit });
        }
        let mut bytes = Vec::new();
        self.client.blob(&reference.repository, layer, &mut bytes).await?;
        Ok(bytes)
    }
}

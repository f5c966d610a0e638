//! Fetching a layer and making an artifact of it.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};

use sluice_api::meta::Artifact;
use sluice_api::source::{OCILayerOperation, OCIRepository, OCIRepositorySpec};
use sluice_artifact::extract::{Options, extract};
use sluice_artifact::ignore::Patterns;
use sluice_artifact::{Rules, archive};
use sluice_oci::{Client, Descriptor, Manifest, Reference};
use sluice_runtime::errors::chain;

use crate::source::{Context, Failure, artifact, publish};

/// Pulls what the spec selects and stores it. With the address of the link to the latest.
pub(super) async fn pull(
    context: &Context<OCIRepository>,
    object: &OCIRepository,
    client: &Client,
    reference: &Reference,
    revision: String,
) -> Result<(Artifact, String), Failure> {
    let url = &object.spec.url;
    let failed = |error: sluice_oci::Error| {
        let message = format!("failed to pull artifact from '{url}': {}", chain(&error));
        Failure::fetch("OCIArtifactPullFailed", message)
    };
    let (digest, manifest) = client.manifest(reference).await.map_err(failed)?;
    let layer = select(&object.spec, &manifest)?;
    let scratch = tempfile::tempfile().map_err(|error| Failure::archive(&error))?;
    let own = scratch.try_clone().map_err(|error| Failure::archive(&error))?;
    client.blob(&reference.repository, layer, tokio::fs::File::from_std(own)).await.map_err(failed)?;
    let spec = object.spec.clone();
    let file = format!("{digest}.tar.gz");
    let storage = &context.shared.storage;
    let stored =
        publish(storage, object, &file, Some("latest.tar.gz"), move |out| write(&spec, scratch, out));
    let (published, link) = stored.await?;
    let mut artifact = artifact(published, revision);
    artifact.metadata = manifest.annotations;
    Ok((artifact, link))
}

/// The layer that is wanted.
fn select<'a>(spec: &OCIRepositorySpec, manifest: &'a Manifest) -> Result<&'a Descriptor, Failure> {
    let media_type = spec.layer_selector.as_ref().map(|selector| selector.media_type.as_str());
    let failed = |message: String| Failure::fetch("OCIArtifactLayerOperationFailed", message);
    match media_type.filter(|media_type| !media_type.is_empty()) {
        None => manifest.layers.first().ok_or_else(|| failed("no layers found in artifact".to_owned())),
        Some(wanted) => manifest
            .layers
            .iter()
            .find(|layer| layer.media_type == wanted)
            .ok_or_else(|| failed(format!("failed to find layer with media type '{wanted}' in artifact"))),
    }
}

/// Writes the artifact: the layer as it is, or what is in it.
fn write(spec: &OCIRepositorySpec, mut layer: File, mut out: impl io::Write) -> Result<(), Failure> {
    let disk = |error: io::Error| Failure::archive(&error);
    layer.rewind().map_err(disk)?;
    let operation = spec.layer_selector.as_ref().map(|selector| selector.operation()).unwrap_or_default();
    if operation == OCILayerOperation::Copy {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = layer.read(&mut buffer).map_err(disk)?;
            if length == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..length]).map_err(disk)?;
        }
    }
    let root = tempfile::tempdir().map_err(disk)?;
    extract(BufReader::new(layer), root.path(), &Options::artifact()).map_err(|error| {
        let message = format!("failed to extract layer contents from artifact: {}", chain(&error));
        Failure::fetch("OCIArtifactLayerOperationFailed", message)
    })?;
    let mut patterns = Patterns::load(root.path()).map_err(disk)?;
    if let Some(ignore) = &spec.ignore {
        patterns.read(b"", ignore.as_bytes());
    }
    archive::write_directory(root.path(), &Rules::for_source(patterns), out).map(|_| ()).map_err(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_layer_or_the_first_of_a_media_type_is_taken() {
        let layer = |media_type: &str, digest: &str| Descriptor {
            media_type: media_type.to_owned(),
            digest: digest.to_owned(),
            ..Descriptor::default()
        };
        let manifest = Manifest {
            layers: vec![layer("a", "1"), layer("b", "2"), layer("b", "3")],
            ..Manifest::default()
        };
        let selected = |selector: serde_json::Value| {
            let spec = serde_json::json!({"url": "oci://h/r", "interval": "1m", "layerSelector": selector});
            let spec: OCIRepositorySpec = serde_json::from_value(spec).unwrap();
            select(&spec, &manifest).map(|layer| layer.digest.clone()).map_err(|failure| failure.message)
        };
        assert_eq!(selected(serde_json::json!(null)).as_deref(), Ok("1"));
        assert_eq!(selected(serde_json::json!({"mediaType": "b"})).as_deref(), Ok("2"));
        let missing = "failed to find layer with media type 'c' in artifact";
        assert_eq!(selected(serde_json::json!({"mediaType": "c"})), Err(missing.to_owned()));
    }
}

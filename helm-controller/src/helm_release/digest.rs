//! Digests in the status, over the bytes that helm-controller hashes.

use sluice_api::helm::PostRenderer;
use sluice_api::kustomize::Selector;
use sluice_api::meta::CommonMetadata;
use sluice_artifact::{Algorithm, Digest};
use sluice_helm::Values;
use sluice_helm::release::{Release, config_yaml, snapshot_json};

/// The digest of values; that of nothing when there are none.
pub(crate) fn of_values(algorithm: Algorithm, values: &Values) -> String {
    algorithm.digest(config_yaml(values).as_bytes()).to_string()
}

/// The digest of a recorded release, as a snapshot names it.
pub(crate) fn of_release(algorithm: Algorithm, release: &Release, oci_digest: &str) -> String {
    algorithm.digest(snapshot_json(release, oci_digest).as_bytes()).to_string()
}

/// Whether a release is the one that a snapshot's digest names. The error: the digest cannot be read.
pub(crate) fn is_of_release(digest: &str, release: &Release, oci_digest: &str) -> Result<bool, String> {
    let known: Digest = digest.parse().map_err(|_| format!("invalid digest {digest:?}"))?;
    Ok(of_release(known.algorithm(), release, oci_digest) == digest)
}

/// The digest of post-renderers; empty when there are none.
pub(crate) fn of_post_renderers(algorithm: Algorithm, renderers: &[PostRenderer]) -> String {
    if renderers.is_empty() {
        return String::new();
    }
    let list: Vec<_> = renderers.iter().map(post_renderer).collect();
    algorithm.digest(format!("[{}]\n", list.join(",")).as_bytes()).to_string()
}

/// The digest of labels and annotations for all objects; empty when there are none.
pub(crate) fn of_common_metadata(algorithm: Algorithm, metadata: Option<&CommonMetadata>) -> String {
    let Some(metadata) = metadata else { return String::new() };
    let map = |map: &std::collections::BTreeMap<String, String>| {
        let entries: Vec<_> =
            map.iter().map(|(key, value)| format!("{}:{}", text(key), text(value))).collect();
        format!("{{{}}}", entries.join(","))
    };
    let mut fields = Vec::new();
    if !metadata.annotations.is_empty() {
        fields.push(format!("\"annotations\":{}", map(&metadata.annotations)));
    }
    if !metadata.labels.is_empty() {
        fields.push(format!("\"labels\":{}", map(&metadata.labels)));
    }
    algorithm.digest(format!("{{{}}}\n", fields.join(",")).as_bytes()).to_string()
}

fn post_renderer(renderer: &PostRenderer) -> String {
    let Some(kustomize) = &renderer.kustomize else { return "{}".to_owned() };
    let patches: Vec<_> = kustomize
        .patches
        .iter()
        .map(|patch| match &patch.target {
            None => format!("{{\"patch\":{}}}", text(&patch.patch)),
            Some(target) => format!("{{\"patch\":{},\"target\":{}}}", text(&patch.patch), selector(target)),
        })
        .collect();
    let images: Vec<_> = kustomize
        .images
        .iter()
        .map(|image| {
            let mut fields = vec![format!("\"name\":{}", text(&image.name))];
            push(&mut fields, "newName", &image.new_name);
            push(&mut fields, "newTag", &image.new_tag);
            push(&mut fields, "digest", &image.digest);
            format!("{{{}}}", fields.join(","))
        })
        .collect();
    let mut fields = Vec::new();
    if !patches.is_empty() {
        fields.push(format!("\"patches\":[{}]", patches.join(",")));
    }
    if !images.is_empty() {
        fields.push(format!("\"images\":[{}]", images.join(",")));
    }
    format!("{{\"kustomize\":{{{}}}}}", fields.join(","))
}

fn selector(selector: &Selector) -> String {
    let mut fields = Vec::new();
    push(&mut fields, "group", &selector.group);
    push(&mut fields, "version", &selector.version);
    push(&mut fields, "kind", &selector.kind);
    push(&mut fields, "namespace", &selector.namespace);
    push(&mut fields, "name", &selector.name);
    push(&mut fields, "annotationSelector", &selector.annotation_selector);
    push(&mut fields, "labelSelector", &selector.label_selector);
    format!("{{{}}}", fields.join(","))
}

fn push(fields: &mut Vec<String>, name: &str, value: &str) {
    if !value.is_empty() {
        fields.push(format!("\"{name}\":{}", text(value)));
    }
}

/// A text as Go's JSON writes it.
fn text(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_helm::values::values_of_json;

    use super::*;

    #[test]
    fn values_have_the_digests_of_flux() {
        let digest = |value| of_values(Algorithm::Sha256, &values_of_json(value).unwrap());
        assert_eq!(
            digest(json!({"replicas": 3, "image": {"tag": "latest", "repository": "nginx"},
                          "ports": [{"protocol": "TCP", "port": 8080}, {"port": 9090, "protocol": "UDP"}]})),
            "sha256:fcdc2b0de1581a3633ada4afee3f918f6eaa5b5ab38c3fef03d5b48d3f85d9f6"
        );
        assert_eq!(
            digest(
                json!({"replicas": 3, "test": {"632bd80235a05f4192aefade": "value1", "632bd80ddf416cf32fd50679": "value2",
                          "632bd817c559818a52307da2": "value3", "632bd82398e71231a98004b6": "value4"}})
            ),
            "sha256:8a980fcbeadd6f05818f07e8aec14070c22250ca3d96af1fcd5f93b3e85b4d70"
        );
        assert_eq!(
            digest(json!({})),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn releases_renderers_and_metadata_have_the_digests_of_flux() {
        let flux: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/helm/flux-release.json")).unwrap();
        for (index, secret) in flux["secrets"].as_array().unwrap().iter().rev().enumerate() {
            let release =
                sluice_helm::release::decode(secret["stringData"]["release"].as_str().unwrap()).unwrap();
            let snapshot = &flux["history"][index];
            let text = |field: &str| snapshot[field].as_str().unwrap();
            assert_eq!(is_of_release(text("digest"), &release, text("ociDigest")), Ok(true), "{index}");
            assert_eq!(of_values(Algorithm::Sha256, &release.config), text("configDigest"));
            let wanted = values_of_json(flux["values"].clone()).unwrap();
            assert_eq!(of_values(Algorithm::Sha256, &wanted), text("configDigest"));
            if index == 0 {
                for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512, Algorithm::Blake3]
                {
                    let digest = of_release(algorithm, &release, "");
                    assert_eq!(flux["digests"][algorithm.name()].as_str(), Some(digest.as_str()));
                }
            }
        }
        let renderers: Vec<PostRenderer> = serde_json::from_value(flux["postRenderers"].clone()).unwrap();
        assert_eq!(
            flux["observedPostRenderersDigest"].as_str(),
            Some(of_post_renderers(Algorithm::Sha256, &renderers).as_str())
        );
        let metadata = serde_json::from_value(flux["commonMetadata"].clone()).unwrap();
        assert_eq!(
            flux["observedCommonMetadataDigest"].as_str(),
            Some(of_common_metadata(Algorithm::Sha256, Some(&metadata)).as_str())
        );
    }

    #[test]
    fn post_renderers_are_hashed_in_the_order_of_their_fields() {
        let renderer: PostRenderer = serde_json::from_value(json!({"kustomize": {
            "images": [{"name": "a", "newTag": "1"}],
            "patches": [{"patch": "a<b", "target": {"kind": "Deployment", "name": "x"}}],
        }}))
        .unwrap();
        assert_eq!(
            post_renderer(&renderer),
            r#"{"kustomize":{"patches":[{"patch":"a\u003cb","target":{"kind":"Deployment","name":"x"}}],"images":[{"name":"a","newTag":"1"}]}}"#
        );
        assert_eq!(of_post_renderers(Algorithm::Sha256, &[]), "");
        assert_eq!(of_common_metadata(Algorithm::Sha256, None), "");
    }

    #[test]
    fn a_digest_that_cannot_be_read_is_told() {
        assert!(is_of_release("x", &Release::default(), "").is_err());
        let release = Release { name: "a".into(), ..Release::default() };
        let digest = of_release(Algorithm::Sha512, &release, "sha256:x");
        assert_eq!(is_of_release(&digest, &release, "sha256:x"), Ok(true));
        assert_eq!(is_of_release(&digest, &release, ""), Ok(false));
    }
}

//! Manifests that users have, read into our types.

mod rules;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sluice_api::{helm, image, kustomize, notification, source};

/// Reads an object and writes it again.
fn again<K: serde::Serialize + serde::de::DeserializeOwned>(object: &Value) -> Result<Value, String> {
    let typed: K = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(&typed).map_err(|error| error.to_string())
}

fn through_its_type(object: &Value) -> Result<Value, String> {
    match object["kind"].as_str().unwrap_or_default() {
        "GitRepository" => again::<source::GitRepository>(object),
        "OCIRepository" => again::<source::OCIRepository>(object),
        "HelmRepository" => again::<source::HelmRepository>(object),
        "HelmChart" => again::<source::HelmChart>(object),
        "Bucket" => again::<source::Bucket>(object),
        "ExternalArtifact" => again::<source::ExternalArtifact>(object),
        "ArtifactGenerator" => again::<source::ArtifactGenerator>(object),
        "Kustomization" => again::<kustomize::Kustomization>(object),
        "HelmRelease" => again::<helm::HelmRelease>(object),
        "Alert" => again::<notification::Alert>(object),
        "Provider" => again::<notification::Provider>(object),
        "Receiver" => again::<notification::Receiver>(object),
        "ImageRepository" => again::<image::ImageRepository>(object),
        "ImagePolicy" => again::<image::ImagePolicy>(object),
        "ImageUpdateAutomation" => again::<image::ImageUpdateAutomation>(object),
        kind => Err(format!("no type for {kind}")),
    }
}

/// The paths of `before` that `after` lacks or has otherwise. Durations may be spelled otherwise.
fn lost(path: &str, before: &Value, after: &Value, out: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(_)) => {
            for (key, value) in before {
                lost(&format!("{path}.{key}"), value, &after[key], out);
            }
        }
        (Value::Array(before), Value::Array(list)) if before.len() == list.len() => {
            for (index, (before, after)) in before.iter().zip(list).enumerate() {
                lost(&format!("{path}[{index}]"), before, after, out);
            }
        }
        (Value::String(a), Value::String(b)) if a != b => {
            let duration = |text: &str| text.parse::<sluice_api::meta::Duration>().ok();
            if duration(a).is_none() || duration(a) != duration(b) {
                out.push(format!("{path}: {a} became {b}"));
            }
        }
        _ if before == after => {}
        _ => out.push(format!("{path}: {before} became {after}")),
    }
}

#[test]
fn old_and_new_manifests_are_read_and_nothing_is_lost() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("manifests") {
        let path = entry.expect("manifest").path();
        let text = fs::read_to_string(&path).expect("manifest");
        for document in sluice_yaml::read_all(&text).expect("manifest is YAML") {
            let json = sluice_yaml::json::to_string(&document).expect("manifest is JSON");
            let object: Value = serde_json::from_str(&json).expect("manifest is JSON");
            let name = format!("{} {}", object["apiVersion"], object["kind"]);
            match through_its_type(&object) {
                Ok(after) => {
                    for part in ["metadata", "spec", "status"] {
                        lost(&format!("{name} {part}"), &object[part], &after[part], &mut failures);
                    }
                }
                Err(error) => failures.push(format!("{name}: {error}")),
            }
            seen.insert(name);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(seen.len() >= 40, "only {} kinds and versions: {seen:#?}", seen.len());
}

//! Which part may depend on which: engines on engines, types on nothing, the runtime on both, controllers never on each
//! other. Dependencies of tests are free.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The parts of the tree, told by where a package lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Engine,
    Api,
    Runtime,
    Shared,
    Controller,
    Cli,
    Test,
    Xtask,
}

fn part_of(path: &str) -> Option<Part> {
    let part = match path {
        "api" => Part::Api,
        "runtime" => Part::Runtime,
        "access" | "manifests" | "releases" => Part::Shared,
        "cli" => Part::Cli,
        "xtask" => Part::Xtask,
        path if path.starts_with("crates/") => Part::Engine,
        path if path == "tests" || path.starts_with("tests/") || path.starts_with("fuzz") => Part::Test,
        path if path.ends_with("-controller") => Part::Controller,
        _ => return None,
    };
    Some(part)
}

/// Why a package of ours may not depend on another, if so.
fn refused(from: Part, name: &str, to: Part) -> Option<&'static str> {
    match (from, to) {
        (Part::Engine, Part::Engine) => None,
        (Part::Engine, _) => Some("engines know other engines only"),
        (Part::Api, Part::Engine) if name == "sluice-duration" => None,
        (Part::Api, _) => Some("the types depend on nothing here but durations"),
        (Part::Runtime, Part::Api | Part::Engine) => None,
        (Part::Runtime, _) => Some("the runtime knows types and engines only"),
        (Part::Shared, Part::Runtime | Part::Api | Part::Engine) => None,
        (Part::Shared, _) => Some("what programs share does not know them"),
        (Part::Controller | Part::Cli, Part::Shared | Part::Runtime | Part::Api | Part::Engine) => None,
        (Part::Controller | Part::Cli, _) => Some("programs never depend on each other"),
        (Part::Test | Part::Xtask, _) => None,
    }
}

/// Why a package of ours may not depend on a foreign one, if so.
fn refused_foreign(from: Part, name: &str) -> Option<&'static str> {
    match (from, name) {
        (Part::Engine, "kube" | "k8s-openapi") => Some("engines have no Kubernetes client"),
        (Part::Api, "tokio" | "reqwest" | "hyper" | "tower") => Some("the types do no work"),
        (Part::Engine | Part::Api | Part::Runtime, "anyhow") => Some("libraries have error types"),
        (_, "chrono") => Some("time is jiff's"),
        (_, "openssl" | "native-tls" | "aws-lc-rs") => Some("TLS is rustls with ring"),
        (_, "serde_yaml" | "serde_yml" | "serde_norway") => Some("YAML is sluice-yaml's"),
        _ => None,
    }
}

/// What `cargo metadata` tells, without dependencies of dependencies.
pub(crate) fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// Where the package with this manifest lies in the repository.
pub(crate) fn path_in_repository(manifest: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository");
    let folder = Path::new(manifest).parent().expect("a manifest lies in a folder");
    folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().into_owned()
}

#[test]
fn dependencies_follow_the_layers() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: Vec<(&str, Part)> = packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().expect("name");
            let path = path_in_repository(package["manifest_path"].as_str().expect("path"));
            let part = part_of(&path);
            assert!(part.is_some(), "which part of the tree is {path}? Say so in this test");
            part.map(|part| (name, part)).expect("just checked")
        })
        .collect();
    let mut failures = Vec::new();
    for (package, (from_name, from)) in packages.iter().zip(&ours) {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["kind"] == "dev" {
                continue;
            }
            let name = dependency["name"].as_str().expect("name");
            let reason = match ours.iter().find(|(known, _)| *known == name) {
                Some((_, to)) => refused(*from, name, *to),
                None => refused_foreign(*from, name),
            };
            if let Some(reason) = reason {
                failures.push(format!("{from_name} depends on {name}: {reason}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_types_use_kube_without_its_client() {
    let metadata = metadata();
    let api = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "sluice-api")
        .expect("the package of the types");
    let kube = api["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|dependency| dependency["name"] == "kube")
        .expect("the types use kube");
    assert_eq!(kube["uses_default_features"], false);
    assert_eq!(kube["features"], serde_json::json!(["derive"]));
}

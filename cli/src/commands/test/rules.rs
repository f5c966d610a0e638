//! What is checked of the objects of a repository.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::find::{Found, Repository};
use super::schema::Schemas;
use super::{Finding, Level};
use crate::kinds::{HELM_RELEASE, KUSTOMIZATION};

/// Fields that name a source.
const SOURCES: [&str; 3] = ["/spec/sourceRef", "/spec/chartRef", "/spec/chart/spec/sourceRef"];

pub(super) fn check(repository: &Repository) -> Result<Vec<Finding>> {
    let schemas = Schemas::embedded()?;
    let mut findings = Vec::new();
    for found in &repository.objects {
        if found.object.kind() == "Secret" && found.object.text("/apiVersion") == "v1" {
            findings.extend(plain_secret(found));
        }
        if found.kind().is_none() {
            continue;
        }
        // What is filled in later has no value to check yet.
        if !found.object.0.to_string().contains("${") {
            findings.extend(
                schemas
                    .check(&found.object.0)
                    .into_iter()
                    .map(|text| found.finding(Level::Error, "schema", text)),
            );
        }
        findings.extend(references(repository, found));
    }
    findings.extend(cycles(repository));
    Ok(findings)
}

/// A Secret that everybody can read who can read the repository.
fn plain_secret(found: &Found) -> Option<Finding> {
    let plain = sluice_manifests::has_plain_values(&found.object.0);
    plain.then(|| found.finding(Level::Error, "unencrypted-secret", "its values are not encrypted"))
}

/// Sources, providers and dependencies that are nowhere.
fn references(repository: &Repository, found: &Found) -> Vec<Finding> {
    let object = &found.object;
    let mut findings = Vec::new();
    let mut need = |kind: &str, namespace: &str, name: &str, what: &str| {
        if !name.contains("${") && repository.named(kind, namespace, name).next().is_none() {
            let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
            let message = format!("{what} {kind} {place}{name} is not in this repository");
            findings.push(found.finding(Level::Error, "missing-reference", message));
        }
    };
    for pointer in SOURCES {
        if let Some(reference) = object.reference(pointer) {
            need(&reference.kind, &reference.namespace, &reference.name, "the source");
        }
    }
    if let Some(provider) = object.reference("/spec/providerRef") {
        need("Provider", object.namespace(), &provider.name, "the provider");
    }
    for dependency in object.list("/spec/dependsOn") {
        let text = |key: &str| dependency[key].as_str().unwrap_or_default();
        let kind = if text("kind").is_empty() { object.kind() } else { text("kind") };
        let namespace = if text("namespace").is_empty() { object.namespace() } else { text("namespace") };
        need(kind, namespace, text("name"), "the dependency");
    }
    findings
}

/// Objects that wait for one another.
fn cycles(repository: &Repository) -> Vec<Finding> {
    let mut edges: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
    for (index, found) in repository.objects.iter().enumerate() {
        let Some(kind) = found.kind() else { continue };
        if *kind != KUSTOMIZATION && *kind != HELM_RELEASE {
            continue;
        }
        let targets = found.object.list("/spec/dependsOn").iter().filter_map(|dependency| {
            let text = |key: &str| dependency[key].as_str().unwrap_or_default();
            let kind = if text("kind").is_empty() { found.object.kind() } else { text("kind") };
            let namespace =
                if text("namespace").is_empty() { found.object.namespace() } else { text("namespace") };
            repository.named(kind, namespace, text("name")).next().map(Found::subject)
        });
        edges.insert(found.subject(), (index, targets.collect()));
    }
    let mut done = BTreeSet::new();
    let mut findings = Vec::new();
    for start in edges.keys() {
        let mut way = Vec::new();
        visit(start, &edges, &mut way, &mut done, &mut |cycle| {
            if let Some((index, _)) = cycle.first().and_then(|first| edges.get(first)) {
                let message = format!("it waits for itself: {}", cycle.join(" → "));
                findings.push(repository.objects[*index].finding(Level::Error, "dependency-cycle", message));
            }
        });
    }
    findings
}

fn visit(
    at: &str,
    edges: &BTreeMap<String, (usize, Vec<String>)>,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
    found: &mut impl FnMut(&[String]),
) {
    if let Some(begin) = way.iter().position(|known| known == at) {
        let mut cycle = way[begin..].to_vec();
        cycle.push(at.to_owned());
        found(&cycle);
        return;
    }
    if done.contains(at) {
        return;
    }
    way.push(at.to_owned());
    for next in edges.get(at).map(|(_, targets)| targets.as_slice()).unwrap_or_default() {
        visit(next, edges, way, done, found);
    }
    way.pop();
    done.insert(at.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;
    use serde_json::{Value, json};

    fn kustomization(name: &str, needs: &[&str]) -> Found {
        let depends_on: Vec<Value> = needs.iter().map(|name| json!({"name": name})).collect();
        Found {
            file: format!("{name}.yaml"),
            object: Object(json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": name, "namespace": "apps"},
                "spec": {"interval": "1m", "prune": true, "dependsOn": depends_on,
                         "sourceRef": {"kind": "GitRepository", "name": "repo"}},
            })),
        }
    }

    fn rules(objects: Vec<Found>) -> Vec<(String, &'static str)> {
        let repository = Repository { objects, findings: Vec::new() };
        check(&repository).unwrap().into_iter().map(|finding| (finding.subject, finding.rule)).collect()
    }

    #[test]
    fn cycles_and_missing_references_are_found_once() {
        let source = Found {
            file: "repo.yaml".into(),
            object: Object(json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": "repo", "namespace": "apps"}, "spec": {"interval": "1m", "url": "https://example.com/x"}})),
        };
        assert!(rules(vec![source.clone(), kustomization("a", &["b"]), kustomization("b", &[])]).is_empty());
        let found = rules(vec![
            source.clone(),
            kustomization("a", &["b"]),
            kustomization("b", &["c"]),
            kustomization("c", &["a"]),
        ]);
        assert_eq!(found, [("Kustomization/apps/a".to_owned(), "dependency-cycle")]);
        let found = rules(vec![kustomization("a", &["nobody"])]);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(_, rule)| *rule == "missing-reference"), "{found:?}");
    }

    #[test]
    fn plain_secrets_and_wrong_fields_are_errors() {
        let secret = |data: Value| Found {
            file: "s.yaml".into(),
            object: Object(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": data}),
            ),
        };
        assert_eq!(rules(vec![secret(json!({"a": "b"}))])[0].1, "unencrypted-secret");
        assert!(rules(vec![secret(json!({"a": "ENC[AES256_GCM,data:x]"}))]).is_empty());
        assert!(rules(vec![secret(json!({"a": "${TOKEN}"}))]).is_empty());
        let mut wrong = kustomization("a", &[]);
        wrong.object.0["spec"]["intervall"] = "1m".into();
        wrong.object.0["spec"]["sourceRef"]["kind"] = "Git".into();
        let found = rules(vec![wrong]);
        assert!(found.iter().filter(|(_, rule)| *rule == "schema").count() >= 1, "{found:?}");
    }
}

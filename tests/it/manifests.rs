//! What the API server makes of our CRDs, and of manifests that users have.

use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, ValidationDirective};
use serde_json::{Value, json};
use sluice_tests::{condition, crd_files, documents, workspace};
use std::collections::BTreeSet;
use std::fs;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Applies a document to the test's namespace; a field that the schema does not know is an error.
async fn apply_strictly(setting: &Setting, mut document: Value) -> Result<DynamicObject> {
    document["metadata"]["namespace"] = json!(setting.namespace);
    let api = setting.api(&text(&document["apiVersion"]), &text(&document["kind"])).await?;
    let mut parameters = PatchParams::apply("test").force();
    parameters.field_validation = Some(ValidationDirective::Strict);
    Ok(api.patch(&text(&document["metadata"]["name"]), &parameters, &Patch::Apply(&document)).await?)
}

/// All our CRDs.
fn definitions() -> Result<Vec<Value>> {
    let mut definitions = Vec::new();
    for file in crd_files()? {
        definitions.extend(documents(&fs::read_to_string(file)?)?);
    }
    Ok(definitions)
}

/// Every field of `sent` is in `kept` with the same value.
fn lost(sent: &Value, kept: &Value, path: &str) -> Vec<String> {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => sent
            .iter()
            .flat_map(|(key, value)| {
                lost(value, kept.get(key).unwrap_or(&Value::Null), &format!("{path}.{key}"))
            })
            .collect(),
        (Value::Array(sent), Value::Array(kept)) if sent.len() == kept.len() => {
            sent.iter().zip(kept).flat_map(|(sent, kept)| lost(sent, kept, &format!("{path}[]"))).collect()
        }
        (sent, kept) if sent == kept => Vec::new(),
        (sent, kept) => vec![format!("{path}: {sent} became {kept}")],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_crd_is_accepted_and_served_in_each_version() -> Result<()> {
    let setting = Setting::new("crds").await?;
    for definition in definitions()? {
        let (group, kind) = (text(&definition["spec"]["group"]), text(&definition["spec"]["names"]["kind"]));
        let name = text(&definition["metadata"]["name"]);
        let installed = setting.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", &name).await?;
        ensure!(condition(&installed, "NonStructuralSchema") != Some("True"), "{name}: {installed:?}");
        for version in definition["spec"]["versions"].as_array().context("no versions")? {
            let version = format!("{group}/{}", text(&version["name"]));
            let objects = setting.api(&version, &kind).await?.list(&ListParams::default()).await;
            objects.with_context(|| format!("{version} {kind}"))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_that_users_have_is_accepted_unchanged() -> Result<()> {
    let setting = Setting::new("manifests").await?;
    let kinds: BTreeSet<_> = definitions()?
        .iter()
        .map(|definition| (text(&definition["spec"]["group"]), text(&definition["spec"]["names"]["kind"])))
        .collect();
    let mut accepted = BTreeSet::new();
    for entry in fs::read_dir(workspace().join("tests/fixtures/manifests"))? {
        let path = entry?.path();
        for document in documents(&fs::read_to_string(&path)?)? {
            let (version, kind) = (text(&document["apiVersion"]), text(&document["kind"]));
            let group = version.split('/').next().unwrap_or_default().to_owned();
            if !kinds.contains(&(group, kind.clone())) {
                continue; // A kind that has no controller yet.
            }
            let applied = apply_strictly(&setting, document.clone()).await;
            let applied = applied.with_context(|| path.display().to_string())?;
            let lost = lost(&document["spec"], &applied.data["spec"], "spec");
            ensure!(lost.is_empty(), "{}: {lost:#?}", path.display());
            accepted.insert(format!("{version} {kind}"));
        }
    }
    for version in ["v1", "v1beta2", "v1beta1"] {
        for (group, kind) in [("source", "GitRepository"), ("kustomize", "Kustomization")] {
            let expected = format!("{group}.toolkit.fluxcd.io/{version} {kind}");
            ensure!(accepted.contains(&expected), "no fixture of {expected}");
        }
    }
    Ok(())
}

const GIT_REPOSITORY: &str = "
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: object}
spec: {interval: 1m, url: 'https://example.com/repository'}
";

const KUSTOMIZATION: &str = "
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: object}
spec: {interval: 1m, prune: true, sourceRef: {kind: GitRepository, name: source}}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_refuses_what_can_never_work_and_names_the_field() -> Result<()> {
    let setting = Setting::new("refused").await?;
    let cases: &[(&str, &str, Value)] = &[
        (GIT_REPOSITORY, "spec.url", json!({"url": "ftp://example.com/repository"})),
        (GIT_REPOSITORY, "spec.interval", json!({"interval": "soon"})),
        (GIT_REPOSITORY, "spec.timeout", json!({"timeout": "1d"})),
        (GIT_REPOSITORY, "spec.provider", json!({"provider": "other"})),
        (
            GIT_REPOSITORY,
            "spec.verify.mode",
            json!({"verify": {"mode": "none", "secretRef": {"name": "keys"}}}),
        ),
        (GIT_REPOSITORY, "spec.secretRef.name", json!({"secretRef": {}})),
        (KUSTOMIZATION, "spec.sourceRef.kind", json!({"sourceRef": {"kind": "Pod", "name": "source"}})),
        (KUSTOMIZATION, "spec.prune", json!({"prune": null})),
        (KUSTOMIZATION, "spec.interval", json!({"interval": "-1m"})),
        (KUSTOMIZATION, "spec.targetNamespace", json!({"targetNamespace": ""})),
        (KUSTOMIZATION, "spec.decryption.provider", json!({"decryption": {"provider": "gpg"}})),
        (KUSTOMIZATION, "spec.deletionPolicy", json!({"deletionPolicy": "Sometimes"})),
        (KUSTOMIZATION, "spec.commonMetadata.nonsense", json!({"commonMetadata": {"nonsense": 1}})),
    ];
    for (base, field, change) in cases {
        let mut document = documents(base)?.remove(0);
        for (key, value) in change.as_object().context("a change is an object")? {
            match value {
                Value::Null => drop(document["spec"].as_object_mut().context("no spec")?.remove(key)),
                value => document["spec"][key] = value.clone(),
            }
        }
        let refused = apply_strictly(&setting, document)
            .await
            .err()
            .with_context(|| format!("{change} was accepted"))?;
        let message = format!("{refused:#}");
        let parent = field.rsplit_once('.').map_or(*field, |(parent, _)| parent);
        ensure!(message.contains(field) || message.contains(parent), "{change}: {message}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_are_those_of_flux() -> Result<()> {
    let setting = Setting::new("defaults").await?;
    let repository = apply_strictly(&setting, documents(GIT_REPOSITORY)?.remove(0)).await?;
    ensure!(repository.data["spec"]["timeout"] == "60s", "{:?}", repository.data);
    let kustomization = apply_strictly(&setting, documents(KUSTOMIZATION)?.remove(0)).await?;
    ensure!(kustomization.data["spec"]["force"] == false, "{:?}", kustomization.data);
    Ok(())
}

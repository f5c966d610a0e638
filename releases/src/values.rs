//! The values of a release: those of its references and its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::Api;
use serde_json::Value;
use sluice_api::helm::{HelmRelease, ValuesReference};
use sluice_helm::Values;
use sluice_helm::values::{ReferencedValues, compose as merge, values_of_json};
use sluice_runtime::errors;

use crate::redaction::Redaction;

/// Texts by key of a ConfigMap or Secret, or why there is no such object.
pub type Found = Result<HashMap<String, String>, String>;

/// Where ConfigMaps and Secrets with values are.
pub trait References {
    /// The data of what is referred to in a namespace. The error: nobody knows whether it is there.
    fn read(
        &self,
        namespace: &str,
        reference: &ValuesReference,
    ) -> impl Future<Output = Result<Found, String>> + Send;
}

/// Reads what is referred to and merges everything. What comes from Secrets is noted in `redaction`. The error names the
/// reference, and shows nothing of a Secret.
pub async fn compose(
    references: &impl References,
    object: &HelmRelease,
    redaction: &mut Redaction,
) -> Result<Values, String> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let mut known: HashMap<(&str, &str), Option<HashMap<String, String>>> = HashMap::new();
    let mut texts = Vec::new();
    let mut used = Vec::new();
    for reference in &object.spec.values_from {
        let place = (reference.kind.as_str(), reference.name.as_str());
        let described = describe(reference, namespace);
        let mut told = "resource not found".to_owned();
        let data = match known.entry(place) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(unseen) => {
                let found = references.read(namespace, reference).await;
                match found.map_err(|error| redaction.apply(error))? {
                    Ok(data) => unseen.insert(Some(data)),
                    Err(missing) => {
                        told = missing;
                        unseen.insert(None)
                    }
                }
            }
        };
        let Some(data) = data else {
            if reference.optional {
                tracing::info!("{described}: {told}");
                continue;
            }
            return Err(format!("{described}: {told}"));
        };
        let Some(text) = data.get(reference.values_key()) else {
            if reference.optional {
                tracing::info!("{described}: key not found");
                continue;
            }
            return Err(format!("{described}: key not found"));
        };
        if reference.kind == "Secret" {
            redaction.add(text);
        }
        texts.push(ReferencedValues {
            target_path: reference.target_path.clone(),
            literal: reference.literal,
            text: text.clone(),
        });
        used.push(reference);
    }
    let inline = match &object.spec.values {
        None => Values::new(),
        Some(value) => values_of_json(value.clone())
            .ok_or_else(|| "unable to read values: spec.values is no map".to_owned())?,
    };
    merge(&inline, &texts).map_err(|(index, error)| {
        let reference = used[index];
        // The parsers quote what they cannot read.
        let error = if reference.kind == "Secret" && !reference.target_path.is_empty() {
            "the value cannot be set at its path; its text is not shown because it is secret".to_owned()
        } else {
            redaction.apply(error.to_string())
        };
        format!("{}: {error}", describe(reference, namespace))
    })
}

fn describe(reference: &ValuesReference, namespace: &str) -> String {
    let optional = if reference.optional { "optional " } else { "" };
    format!(
        "could not resolve {optional}{} chart values reference '{namespace}/{}' with key '{}'",
        reference.kind,
        reference.name,
        reference.values_key()
    )
}

/// Those of a cluster.
#[derive(Clone)]
pub struct ClusterReferences(pub Client);

impl std::fmt::Debug for ClusterReferences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterReferences")
    }
}

impl References for ClusterReferences {
    async fn read(&self, namespace: &str, reference: &ValuesReference) -> Result<Found, String> {
        let name = &reference.name;
        let found = match reference.kind.as_str() {
            "ConfigMap" => Api::<ConfigMap>::namespaced(self.0.clone(), namespace)
                .get(name)
                .await
                .map(|object| object.data.unwrap_or_default().into_iter().collect()),
            "Secret" => Api::<Secret>::namespaced(self.0.clone(), namespace).get(name).await.map(|object| {
                let data = object.data.unwrap_or_default();
                data.into_iter()
                    .map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()))
                    .collect()
            }),
            _ => return Ok(Err(UNSUPPORTED.to_owned())),
        };
        match found {
            Ok(data) => Ok(Ok(data)),
            Err(error) if errors::is_not_found(&error) => Ok(Err(errors::describe(&error))),
            Err(error) => Err(errors::describe(&error)),
        }
    }
}

const UNSUPPORTED: &str = "unsupported values reference kind";

/// ConfigMaps and Secrets that are at hand, as in a file. Those without a namespace are of any.
#[derive(Clone, Debug, Default)]
pub struct GivenReferences(pub Vec<Value>);

impl References for GivenReferences {
    async fn read(&self, namespace: &str, reference: &ValuesReference) -> Result<Found, String> {
        if !["ConfigMap", "Secret"].contains(&reference.kind.as_str()) {
            return Ok(Err(UNSUPPORTED.to_owned()));
        }
        let is_it = |document: &&Value| {
            let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            text("/apiVersion") == "v1"
                && text("/kind") == reference.kind
                && text("/metadata/name") == reference.name
                && ["", namespace].contains(&text("/metadata/namespace"))
        };
        let Some(document) = self.0.iter().find(is_it) else {
            return Ok(Err("it is not among the given objects".to_owned()));
        };
        if reference.kind == "ConfigMap" {
            return Ok(Ok(texts(document, "data")));
        }
        let mut data = HashMap::new();
        for (key, encoded) in texts(document, "data") {
            // As the server reads it.
            let bytes: ByteString = serde_json::from_value(Value::from(encoded))
                .map_err(|_| format!("Secret {}: data.{key} is not base64", reference.name))?;
            data.insert(key, String::from_utf8_lossy(&bytes.0).into_owned());
        }
        data.extend(texts(document, "stringData"));
        Ok(Ok(data))
    }
}

fn texts(document: &Value, field: &str) -> HashMap<String, String> {
    let map = document.get(field).and_then(Value::as_object).into_iter().flatten();
    map.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn composed(references: Value) -> Result<Values, String> {
        let object: HelmRelease = serde_json::from_value(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "a", "namespace": "n"},
            "spec": {"interval": "1m", "values": {"own": true, "b": {"c": "inline"}}, "valuesFrom": references},
        }))
        .unwrap();
        let given = GivenReferences(vec![
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": {"values.yaml": "a: 1\nb: {c: x, d: 2}\n", "list": "[1]"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret", "namespace": "n"}, "data": {"token": "aHVudGVyMjI="}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret", "namespace": "other"}, "data": {"token": "bm8="}}),
        ]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compose(&given, &object, &mut Redaction::default()))
    }

    #[test]
    fn given_objects_are_as_good_as_those_of_a_cluster() {
        let values = composed(json!([
            {"kind": "ConfigMap", "name": "map"},
            {"kind": "Secret", "name": "secret", "valuesKey": "token", "targetPath": "b.token"},
            {"kind": "Secret", "name": "absent", "optional": true},
        ]));
        assert_eq!(
            Value::Object(values.unwrap()),
            json!({"a": 1.0, "own": true, "b": {"c": "inline", "d": 2.0, "token": "hunter22"}})
        );
        assert_eq!(
            composed(json!([{"kind": "Secret", "name": "absent"}])).unwrap_err(),
            "could not resolve Secret chart values reference 'n/absent' with key 'values.yaml': it is not among the given objects"
        );
        let error = composed(json!([{"kind": "ConfigMap", "name": "map", "valuesKey": "list"}])).unwrap_err();
        assert!(
            error.starts_with("could not resolve ConfigMap chart values reference 'n/map' with key 'list': "),
            "{error}"
        );
    }
}

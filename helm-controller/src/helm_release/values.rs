//! The values of a release: those of its references and its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::Api;
use sluice_api::helm::{HelmRelease, ValuesReference};
use sluice_helm::Values;
use sluice_helm::values::{ReferencedValues, compose as merge, values_of_json};
use sluice_runtime::{Failure, errors};

use super::reason;
use super::redaction::Redaction;

/// Texts by key of a ConfigMap or Secret; nothing where there is no such object.
type Data = Option<HashMap<String, String>>;

/// Reads what is referred to and merges everything. What comes from Secrets is noted in `redaction`.
pub(crate) async fn compose(
    client: &Client,
    object: &HelmRelease,
    redaction: &mut Redaction,
) -> Result<Values, Failure> {
    let failed = |message: String| Failure::new(reason::VALUES_ERROR, message);
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let mut known: HashMap<(&str, &str), Data> = HashMap::new();
    let mut texts = Vec::new();
    let mut used = Vec::new();
    for reference in &object.spec.values_from {
        let place = (reference.kind.as_str(), reference.name.as_str());
        let described = describe(reference, namespace);
        let mut told = "resource not found".to_owned();
        let data = match known.entry(place) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(unseen) => {
                let found = read(client, namespace, reference).await;
                let (data, error) = found.map_err(|error| failed(redaction.apply(error)))?;
                told = error.unwrap_or(told);
                unseen.insert(data)
            }
        };
        let Some(data) = data else {
            if reference.optional {
                tracing::info!("{described}: {told}");
                continue;
            }
            return Err(failed(format!("{described}: {told}")));
        };
        let Some(text) = data.get(reference.values_key()) else {
            if reference.optional {
                tracing::info!("{described}: key not found");
                continue;
            }
            return Err(failed(format!("{described}: key not found")));
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
            .ok_or_else(|| failed("unable to read values: spec.values is no map".to_owned()))?,
    };
    merge(&inline, &texts).map_err(|(index, error)| {
        let reference = used[index];
        // The parsers quote what they cannot read.
        let error = if reference.kind == "Secret" && !reference.target_path.is_empty() {
            "the value cannot be set at its path; its text is not shown because it is secret".to_owned()
        } else {
            redaction.apply(error.to_string())
        };
        failed(format!("{}: {error}", describe(reference, namespace)))
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

/// The data of an object, and what the server said where it is not there. The error: the server did not say.
async fn read(
    client: &Client,
    namespace: &str,
    reference: &ValuesReference,
) -> Result<(Data, Option<String>), String> {
    let name = &reference.name;
    let found = match reference.kind.as_str() {
        "ConfigMap" => Api::<ConfigMap>::namespaced(client.clone(), namespace)
            .get(name)
            .await
            .map(|object| object.data.unwrap_or_default().into_iter().collect()),
        "Secret" => Api::<Secret>::namespaced(client.clone(), namespace).get(name).await.map(|object| {
            let data = object.data.unwrap_or_default();
            data.into_iter()
                .map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()))
                .collect()
        }),
        _ => return Ok((None, Some("unsupported values reference kind".to_owned()))),
    };
    match found {
        Ok(data) => Ok((Some(data), None)),
        Err(error) if errors::is_not_found(&error) => Ok((None, Some(errors::describe(&error)))),
        Err(error) => Err(errors::describe(&error)),
    }
}

//! `crds`: OpenAPI definitions that tell which fields of custom resources are references, labels and the like.

use sluice_yaml::Value;

use super::{NameReference, TransformerConfig};
use crate::error::{Context as _, Error, Result};
use crate::fieldspec::{FieldSpec, merge_one};
use crate::id::Gvk;

/// How deep definitions may refer to each other.
const MAX_DEPTH: usize = 64;
/// How many fields one file may lead to.
const MAX_FIELDS: usize = 100_000;

/// The configuration that one file of definitions amounts to.
pub(crate) fn parse(path: &str, text: &[u8]) -> Result<TransformerConfig> {
    let definitions = sluice_yaml::read(text)
        .map_err(Error::from)
        .context("error converting YAML to JSON")
        .with_context(|| format!("unable to parse open API definition from '{path}'"))?;
    let mut result = TransformerConfig::default();
    let Some(types) = definitions.as_mapping() else {
        if definitions.is_null() {
            return Ok(result);
        }
        return Err(Error::new(format!(
            "unable to parse open API definition from '{path}': error unmarshaling JSON: while decoding JSON: json: \
             cannot unmarshal {} into Go value of type accumulator.nameToApiMap",
            crate::decode::go_kind(&definitions)
        )));
    };
    for (name, definition) in types {
        let schema = member(definition, "Schema");
        let is_map = |value: &Value| value.is_null() || value.as_mapping().is_some();
        if !is_map(definition) || !schema.is_none_or(is_map) {
            return Err(Error::new(format!(
                "unable to parse open API definition from '{path}': json: cannot unmarshal the value of '{name}' \
                 into Go value of type accumulator.OpenAPIDefinition"
            )));
        }
        let Some(properties) = properties(definition) else { continue };
        if !["kind", "apiVersion", "metadata"].iter().all(|needed| properties.get(needed).is_some()) {
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or(name);
        let gvk = Gvk { kind: kind.into(), ..Gvk::default() };
        let mut config = TransformerConfig::default();
        let mut budget = MAX_FIELDS;
        load(&mut config, &gvk, &definitions, name, &mut Vec::new(), &mut budget)?;
        result.merge(config)?;
    }
    Ok(result)
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_mapping()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn properties(definition: &Value) -> Option<&Value> {
    member(definition, "Schema")?.get("properties")
}

fn load(
    config: &mut TransformerConfig,
    gvk: &Gvk,
    types: &Value,
    name: &str,
    path: &mut Vec<String>,
    budget: &mut usize,
) -> Result<()> {
    if path.len() > MAX_DEPTH {
        return Err(Error::new(format!("definitions of '{name}' refer to each other without end")));
    }
    let Some(properties) = types.get(name).and_then(properties).and_then(Value::as_mapping) else {
        return Ok(());
    };
    for (property, schema) in properties {
        *budget = budget.saturating_sub(1);
        if *budget == 0 {
            return Err(Error::new("too many fields in the definitions of custom resources"));
        }
        path.push(property.clone());
        let spec = |extra: Option<&str>| {
            let mut steps = path.clone();
            steps.extend(extra.map(str::to_owned));
            FieldSpec { gvk: gvk.clone(), path: steps.join("/"), create: false }
        };
        let extension = |name: &str| member(schema, name).and_then(Value::as_str);
        if extension("x-kubernetes-annotation").is_some() {
            merge_one(&mut config.common_annotations, &spec(None))?;
        }
        if extension("x-kubernetes-label-selector").is_some() {
            merge_one(&mut config.common_labels, &spec(None))?;
        }
        if extension("x-kubernetes-identity").is_some() {
            merge_one(&mut config.name_prefix, &spec(None))?;
        }
        let version = extension("x-kubernetes-object-ref-api-version");
        let kind = extension("x-kubernetes-object-ref-kind");
        if let (Some(version), Some(kind)) = (version, kind) {
            let key = extension("x-kubernetes-object-ref-name-key").unwrap_or("name");
            config.add_name_reference(NameReference {
                gvk: Gvk { version: version.into(), kind: kind.into(), ..Gvk::default() },
                referrers: vec![spec(Some(key))],
            })?;
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            load(config, gvk, types, reference, path, budget)?;
        }
        path.pop();
    }
    Ok(())
}

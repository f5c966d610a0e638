//! `.Chart`: the fields of `Chart.yaml` under the names of Go's struct.

use serde_json::Value as Json;
use sluice_gotemplate::{Map, MapKind, Type, Value};

use crate::chart::{Dependency, Maintainer, Metadata};

/// `map[string]string`
static STRINGS: MapKind = MapKind { name: "map[string]string", elem: Type::STRING, methods: &[] };

pub(super) fn chart(metadata: &Metadata, is_root: bool) -> Value {
    let annotations = match &metadata.annotations {
        Some(all) => Map::of_entries(&STRINGS, all.iter().map(|(key, value)| (key, text(value)))),
        None => Map::nil_strings(),
    };
    Value::map([
        ("Name", text(&metadata.name)),
        ("Home", text(&metadata.home)),
        ("Sources", texts(&metadata.sources)),
        ("Version", text(&metadata.version)),
        ("Description", text(&metadata.description)),
        ("Keywords", texts(&metadata.keywords)),
        ("Maintainers", Value::list(metadata.maintainers.iter().flatten().map(maintainer).collect())),
        ("Icon", text(&metadata.icon)),
        ("APIVersion", text(&metadata.api_version)),
        ("Condition", text(&metadata.condition)),
        ("Tags", text(&metadata.tags)),
        ("AppVersion", text(&metadata.app_version)),
        ("Deprecated", Value::Bool(metadata.deprecated)),
        ("Annotations", Value::Map(annotations)),
        ("KubeVersion", text(&metadata.kube_version)),
        ("Dependencies", Value::list(metadata.dependencies().map(dependency).collect())),
        ("Type", text(&metadata.kind)),
        ("IsRoot", Value::Bool(is_root)),
    ])
}

fn maintainer(maintainer: &Maintainer) -> Value {
    Value::map([
        ("Name", text(&maintainer.name)),
        ("Email", text(&maintainer.email)),
        ("URL", text(&maintainer.url)),
    ])
}

fn dependency(dependency: &Dependency) -> Value {
    Value::map([
        ("Name", text(&dependency.name)),
        ("Version", text(&dependency.version)),
        ("Repository", text(&dependency.repository)),
        ("Condition", text(&dependency.condition)),
        ("Tags", texts(&dependency.tags)),
        ("Enabled", Value::Bool(dependency.enabled)),
        ("ImportValues", Value::list(dependency.raw_import_values.iter().map(import_value).collect())),
        ("Alias", text(&dependency.alias)),
    ])
}

/// Processed entries are a `map[string]string`.
fn import_value(entry: &Json) -> Value {
    match entry {
        Json::Object(map) => Value::Map(Map::of_entries(
            &STRINGS,
            map.iter().map(|(key, value)| (key, text(value.as_str().unwrap_or_default()))),
        )),
        other => Value::from_json(other),
    }
}

fn text(content: &str) -> Value {
    Value::string(content)
}

fn texts(all: &[String]) -> Value {
    Value::list(all.iter().map(|one| text(one)).collect())
}

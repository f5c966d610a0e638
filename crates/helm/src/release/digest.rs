//! The texts over which helm-controller computes digests. The controller hashes them.

use serde_json::Value;
use sluice_yaml::write::{Tree, View, write_tree};

use super::go_json::{list, object};
use super::{RecordedHook, Release, write};
use crate::manifest::HookEvent;
use crate::values::Values;

/// What the digest of a snapshot in `status.history` covers: all but tests, templates and defaults.
pub fn snapshot_json(release: &Release, oci_digest: &str) -> String {
    let hooks: Vec<RecordedHook> =
        release.hooks.iter().filter(|hook| !hook.runs_on(HookEvent::Test)).cloned().collect();
    let mut out = String::new();
    object(&mut out, |fields| {
        fields.text("name", &release.name);
        fields.integer("version", release.version);
        fields.field("info", |out| write::info(out, &release.info));
        fields.field("chartMetadata", |out| write::metadata(out, &release.chart.metadata));
        fields.field("config", |out| {
            if release.config.is_empty() {
                out.push_str("null");
            } else {
                write::table(out, &release.config);
            }
        });
        fields.text("manifest", &release.manifest);
        fields.field("hooks", |out| {
            if hooks.is_empty() {
                out.push_str("null");
            } else {
                list(out, &hooks, write::hook);
            }
        });
        fields.text("namespace", &release.namespace);
        fields.text_unless_empty("ociDigest", oci_digest);
    });
    out.push('\n');
    out
}

/// What the digest of values covers: YAML with keys in order of bytes; nothing for no values.
pub fn config_yaml(values: &Values) -> String {
    if values.is_empty() {
        return String::new();
    }
    let tree = Sorted::of(&Value::Object(values.clone()));
    let mut out = String::new();
    // Documents hold nothing that YAML cannot.
    match write_tree(&tree, &mut out) {
        Ok(()) => out,
        Err(_) => String::new(),
    }
}

/// A document whose tables keep their order.
enum Sorted {
    Scalar(Value),
    List(Vec<Sorted>),
    Table(Vec<(String, Sorted)>),
}

impl Sorted {
    fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => Sorted::List(items.iter().map(Sorted::of).collect()),
            Value::Object(map) => {
                Sorted::Table(map.iter().map(|(key, inner)| (key.clone(), Sorted::of(inner))).collect())
            }
            scalar => Sorted::Scalar(scalar.clone()),
        }
    }
}

impl Tree for Sorted {
    fn view(&self) -> Result<View<'_, Self>, sluice_yaml::Error> {
        Ok(match self {
            Sorted::List(items) => View::Sequence(items),
            Sorted::Table(entries) => {
                View::Ordered(entries.iter().map(|(key, inner)| (key.as_str(), inner)).collect())
            }
            Sorted::Scalar(Value::Bool(flag)) => View::Bool(*flag),
            Sorted::Scalar(Value::String(text)) => View::Text(text.into()),
            Sorted::Scalar(Value::Number(number)) => {
                match (number.as_i64(), number.as_u64(), number.as_f64()) {
                    (Some(integer), ..) => View::Int(integer),
                    (_, Some(integer), _) => View::Uint(integer),
                    (.., float) => View::Float(float.unwrap_or_default()),
                }
            }
            Sorted::Scalar(_) => View::Null,
        })
    }
}

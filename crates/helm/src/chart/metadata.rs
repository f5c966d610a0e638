//! The fields of `Chart.yaml` and `Chart.lock`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::decode::{DecodeError, Fields};

/// The names of all fields of `Chart.yaml`.
pub(crate) const FIELDS: &[&str] = &[
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
];

/// Someone who looks after a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// A person or an organisation.
    pub name: String,
    /// Address for mail.
    pub email: String,
    /// Address of a page.
    pub url: String,
}

/// One entry of `import-values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportValue {
    /// `exports.NAME` of the child goes to the parent's root.
    Export(String),
    /// A table of the child goes to a table of the parent.
    Table {
        /// Path in the child's values.
        child: String,
        /// Path in the parent's values; `.` is the root.
        parent: String,
    },
    /// Something else, which has no effect.
    Ignored,
}

/// One entry of `dependencies`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// Name in the other chart's `Chart.yaml`; the alias once dependencies are processed.
    pub name: String,
    /// Version or range.
    pub version: String,
    /// Address of the repository.
    pub repository: String,
    /// Paths of values that switch it on and off, separated by commas.
    pub condition: String,
    /// Groups that switch it on and off together.
    pub tags: Vec<String>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Values taken over from it.
    pub import_values: Vec<ImportValue>,
    /// `import-values` as written, for `.Chart.Dependencies` and release records.
    pub raw_import_values: Vec<Value>,
    /// The name it gets in this chart.
    pub alias: String,
}

/// `Chart.yaml`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// The chart's name, or the alias that a parent gave.
    pub name: String,
    /// Address of the project.
    pub home: String,
    /// Addresses of the sources.
    pub sources: Vec<String>,
    /// The chart's version.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Who looks after it; `None` is a `null` entry, which is not valid.
    pub maintainers: Vec<Option<Maintainer>>,
    /// Address of an image.
    pub icon: String,
    /// `v1`, `v2` or `v3`.
    pub api_version: String,
    /// Not used by anyone, but kept.
    pub condition: String,
    /// Not used by anyone, but kept.
    pub tags: String,
    /// Version of the software inside.
    pub app_version: String,
    /// Whether another chart should be used.
    pub deprecated: bool,
    /// For other programs.
    pub annotations: Option<BTreeMap<String, String>>,
    /// The Kubernetes versions it runs on.
    pub kube_version: String,
    /// Subcharts; `None` where the field is absent (then nothing is filtered); an inner `None` is a `null` entry.
    pub dependencies: Option<Vec<Option<Dependency>>>,
    /// `application`, `library` or empty.
    pub kind: String,
}

/// `Chart.lock`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    /// When it was written, as it stands there.
    pub generated: String,
    /// Digest of the dependencies.
    pub digest: String,
    /// The versions chosen.
    pub dependencies: Option<Vec<Option<Dependency>>>,
}

impl Metadata {
    /// Takes over the fields that `document` has, as a second decode into the same struct does.
    pub(crate) fn merge(&mut self, document: &Value) -> Result<(), DecodeError> {
        let Some(mut fields) = Fields::of(document, "Metadata", "v2.Metadata")? else { return Ok(()) };
        fields.string("name", &mut self.name)?;
        fields.string("home", &mut self.home)?;
        fields.strings("sources", &mut self.sources)?;
        fields.string("version", &mut self.version)?;
        fields.string("description", &mut self.description)?;
        fields.strings("keywords", &mut self.keywords)?;
        fields.list("maintainers", "Maintainer", &mut self.maintainers, Maintainer::decode)?;
        fields.string("icon", &mut self.icon)?;
        fields.string("apiVersion", &mut self.api_version)?;
        fields.string("condition", &mut self.condition)?;
        fields.string("tags", &mut self.tags)?;
        fields.string("appVersion", &mut self.app_version)?;
        fields.bool("deprecated", &mut self.deprecated)?;
        fields.string_map("annotations", &mut self.annotations)?;
        fields.string("kubeVersion", &mut self.kube_version)?;
        fields.optional_list("dependencies", "Dependency", &mut self.dependencies, Dependency::decode)?;
        fields.string("type", &mut self.kind)?;
        Ok(())
    }

    /// The dependencies that are not `null`.
    pub fn dependencies(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().flatten().flatten()
    }
}

impl Maintainer {
    fn decode(value: &Value) -> Result<Option<Self>, DecodeError> {
        let Some(mut fields) = Fields::of(value, "Metadata.maintainers", "v2.Maintainer")? else {
            return Ok(None);
        };
        let mut maintainer = Maintainer::default();
        fields.string("name", &mut maintainer.name)?;
        fields.string("email", &mut maintainer.email)?;
        fields.string("url", &mut maintainer.url)?;
        Ok(Some(maintainer))
    }
}

impl Dependency {
    pub(crate) fn decode(value: &Value) -> Result<Option<Self>, DecodeError> {
        let Some(mut fields) = Fields::of(value, "Metadata.dependencies", "v2.Dependency")? else {
            return Ok(None);
        };
        let mut dependency = Dependency::default();
        fields.string("name", &mut dependency.name)?;
        fields.string("version", &mut dependency.version)?;
        fields.string("repository", &mut dependency.repository)?;
        fields.string("condition", &mut dependency.condition)?;
        fields.strings("tags", &mut dependency.tags)?;
        fields.bool("enabled", &mut dependency.enabled)?;
        fields.values("import-values", &mut dependency.raw_import_values)?;
        fields.string("alias", &mut dependency.alias)?;
        dependency.import_values = dependency.raw_import_values.iter().map(ImportValue::read).collect();
        Ok(Some(dependency))
    }
}

impl ImportValue {
    fn read(value: &Value) -> Self {
        match value {
            Value::String(name) => ImportValue::Export(name.clone()),
            Value::Object(map) => {
                ImportValue::Table { child: printed(map, "child"), parent: printed(map, "parent") }
            }
            _ => ImportValue::Ignored,
        }
    }

    /// The form in which a processed dependency shows the entry.
    pub(crate) fn normalised(&self) -> Option<Value> {
        let (child, parent) = match self {
            ImportValue::Export(name) => (format!("exports.{name}"), ".".to_owned()),
            ImportValue::Table { child, parent } => (child.clone(), parent.clone()),
            ImportValue::Ignored => return None,
        };
        let mut map = Map::new();
        map.insert("child".to_owned(), Value::String(child));
        map.insert("parent".to_owned(), Value::String(parent));
        Some(Value::Object(map))
    }
}

/// What Go's `%v` makes of an entry; only strings make sense here.
fn printed(map: &Map<String, Value>, key: &str) -> String {
    match map.get(key) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "<nil>".to_owned(),
        Some(other) => other.to_string(),
    }
}

impl Lock {
    pub(crate) fn decode(document: &Value) -> Result<Option<Self>, DecodeError> {
        let Some(mut fields) = Fields::of(document, "Lock", "v2.Lock")? else { return Ok(None) };
        let mut lock = Lock::default();
        fields.string("generated", &mut lock.generated)?;
        fields.string("digest", &mut lock.digest)?;
        fields.optional_list("dependencies", "Dependency", &mut lock.dependencies, Dependency::decode)?;
        Ok(Some(lock))
    }
}

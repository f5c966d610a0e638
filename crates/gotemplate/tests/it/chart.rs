//! The chart that the snippets are part of.

use std::any::Any;
use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Map as JsonMap, Value as Json};
use sluice_gotemplate::{
    Class, Failure, List, ListKind, Map, MapKind, Method, Object, ObjectKind, Str, Type, Value, helm,
};

const S: Type = Type::STRING;

static VALUES: MapKind = MapKind { name: "common.Values", elem: Type::ANY, methods: VALUES_METHODS };

const VALUES_METHODS: &[Method] = &[
    Method {
        name: "AsMap",
        params: &[],
        variadic: false,
        result: Type::MAP,
        call: |_, receiver, _| Ok(Value::Map(as_map(receiver)?.retyped(plain()))),
    },
    Method {
        name: "YAML",
        params: &[],
        variadic: false,
        result: S,
        call: |_, receiver, _| Ok(format!("{}\n", helm::to_yaml(receiver)?).into()),
    },
    Method {
        name: "Encode",
        params: &[Type::new("io.Writer", Class::Struct)],
        variadic: false,
        result: Type::ANY,
        call: |_, _, _| Ok(Value::Missing),
    },
    Method {
        name: "Table",
        params: &[S],
        variadic: false,
        result: Type::new("common.Values", Class::Map),
        call: |_, receiver, args| {
            let path = text(&args[0]);
            let mut table = as_map(receiver)?;
            for part in path.split('.') {
                table = match table.get(part) {
                    Some(Value::Map(map)) => map,
                    _ => return Err(Failure::new(format!("{part:?} is not a table"))),
                };
            }
            Ok(Value::Map(table.retyped(&VALUES)))
        },
    },
    Method {
        name: "PathValue",
        params: &[S],
        variadic: false,
        result: Type::ANY,
        call: |_, receiver, args| {
            let path = text(&args[0]);
            let last = path.rsplit('.').next().unwrap_or_default().to_owned();
            let missing = || Failure::new(format!("{last:?} is not a value"));
            let mut value = receiver.clone();
            for part in path.split('.') {
                value = as_map(&value)?.get(part).ok_or_else(missing)?;
            }
            match value {
                Value::Map(_) => Err(missing()),
                other => Ok(other),
            }
        },
    },
];

fn plain() -> &'static MapKind {
    Map::new().kind()
}

fn as_map(value: &Value) -> Result<Map, Failure> {
    value.as_map().cloned().ok_or_else(|| Failure::new("no map"))
}

fn text(value: &Value) -> String {
    value.as_str().map(ToString::to_string).unwrap_or_default()
}

/// What a snippet's dot is.
pub(crate) fn context(values: Value, files: Option<&JsonMap<String, Json>>) -> Value {
    let values = values.as_map().cloned().unwrap_or_default();
    let mut all = BTreeMap::new();
    for (path, content) in files.into_iter().flatten() {
        all.insert(path.clone(), content.as_str().unwrap_or_default().to_owned());
    }
    let chart = Value::from_json(&serde_json::json!({
        "Name": "oracle",
        "Home": "https://example.com",
        "Version": "1.2.3",
        "Description": "Snippets",
        "Icon": "https://example.com/i.png",
        "APIVersion": "v2",
        "Condition": "",
        "Tags": "",
        "AppVersion": "4.5",
        "Deprecated": false,
        "KubeVersion": ">=1.20.0-0",
        "Type": "application",
        "IsRoot": true,
    }));
    let strings = |items: &[&str]| Value::list(items.iter().map(|item| Value::from(*item)).collect());
    if let Value::Map(chart) = &chart {
        chart.insert("Sources", strings(&["https://example.com/src"]));
        chart.insert("Keywords", strings(&["a", "b"]));
        let annotations = [("example.com/k", Value::from("v")), ("x", "1".into())];
        chart.insert("Annotations", Value::Map(Map::of_entries(&ANNOTATIONS, annotations)));
        let maintainers = [("Jo", "jo@example.com"), ("Al", "")].map(|(name, email)| {
            Value::map([("Name", Value::from(name)), ("Email", email.into()), ("URL", "".into())])
        });
        chart.insert("Maintainers", Value::list(maintainers.to_vec()));
        chart.insert("Dependencies", Value::list(Vec::new()));
    }
    root(values, chart, all, "33")
}

/// What a generated template's dot is: that of a chart with nothing but names and versions.
pub(crate) fn small_context(values: Value) -> Value {
    let values = values.as_map().cloned().unwrap_or_default();
    let chart = Value::from_json(&serde_json::json!({
        "Name": "oracle", "Home": "", "Version": "1.2.3", "Description": "", "Icon": "", "APIVersion": "v2",
        "Condition": "", "Tags": "", "AppVersion": "4.5", "Deprecated": false, "KubeVersion": "",
        "Type": "application", "IsRoot": true,
    }));
    root(values, chart, BTreeMap::new(), "37")
}

fn root(values: Map, chart: Value, files: BTreeMap<String, String>, minor: &'static str) -> Value {
    let release = Value::map([
        ("Name", Value::from("rel")),
        ("Namespace", "default".into()),
        ("IsUpgrade", false.into()),
        ("IsInstall", true.into()),
        ("Revision", Value::int(1)),
        ("Service", "Helm".into()),
    ]);
    let template = Map::of_entries(
        &VALUES,
        [("Name", Value::from("oracle/templates/t.yaml")), ("BasePath", "oracle/templates".into())],
    );
    Value::Map(Map::of_entries(
        &VALUES,
        [
            ("Values", Value::Map(values.retyped(&VALUES))),
            ("Chart", chart),
            ("Release", release),
            ("Capabilities", Value::object(Capabilities(minor))),
            ("Files", Value::object(Files(files))),
            ("Template", Value::Map(template)),
            ("Subcharts", Value::map(std::iter::empty::<(&str, Value)>())),
        ],
    ))
}

static ANNOTATIONS: MapKind = MapKind { name: "map[string]string", elem: S, methods: &[] };

struct Files(BTreeMap<String, String>);

impl Files {
    fn of(value: &Value) -> Option<&Self> {
        match value {
            Value::Object(object) => object.as_any().downcast_ref(),
            _ => None,
        }
    }
}

const FILES_METHODS: &[Method] = &[
    Method {
        name: "Get",
        params: &[S],
        variadic: false,
        result: S,
        call: |_, receiver, args| {
            let files = Files::of(receiver).ok_or("no files")?;
            Ok(files.0.get(&text(&args[0])).cloned().unwrap_or_default().into())
        },
    },
    Method {
        name: "GetBytes",
        params: &[S],
        variadic: false,
        result: Type::BYTES,
        call: |_, receiver, args| {
            let files = Files::of(receiver).ok_or("no files")?;
            Ok(Value::Bytes(files.0.get(&text(&args[0])).cloned().unwrap_or_default().into()))
        },
    },
    Method {
        name: "Lines",
        params: &[S],
        variadic: false,
        result: Type::STRINGS,
        call: |_, receiver, args| {
            let files = Files::of(receiver).ok_or("no files")?;
            let content = files.0.get(&text(&args[0])).cloned().unwrap_or_default();
            if content.is_empty() {
                return Ok(Value::strings(std::iter::empty::<&str>()));
            }
            Ok(Value::strings(content.strip_suffix('\n').unwrap_or(&content).split('\n')))
        },
    },
    Method {
        name: "Glob",
        params: &[S],
        variadic: false,
        result: Type::new("engine.files", Class::Nillable),
        call: |_, receiver, args| {
            // Enough for the snippets: `**` and `*` within one segment.
            let files = Files::of(receiver).ok_or("no files")?;
            let mut pattern = String::from("^");
            let glob = text(&args[0]);
            let mut rest = glob.as_str();
            while let Some(c) = rest.chars().next() {
                if let Some(after) = rest.strip_prefix("**") {
                    pattern.push_str(".*");
                    rest = after;
                    continue;
                }
                match c {
                    '*' => pattern.push_str("[^/]*"),
                    '?' => pattern.push_str("[^/]"),
                    '{' => pattern.push_str("(?:"),
                    '}' => pattern.push(')'),
                    ',' => pattern.push('|'),
                    '[' | ']' | '-' => pattern.push(c),
                    '!' => pattern.push('^'),
                    _ => pattern.push_str(&sluice_regexp::quote_meta(&c.to_string())),
                }
                rest = &rest[c.len_utf8()..];
            }
            pattern.push('$');
            let regexp = sluice_regexp::Regexp::new(&pattern)
                .or_else(|_| sluice_regexp::Regexp::new(""))
                .map_err(|error| error.to_string())?;
            let kept = files.0.iter().filter(|(path, _)| regexp.is_match(path.as_bytes()));
            Ok(Value::object(Files(kept.map(|(path, content)| (path.clone(), content.clone())).collect())))
        },
    },
    Method {
        name: "AsConfig",
        params: &[],
        variadic: false,
        result: S,
        call: |_, receiver, _| as_yaml(receiver, |content| content.to_owned()),
    },
    Method {
        name: "AsSecrets",
        params: &[],
        variadic: false,
        result: S,
        call: |_, receiver, _| {
            as_yaml(receiver, |content| base64::engine::general_purpose::STANDARD.encode(content))
        },
    },
];

fn as_yaml(receiver: &Value, map: fn(&str) -> String) -> Result<Value, Failure> {
    let files = Files::of(receiver).ok_or("no files")?;
    let entries = files.0.iter().map(|(path, content)| {
        (path.rsplit('/').next().unwrap_or_default().to_owned(), Value::from(map(content)))
    });
    Ok(helm::to_yaml(&Value::map(entries))?.into())
}

impl Object for Files {
    fn type_name(&self) -> &'static str {
        "engine.files"
    }

    fn kind(&self) -> ObjectKind {
        ObjectKind::Map
    }

    fn methods(&self) -> &'static [Method] {
        FILES_METHODS
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.get(name).map(|content| Value::Bytes(content.into()))
    }

    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        let entry = |(path, content): (&String, &String)| (path.clone().into(), Value::Bytes(content.into()));
        Some(self.0.iter().map(entry).collect())
    }

    fn elem(&self) -> Type {
        Type::BYTES
    }

    fn print(&self) -> Str {
        "".into()
    }

    fn to_plain(&self) -> Value {
        let entry = |(path, content): (&String, &String)| (path.clone(), Value::Bytes(content.into()));
        Value::map(self.0.iter().map(entry))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What the default set of capabilities prints as.
const API_VERSIONS_SHOWN: &str = "v1 admissionregistration.k8s.io/v1 admissionregistration.k8s.io/v1alpha1 admissionregistration.k8s.io/v1beta1 internal.apiserver.k8s.io/v1alpha1 apps/v1 apps/v1beta1 apps/v1beta2 authentication.k8s.io/v1 authentication.k8s.io/v1alpha1 authentication.k8s.io/v1beta1 authorization.k8s.io/v1 authorization.k8s.io/v1beta1 autoscaling/v1 autoscaling/v2 batch/v1 batch/v1beta1 certificates.k8s.io/v1 certificates.k8s.io/v1beta1 certificates.k8s.io/v1alpha1 coordination.k8s.io/v1alpha2 coordination.k8s.io/v1beta1 coordination.k8s.io/v1 discovery.k8s.io/v1 discovery.k8s.io/v1beta1 events.k8s.io/v1 events.k8s.io/v1beta1 extensions/v1beta1 flowcontrol.apiserver.k8s.io/v1 flowcontrol.apiserver.k8s.io/v1beta1 flowcontrol.apiserver.k8s.io/v1beta2 flowcontrol.apiserver.k8s.io/v1beta3 lifecycle.k8s.io/v1alpha1 networking.k8s.io/v1 networking.k8s.io/v1beta1 node.k8s.io/v1 node.k8s.io/v1alpha1 node.k8s.io/v1beta1 policy/v1 policy/v1beta1 rbac.authorization.k8s.io/v1 rbac.authorization.k8s.io/v1beta1 rbac.authorization.k8s.io/v1alpha1 resource.k8s.io/v1 resource.k8s.io/v1beta2 resource.k8s.io/v1beta1 resource.k8s.io/v1alpha3 scheduling.k8s.io/v1alpha3 scheduling.k8s.io/v1beta1 scheduling.k8s.io/v1 storage.k8s.io/v1beta1 storage.k8s.io/v1 storage.k8s.io/v1alpha1 storagemigration.k8s.io/v1 storagemigration.k8s.io/v1beta1 apiextensions.k8s.io/v1beta1 apiextensions.k8s.io/v1";

/// `.Capabilities`.
struct Capabilities(&'static str);

impl Object for Capabilities {
    fn type_name(&self) -> &'static str {
        "*common.Capabilities"
    }

    fn kind(&self) -> ObjectKind {
        ObjectKind::Pointer
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "KubeVersion" => Some(Value::object(KubeVersion(self.0))),
            "APIVersions" => Some(Value::object(ApiVersions)),
            "HelmVersion" => Some(Value::object(HelmVersion)),
            _ => None,
        }
    }

    fn print(&self) -> Str {
        let minor = self.0;
        let versions = format!("{{v1.{minor}.0 v1.{minor}.0 1 {minor}}}");
        format!("&{{{versions} [{API_VERSIONS_SHOWN}] {{v4.3   go1.26.8 v1.37}}}}").into()
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().is::<Self>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The minor version.
struct KubeVersion(&'static str);

const KUBE_METHODS: &[Method] = &[version("String"), version("GitVersion")];

const fn version(name: &'static str) -> Method {
    Method {
        name,
        params: &[],
        variadic: false,
        result: S,
        call: |_, receiver, _| match receiver {
            Value::Object(object) => Ok(object.print_in_place().unwrap_or_else(|| object.print()).into()),
            _ => Ok(Value::Missing),
        },
    }
}

impl KubeVersion {
    fn version(&self) -> Value {
        format!("v1.{}.0", self.0).into()
    }
}

impl Object for KubeVersion {
    fn type_name(&self) -> &'static str {
        "common.KubeVersion"
    }

    fn methods(&self) -> &'static [Method] {
        KUBE_METHODS
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.json_fields()?.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(vec![
            ("Version", self.version()),
            ("normalizedVersion", self.version()),
            ("Major", "1".into()),
            ("Minor", self.0.into()),
        ])
    }

    fn json_fields(&self) -> Option<Vec<(&'static str, Value)>> {
        Some(vec![("Version", self.version()), ("Major", "1".into()), ("Minor", self.0.into())])
    }

    fn print(&self) -> Str {
        "".into()
    }

    fn print_in_place(&self) -> Option<Str> {
        self.version().as_str().cloned()
    }

    fn to_plain(&self) -> Value {
        Value::map(self.json_fields().unwrap_or_default())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct HelmVersion;

impl Object for HelmVersion {
    fn type_name(&self) -> &'static str {
        "version.BuildInfo"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Version" => Some("v4.3".into()),
            "GoVersion" => Some("go1.26.8".into()),
            "GitCommit" | "GitTreeState" | "KubeClientVersion" => Some("".into()),
            _ => None,
        }
    }

    fn print(&self) -> Str {
        "{v4.3   go1.26.8 v1.37}".into()
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().is::<Self>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct ApiVersions;

static API_VERSIONS: ListKind = ListKind { name: "common.VersionSet", elem: S, is_nil: false };

impl Object for ApiVersions {
    fn type_name(&self) -> &'static str {
        API_VERSIONS.name
    }

    fn kind(&self) -> ObjectKind {
        ObjectKind::List
    }

    fn methods(&self) -> &'static [Method] {
        &[Method {
            name: "Has",
            params: &[S],
            variadic: false,
            result: Type::BOOL,
            call: |_, _, args| {
                let known = ["v1", "apps/v1", "batch/v1"];
                Ok(Value::Bool(known.contains(&text(&args[0]).as_str())))
            },
        }]
    }

    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        let list = List::of(&API_VERSIONS, vec!["v1".into(), "apps/v1".into()]);
        Some(
            list.values()
                .iter()
                .enumerate()
                .map(|(at, value)| (Value::int(at as i64), value.clone()))
                .collect(),
        )
    }

    fn print(&self) -> Str {
        "[v1 apps/v1]".into()
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().is::<Self>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

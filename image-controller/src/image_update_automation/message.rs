//! The commit message: a Go template over what changed.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use sluice_api::image::ImageUpdateAutomation;
use sluice_gotemplate::{
    Ctx, Failure as CallFailure, Functions, Limits, Method, Object, ObjectKind, Str, SystemHost, TemplateSet,
    Type, Value,
};
use sluice_policy::setters::{Change, ObjectId};

use super::push::RunError;
use super::update::Updated;
use crate::progress::Failure;

const DEFAULT: &str = "Update from image update automation";
const HELP: &str = "See: https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template";
/// Functions whose results depend on more than their arguments.
const NOT_HERMETIC: [&str; 28] = [
    "now",
    "date",
    "dateInZone",
    "date_in_zone",
    "dateModify",
    "date_modify",
    "mustDateModify",
    "must_date_modify",
    "htmlDate",
    "htmlDateInZone",
    "randAlphaNum",
    "randAlpha",
    "randAscii",
    "randNumeric",
    "randBytes",
    "randInt",
    "uuidv4",
    "env",
    "expandenv",
    "getHostByName",
    "lookup",
    "genPrivateKey",
    "genCA",
    "genCAWithKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
];

/// The message for what changed.
pub(super) async fn render(object: &ImageUpdateAutomation, updated: &Updated) -> Result<String, RunError> {
    let commit = object.spec.git.as_ref().map(|git| git.commit.clone()).unwrap_or_default();
    if commit.message_template.is_empty() {
        return Ok(DEFAULT.to_owned());
    }
    let name = (object.namespace().unwrap_or_default(), object.name_any());
    let (values, changes) = (commit.message_template_values, updated.changes.clone());
    let work =
        tokio::task::spawn_blocking(move || execute(&commit.message_template, &name, &values, &changes));
    let done = work.await.map_err(|error| Failure::new("GitOperationFailed", error.to_string()))?;
    done.map_err(RunError::from)
}

fn execute(
    template: &str,
    (namespace, name): &(String, String),
    values: &BTreeMap<String, String>,
    changes: &BTreeMap<String, Vec<Change>>,
) -> Result<String, Failure> {
    let failed = |action: &str, error: &str| {
        let message = format!("failed to update source: {action}: {error}");
        Failure::new("GitOperationFailed", message)
    };
    let mut functions = Functions::helm();
    let hermetic = Arc::make_mut(&mut functions);
    for name in NOT_HERMETIC {
        hermetic.remove(name);
    }
    let mut set = TemplateSet::new("commit message", functions);
    set.parse("commit message", template)
        .map_err(|error| failed("unable to create commit message template from spec", error.text()))?;
    let text = |text: &str| Value::string(text.to_owned());
    let automation = Record {
        type_name: "types.NamespacedName",
        fields: vec![("Namespace", text(namespace)), ("Name", text(name))],
        methods: &[],
        printed: Some(format!("{namespace}/{name}")),
    };
    let values = Value::map(values.iter().map(|(key, value)| (key.clone(), text(value))));
    let data = Record {
        type_name: "source.templateValues",
        fields: vec![
            ("AutomationObject", Value::object(automation)),
            ("Changed", changed(changes)),
            ("Values", values),
        ],
        methods: REMOVED_UPDATED,
        printed: None,
    };
    let mut host = SystemHost;
    let limits =
        Limits { output: 1 << 20, allocation: 64 << 20, time: Duration::from_secs(10), ..Limits::default() };
    let done = Ctx::new(&set, &mut host, limits).execute("commit message", &Value::object(data));
    match done {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => Err(match REMOVED.iter().find(|removed| error.text().contains(**removed)) {
            Some(removed) => Failure::stalled("RemovedTemplateField", format!("{removed} {HELP}")),
            None => failed("failed to run template from spec", error.text()),
        }),
    }
}

const REMOVED: [&str; 2] = [
    "template uses removed '.Updated' field. Please use '.Changed' instead.",
    "template uses removed '.Changed.ImageResult' field. Please use '.Changed.FileChanges' or '.Changed.Objects' \
     instead.",
];

const fn removed(
    name: &'static str,
    call: fn(&mut Ctx<'_>, &Value, &mut [Value]) -> Result<Value, CallFailure>,
) -> Method {
    Method { name, params: &[], variadic: false, result: Type::ANY, call }
}

const REMOVED_UPDATED: &[Method] = &[removed("Updated", |_, _, _| Err(CallFailure::new(REMOVED[0])))];
const REMOVED_RESULT: &[Method] = &[removed("ImageResult", |_, _, _| Err(CallFailure::new(REMOVED[1])))];

/// `.Changed`.
fn changed(files: &BTreeMap<String, Vec<Change>>) -> Value {
    let grouped = |changes: &mut dyn Iterator<Item = &Change>| {
        let mut objects: BTreeMap<ObjectId, Vec<Value>> = BTreeMap::new();
        for change in changes {
            objects.entry(change.object.clone()).or_default().push(change_value(change));
        }
        Value::object(ObjectChanges(objects))
    };
    let file_changes = files.iter().map(|(path, changes)| (path.clone(), grouped(&mut changes.iter())));
    let file_changes = Value::map(file_changes.collect::<Vec<_>>());
    let objects = grouped(&mut files.values().flatten());
    let mut seen: Vec<(&str, &str, &str)> = Vec::new();
    let mut all = Vec::new();
    for change in files.values().flatten() {
        let key = (change.old.as_str(), change.new.as_str(), change.setter.as_str());
        if !seen.contains(&key) {
            seen.push(key);
            all.push(change_value(change));
        }
    }
    Value::object(Record {
        type_name: "update.ResultV2",
        fields: vec![("FileChanges", file_changes), ("Objects", objects), ("Changes", Value::list(all))],
        methods: REMOVED_RESULT,
        printed: None,
    })
}

fn change_value(change: &Change) -> Value {
    let text = |text: &str| Value::string(text.to_owned());
    Value::object(Record {
        type_name: "update.Change",
        fields: vec![
            ("OldValue", text(&change.old)),
            ("NewValue", text(&change.new)),
            ("Setter", text(&change.setter)),
        ],
        methods: &[],
        printed: None,
    })
}

/// A Go struct.
struct Record {
    type_name: &'static str,
    fields: Vec<(&'static str, Value)>,
    methods: &'static [Method],
    /// What its `String` method gives, if it has one.
    printed: Option<String>,
}

impl Object for Record {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn methods(&self) -> &'static [Method] {
        self.methods
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    fn print(&self) -> Str {
        if let Some(printed) = &self.printed {
            return printed.clone().into();
        }
        let fields = self.fields.iter().map(|(_, value)| match value {
            Value::String(text) => text.to_text().into_owned(),
            other => format!("{other:?}"),
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(" ")).into()
    }

    fn has_string_method(&self) -> bool {
        self.printed.is_some()
    }

    fn to_plain(&self) -> Value {
        Value::map(self.fields.iter().map(|(name, value)| (*name, value.clone())))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let shown = |value: &Record| value.print().to_text().into_owned();
        other.as_any().downcast_ref::<Self>().is_some_and(|other| shown(other) == shown(self))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Changes by object.
struct ObjectChanges(BTreeMap<ObjectId, Vec<Value>>);

impl Object for ObjectChanges {
    fn type_name(&self) -> &'static str {
        "update.ObjectChanges"
    }

    fn kind(&self) -> ObjectKind {
        ObjectKind::Map
    }

    fn entries(&self) -> Option<Vec<(Value, Value)>> {
        let text = |text: &str| Value::string(text.to_owned());
        let key = |id: &ObjectId| {
            Value::object(Record {
                type_name: "update.ObjectIdentifier",
                fields: vec![
                    ("APIVersion", text(&id.api_version)),
                    ("Kind", text(&id.kind)),
                    ("Name", text(&id.name)),
                    ("Namespace", text(&id.namespace)),
                ],
                methods: &[],
                printed: None,
            })
        };
        Some(self.0.iter().map(|(id, changes)| (key(id), Value::list(changes.clone()))).collect())
    }

    fn print(&self) -> Str {
        format!("map[{} objects]", self.0.len()).into()
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| other.0.keys().eq(self.0.keys()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Retry;

    fn run(template: &str) -> Result<String, Failure> {
        let change = |kind: &str, old: &str| Change {
            line: 1,
            object: ObjectId { kind: kind.into(), name: "app".into(), ..ObjectId::default() },
            old: old.into(),
            new: "app:v2".into(),
            setter: "ns:policy".into(),
        };
        let changes = BTreeMap::from([
            ("b.yaml".to_owned(), vec![change("Job", "app:v0"), change("Job", "app:v1")]),
            ("a.yaml".to_owned(), vec![change("Pod", "app:v1")]),
        ]);
        let values = BTreeMap::from([("cluster".to_owned(), "prod".to_owned())]);
        execute(template, &("ns".into(), "auto".into()), &values, &changes)
    }

    #[test]
    fn the_documented_template_works() {
        let template = "Automated by {{ .AutomationObject }} in {{ .Values.cluster }}{{ .Values.none }}\n\
            {{- range $file, $objects := .Changed.FileChanges }}\n- {{ $file }}\
            {{- range $object, $changes := $objects }} {{ $object.Kind }}/{{ $object.Name }}:\
            {{- range $changes }} {{ .OldValue }} -> {{ .NewValue }} ({{ .Setter }}){{ end }}{{ end }}{{ end }}\n\
            {{ range $object, $_ := .Changed.Objects }}{{ $object.Kind | upper }} {{ end }}\
            {{ len .Changed.Changes }} {{ .AutomationObject.Name }}";
        assert_eq!(
            run(template).unwrap(),
            "Automated by ns/auto in prod<no value>\n- a.yaml Pod/app: app:v1 -> app:v2 (ns:policy)\n- b.yaml \
             Job/app: app:v0 -> app:v2 (ns:policy) app:v1 -> app:v2 (ns:policy)\nJOB POD 2 auto"
        );
    }

    #[test]
    fn removed_fields_stall_where_they_are_reached() {
        let failure = run("{{ range .Updated.Images }}{{ . }}{{ end }}").unwrap_err();
        assert_eq!((failure.reason, failure.retry), ("RemovedTemplateField", Retry::Never));
        assert!(failure.message.starts_with("template uses removed '.Updated' field. Please use '.Changed'"));
        assert_eq!(run("{{ .Changed.ImageResult }}").unwrap_err().reason, "RemovedTemplateField");
        assert_eq!(run("{{ if false }}{{ .Updated }}{{ end }}x").unwrap(), "x");
    }

    #[test]
    fn other_errors_are_told_and_tried_again() {
        let message = |template: &str| {
            let failure = run(template).unwrap_err();
            assert_eq!(failure.retry, Retry::Backoff);
            failure.message
        };
        assert!(message("{{ .Nope").contains("unable to create commit message template from spec: "));
        assert!(message("{{ .Nope }}").contains("failed to run template from spec: "));
        assert!(message("{{ now }}").contains("function \"now\" not defined"));
    }
}

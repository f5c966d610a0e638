//! JSON to records. Times may be empty texts, as Helm 3 wrote them; unknown fields are passed over.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{ApplyMethod, HookRun, Info, Moment, RecordedChart, RecordedHook, Release, Status};
use crate::chart::{File, Lock, Metadata};
use crate::values::{Values, floats};

pub(super) type Problem = String;

fn text(map: &Map<String, Value>, name: &str) -> String {
    map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn moment(map: &Map<String, Value>, name: &str) -> Moment {
    map.get(name).and_then(Value::as_str).map(Moment::read).unwrap_or_default()
}

fn integer(map: &Map<String, Value>, name: &str) -> i64 {
    map.get(name).and_then(Value::as_i64).unwrap_or_default()
}

fn texts(map: &Map<String, Value>, name: &str) -> Vec<String> {
    let items = map.get(name).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn values(map: &Map<String, Value>, name: &str) -> Option<Values> {
    let mut value = map.get(name)?.clone();
    floats(&mut value);
    match value {
        Value::Object(values) => Some(values),
        _ => None,
    }
}

pub(super) fn release(document: &Value) -> Result<Release, Problem> {
    let Value::Object(map) = document else { return Err("a release record is an object".to_owned()) };
    let hooks = map.get("hooks").and_then(Value::as_array).into_iter().flatten();
    Ok(Release {
        name: text(map, "name"),
        info: map.get("info").and_then(Value::as_object).map(info).unwrap_or_default(),
        chart: match map.get("chart") {
            Some(Value::Object(chart_fields)) => chart(chart_fields)?,
            _ => RecordedChart::default(),
        },
        config: values(map, "config").unwrap_or_default(),
        manifest: text(map, "manifest"),
        hooks: hooks.filter_map(Value::as_object).map(hook).collect(),
        version: integer(map, "version"),
        namespace: text(map, "namespace"),
        labels: std::collections::BTreeMap::new(),
        apply_method: match map.get("apply_method").and_then(Value::as_str) {
            Some("ssa") => Some(ApplyMethod::ServerSide),
            Some("csa") => Some(ApplyMethod::ClientSide),
            _ => None,
        },
    })
}

fn info(map: &Map<String, Value>) -> Info {
    Info {
        first_deployed: moment(map, "first_deployed"),
        last_deployed: moment(map, "last_deployed"),
        deleted: moment(map, "deleted"),
        description: text(map, "description"),
        status: Status::parse(&text(map, "status")),
        rollback_revision: integer(map, "rollback_revision"),
        notes: text(map, "notes"),
        resources: map
            .get("resources")
            .filter(|value| value.as_object().is_some_and(|map| !map.is_empty()))
            .cloned(),
    }
}

fn hook(map: &Map<String, Value>) -> RecordedHook {
    let run = map.get("last_run").and_then(Value::as_object);
    RecordedHook {
        name: text(map, "name"),
        kind: text(map, "kind"),
        path: text(map, "path"),
        manifest: text(map, "manifest"),
        events: texts(map, "events"),
        last_run: run
            .map(|run| HookRun {
                started_at: moment(run, "started_at"),
                completed_at: moment(run, "completed_at"),
                phase: text(run, "phase"),
            })
            .unwrap_or_default(),
        weight: integer(map, "weight"),
        delete_policies: texts(map, "delete_policies"),
        output_log_policies: texts(map, "output_log_policies"),
    }
}

fn chart(map: &Map<String, Value>) -> Result<RecordedChart, Problem> {
    let mut chart = RecordedChart::default();
    if let Some(document) = map.get("metadata") {
        let mut metadata = Metadata::default();
        metadata.merge(document).map_err(|error| error.to_string())?;
        chart.metadata = metadata;
    }
    if let Some(document) = map.get("lock") {
        chart.lock = Lock::decode(document).map_err(|error| error.to_string())?;
    }
    chart.templates = files(map, "templates")?;
    chart.files = files(map, "files")?;
    chart.values = values(map, "values").map(Arc::new);
    if let Some(Value::String(schema)) = map.get("schema") {
        let mut file = File::new("values.schema.json", bytes(schema)?);
        file.modified = moment(map, "schemamodtime").timestamp();
        chart.schema = Some(file);
    }
    chart.modified = moment(map, "modtime").timestamp();
    Ok(chart)
}

fn files(map: &Map<String, Value>, name: &str) -> Result<Vec<File>, Problem> {
    let items = map.get(name).and_then(Value::as_array).into_iter().flatten();
    items
        .filter_map(Value::as_object)
        .map(|file| {
            Ok(File {
                name: text(file, "name").into(),
                data: bytes(&text(file, "data"))?.into(),
                modified: moment(file, "modtime").timestamp(),
            })
        })
        .collect()
}

fn bytes(text: &str) -> Result<Arc<[u8]>, Problem> {
    STANDARD.decode(text).map(Arc::from).map_err(|error| error.to_string())
}

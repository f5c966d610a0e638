//! Records to JSON.

use jiff::Timestamp;
use serde_json::Value;
use sluice_yaml::json::write_string;

use super::go_json::{Object, list, object, value};
use super::{HookRun, Info, Moment, RecordedChart, RecordedHook, Release};
use crate::chart::{Dependency, File, Lock, Maintainer, Metadata};

/// Go's zero time.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// The whole record.
pub(super) fn release(release: &Release) -> String {
    let mut out = String::new();
    object(&mut out, |fields| {
        fields.text_unless_empty("name", &release.name);
        fields.field("info", |out| info(out, &release.info));
        fields.field("chart", |out| chart(out, &release.chart));
        if !release.config.is_empty() {
            fields.field("config", |out| table(out, &release.config));
        }
        fields.text_unless_empty("manifest", &release.manifest);
        if !release.hooks.is_empty() {
            fields.field("hooks", |out| list(out, &release.hooks, hook));
        }
        fields.integer_unless_zero("version", release.version);
        fields.text_unless_empty("namespace", &release.namespace);
        if let Some(method) = release.apply_method {
            fields.text("apply_method", method.as_str());
        }
    });
    out
}

pub(super) fn table(out: &mut String, values: &crate::values::Values) {
    object(out, |fields| {
        for (key, inner) in values {
            fields.value(key, inner);
        }
    });
}

fn moment(fields: &mut Object<'_>, name: &str, moment: &Moment) {
    if !moment.is_none() {
        fields.text(name, moment.as_str());
    }
}

pub(super) fn info(out: &mut String, info: &Info) {
    object(out, |fields| {
        moment(fields, "first_deployed", &info.first_deployed);
        moment(fields, "last_deployed", &info.last_deployed);
        moment(fields, "deleted", &info.deleted);
        fields.text_unless_empty("description", &info.description);
        fields.text("status", info.status.as_str());
        fields.integer_unless_zero("rollback_revision", info.rollback_revision);
        fields.text_unless_empty("notes", &info.notes);
        if let Some(resources) = &info.resources {
            fields.value("resources", resources);
        }
    });
}

pub(super) fn hook(out: &mut String, hook: &RecordedHook) {
    object(out, |fields| {
        fields.text_unless_empty("name", &hook.name);
        fields.text_unless_empty("kind", &hook.kind);
        fields.text_unless_empty("path", &hook.path);
        fields.text_unless_empty("manifest", &hook.manifest);
        fields.texts_unless_empty("events", &hook.events);
        fields.field("last_run", |out| hook_run(out, &hook.last_run));
        fields.integer_unless_zero("weight", hook.weight);
        fields.texts_unless_empty("delete_policies", &hook.delete_policies);
        fields.texts_unless_empty("output_log_policies", &hook.output_log_policies);
    });
}

fn hook_run(out: &mut String, run: &HookRun) {
    object(out, |fields| {
        moment(fields, "started_at", &run.started_at);
        moment(fields, "completed_at", &run.completed_at);
        fields.text("phase", &run.phase);
    });
}

fn chart(out: &mut String, chart: &RecordedChart) {
    object(out, |fields| {
        fields.field("metadata", |out| metadata(out, &chart.metadata));
        fields.field("lock", |out| match &chart.lock {
            Some(found) => lock(out, found),
            None => out.push_str("null"),
        });
        fields.field("templates", |out| files(out, &chart.templates));
        fields.field("values", |out| match &chart.values {
            Some(values) => table(out, values),
            None => out.push_str("null"),
        });
        match &chart.schema {
            Some(schema) => fields.bytes("schema", &schema.data),
            None => fields.value("schema", &Value::Null),
        }
        let modified = chart.schema.as_ref().and_then(|schema| schema.modified);
        fields.text("schemamodtime", &modified.map_or_else(|| ZERO_TIME.to_owned(), |time| time.to_string()));
        fields.field("files", |out| files(out, &chart.files));
        time(fields, chart.modified);
    });
}

fn time(fields: &mut Object<'_>, time: Option<Timestamp>) {
    if let Some(time) = time {
        fields.text("modtime", &time.to_string());
    }
}

fn files(out: &mut String, files: &[File]) {
    if files.is_empty() {
        out.push_str("null");
        return;
    }
    list(out, files, |out, file| {
        object(out, |fields| {
            fields.text("name", &file.name);
            fields.bytes("data", &file.data);
            time(fields, file.modified);
        });
    });
}

pub(super) fn metadata(out: &mut String, metadata: &Metadata) {
    object(out, |fields| {
        fields.text_unless_empty("name", &metadata.name);
        fields.text_unless_empty("home", &metadata.home);
        fields.texts_unless_empty("sources", &metadata.sources);
        fields.text_unless_empty("version", &metadata.version);
        fields.text_unless_empty("description", &metadata.description);
        fields.texts_unless_empty("keywords", &metadata.keywords);
        if !metadata.maintainers.is_empty() {
            fields.field("maintainers", |out| {
                list(out, &metadata.maintainers, |out, entry| match entry {
                    Some(found) => maintainer(out, found),
                    None => out.push_str("null"),
                });
            });
        }
        fields.text_unless_empty("icon", &metadata.icon);
        fields.text_unless_empty("apiVersion", &metadata.api_version);
        fields.text_unless_empty("condition", &metadata.condition);
        fields.text_unless_empty("tags", &metadata.tags);
        fields.text_unless_empty("appVersion", &metadata.app_version);
        fields.true_only("deprecated", metadata.deprecated);
        if let Some(annotations) = metadata.annotations.as_ref().filter(|annotations| !annotations.is_empty())
        {
            fields.field("annotations", |out| {
                object(out, |fields| annotations.iter().for_each(|(key, text)| fields.text(key, text)));
            });
        }
        fields.text_unless_empty("kubeVersion", &metadata.kube_version);
        if let Some(found) = metadata.dependencies.as_ref().filter(|dependencies| !dependencies.is_empty()) {
            fields.field("dependencies", |out| dependencies(out, found));
        }
        fields.text_unless_empty("type", &metadata.kind);
    });
}

fn maintainer(out: &mut String, maintainer: &Maintainer) {
    object(out, |fields| {
        fields.text_unless_empty("name", &maintainer.name);
        fields.text_unless_empty("email", &maintainer.email);
        fields.text_unless_empty("url", &maintainer.url);
    });
}

fn dependencies(out: &mut String, dependencies: &[Option<Dependency>]) {
    list(out, dependencies, |out, dependency| {
        let Some(dependency) = dependency else {
            out.push_str("null");
            return;
        };
        object(out, |fields| {
            fields.text("name", &dependency.name);
            fields.text_unless_empty("version", &dependency.version);
            fields.text("repository", &dependency.repository);
            fields.text_unless_empty("condition", &dependency.condition);
            fields.texts_unless_empty("tags", &dependency.tags);
            fields.true_only("enabled", dependency.enabled);
            if !dependency.raw_import_values.is_empty() {
                fields.field("import-values", |out| list(out, &dependency.raw_import_values, value));
            }
            fields.text_unless_empty("alias", &dependency.alias);
        });
    });
}

/// `Chart.yaml` as JSON.
pub(crate) fn metadata_json(found: &Metadata) -> String {
    let mut out = String::new();
    metadata(&mut out, found);
    out
}

/// `Chart.lock` as JSON.
pub(crate) fn lock_json(found: &Lock) -> String {
    let mut out = String::new();
    lock(&mut out, found);
    out
}

fn lock(out: &mut String, lock: &Lock) {
    object(out, |fields| {
        fields.field("generated", |out| {
            write_string(if lock.generated.is_empty() { ZERO_TIME } else { &lock.generated }, out);
        });
        fields.text("digest", &lock.digest);
        fields.field("dependencies", |out| match &lock.dependencies {
            Some(found) => dependencies(out, found),
            None => out.push_str("null"),
        });
    });
}

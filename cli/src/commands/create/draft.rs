//! An object before it is in the cluster.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::api::{DynamicObject, PostParams};
use serde_json::{Map, Value, json};

use super::{Common, checked};
use crate::app::App;
use crate::documents;
use crate::kinds::Kind;
use crate::object::{Object, Reference};
use crate::progress::Progress;
use crate::wait;

/// The fields of a spec, set by their paths.
#[derive(Debug, Default)]
pub(super) struct Spec(Map<String, Value>);

impl Spec {
    /// Sets a field; its parents are made where they are missing.
    pub(super) fn set(&mut self, path: &str, value: impl Into<Value>) -> &mut Self {
        let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
        let mut map = &mut self.0;
        for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
            let child = map.entry(parent).or_insert_with(|| json!({}));
            if !child.is_object() {
                *child = json!({});
            }
            let Value::Object(child) = child else { return self };
            map = child;
        }
        map.insert(last.to_owned(), value.into());
        self
    }

    /// Sets a text, if there is one.
    pub(super) fn text(&mut self, path: &str, value: Option<&String>) -> &mut Self {
        match value {
            Some(value) if !value.is_empty() => self.set(path, value.as_str()),
            _ => self,
        }
    }

    /// Sets a switch that is on.
    pub(super) fn switch(&mut self, path: &str, on: bool) -> &mut Self {
        if on { self.set(path, true) } else { self }
    }

    /// Sets a list that is not empty.
    pub(super) fn list<T: Into<Value>>(&mut self, path: &str, items: Vec<T>) -> &mut Self {
        if items.is_empty() {
            self
        } else {
            self.set(path, items.into_iter().map(Into::into).collect::<Vec<Value>>())
        }
    }

    /// Sets a duration as Go writes it, if there is one.
    pub(super) fn duration(&mut self, path: &str, value: Option<Duration>) -> &mut Self {
        match value {
            Some(value) => self.set(path, sluice_duration::format_std(value)),
            None => self,
        }
    }
}

/// How the lines of a creation name the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// `Kustomization created`, `Kustomization x is ready`.
    Ready,
    /// `GitRepository source created`, `… reconciliation completed`, `fetched revision: …`.
    Source,
    /// The same without the word source.
    Bare,
    /// Only `source created`.
    Short,
}

/// An object to create or update.
#[derive(Debug)]
pub(super) struct Draft {
    kind: &'static Kind,
    name: String,
    words: Words,
    spec: Value,
}

impl Draft {
    pub(super) fn new(kind: &'static Kind, name: Option<&String>, words: Words, spec: Spec) -> Result<Self> {
        Ok(Self { kind, name: checked(name)?.to_owned(), words, spec: Value::Object(spec.0) })
    }

    fn subject(&self) -> String {
        if matches!(self.words, Words::Source | Words::Short) {
            format!("{} source", self.kind.kind)
        } else {
            self.kind.kind.to_owned()
        }
    }

    fn object(&self, namespace: &str, common: &Common) -> Result<Value> {
        let mut metadata = Map::new();
        let labels = labels(&common.label)?;
        if !labels.is_empty() {
            metadata.insert("labels".into(), Value::Object(labels));
        }
        metadata.insert("name".into(), self.name.as_str().into());
        metadata.insert("namespace".into(), namespace.into());
        Ok(json!({
            "apiVersion": self.kind.api_version(), "kind": self.kind.kind, "metadata": metadata, "spec": self.spec,
        }))
    }

    /// Prints the object, or puts it into the cluster and waits until it is ready. Gives the object where it waited.
    pub(super) async fn finish(self, app: &App, common: &Common) -> Result<Option<Object>> {
        let namespace = app.namespace()?;
        let object = self.object(&namespace, common)?;
        if common.export {
            app.output.data(format!("---\n{}", documents::yaml(&object)?))?;
            return Ok(None);
        }
        let subject = self.subject();
        app.output.generate(&format!("generating {subject}"));
        if app.globals.verbose {
            app.output.data(documents::yaml(&object)?)?;
        }
        app.output.action(&format!("applying {subject}"));
        let created = app.bounded("applying the object", self.apply(app, &namespace, object)).await?;
        let verb = if created { "created" } else { "updated" };
        let done = if self.words == Words::Short { "source".to_owned() } else { subject.clone() };
        app.output.success(&format!("{done} {verb}"));
        app.output.waiting(&format!("waiting for {subject} reconciliation"));
        let progress = Progress::start(&app.output, "waiting for the controller");
        let ready =
            wait::ready(app, self.kind, &namespace, &self.name, wait::Patience::FirstAttempt, |state| {
                progress.set(state);
            })
            .await;
        drop(progress);
        let ready = ready?;
        if self.words == Words::Ready {
            app.output.success(&format!("{} {} is ready", self.kind.kind, self.name));
        } else {
            app.output.success(&format!("{subject} reconciliation completed"));
        }
        if !self.kind.is_static(&ready) && self.kind.kind != "Receiver" {
            let line = self.kind.success(&ready);
            app.output.success(&match line.strip_prefix("fetched revision ") {
                Some(revision) => format!("fetched revision: {revision}"),
                None => line,
            });
        }
        Ok(Some(ready))
    }

    /// Whether it was created.
    async fn apply(&self, app: &App, namespace: &str, object: Value) -> Result<bool> {
        let api = app.cluster().await?.api(self.kind, Some(namespace));
        let params = PostParams { field_manager: Some("flux".into()), ..PostParams::default() };
        let Some(mut live) = api.get_opt(&self.name).await? else {
            let object: DynamicObject = serde_json::from_value(object)?;
            api.create(&params, &object).await?;
            return Ok(true);
        };
        let wanted: DynamicObject = serde_json::from_value(object)?;
        live.metadata.labels = wanted.metadata.labels;
        live.data["spec"] = wanted.data["spec"].clone();
        api.replace(&self.name, &params, &live).await?;
        Ok(false)
    }
}

/// Labels from key=value.
pub(super) fn labels(texts: &[String]) -> Result<Map<String, Value>> {
    let mut labels = Map::new();
    for text in texts {
        let (key, value) = text
            .split_once('=')
            .with_context(|| format!("invalid label format '{text}', must be key=value"))?;
        let name = key.rsplit('/').next().unwrap_or(key);
        let fine = |text: &str, may_be_empty: bool| {
            let bytes = text.as_bytes();
            (may_be_empty && text.is_empty())
                || (bytes.len() <= 63
                    && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
                    && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
                    && bytes
                        .iter()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')))
        };
        if !fine(name, false) || !fine(value, true) {
            bail!("invalid label '{text}': keys and values have at most 63 letters, digits, '-', '_' or '.'");
        }
        labels.insert(key.to_owned(), value.into());
    }
    Ok(labels)
}

/// `Kind/name.namespace`, `Kind/name` or, with a default kind, `name`. The kind gets its proper letter case.
pub(super) fn reference(text: &str, default: Option<&str>, allowed: &[&str]) -> Result<Reference> {
    let (kind, rest) = match (text.split_once('/'), default) {
        (Some((kind, rest)), _) => (kind, rest),
        (None, Some(default)) => (default, text),
        (None, None) => bail!("invalid reference '{text}', must be in the format <kind>/<name>"),
    };
    let Some(kind) = allowed.iter().find(|allowed| allowed.eq_ignore_ascii_case(kind)) else {
        bail!("kind '{kind}' of '{text}' is not supported, must be one of: {}", allowed.join(", "));
    };
    let (name, namespace) = rest.rsplit_once('.').unwrap_or((rest, ""));
    if name.is_empty() {
        bail!("invalid reference '{text}': the name is missing");
    }
    Ok(Reference { kind: (*kind).to_owned(), namespace: namespace.to_owned(), name: name.to_owned() })
}

impl Reference {
    /// The reference as a field.
    pub(super) fn field(&self) -> Value {
        let mut field = json!({"kind": self.kind, "name": self.name});
        if !self.namespace.is_empty() {
            field["namespace"] = self.namespace.as_str().into();
        }
        field
    }
}

/// `name` or `namespace/name` of a dependency.
pub(super) fn dependency(text: &String) -> Value {
    match text.split_once('/') {
        Some((namespace, name)) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": text}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::KUSTOMIZATION;

    #[test]
    fn fields_are_set_by_their_paths() {
        let mut spec = Spec::default();
        spec.set("a.b.c", 1)
            .text("a.d", Some(&"x".into()))
            .text("a.e", None)
            .switch("f", false)
            .list::<String>("g", vec![]);
        spec.duration("h", Some(Duration::from_secs(90)));
        assert_eq!(Value::Object(spec.0), json!({"a": {"b": {"c": 1}, "d": "x"}, "h": "1m30s"}));
    }

    #[test]
    fn references_have_a_kind_a_name_and_perhaps_a_namespace() {
        let told = |text| {
            reference(text, Some("GitRepository"), &["GitRepository", "Bucket"]).map(|found| found.field())
        };
        assert_eq!(told("repo").unwrap(), json!({"kind": "GitRepository", "name": "repo"}));
        assert_eq!(
            told("bucket/b.infra").unwrap(),
            json!({"kind": "Bucket", "name": "b", "namespace": "infra"})
        );
        assert!(told("Pod/x").is_err() && told("Bucket/").is_err());
        assert!(reference("x", None, &["Bucket"]).is_err());
    }

    #[test]
    fn labels_are_checked() {
        assert_eq!(labels(&["a/b=c".into(), "d=".into()]).unwrap().len(), 2);
        for wrong in ["a", "=b", "a=b c", "-a=b"] {
            assert!(labels(&[wrong.into()]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_export_is_what_would_be_applied() {
        let mut spec = Spec::default();
        spec.set("prune", true);
        let draft = Draft::new(&KUSTOMIZATION, Some(&"apps".into()), Words::Ready, spec).unwrap();
        let common = Common { export: true, interval: Duration::from_mins(1), label: vec!["team=a".into()] };
        let expected = "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata:\n  labels:\n    team: a\n  name: apps\n  namespace: flux-system\nspec:\n  prune: true\n";
        assert_eq!(documents::yaml(&draft.object("flux-system", &common).unwrap()).unwrap(), expected);
    }
}

//! `trace`: from an object in the cluster back to the commit it came from.

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use sluice_api::meta::{KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL, OCI_REVISION_ANNOTATION};

use crate::app::App;
use crate::cluster::Cluster;
use crate::failure::{self, misuse};
use crate::kinds::{HELM_CHART, HELM_RELEASE, KUSTOMIZATION, Kind};
use crate::object::{Object, Reference};
use crate::resources::{Resource, Resources};

/// Flags of `trace`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct TraceArgs {
    /// Resource and names, or resource/name several times.
    #[arg(value_name = "RESOURCE", required = true)]
    words: Vec<String>,
    /// The kind of the object, such as Deployment.
    #[arg(long)]
    kind: Option<String>,
    /// The API version of the object, such as apps/v1.
    #[arg(long)]
    api_version: Option<String>,
}

const HELM_NAME_LABEL: &str = "helm.toolkit.fluxcd.io/name";
const HELM_NAMESPACE_LABEL: &str = "helm.toolkit.fluxcd.io/namespace";
const OCI_SOURCE_ANNOTATION: &str = "org.opencontainers.image.source";
/// Owners of owners: no chain of real objects is longer.
const MAX_OWNERS: usize = 16;

pub(crate) async fn run(app: &App, args: TraceArgs) -> Result<()> {
    let cluster = app.cluster().await?;
    let namespace = app.namespace()?;
    let work = async {
        let resources = Resources::discover(cluster).await?;
        let objects = find(cluster, &resources, &args, &namespace).await?;
        for (index, object) in objects.iter().enumerate() {
            if index > 0 {
                app.output.data("---\n")?;
            }
            match trace(cluster, &resources, object).await {
                Ok(report) => app.output.data(report)?,
                Err(error) => app.output.say(&format!(
                    "failed to trace {}/{} in namespace {}: {}",
                    object.kind(),
                    object.name(),
                    object.namespace(),
                    failure::text(&error)
                )),
            }
        }
        Ok(())
    };
    app.bounded("tracing", work).await
}

async fn find(
    cluster: &Cluster,
    resources: &Resources,
    args: &TraceArgs,
    namespace: &str,
) -> Result<Vec<Object>> {
    let mut wanted: Vec<(&Resource, &str)> = Vec::new();
    if args.kind.is_some() || args.api_version.is_some() {
        let kind = args.kind.as_deref().context("object kind is required (--kind)")?;
        let version = args.api_version.as_deref().context("object apiVersion is required (--api-version)")?;
        wanted.push((
            resources.exactly(version, kind)?,
            args.words.first().map(String::as_str).unwrap_or_default(),
        ));
    } else {
        let named = |word: &str| {
            let unknown = || anyhow!("the server doesn't have a resource type {word:?}");
            resources.named(word).ok_or_else(unknown)
        };
        if args.words.iter().all(|word| word.contains('/')) {
            for word in &args.words {
                let (resource, name) = word.split_once('/').unwrap_or_default();
                wanted.push((named(resource)?, name));
            }
        } else {
            let [resource, names @ ..] = args.words.as_slice() else {
                return Err(misuse("object name is required"));
            };
            if names.is_empty() || resource.contains('/') {
                return Err(misuse(
                    "either `<resource>/<name>` or `<resource> <name>` is required as an argument",
                ));
            }
            let resource = named(resource)?;
            wanted.extend(names.iter().map(|name| (resource, name.as_str())));
        }
    }
    let mut objects = Vec::new();
    for (resource, name) in wanted {
        objects.push(get(cluster, resource, namespace, name).await.context("failed to find object")?);
    }
    Ok(objects)
}

async fn get(cluster: &Cluster, resource: &Resource, namespace: &str, name: &str) -> Result<Object> {
    let api = cluster.of(&resource.api, resource.namespaced.then_some(namespace));
    Ok(api.get(name).await?.into())
}

/// Kind, namespace and name of what applied an object, as its labels say.
fn owner(object: &Object) -> Option<(&'static Kind, String, String)> {
    let label = |key| object.tag("labels", key);
    for (kind, name, namespace) in [
        (&KUSTOMIZATION, KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL),
        (&HELM_RELEASE, HELM_NAME_LABEL, HELM_NAMESPACE_LABEL),
    ] {
        if !label(name).is_empty() && !label(namespace).is_empty() {
            return Some((kind, label(namespace).to_owned(), label(name).to_owned()));
        }
    }
    None
}

async fn trace(cluster: &Cluster, resources: &Resources, object: &Object) -> Result<String> {
    let mut holder = object.clone();
    for _ in 0..MAX_OWNERS {
        if let Some((kind, namespace, name)) = owner(&holder) {
            let applier = cluster.get(kind, &namespace, &name).await.with_context(|| {
                format!("failed to find {}", if kind == &KUSTOMIZATION { "kustomization" } else { kind.kind })
            })?;
            return if kind == &KUSTOMIZATION {
                of_kustomization(cluster, object, &applier).await
            } else {
                of_release(cluster, object, &applier).await
            };
        }
        let Some(reference) = holder.list("/metadata/ownerReferences").first() else { break };
        let text = |key: &str| reference[key].as_str().unwrap_or_default();
        let resource = resources.exactly(text("apiVersion"), text("kind"))?;
        holder = get(cluster, resource, object.namespace(), text("name")).await?;
    }
    bail!("object not managed by Flux")
}

async fn of_kustomization(cluster: &Cluster, object: &Object, applier: &Object) -> Result<String> {
    let source = match applier.reference("/spec/sourceRef") {
        Some(reference) => source(cluster, &reference).await?,
        None => None,
    };
    Ok(report(
        object,
        &[Some(kustomization(applier)), source.as_ref().map(|source| of_source(source, WIDE))],
        WIDE,
    ))
}

async fn of_release(cluster: &Cluster, object: &Object, release: &Object) -> Result<String> {
    let chart = match release.text("/status/helmChart").split_once('/') {
        Some((namespace, name)) => {
            Some(cluster.get(&HELM_CHART, namespace, name).await.context("failed to find HelmChart")?)
        }
        None => None,
    };
    let reference = release
        .reference("/spec/chart/spec/sourceRef")
        .or_else(|| chart.as_ref().and_then(|chart| chart.reference("/spec/sourceRef")))
        .or_else(|| release.reference("/spec/chartRef"));
    let source = match reference {
        Some(reference) if reference.kind != HELM_CHART.kind => source(cluster, &reference).await?,
        _ => None,
    };
    let source = source.map(|source| {
        let width = if source.kind() == "HelmRepository" { NARROW } else { WIDE };
        of_source(&source, width)
    });
    Ok(report(object, &[Some(helm_release(release)), chart.as_ref().map(helm_chart), source], NARROW))
}

async fn source(cluster: &Cluster, reference: &Reference) -> Result<Option<Object>> {
    let Some(kind) = Kind::named(&reference.kind) else { return Ok(None) };
    let found = cluster.get(kind, &reference.namespace, &reference.name).await;
    found.map(Some).with_context(|| format!("failed to find {}", kind.kind))
}

/// Columns at which values begin, counted from nought.
const WIDE: usize = 17;
const NARROW: usize = 16;

/// Lines of one object.
struct Block {
    width: usize,
    lines: Vec<(String, String)>,
}

impl Block {
    fn new(object: &Object, width: usize) -> Self {
        let mut block = Self { width, lines: Vec::new() };
        block.line(object.kind(), object.name());
        block.line("Namespace", object.namespace());
        block
    }

    fn line(&mut self, title: &str, value: &str) {
        self.lines.push((title.to_owned(), value.to_owned()));
    }

    /// A line that is left out where there is nothing to say.
    fn optional(&mut self, title: &str, value: &str) {
        if !value.is_empty() {
            self.line(title, value);
        }
    }

    fn state(&mut self, object: &Object, tells_failure: bool) {
        match object.ready() {
            None => self.line("Status", "Unknown"),
            Some(ready) => {
                let what = if tells_failure && ready.status == "False" {
                    "reconciliation failed"
                } else {
                    "reconciled"
                };
                self.line("Status", &format!("Last {what} at {}", moment(ready.last_transition_time)));
                self.line("Message", ready.message);
            }
        }
    }

    fn text(&self) -> String {
        let lines = self.lines.iter().map(|(title, value)| {
            let title = format!("{title}:");
            format!("{title:<width$}{value}\n", width = self.width.max(title.len() + 1))
        });
        lines.collect::<Vec<_>>().concat()
    }
}

/// As Go prints a time.
fn moment(text: &str) -> String {
    text.parse::<Timestamp>()
        .map_or_else(|_| text.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string())
}

fn report(object: &Object, blocks: &[Option<Block>], width: usize) -> String {
    let mut head = Block { width, lines: Vec::new() };
    head.line("Object", &format!("{}/{}", object.kind(), object.name()));
    head.optional("Namespace", object.namespace());
    head.line("Status", "Managed by Flux");
    let mut text = format!("\n{}", head.text());
    for block in blocks.iter().flatten() {
        text += "---\n";
        text += &block.text();
    }
    text
}

fn kustomization(object: &Object) -> Block {
    let mut block = Block::new(object, WIDE);
    block.optional("Target", object.text("/spec/targetNamespace"));
    block.line("Path", object.text("/spec/path"));
    block.line("Revision", object.text("/status/lastAppliedRevision"));
    block.state(object, false);
    block
}

fn helm_release(object: &Object) -> Block {
    let mut block = Block::new(object, NARROW);
    block.optional("Target", object.text("/spec/targetNamespace"));
    let version = object.text("/status/history/0/chartVersion");
    block.line(
        "Revision",
        if version.is_empty() { object.text("/status/lastAttemptedRevision") } else { version },
    );
    block.state(object, false);
    block
}

fn helm_chart(object: &Object) -> Block {
    let mut block = Block::new(object, NARROW);
    block.line("Chart", object.text("/spec/chart"));
    block.line("Version", object.text("/spec/version"));
    block.optional("Revision", object.text("/status/artifact/revision"));
    block.state(object, false);
    block
}

fn of_source(object: &Object, width: usize) -> Block {
    let mut block = Block::new(object, width);
    let first = |pointers: &[&'static str]| {
        pointers
            .iter()
            .map(|pointer| object.text(pointer))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
            .to_owned()
    };
    match object.kind() {
        "ExternalArtifact" => {
            let source = object.reference("/spec/sourceRef").map(|reference| reference.to_string());
            block.optional("Source", &source.unwrap_or_default());
        }
        "Bucket" => block.line("URL", object.text("/spec/endpoint")),
        _ => block.line("URL", object.text("/spec/url")),
    }
    let tag = first(&["/spec/ref/tag", "/spec/ref/semver"]);
    if tag.is_empty() {
        block.optional("Branch", object.text("/spec/ref/branch"));
        block.optional("Digest", object.text("/spec/ref/digest"));
    } else {
        block.line("Tag", &tag);
    }
    block.optional("Revision", object.text("/status/artifact/revision"));
    let annotation = |key: &str| {
        let metadata = object.0.pointer("/status/artifact/metadata");
        metadata
            .and_then(|metadata| metadata.get(key))
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    block.optional("Origin Revision", &annotation(OCI_REVISION_ANNOTATION));
    block.optional("Origin Source", &annotation(OCI_SOURCE_ANNOTATION));
    block.state(object, object.kind() != "HelmRepository");
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str, spec: serde_json::Value, status: serde_json::Value) -> Object {
        Object(
            json!({"kind": kind, "metadata": {"name": name, "namespace": "flux-system"}, "spec": spec, "status": status}),
        )
    }

    fn ready(status: &str, message: &str) -> serde_json::Value {
        json!([{"type": "Ready", "status": status, "message": message, "lastTransitionTime": "2026-01-02T03:04:05Z"}])
    }

    #[test]
    fn a_report_has_a_block_for_each_link_of_the_chain() {
        let deployment =
            Object(json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "apps"}}));
        let status = json!({"lastAppliedRevision": "main@sha1:abc", "conditions": ready("True", "Applied revision: main@sha1:abc")});
        let applier =
            object("Kustomization", "apps", json!({"path": "./apps", "targetNamespace": "apps"}), status);
        let status =
            json!({"artifact": {"revision": "main@sha1:abc"}, "conditions": ready("False", "no route")});
        let source = object(
            "GitRepository",
            "repo",
            json!({"url": "https://example.com/r", "ref": {"branch": "main"}}),
            status,
        );
        let text =
            report(&deployment, &[Some(kustomization(&applier)), Some(of_source(&source, WIDE))], WIDE);
        let expected = "
Object:          Deployment/web
Namespace:       apps
Status:          Managed by Flux
---
Kustomization:   apps
Namespace:       flux-system
Target:          apps
Path:            ./apps
Revision:        main@sha1:abc
Status:          Last reconciled at 2026-01-02 03:04:05 +0000 UTC
Message:         Applied revision: main@sha1:abc
---
GitRepository:   repo
Namespace:       flux-system
URL:             https://example.com/r
Branch:          main
Revision:        main@sha1:abc
Status:          Last reconciliation failed at 2026-01-02 03:04:05 +0000 UTC
Message:         no route
";
        assert_eq!(text, expected);
    }

    #[test]
    fn blocks_of_helm_are_one_column_narrower() {
        let release =
            object("HelmRelease", "web", json!({}), json!({"history": [{"chartVersion": "1.2.3"}]}));
        let expected = "HelmRelease:    web\nNamespace:      flux-system\nRevision:       1.2.3\nStatus:         Unknown\n";
        assert_eq!(helm_release(&release).text(), expected);
    }

    #[test]
    fn a_kustomization_goes_before_a_release() {
        let labels = json!({
            KUSTOMIZATION_NAME_LABEL: "k", KUSTOMIZATION_NAMESPACE_LABEL: "n", HELM_NAME_LABEL: "h", HELM_NAMESPACE_LABEL: "n",
        });
        let both = Object(json!({"metadata": {"labels": labels}}));
        assert_eq!(owner(&both).unwrap().0.kind, "Kustomization");
        assert!(owner(&Object(json!({}))).is_none());
    }
}

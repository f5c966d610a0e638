//! `tree`: what an object applied, and what that applied in turn.

use std::io::Read;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand};
use futures::future::{BoxFuture, FutureExt};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use sluice_runtime::apply::ObjectId;

use crate::app::App;
use crate::documents::{self, Format};
use crate::kinds::{ARTIFACT_GENERATOR, HELM_RELEASE, KUSTOMIZATION};
use crate::object::Object;

/// What follows `tree`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct TreeArgs {
    #[command(subcommand)]
    root: Root,
}

#[derive(Subcommand)]
enum Root {
    /// What a Kustomization applied.
    #[command(visible_alias = "ks", alias = "kustomizations")]
    Kustomization {
        /// The Kustomization.
        name: String,
        /// Only objects of Flux's kinds.
        #[arg(long)]
        compact: bool,
        /// Print as JSON or YAML.
        #[arg(short, long, value_enum)]
        output: Option<Format>,
    },
    /// What a HelmRelease installed.
    #[command(visible_alias = "hr", alias = "helmreleases")]
    Helmrelease {
        /// The HelmRelease.
        name: String,
        /// Only objects of Flux's kinds.
        #[arg(long)]
        compact: bool,
        /// Print as JSON or YAML.
        #[arg(short, long, value_enum)]
        output: Option<Format>,
    },
    /// What generators made.
    #[command(alias = "artifacts")]
    Artifact {
        #[command(subcommand)]
        generator: Generator,
    },
}

#[derive(Subcommand)]
enum Generator {
    /// The artifacts of an ArtifactGenerator.
    #[command(alias = "generators")]
    Generator {
        /// The ArtifactGenerator.
        name: String,
        /// Print as JSON or YAML.
        #[arg(short, long, value_enum)]
        output: Option<Format>,
    },
}

/// An object and what it applied.
#[derive(Debug, PartialEq, Eq)]
struct Node {
    id: ObjectId,
    children: Vec<Node>,
}

/// Kustomizations that apply each other would go round for ever.
const MAX_DEPTH: usize = 32;

pub(crate) async fn run(app: &App, args: TreeArgs) -> Result<()> {
    let namespace = app.namespace()?;
    let cluster = app.cluster().await?;
    let work = async {
        match args.root {
            Root::Kustomization { name, compact, output } => {
                let object = cluster.get(&KUSTOMIZATION, &namespace, &name).await?;
                let mut root = node(&object);
                root.children = of_kustomization(app, &object, compact, 0).await?;
                Ok((root, output))
            }
            Root::Helmrelease { name, compact, output } => {
                let object = cluster.get(&HELM_RELEASE, &namespace, &name).await?;
                let mut root = node(&object);
                root.children = of_release(app, &object, compact).await?;
                Ok((root, output))
            }
            Root::Artifact { generator: Generator::Generator { name, output } } => {
                let object = cluster.get(&ARTIFACT_GENERATOR, &namespace, &name).await?;
                let mut root = node(&object);
                root.children = of_generator(&object);
                Ok((root, output))
            }
        }
    };
    let (root, output) = app.bounded("looking for the objects", work).await?;
    match output {
        None => app.output.data(draw(&root)),
        Some(format) => app.output.data(format.print(&root.to_json())?),
    }
}

fn node(object: &Object) -> Node {
    let group = object.text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
    let id = ObjectId {
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
        group: group.to_owned(),
        kind: object.kind().to_owned(),
    };
    Node { id, children: Vec::new() }
}

fn of_kustomization<'a>(
    app: &'a App,
    object: &'a Object,
    compact: bool,
    depth: usize,
) -> BoxFuture<'a, Result<Vec<Node>>> {
    async move {
        let remote = object.0.pointer("/spec/kubeConfig").is_some();
        let own = node(object).id;
        let mut children = Vec::new();
        for entry in object.list("/status/inventory/entries") {
            let id = entry["id"].as_str().unwrap_or_default();
            let id = ObjectId::from_inventory(id)
                .with_context(|| format!("the inventory has a bad entry: {id:?}"))?;
            if id == own || (compact && !id.group.contains("toolkit.fluxcd.io")) {
                continue;
            }
            let mut child = Node { id, children: Vec::new() };
            if !remote && depth < MAX_DEPTH {
                child.children = below(app, &child.id, compact, depth).await?;
            }
            children.push(child);
        }
        Ok(children)
    }
    .boxed()
}

/// What an applied object applied.
async fn below(app: &App, id: &ObjectId, compact: bool, depth: usize) -> Result<Vec<Node>> {
    let cluster = app.cluster().await?;
    if id.group == KUSTOMIZATION.group && id.kind == KUSTOMIZATION.kind {
        // One that was deleted by hand has no children, and is no reason to fail.
        let Some(nested) = cluster.find(&KUSTOMIZATION, &id.namespace, &id.name).await? else {
            return Ok(Vec::new());
        };
        return of_kustomization(app, &nested, compact, depth + 1).await;
    }
    if id.group == HELM_RELEASE.group && id.kind == HELM_RELEASE.kind {
        let Some(release) = cluster.find(&HELM_RELEASE, &id.namespace, &id.name).await? else {
            return Ok(Vec::new());
        };
        return of_release(app, &release, compact).await;
    }
    if id.group == ARTIFACT_GENERATOR.group && id.kind == ARTIFACT_GENERATOR.kind {
        let generator = cluster.find(&ARTIFACT_GENERATOR, &id.namespace, &id.name).await?;
        return Ok(generator.map(|generator| of_generator(&generator)).unwrap_or_default());
    }
    Ok(Vec::new())
}

fn of_generator(object: &Object) -> Vec<Node> {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let entries = object.list("/status/inventory").iter().map(|entry| Node {
        id: ObjectId {
            namespace: text(entry, "namespace"),
            name: text(entry, "name"),
            group: "source.toolkit.fluxcd.io".into(),
            kind: "ExternalArtifact".into(),
        },
        children: Vec::new(),
    });
    entries.collect()
}

async fn of_release(app: &App, object: &Object, compact: bool) -> Result<Vec<Node>> {
    if object.0.pointer("/spec/kubeConfig").is_some() {
        return Ok(Vec::new());
    }
    let (name, version) = (object.text("/status/history/0/name"), object.number("/status/history/0/version"));
    let (namespace, Some(version)) = (object.text("/status/storageNamespace"), version) else {
        return Ok(Vec::new());
    };
    let client = &app.cluster().await?.client;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = secrets.get_opt(&format!("sh.helm.release.v1.{name}.v{version}")).await?;
    let record = secret.and_then(|secret| secret.data).and_then(|mut data| data.remove("release"));
    let Some(record) = record else { return Ok(Vec::new()) };
    let release = object.text("/status/history/0/namespace");
    let mut nodes = of_record(&record.0, release).context("the record of the release cannot be read")?;
    if !object.text("/spec/install/crds").eq_ignore_ascii_case("skip") {
        let labels = format!(
            "helm.toolkit.fluxcd.io/name={},helm.toolkit.fluxcd.io/namespace={}",
            object.name(),
            object.namespace()
        );
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for definition in definitions.list(&ListParams::default().labels(&labels)).await?.items {
            let id = ObjectId {
                namespace: String::new(),
                name: definition.name_any(),
                group: "apiextensions.k8s.io".into(),
                kind: "CustomResourceDefinition".into(),
            };
            if !nodes.iter().any(|node| node.id == id) {
                nodes.push(Node { id, children: Vec::new() });
            }
        }
    }
    nodes.retain(|node| !compact || node.id.group.contains("toolkit.fluxcd.io"));
    Ok(nodes)
}

/// A record is no larger than a Secret may be; its content is.
const MAX_RECORD: u64 = 64 << 20;

/// The objects of a Helm release record.
fn of_record(record: &[u8], release_namespace: &str) -> Result<Vec<Node>> {
    let compressed = BASE64_STANDARD.decode(record)?;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(compressed.as_slice()).take(MAX_RECORD).read_to_end(&mut text)?;
    let release: Value = serde_json::from_slice(&text)?;
    let mut nodes = Vec::new();
    for document in documents::read_all(release["manifest"].as_str().unwrap_or_default())? {
        for object in sluice_runtime::apply::flatten(document) {
            let mut id = object.id();
            // The record does not know which kinds have namespaces: those that are known to have none stay without.
            if id.namespace.is_empty() && !is_cluster_scoped(&id) {
                release_namespace.clone_into(&mut id.namespace);
            }
            nodes.push(Node { id, children: Vec::new() });
        }
    }
    Ok(nodes)
}

fn is_cluster_scoped(id: &ObjectId) -> bool {
    matches!(
        (id.group.as_str(), id.kind.as_str()),
        ("", "Namespace" | "Node" | "PersistentVolume")
            | ("rbac.authorization.k8s.io", "ClusterRole" | "ClusterRoleBinding")
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("apiregistration.k8s.io", "APIService")
            | ("admissionregistration.k8s.io", _)
            | ("storage.k8s.io", "StorageClass" | "CSIDriver" | "CSINode" | "VolumeAttachment")
            | ("scheduling.k8s.io", "PriorityClass")
            | ("networking.k8s.io", "IngressClass")
            | ("node.k8s.io", "RuntimeClass")
            | ("policy", "PodSecurityPolicy")
            | ("certificates.k8s.io", "CertificateSigningRequest")
    )
}

impl Node {
    fn title(&self) -> String {
        let ObjectId { namespace, name, kind, .. } = &self.id;
        if namespace.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{namespace}/{name}") }
    }

    fn to_json(&self) -> Value {
        let ObjectId { namespace, name, group, kind } = &self.id;
        let mut value = json!({"resource": {
            "Namespace": namespace, "Name": name, "GroupKind": {"Group": group, "Kind": kind},
        }});
        if !self.children.is_empty() {
            value["resources"] = self.children.iter().map(Self::to_json).collect();
        }
        value
    }
}

/// The tree as text.
fn draw(root: &Node) -> String {
    let mut text = root.title() + "\n";
    draw_children(&root.children, "", &mut text);
    text
}

fn draw_children(children: &[Node], indent: &str, text: &mut String) {
    for (index, child) in children.iter().enumerate() {
        let last = index + 1 == children.len();
        let (branch, below) = if last { ("└── ", "    ") } else { ("├── ", "│   ") };
        *text += &format!("{indent}{branch}{}\n", child.title());
        draw_children(&child.children, &format!("{indent}{below}"), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn leaf(id: &str) -> Node {
        Node { id: ObjectId::from_inventory(id).unwrap(), children: Vec::new() }
    }

    fn tree() -> Node {
        let mut root = leaf("flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization");
        let mut nested = leaf("flux-system_podinfo_kustomize.toolkit.fluxcd.io_Kustomization");
        nested.children = vec![leaf("podinfo_podinfo_apps_Deployment"), leaf("podinfo_podinfo__Service")];
        root.children = vec![leaf("_podinfo__Namespace"), nested, leaf("podinfo_config__ConfigMap")];
        root
    }

    #[test]
    fn a_tree_is_drawn_with_branches() {
        let expected = "\
Kustomization/flux-system/apps
├── Namespace/podinfo
├── Kustomization/flux-system/podinfo
│   ├── Deployment/podinfo/podinfo
│   └── Service/podinfo/podinfo
└── ConfigMap/podinfo/config
";
        assert_eq!(draw(&tree()), expected);
    }

    #[test]
    fn a_tree_as_json_has_the_keys_of_the_reference() {
        let value = tree().to_json();
        let expected = json!({"resource": {"Namespace": "", "Name": "podinfo", "GroupKind": {"Group": "", "Kind": "Namespace"}}});
        assert_eq!(value["resources"][0], expected);
        assert_eq!(value["resources"][1]["resources"][0]["resource"]["GroupKind"]["Group"], "apps");
    }

    #[test]
    fn a_release_record_tells_its_objects() {
        let manifest = "---\nkind: Deployment\napiVersion: apps/v1\nmetadata:\n  name: web\n---\nkind: ClusterRole\napiVersion: rbac.authorization.k8s.io/v1\nmetadata:\n  name: r\n";
        let json = json!({"manifest": manifest}).to_string();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(json.as_bytes()).unwrap();
        let record = BASE64_STANDARD.encode(encoder.finish().unwrap());
        let titles: Vec<_> = of_record(record.as_bytes(), "apps").unwrap().iter().map(Node::title).collect();
        assert_eq!(titles, ["Deployment/apps/web", "ClusterRole/r"]);
        assert!(of_record(b"no base64!", "apps").is_err());
    }
}

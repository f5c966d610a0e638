//! What an installation consists of: the flags that `install` and `bootstrap` share, the objects that they make, and how
//! these get into a cluster.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, ValueEnum};
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Map, Value, json};
use sluice_api::meta::{KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL};
use sluice_helm::Values;
use sluice_helm::values::merge_maps;
use sluice_kstatus::Status;

use crate::app::App;
use crate::cluster::Cluster;
use crate::commands::check::deployment_ready;
use crate::commands::delete::confirmed;
use crate::commands::version::{self, VERSION_LABEL};
use crate::documents;
use crate::failure;
use crate::manifests;
use crate::object::Object;
use crate::resources::Resources;
use crate::wait;

/// The flags that say what to install.
#[derive(Args, Clone, Debug)]
pub(crate) struct Components {
    /// The controllers to install.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "source-controller,kustomize-controller,helm-controller,notification-controller"
    )]
    components: Vec<String>,
    /// Further controllers: image-reflector-controller and image-automation-controller (here one, image-controller),
    /// source-watcher (here part of source-controller, which it makes see to ArtifactGenerators).
    #[arg(long, value_delimiter = ',')]
    components_extra: Vec<String>,
    /// Where the images are pulled from, in place of the chart's.
    #[arg(long)]
    registry: Option<String>,
    /// The tag of the images [default: this version].
    #[arg(short = 'v', long = "version", value_name = "TAG")]
    tag: Option<String>,
    /// The Secret to pull the images with.
    #[arg(long)]
    image_pull_secret: Option<String>,
    /// User and password of the registry, as user:password; makes the Secret of --image-pull-secret.
    #[arg(long, requires = "image_pull_secret", value_name = "USER:PASSWORD")]
    registry_creds: Option<String>,
    /// See to all namespaces, or to this one only.
    #[arg(long, default_value_t = true)]
    watch_all_namespaces: bool,
    /// Install network policies.
    #[arg(long, default_value_t = true)]
    network_policy: bool,
    /// What the controllers log.
    #[arg(long, value_enum, default_value = "info")]
    log_level: LogLevel,
    /// The domain of the cluster's services.
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,
    /// Keys of taints to tolerate.
    #[arg(long, value_delimiter = ',')]
    toleration_keys: Vec<String>,
    /// Keep tenants apart: see docs/guides/multi-tenancy.md.
    #[arg(long)]
    multi_tenancy: bool,
    /// Names of shards: each gets controllers of its own.
    #[arg(long, value_delimiter = ',')]
    shards: Vec<String>,
    /// A value of the chart, such as kustomizeController.resources.limits.memory=2Gi; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    set: Vec<String>,
    /// Do not ask before taking over what another tool installed.
    #[arg(long)]
    force: bool,
    /// Values of the chart that no flag says, below those that --set gives.
    #[arg(skip)]
    further: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Debug,
    Info,
    Error,
}

/// A controller: its name, where the chart keeps its values, and the names that Flux has for it.
struct Component {
    name: &'static str,
    field: &'static str,
    others: &'static [&'static str],
}

const COMPONENTS: [Component; 5] = [
    Component { name: "source-controller", field: "sourceController", others: &["source-watcher"] },
    Component { name: "kustomize-controller", field: "kustomizeController", others: &[] },
    Component { name: "helm-controller", field: "helmController", others: &[] },
    Component { name: "notification-controller", field: "notificationController", others: &[] },
    Component {
        name: "image-controller",
        field: "imageController",
        others: &["image-reflector-controller", "image-automation-controller"],
    },
];

/// The controller that a name of ours or of Flux's means, and where the chart keeps its values.
pub(crate) fn component(word: &str) -> Option<(&'static str, &'static str)> {
    let means = |known: &&Component| known.name == word || known.others.contains(&word);
    COMPONENTS.iter().find(means).map(|known| (known.name, known.field))
}

/// The field manager of installations.
pub(crate) const MANAGER: &str = "flux";
/// How long definitions may take to be served.
const DEFINITIONS_TIMEOUT: Duration = Duration::from_mins(1);

impl Components {
    /// The names of the controllers to install, in a fixed order.
    pub(crate) fn names(&self) -> Result<Vec<&'static str>> {
        let asked: Vec<&String> = self.components.iter().chain(&self.components_extra).collect();
        let means =
            |component: &Component, word: &str| component.name == word || component.others.contains(&word);
        if let Some(unknown) = asked.iter().find(|word| !COMPONENTS.iter().any(|known| means(known, word))) {
            let known: Vec<_> = COMPONENTS.iter().map(|component| component.name).collect();
            bail!("component {unknown} is not available, must be one of: {}", known.join(", "));
        }
        let wanted = COMPONENTS.iter().filter(|component| asked.iter().any(|word| means(component, word)));
        Ok(wanted.map(|component| component.name).collect())
    }

    /// Whether nobody is asked before an installation of another tool is taken over.
    pub(crate) fn is_forced(&self) -> bool {
        self.force
    }

    /// Whether tenants are kept apart.
    pub(crate) fn is_locked_down(&self) -> bool {
        self.multi_tenancy
    }

    /// The same flags for other components, with further values of the chart.
    pub(crate) fn in_place_of(&self, components: Vec<String>, further: Map<String, Value>) -> Self {
        Self { components, further, ..self.clone() }
    }

    /// The objects of the installation, in the order of their application.
    pub(crate) fn objects(&self, namespace: &str) -> Result<Vec<Value>> {
        manifests::render(namespace, &self.values()?)
    }

    /// The same as a file.
    pub(crate) fn text(&self, namespace: &str) -> Result<String> {
        let mut text = format!(
            "---\n# This manifest was generated by sluice. DO NOT EDIT.\n# Sluice Version: v{}\n# Components: {}\n",
            env!("CARGO_PKG_VERSION"),
            self.names()?.join(",")
        );
        for (index, object) in self.objects(namespace)?.iter().enumerate() {
            let separator = if index > 0 { "---\n" } else { "" };
            let _ = write!(text, "{separator}{}", documents::yaml(object)?);
        }
        Ok(text)
    }

    /// The Secret to pull images with, if it is to be made.
    pub(crate) fn pull_secret(&self, namespace: &str) -> Result<Option<Value>> {
        let (Some(name), Some(credentials)) = (&self.image_pull_secret, &self.registry_creds) else {
            return Ok(None);
        };
        let Some((username, password)) = credentials.split_once(':') else {
            bail!("--registry-creds must be user:password");
        };
        let registry = self.registry.as_deref().unwrap_or_default();
        let host = registry.split('/').next().unwrap_or_default();
        if host.is_empty() {
            bail!("--registry-creds needs the registry that they are for: --registry");
        }
        let auth = BASE64_STANDARD.encode(credentials);
        let config = json!({"auths": {host: {"username": username, "password": password, "auth": auth}}});
        Ok(Some(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": {".dockerconfigjson": config.to_string()},
        })))
    }

    /// The chart's values.
    fn values(&self) -> Result<Values> {
        let names = self.names()?;
        let mut values = Map::new();
        values.insert("namespace".into(), json!({"create": true}));
        values.insert("watchAllNamespaces".into(), self.watch_all_namespaces.into());
        values.insert("policies".into(), json!({"create": self.network_policy}));
        values.insert("multitenancy".into(), json!({"enabled": self.multi_tenancy}));
        values.insert("sharding".into(), json!({"shards": self.shards}));
        let generators =
            self.components.iter().chain(&self.components_extra).any(|word| word == "source-watcher");
        values.insert("artifactGenerators".into(), json!({"enabled": generators}));
        let level = match self.log_level {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Error => "error",
        };
        values.insert("logLevel".into(), level.into());
        let domain = format!("{}.", self.cluster_domain.trim_end_matches('.'));
        values.insert("clusterDomain".into(), domain.into());
        if let Some(secret) = &self.image_pull_secret {
            values.insert("imagePullSecrets".into(), json!([{"name": secret}]));
        }
        let tolerations: Vec<Value> =
            self.toleration_keys.iter().map(|key| json!({"key": key, "operator": "Exists"})).collect();
        for Component { name, field, .. } in COMPONENTS {
            let mut own = json!({"create": names.contains(&name)});
            if let Some(registry) = &self.registry {
                own["image"] = format!("{}/{name}", registry.trim_end_matches('/')).into();
            }
            if let Some(tag) = &self.tag {
                own["tag"] = tag.as_str().into();
            }
            if !tolerations.is_empty() {
                own["tolerations"] = tolerations.clone().into();
            }
            values.insert(field.into(), own);
        }
        merge_maps(&mut values, self.further.clone());
        manifests::with_settings(values, &self.set)
    }
}

/// Refuses where somebody else manages the installation.
pub(crate) async fn may_install(app: &App, cluster: &Cluster, force: bool) -> Result<()> {
    let Some(definition) = version::source_definition(&cluster.client).await? else { return Ok(()) };
    let labels = definition.labels();
    let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
    if !label(KUSTOMIZATION_NAME_LABEL).is_empty() && !label(KUSTOMIZATION_NAMESPACE_LABEL).is_empty() {
        bail!(
            "this cluster has already been bootstrapped with Flux {}! Please use 'flux bootstrap' to upgrade",
            label(VERSION_LABEL)
        );
    }
    may_take_over(app, label("app.kubernetes.io/managed-by"), force)
}

/// Asks before the installation of another tool is taken over.
pub(crate) fn may_take_over(app: &App, manager: &str, force: bool) -> Result<()> {
    if !manager.is_empty() && manager != "flux" && !force {
        app.output.warning(&format!("what is installed is managed by {manager}"));
        if !confirmed(app, "Are you sure you want to take it over") {
            bail!("installation cancelled");
        }
    }
    Ok(())
}

/// Applies all objects: first definitions and namespaces, until they are served, then the rest. Prints what became of
/// each to stdout.
pub(crate) async fn apply_all(app: &App, objects: Vec<Value>) -> Result<()> {
    let cluster = app.cluster().await?;
    let resources = app.bounded("asking for the kinds", Resources::discover(cluster)).await?;
    let (first, rest): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(manifests::is_first);
    for object in &first {
        app.output.data(app.bounded("applying", apply(cluster, &resources, object)).await? + "\n")?;
    }
    for object in first.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        established(app, cluster, &resources, object).await?;
    }
    if rest.is_empty() {
        return Ok(());
    }
    // The definitions have brought new kinds.
    let resources = app.bounded("asking for the kinds", Resources::discover(cluster)).await?;
    for object in &rest {
        app.output.data(app.bounded("applying", apply(cluster, &resources, object)).await? + "\n")?;
    }
    Ok(())
}

/// Waits until the Deployments among the objects are rolled out; tells of each, and whether all are.
pub(crate) async fn rolled_out(app: &App, namespace: &str, objects: &[Value]) -> Vec<String> {
    let mut names: Vec<&str> = objects
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .filter_map(|object| object["metadata"]["name"].as_str())
        .collect();
    names.sort_unstable();
    let mut failures = Vec::new();
    for name in names {
        match deployment_ready(app, namespace, name).await {
            Ok(()) => app.output.success(&format!("{name}: deployment ready")),
            Err(error) => {
                let line = format!("{name}: deployment not ready: {}", failure::text(&error));
                app.output.failure(&line);
                failures.push(line);
            }
        }
    }
    failures
}

/// Applies an object; `<Kind>/<namespace>/<name> created|configured|unchanged`.
pub(crate) async fn apply(cluster: &Cluster, resources: &Resources, object: &Value) -> Result<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, name, namespace) = (text("/kind"), text("/metadata/name"), text("/metadata/namespace"));
    let subject =
        if namespace.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{namespace}/{name}") };
    let resource = resources.exactly(text("/apiVersion"), kind)?;
    let api = cluster.of(&resource.api, resource.namespaced.then_some(namespace));
    let before = api.get_opt(name).await?.and_then(|object| object.metadata.resource_version);
    let wanted: DynamicObject = serde_json::from_value(object.clone())?;
    let params = PatchParams::apply(MANAGER).force();
    let applied = api
        .patch(name, &params, &Patch::Apply(&wanted))
        .await
        .with_context(|| format!("{subject} is not accepted"))?;
    let what = match before {
        None => "created",
        before if before == applied.metadata.resource_version => "unchanged",
        _ => "configured",
    };
    Ok(format!("{subject} {what}"))
}

/// Waits until a definition is served.
async fn established(app: &App, cluster: &Cluster, resources: &Resources, object: &Value) -> Result<()> {
    let resource = resources.exactly("apiextensions.k8s.io/v1", "CustomResourceDefinition")?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let seen = |object: Option<DynamicObject>| {
        let Some(object) = object else { bail!("{name} was deleted") };
        let mut object = Object::from(object);
        object.0["apiVersion"] = "apiextensions.k8s.io/v1".into();
        object.0["kind"] = "CustomResourceDefinition".into();
        let assessment = wait::assess(&object)?;
        Ok(match assessment.status {
            Status::Current => ControlFlow::Break(()),
            Status::InProgress => ControlFlow::Continue(assessment.message),
            _ => bail!("{name}: {}", assessment.message),
        })
    };
    let waiting = wait::watch(app, cluster.of(&resource.api, None), name, seen, |_| {});
    tokio::time::timeout(DEFINITIONS_TIMEOUT, waiting)
        .await
        .with_context(|| format!("{name} is not served"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        components: Components,
    }

    fn components(words: &[&str]) -> Components {
        let words = std::iter::once("x").chain(words.iter().copied());
        <Line as clap::Parser>::try_parse_from(words).unwrap().components
    }

    #[test]
    fn names_of_flux_stand_for_our_controllers() {
        let extra =
            "--components-extra=image-reflector-controller,image-automation-controller,source-watcher";
        let names = components(&[extra]).names().unwrap();
        assert_eq!(names, COMPONENTS.map(|component| component.name));
        let error = components(&["--components=x"]).names().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("component x is not available, must be one of: source-controller, ")
        );
    }

    #[test]
    fn flags_reach_the_manifests() {
        let given = components(&[
            "--components=source-controller,kustomize-controller",
            "--registry=registry.example/sluice/",
            "--image-pull-secret=pull",
            "--registry-creds=me:pass",
            "--toleration-keys=node-role",
            "--multi-tenancy",
            "--shards=a",
            "--set=kustomizeController.resources.limits.memory=2Gi",
            "--components-extra=source-watcher",
        ]);
        let objects = given.objects("gitops").unwrap();
        let deployments: Vec<&Value> =
            objects.iter().filter(|object| object["kind"] == "Deployment").collect();
        let names: Vec<_> =
            deployments.iter().filter_map(|object| object["metadata"]["name"].as_str()).collect();
        assert_eq!(
            names,
            ["kustomize-controller", "kustomize-controller-a", "source-controller", "source-controller-a"]
        );
        let container = &deployments[1]["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "registry.example/sluice/kustomize-controller:0.1.0");
        assert_eq!(container["resources"]["limits"]["memory"], "2Gi");
        let args = container["args"].to_string();
        for wanted in
            ["--no-remote-bases=true", "--watch-label-selector=sharding.fluxcd.io/key=a", "--events-addr=\""]
        {
            assert!(args.contains(wanted), "{wanted} is not in {args}");
        }
        let secret = given.pull_secret("gitops").unwrap().unwrap();
        assert!(secret["stringData"][".dockerconfigjson"].as_str().unwrap().contains("registry.example"));
    }
}

//! `install`: the controllers and their definitions into a cluster, or as YAML.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Map, Value, json};
use sluice_api::meta::{KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL};
use sluice_helm::Values;
use sluice_kstatus::Status;

use super::check::deployment_ready;
use super::delete::confirmed;
use super::version::{self, VERSION_LABEL};
use crate::app::App;
use crate::cluster::Cluster;
use crate::documents;
use crate::failure;
use crate::manifests;
use crate::object::Object;
use crate::resources::Resources;
use crate::wait;

/// Flags of `install`.
#[derive(Args)]
pub(crate) struct InstallArgs {
    /// Print the manifests and leave the cluster alone.
    #[arg(long)]
    export: bool,
    /// The controllers to install.
    #[arg(long, value_delimiter = ',', default_value = "source-controller,kustomize-controller")]
    components: Vec<String>,
    /// Further controllers.
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
    /// Do not ask before taking over what another tool installed.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Debug,
    Info,
    Error,
}

/// The controllers, and where the chart keeps their values.
const COMPONENTS: [(&str, &str); 2] =
    [("source-controller", "sourceController"), ("kustomize-controller", "kustomizeController")];
/// The field manager of installations.
const MANAGER: &str = "flux";
/// How long definitions may take to be served.
const DEFINITIONS_TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) async fn run(app: &App, args: InstallArgs) -> Result<()> {
    let namespace = app.namespace()?;
    let components: Vec<String> = args.components.iter().chain(&args.components_extra).cloned().collect();
    let objects = {
        let values = values(&args, &components)?;
        if !args.export {
            app.output.generate("generating manifests");
        }
        manifests::render(&namespace, &values)?
    };
    if args.export {
        return export(app, &objects, &components);
    }
    app.output.success("manifests build completed");
    app.output.action(&format!("installing components in {namespace} namespace"));
    let cluster = app.cluster().await?;
    app.bounded("asking for what is installed", may_install(app, cluster, args.force)).await?;
    let resources = app.bounded("asking for the kinds", Resources::discover(cluster)).await?;
    let (first, rest): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(manifests::is_first);
    for object in &first {
        app.output.data(app.bounded("applying", apply(cluster, &resources, object)).await? + "\n")?;
    }
    for object in first.iter().filter(|object| object["kind"] == "CustomResourceDefinition") {
        established(app, cluster, &resources, object).await?;
    }
    for object in &rest {
        app.output.data(app.bounded("applying", apply(cluster, &resources, object)).await? + "\n")?;
    }
    app.output.waiting("verifying installation");
    let mut failed = false;
    let mut names: Vec<&str> = rest
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .filter_map(|object| object["metadata"]["name"].as_str())
        .collect();
    names.sort_unstable();
    for name in names {
        match deployment_ready(app, &namespace, name).await {
            Ok(()) => app.output.success(&format!("{name}: deployment ready")),
            Err(error) => {
                app.output.failure(&format!("{name}: deployment not ready: {}", failure::text(&error)));
                failed = true;
            }
        }
    }
    if failed {
        bail!("install failed");
    }
    app.output.success("install finished");
    Ok(())
}

/// The chart's values for some flags.
fn values(args: &InstallArgs, components: &[String]) -> Result<Values> {
    if let Some(unknown) = components.iter().find(|wanted| !COMPONENTS.iter().any(|(name, _)| name == wanted))
    {
        bail!("component {unknown} is not available");
    }
    let mut values = Map::new();
    values.insert("namespace".into(), json!({"create": true}));
    values.insert("watchAllNamespaces".into(), args.watch_all_namespaces.into());
    values.insert("policies".into(), json!({"create": args.network_policy}));
    let level = match args.log_level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Error => "error",
    };
    values.insert("logLevel".into(), level.into());
    values.insert("clusterDomain".into(), format!("{}.", args.cluster_domain.trim_end_matches('.')).into());
    if let Some(secret) = &args.image_pull_secret {
        values.insert("imagePullSecrets".into(), json!([{"name": secret}]));
    }
    let tolerations: Vec<Value> =
        args.toleration_keys.iter().map(|key| json!({"key": key, "operator": "Exists"})).collect();
    for (name, field) in COMPONENTS {
        let mut own = json!({"create": components.iter().any(|wanted| wanted == name)});
        if let Some(registry) = &args.registry {
            own["image"] = format!("{}/{name}", registry.trim_end_matches('/')).into();
        }
        if let Some(tag) = &args.tag {
            own["tag"] = tag.as_str().into();
        }
        if !tolerations.is_empty() {
            own["tolerations"] = tolerations.clone().into();
        }
        values.insert(field.into(), own);
    }
    Ok(values)
}

fn export(app: &App, objects: &[Value], components: &[String]) -> Result<()> {
    app.output.data(format!(
        "---\n# This manifest was generated by sluice. DO NOT EDIT.\n# Sluice Version: v{}\n# Components: {}\n",
        env!("CARGO_PKG_VERSION"),
        components.join(",")
    ))?;
    for (index, object) in objects.iter().enumerate() {
        let separator = if index > 0 { "---\n" } else { "" };
        app.output.data(format!("{separator}{}", documents::yaml(object)?))?;
    }
    Ok(())
}

/// Refuses where somebody else manages the installation.
async fn may_install(app: &App, cluster: &Cluster, force: bool) -> Result<()> {
    let Some(definition) = version::source_definition(&cluster.client).await? else { return Ok(()) };
    let labels = definition.labels();
    let label = |key: &str| labels.get(key).map(String::as_str).unwrap_or_default();
    if !label(KUSTOMIZATION_NAME_LABEL).is_empty() && !label(KUSTOMIZATION_NAMESPACE_LABEL).is_empty() {
        bail!(
            "this cluster has already been bootstrapped with Flux {}! Please use 'flux bootstrap' to upgrade",
            label(VERSION_LABEL)
        );
    }
    let manager = label("app.kubernetes.io/managed-by");
    if !manager.is_empty() && manager != "flux" && !force {
        app.output.warning(&format!("what is installed is managed by {manager}"));
        if !confirmed(app, "Are you sure you want to take it over") {
            bail!("installation cancelled");
        }
    }
    Ok(())
}

/// Applies an object; `<Kind>/<namespace>/<name> created|configured|unchanged`.
async fn apply(cluster: &Cluster, resources: &Resources, object: &Value) -> Result<String> {
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

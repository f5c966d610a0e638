//! `uninstall`: the controllers and their definitions away; what they applied stays.
//!
//! The order is what keeps workloads alive: a controller that still ran would see its objects go, and prune. So the
//! controllers go first, with their pods; then the finalizers, which only they could see to; then the definitions.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::StreamExt;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;

use super::delete::confirmed;
use super::version::PART_OF_FLUX;
use crate::app::App;
use crate::cluster::{self, Cluster};
use crate::failure::Failures;
use crate::kinds::KINDS;
use crate::wait;

/// Flags of `uninstall`.
#[derive(Args)]
pub(crate) struct UninstallArgs {
    /// Leave the namespace alone.
    #[arg(long)]
    keep_namespace: bool,
    /// Only tell what would be deleted.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    silent: bool,
}

/// The kinds of an installation: group, version, kind, plural, and whether it lives in the namespace.
pub(crate) const COMPONENTS: [(&str, &str, &str, &str, bool); 10] = [
    ("apps", "v1", "Deployment", "deployments", true),
    ("", "v1", "Service", "services", true),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true),
    ("", "v1", "ResourceQuota", "resourcequotas", true),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
    ("", "v1", "ServiceAccount", "serviceaccounts", true),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false),
];
/// How long the controllers' pods may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_mins(2);

pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version,
        kind: kind.into(),
        plural: plural.into(),
    }
}

pub(crate) async fn run(app: &App, args: UninstallArgs) -> Result<()> {
    let namespace = app.namespace()?;
    let cluster = app.cluster().await?;
    // A cluster that cannot be reached is told before the question.
    app.bounded("asking the API server", async { Ok(cluster.client.apiserver_version().await?) }).await?;
    if !args.dry_run && !args.silent {
        let question = format!(
            "Are you sure you want to delete the controllers in {namespace} and all custom resource definitions"
        );
        if !confirmed(app, &question) {
            bail!("aborting");
        }
    }
    let mut work = Uninstall { app, cluster, dry_run: args.dry_run, failures: Failures::default() };
    app.output.action(&format!("deleting components in {namespace} namespace"));
    let labelled = ListParams::default().labels(PART_OF_FLUX);
    for (group, version, kind, plural, namespaced) in COMPONENTS {
        let place = namespaced.then_some(namespace.as_str());
        work.delete_listed(&resource(group, version, kind, plural), place, &labelled).await;
        if kind == "Deployment" && !args.dry_run {
            if work.failures.count > 0 {
                work.failures.advise(app);
                bail!(
                    "the controllers cannot be stopped, so nothing else is touched: they would delete what they applied"
                );
            }
            until_stopped(app, cluster, &namespace).await?;
        }
    }
    app.output.action("deleting finalizers in all namespaces");
    for kind in KINDS {
        work.clear_finalizers(kind).await;
    }
    app.output.action("deleting custom resource definitions");
    let definitions =
        resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions");
    for kind in KINDS {
        // By name: an installation by helm does not label them.
        let params = ListParams::default().fields(&format!("metadata.name={}", kind.crd()));
        work.delete_listed(&definitions, None, &params).await;
    }
    if !args.keep_namespace {
        app.output.action("deleting namespace");
        let params = ListParams::default().fields(&format!("metadata.name={namespace}"));
        work.delete_listed(&resource("", "v1", "Namespace", "namespaces"), None, &params).await;
    }
    if work.failures.count > 0 && args.dry_run {
        work.failures.advise(app);
    } else if work.failures.count > 0 {
        app.output.warning("what is named above is still there: run it again when the cause is mended");
        work.failures.advise(app);
    }
    app.output.success("uninstall finished");
    Ok(())
}

struct Uninstall<'a> {
    app: &'a App,
    cluster: &'a Cluster,
    dry_run: bool,
    failures: Failures,
}

impl Uninstall<'_> {
    fn suffix(&self) -> &'static str {
        if self.dry_run { "(dry run)" } else { "" }
    }

    /// Failures are told and do not end the work.
    async fn delete_listed(&mut self, resource: &ApiResource, namespace: Option<&str>, params: &ListParams) {
        let api = self.cluster.of(resource, namespace);
        let listing = self.cluster.pages(&api, params.clone());
        let objects = match self.app.bounded(&format!("listing {}", resource.plural), listing).await {
            Ok(objects) => objects,
            Err(error) => return self.failures.tell(self.app, None, &error),
        };
        for object in objects {
            let name = object.metadata.name.unwrap_or_default();
            let subject = subject(&resource.kind, object.metadata.namespace.as_deref(), &name);
            let params = DeleteParams { dry_run: self.dry_run, ..DeleteParams::foreground() };
            match api.delete(&name, &params).await {
                Ok(_) => self.app.output.success(&format!("{subject} deleted {}", self.suffix())),
                Err(error) => {
                    let subject = format!("{subject} deletion failed");
                    self.failures.tell(self.app, Some(&subject), &error.into());
                }
            }
        }
    }

    async fn clear_finalizers(&mut self, kind: &'static crate::kinds::Kind) {
        let objects = match self.cluster.list(kind, None, ListParams::default()).await {
            Ok(objects) => objects,
            Err(error) if cluster::is_not_installed(&error) => return,
            Err(error) => return self.failures.tell(self.app, None, &error),
        };
        for object in objects.iter().filter(|object| !object.list("/metadata/finalizers").is_empty()) {
            let subject = subject(kind.kind, Some(object.namespace()), object.name());
            let params = PatchParams { dry_run: self.dry_run, ..PatchParams::default() };
            let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            let api = self.cluster.api(kind, Some(object.namespace()));
            match api.patch(object.name(), &params, &patch).await {
                Ok(_) => self.app.output.success(&format!("{subject} finalizers deleted {}", self.suffix())),
                Err(error) => {
                    let subject = format!("{subject} failed to remove finalizers");
                    self.failures.tell(self.app, Some(&subject), &error.into());
                }
            }
        }
    }
}

/// Waits until no pod of a controller is left.
pub(crate) async fn until_stopped(app: &App, cluster: &Cluster, namespace: &str) -> Result<()> {
    let api = cluster.of(&resource("", "v1", "Pod", "pods"), Some(namespace));
    let config = watcher::Config::default().labels(PART_OF_FLUX);
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    let mut left = std::collections::BTreeSet::new();
    let gone = async {
        while let Some(event) = events.next().await {
            if let Err(error) = &event
                && wait::is_final(error)
            {
                return event.map(drop).context("whether the controllers' pods have stopped cannot be seen");
            }
            let flow = follow(&mut left, event);
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    };
    let deadline = app.deadline.min(tokio::time::Instant::now() + STOP_TIMEOUT);
    tokio::time::timeout_at(deadline, gone).await.context(
        "the controllers' pods do not stop; nothing else was changed, run it again when they are gone",
    )?
}

/// Keeps the names of the pods that are left; breaks when there are none.
fn follow(
    left: &mut std::collections::BTreeSet<String>,
    event: Result<watcher::Event<DynamicObject>, watcher::Error>,
) -> ControlFlow<()> {
    let name = |object: DynamicObject| object.metadata.name.unwrap_or_default();
    match event {
        Ok(watcher::Event::Init) => {
            left.clear();
            return ControlFlow::Continue(());
        }
        Ok(watcher::Event::InitApply(object)) => {
            left.insert(name(object));
            return ControlFlow::Continue(());
        }
        Ok(watcher::Event::Apply(object)) => {
            left.insert(name(object));
        }
        Ok(watcher::Event::Delete(object)) => {
            left.remove(&name(object));
        }
        Ok(watcher::Event::InitDone) => {}
        Err(_) => return ControlFlow::Continue(()),
    }
    if left.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn subject(kind: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{kind}/{namespace}/{name}"),
        _ => format!("{kind}/{name}"),
    }
}

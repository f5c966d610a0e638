//! A git server, a repository, and both controllers of the main path, in a namespace of their own.

use crate::setting::Setting;
use anyhow::{Context, Result};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{Access, Controller, ControllerBuilder, GitServer, Repository, condition, wait};
use std::ops::Deref;

pub(crate) const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
pub(crate) const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";

/// What such a case works with. Its GitRepository is named `app`, like the repository. Nothing reconciles by the clock:
/// intervals are an hour.
pub(crate) struct GitOps {
    // In the order in which they are dropped: first those who use the rest.
    pub(crate) kustomize: Controller,
    pub(crate) source: Controller,
    pub(crate) repository: Repository,
    pub(crate) server: GitServer,
    pub(crate) setting: Setting,
}

impl Deref for GitOps {
    type Target = Setting;

    fn deref(&self) -> &Setting {
        &self.setting
    }
}

/// Runs a case. When it fails, the error has the end of the controllers' logs.
pub(crate) async fn gitops(prefix: &str, case: impl AsyncFnOnce(&mut GitOps) -> Result<()>) -> Result<()> {
    let mut ops = GitOps::start(prefix, &[]).await?;
    let outcome = case(&mut ops).await;
    ops.explain(outcome)
}

impl GitOps {
    /// With more arguments for the kustomize-controller.
    pub(crate) async fn start(prefix: &str, arguments: &[&str]) -> Result<Self> {
        Self::start_in(Setting::new(prefix).await?, arguments, None).await
    }

    /// In a setting that is there, with another kubeconfig for the kustomize-controller.
    pub(crate) async fn start_in(
        setting: Setting,
        arguments: &[&str],
        kubeconfig: Option<&std::path::Path>,
    ) -> Result<Self> {
        Self::start_with(setting, GitServer::start().await?, arguments, kubeconfig).await
    }

    /// With another Git server, too.
    pub(crate) async fn start_with(
        setting: Setting,
        server: GitServer,
        arguments: &[&str],
        kubeconfig: Option<&std::path::Path>,
    ) -> Result<Self> {
        Self::start_all(setting, server, &[], arguments, kubeconfig).await
    }

    /// With variables of the kustomize-controller.
    pub(crate) async fn start_with_variables(
        setting: Setting,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let server = GitServer::start().await?;
        Self::start_each(setting, server, &[], arguments, |mut kustomize| {
            for (name, value) in variables {
                kustomize = kustomize.variable(name, *value);
            }
            kustomize
        })
        .await
    }

    /// With more arguments for the source-controller, too.
    pub(crate) async fn start_all(
        setting: Setting,
        server: GitServer,
        for_source: &[&str],
        arguments: &[&str],
        kubeconfig: Option<&std::path::Path>,
    ) -> Result<Self> {
        Self::start_each(setting, server, for_source, arguments, |kustomize| match kubeconfig {
            Some(path) => kustomize.kubeconfig(path),
            None => kustomize,
        })
        .await
    }

    async fn start_each(
        setting: Setting,
        server: GitServer,
        for_source: &[&str],
        arguments: &[&str],
        with: impl FnOnce(ControllerBuilder) -> ControllerBuilder,
    ) -> Result<Self> {
        let repository = server.repository("app")?;
        let plane = setting.plane;
        // Builds the binaries, the first time.
        let (mut source, mut kustomize) = tokio::task::spawn_blocking(move || {
            anyhow::Ok((
                Controller::builder(plane, "source-controller")?,
                Controller::builder(plane, "kustomize-controller")?,
            ))
        })
        .await??;
        for argument in arguments {
            kustomize = kustomize.argument(*argument);
        }
        kustomize = with(kustomize);
        for argument in for_source {
            source = source.argument(*argument);
        }
        let namespace = &setting.namespace;
        let (source, kustomize) =
            tokio::try_join!(source.namespace(namespace).start(), kustomize.namespace(namespace).start())?;
        Ok(Self { kustomize, source, repository, server, setting })
    }

    /// Adds to an error what the controllers said last.
    pub(crate) fn explain(&self, outcome: Result<()>) -> Result<()> {
        outcome.map_err(|error| {
            let (source, kustomize) = (self.source.log_tail(), self.kustomize.log_tail());
            error.context(format!(
                "--- source-controller\n{source}\n--- kustomize-controller\n{kustomize}\n---"
            ))
        })
    }

    /// Applies the GitRepository `app`, with these fields of its spec changed.
    pub(crate) async fn git_repository(&self, spec: Value) -> Result<()> {
        self.git_repository_named("app", self.repository.url(), spec).await
    }

    /// Applies another GitRepository.
    pub(crate) async fn git_repository_named(&self, name: &str, url: &str, spec: Value) -> Result<()> {
        let base = json!({"interval": "1h", "url": url, "ref": {"branch": "main"}});
        self.create(SOURCE, "GitRepository", name, merged(base, spec)).await
    }

    /// Applies a Kustomization of the GitRepository `app`, with these fields of its spec changed.
    pub(crate) async fn kustomization(&self, name: &str, spec: Value) -> Result<()> {
        let base = json!({
            "interval": "1h", "timeout": "1m", "prune": true, "path": "./", "targetNamespace": self.namespace,
            "sourceRef": {"kind": "GitRepository", "name": "app"},
        });
        self.create(KUSTOMIZE, "Kustomization", name, merged(base, spec)).await
    }

    async fn create(&self, version: &str, kind: &str, name: &str, spec: Value) -> Result<()> {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec});
        self.apply(&object.to_string()).await.map(drop)
    }

    /// Commits the work tree and asks the GitRepository `app` to look.
    pub(crate) async fn push(&self, message: &str) -> Result<String> {
        let commit = self.repository.commit(message)?;
        self.request_reconcile(SOURCE, "GitRepository", "app").await?;
        Ok(commit)
    }

    /// Waits until a Kustomization has applied a commit of `main`.
    pub(crate) async fn applied(&self, name: &str, commit: &str) -> Result<DynamicObject> {
        let revision = format!("main@sha1:{commit}");
        let api = self.api(KUSTOMIZE, "Kustomization").await?;
        wait::until(&api, name, "ready at the commit", |object| {
            object.data["status"]["lastAppliedRevision"] == revision.as_str() && is_ready(object)
        })
        .await
    }

    /// Waits until the GitRepository has an artifact of this revision.
    pub(crate) async fn stored(&self, name: &str, revision: &str) -> Result<DynamicObject> {
        let api = self.api(SOURCE, "GitRepository").await?;
        wait::until(&api, name, "ready at the revision", |object| {
            object.data["status"]["artifact"]["revision"] == revision && is_ready(object)
        })
        .await
    }

    /// Asks a Kustomization to reconcile and waits until it has.
    pub(crate) async fn reconcile(&self, name: &str) -> Result<DynamicObject> {
        self.reconcile_kind(KUSTOMIZE, "Kustomization", name).await
    }

    /// Asks an object to reconcile and waits until it has.
    pub(crate) async fn reconcile_kind(
        &self,
        version: &str,
        kind: &str,
        name: &str,
    ) -> Result<DynamicObject> {
        let request = self.request_reconcile(version, kind, name).await?;
        let api = self.api(version, kind).await?;
        wait::until(&api, name, "reconciled on request", |object| {
            object.data["status"]["lastHandledReconcileAt"] == request.as_str()
                && condition(object, "Reconciling") != Some("True")
        })
        .await
    }

    /// A Secret.
    pub(crate) async fn secret(&self, name: &str, data: Value) -> Result<()> {
        let object =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        self.apply(&object.to_string()).await.map(drop)
    }

    /// Waits for an Event about an object whose type, reason and message are `good`.
    pub(crate) async fn told(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        good: impl Fn(&str, &str, &str) -> bool,
    ) -> Result<String> {
        wait::told(&self.api("v1", "Event").await?, kind, name, what, good).await
    }

    /// Type, reason and message of the Events about an object that are there now.
    pub(crate) async fn events(&self, kind: &str, name: &str) -> Result<Vec<(String, String, String)>> {
        let events = self.api("v1", "Event").await?.list(&kube::api::ListParams::default()).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(events
            .iter()
            .filter(|event| {
                event.data["involvedObject"]["kind"] == kind && event.data["involvedObject"]["name"] == name
            })
            .map(|event| {
                (text(&event.data["type"]), text(&event.data["reason"]), text(&event.data["message"]))
            })
            .collect())
    }
}

/// Ready, and of the present generation.
pub(crate) fn is_ready(object: &DynamicObject) -> bool {
    condition(object, "Ready") == Some("True")
        && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
}

/// The message of the Ready condition.
pub(crate) fn message(object: &DynamicObject) -> String {
    let conditions = object.data["status"]["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|entry| entry["type"] == "Ready"));
    ready.and_then(|ready| ready["message"].as_str()).unwrap_or_default().to_owned()
}

/// The identity of an object, which changes when it is made anew.
pub(crate) fn uid(object: &DynamicObject) -> Result<String> {
    object.metadata.uid.clone().context("no uid")
}

fn merged(mut base: Value, change: Value) -> Value {
    if let (Value::Object(base), Value::Object(change)) = (&mut base, change) {
        for (key, value) in change {
            if value.is_null() {
                base.remove(&key);
            } else {
                base.insert(key, value);
            }
        }
    }
    base
}

/// A small shop: a base, and two overlays with a generated ConfigMap and a patch.
pub(crate) fn write_shop(repository: &Repository) -> Result<()> {
    repository.write("base/kustomization.yaml", "resources: [deployment.yaml, service.yaml]\n")?;
    repository.write(
        "base/deployment.yaml",
        "apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, labels: {app: shop}}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - name: shop
        image: example.com/shop:1.0.0
        envFrom: [{configMapRef: {name: shop}}]
",
    )?;
    repository.write(
        "base/service.yaml",
        "apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80}]}
",
    )?;
    for (overlay, replicas) in [("staging", 1), ("production", 3)] {
        repository.write(
            &format!("overlays/{overlay}/kustomization.yaml"),
            format!(
                "resources: [../../base]
namePrefix: {overlay}-
configMapGenerator: [{{name: shop, files: [shop.properties]}}]
patches:
- target: {{kind: Deployment, name: shop}}
  patch: |
    - {{op: add, path: /spec/replicas, value: {replicas}}}
"
            ),
        )?;
        repository.write(
            &format!("overlays/{overlay}/shop.properties"),
            format!("greeting=hello from {overlay}\n"),
        )?;
    }
    Ok(())
}

/// Logins for [`Access::Basic`], as a Secret has them.
pub(crate) fn login(access: &Access) -> Value {
    match access {
        Access::Open => json!({}),
        Access::Basic(username, password) => json!({"username": username, "password": password}),
        Access::Bearer(token) => json!({"bearerToken": token}),
        Access::User(name) => json!({"username": name, "password": "any"}),
        Access::AnyOf(several) => several.first().map_or_else(|| json!({}), login),
    }
}

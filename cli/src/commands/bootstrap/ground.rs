//! The cluster that is set up: what is installed in it, and whether it follows what it is told to.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use sluice_kstatus::Status;
use sluice_kustomize::{DiskFileSystem, Options};

use super::layout;
use super::tree::Tree;
use crate::app::App;
use crate::commands::{reconcile, version};
use crate::documents;
use crate::failure::{self, hinted};
use crate::fitness;
use crate::installation::{self, Components};
use crate::kinds::{KUSTOMIZATION, Kind};
use crate::object::Object;
use crate::progress::Progress;
use crate::wait;

/// A cluster, and the namespace of the controllers.
pub(super) struct Ground<'a> {
    pub(super) app: &'a App,
    pub(super) components: &'a Components,
    pub(super) namespace: &'a str,
}

impl Ground<'_> {
    /// Fails where the cluster cannot be reached or installed into, or follows another directory: before anything is
    /// written, as a wrong `--path` must not leave a directory behind.
    pub(super) async fn check(&self, path: &str) -> Result<()> {
        let cluster = self.app.cluster().await?;
        if self.manages_itself().await? {
            return self.may_sync(path).await;
        }
        let asking = fitness::installable(cluster, self.components.is_forced());
        self.app.bounded("asking for version and rights", asking).await?;
        self.may_sync(path).await
    }

    /// Applies the components where the cluster does not do that itself yet.
    pub(super) async fn install(&self, tree: &Tree, directory: &str) -> Result<()> {
        let app = self.app;
        let cluster = app.cluster().await?;
        if self.manages_itself().await? {
            return Ok(());
        }
        let manager =
            app.bounded("asking for what is installed", version::source_definition(&cluster.client)).await?;
        if let Some(definition) = manager {
            let labels = definition.metadata.labels.unwrap_or_default();
            let manager = labels.get("app.kubernetes.io/managed-by").map(String::as_str).unwrap_or_default();
            installation::may_take_over(app, manager, self.components.is_forced())?;
        }
        app.output.action(&format!("installing components in {:?} namespace", self.namespace));
        let mut objects = match tree.read(&format!("{directory}/{}", layout::KUSTOMIZATION))? {
            // Patches of the user count from the first start.
            Some(_) if tree.read(&format!("{directory}/{}", layout::SYNC))?.is_some() => {
                built(tree, directory)?.into_iter().filter(|object| !is_sync(object)).collect()
            }
            _ => self.components.objects(self.namespace)?,
        };
        objects.extend(self.components.pull_secret(self.namespace)?);
        let deployments = objects.clone();
        installation::apply_all(app, objects).await?;
        let failures = installation::rolled_out(app, self.namespace, &deployments).await;
        if !failures.is_empty() {
            bail!("{}", failures.join("; "));
        }
        app.output.success("reconciled components");
        Ok(())
    }

    async fn manages_itself(&self) -> Result<bool> {
        let found = self.kustomization().await?;
        Ok(found.is_some_and(|object| !object.text("/status/lastAppliedRevision").is_empty()))
    }

    async fn kustomization(&self) -> Result<Option<Object>> {
        let cluster = self.app.cluster().await?;
        let api = cluster.api(&KUSTOMIZATION, Some(self.namespace));
        let get = async {
            match api.get_opt(self.namespace).await {
                Ok(found) => Ok(found.map(|object| Object::from_server(object, &KUSTOMIZATION))),
                Err(kube::Error::Api(status)) if failure::is_missing_resource(&status) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        self.app.bounded("asking for the Kustomization", get).await
    }

    /// Refuses to take the place of a Kustomization for another directory.
    async fn may_sync(&self, path: &str) -> Result<()> {
        let Some(object) = self.kustomization().await? else { return Ok(()) };
        let known = object.text("/spec/path");
        let same = |path: &str| layout::directory(path).unwrap_or_default();
        if !known.is_empty() && same(known) != same(path) {
            bail!(
                "sync path configuration ({path:?}) would overwrite path ({known:?}) of existing Kustomization"
            );
        }
        Ok(())
    }

    fn secrets(&self, client: kube::Client) -> Api<Secret> {
        Api::namespaced(client, self.namespace)
    }

    /// The Secret that the cluster fetches with, if it is there.
    pub(super) async fn secret(&self, name: &str) -> Result<Option<Secret>> {
        let client = self.app.cluster().await?.client.clone();
        let get = async { Ok(self.secrets(client).get_opt(name).await?) };
        self.app.bounded("asking for the source secret", get).await
    }

    /// Writes the Secret that the cluster fetches with, where it is not as it is wanted.
    pub(super) async fn put_secret(
        &self,
        name: &str,
        live: Option<&Secret>,
        type_: Option<&str>,
        wanted: &BTreeMap<String, String>,
    ) -> Result<()> {
        if live.is_some_and(|secret| same_data(secret, wanted)) {
            self.app.output.success("source secret up to date");
            return Ok(());
        }
        let mut secret: Secret = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": wanted, "type": type_,
            "metadata": {"name": name, "namespace": self.namespace},
        }))?;
        let api = self.secrets(self.app.cluster().await?.client.clone());
        let params =
            PostParams { field_manager: Some(installation::MANAGER.into()), ..PostParams::default() };
        let write = async {
            match live {
                None => api.create(&params, &secret).await?,
                Some(live) => {
                    secret.metadata.resource_version.clone_from(&live.metadata.resource_version);
                    api.replace(name, &params, &secret).await?
                }
            };
            Ok(())
        };
        self.app.bounded("writing the source secret", write).await?;
        self.app.output.success("reconciled source secret");
        Ok(())
    }

    /// Has the cluster follow a directory, and waits until it does so with this revision and all is healthy.
    pub(super) async fn follow(
        &self,
        tree: &Tree,
        directory: &str,
        source: &'static Kind,
        revision: &str,
    ) -> Result<()> {
        let output = &self.app.output;
        let objects = built(tree, directory)?;
        if !names_our_files(&objects, self.namespace) {
            output.warning(&format!(
                "{directory}/{} does not list {} and {}: the cluster will not manage itself",
                layout::KUSTOMIZATION,
                layout::COMPONENTS,
                layout::SYNC
            ));
        }
        let own: Vec<Value> = objects.iter().filter(|object| is_sync(object)).cloned().collect();
        installation::apply_all(self.app, own).await?;
        output.success("reconciled sync configuration");

        self.hurry(source, revision).await?;
        let mut failures = Vec::new();
        for kind in [source, &KUSTOMIZATION] {
            failures.extend(self.synced(kind, revision).await);
        }
        output.action("confirming components are healthy");
        failures.extend(installation::rolled_out(self.app, self.namespace, &objects).await);
        if failures.is_empty() {
            output.success("all components are healthy");
            return Ok(());
        }
        let error = anyhow!(
            "bootstrap failed with {} health check failure(s): {}",
            failures.len(),
            failures.join("; ")
        );
        Err(hinted(
            error,
            format!(
                "everything is written: look with `sluice check -n {0}` and `sluice logs -n {0}`, then run bootstrap again",
                self.namespace
            ),
        ))
    }

    /// A source that was there before looks at its interval only: it is asked to look now.
    async fn hurry(&self, source: &'static Kind, revision: &str) -> Result<()> {
        let cluster = self.app.cluster().await?;
        let find = cluster.find(source, self.namespace, self.namespace);
        let Some(object) = self.app.bounded("asking for the source", find).await? else { return Ok(()) };
        let known = object.text("/status/artifact/revision");
        if known.is_empty() || known == revision {
            Ok(())
        } else {
            reconcile::ask(self.app, source, &object).await
        }
    }

    /// Waits for an object of the sync; what goes wrong is returned as text.
    async fn synced(&self, kind: &'static Kind, revision: &str) -> Option<String> {
        let subject = format!("{}/{}", self.namespace, self.namespace);
        self.app.output.waiting(&format!("waiting for {} {subject:?} to be reconciled", kind.kind));
        match self.wait_for(kind, revision).await {
            Ok(()) => {
                self.app.output.success(&format!("{} reconciled successfully", kind.kind));
                None
            }
            Err(error) => {
                let text = format!("{} {subject:?}: {}", kind.kind, failure::text(&error));
                self.app.output.failure(&text);
                Some(text)
            }
        }
    }

    async fn wait_for(&self, kind: &'static Kind, revision: &str) -> Result<()> {
        let api = self.app.cluster().await?.api(kind, Some(self.namespace));
        let progress = Progress::start(&self.app.output, "waiting for the controller");
        let pointer = if kind.kind == "Kustomization" {
            "/status/lastAttemptedRevision"
        } else {
            "/status/artifact/revision"
        };
        let seen = |object: Option<DynamicObject>| {
            let object = Object::from_server(object.context("it was deleted")?, kind);
            if object.is_suspended() {
                bail!("it is suspended");
            }
            let assessment = wait::assess(&object)?;
            let current = object.text(pointer) == revision && wait::was_observed(&object);
            Ok(match assessment.status {
                Status::Current if current => ControlFlow::Break(()),
                Status::Failed
                    if wait::was_observed(&object) && (current || kind.kind != "Kustomization") =>
                {
                    bail!("{}", assessment.message)
                }
                _ => ControlFlow::Continue(assessment.message),
            })
        };
        wait::watch(self.app, api, self.namespace, seen, |state| progress.set(state)).await
    }
}

fn same_data(secret: &Secret, wanted: &BTreeMap<String, String>) -> bool {
    let live = secret.data.clone().unwrap_or_default();
    live.len() == wanted.len()
        && wanted.iter().all(|(key, value)| live.get(key).is_some_and(|live| live.0 == value.as_bytes()))
}

/// What the directory's kustomization makes.
fn built(tree: &Tree, directory: &str) -> Result<Vec<Value>> {
    let folder = tree.folder().join(directory);
    let output =
        sluice_kustomize::build(&DiskFileSystem::new(), None, &folder.display().to_string(), &Options::cli())
            .with_context(|| format!("{directory}/{} cannot be built", layout::KUSTOMIZATION))?;
    documents::read_all(&output.to_yaml()?)
}

/// Whether an object is the source or the Kustomization that the cluster follows.
fn is_sync(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    version.starts_with("source.toolkit.fluxcd.io/") || version.starts_with("kustomize.toolkit.fluxcd.io/")
}

fn names_our_files(objects: &[Value], namespace: &str) -> bool {
    let has = |kind: &str, name: &str| {
        objects.iter().any(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    };
    has("Deployment", "kustomize-controller") && has("Kustomization", namespace)
}

//! From Flux and back, in place: the controllers are replaced, the objects that they see to stay as they are.
//!
//! What Flux had is kept in a Secret beside the controllers, so that the way back needs nothing but the cluster.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;
use sluice_api::meta::{KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL};

use super::saved::{self, SECRET};
use super::taken_over;
use crate::app::App;
use crate::cluster::Cluster;
use crate::commands::delete::confirmed;
use crate::commands::uninstall::{COMPONENTS, resource, until_stopped};
use crate::commands::version::{PART_OF_FLUX, VERSION_LABEL, source_definition};
use crate::failure::hinted;
use crate::installation::{self, Components};
use crate::kinds::{GIT_REPOSITORY, KINDS, KUSTOMIZATION, OCI_REPOSITORY};

/// Flags of `migrate flux`.
#[derive(Args)]
pub(crate) struct FluxArgs {
    /// Bring Flux back, as it was before.
    #[arg(long)]
    back: bool,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    components: Components,
}

pub(super) async fn run(app: &App, args: &FluxArgs) -> Result<()> {
    let namespace = app.namespace()?;
    let cluster = app.cluster().await?;
    let work = Migration { app, cluster, namespace: &namespace, args };
    if args.back { work.back().await } else { work.forth().await }
}

struct Migration<'a> {
    app: &'a App,
    cluster: &'a Cluster,
    namespace: &'a str,
    args: &'a FluxArgs,
}

impl Migration<'_> {
    async fn forth(&self) -> Result<()> {
        let output = &self.app.output;
        let installed = self.app.bounded("asking for what is installed", self.installed()).await?;
        let deployments: Vec<&Value> =
            installed.iter().filter(|object| object["kind"] == "Deployment").collect();
        if deployments.is_empty() {
            bail!(
                "no controllers found in the {:?} namespace with the label {PART_OF_FLUX}: name Flux's namespace with --namespace",
                self.namespace
            );
        }
        let saved =
            self.app.bounded("asking for what was kept", saved::read(self.cluster, self.namespace)).await?;
        if saved.is_some() {
            return Err(hinted(
                anyhow!(
                    "this cluster was migrated already: Flux is kept in Secret {}/{SECRET}",
                    self.namespace
                ),
                "`sluice install` upgrades Sluice, `sluice migrate flux --back` brings Flux back",
            ));
        }
        let ours = format!("v{}", env!("CARGO_PKG_VERSION"));
        if deployments.iter().all(|object| object["metadata"]["labels"][VERSION_LABEL] == ours.as_str()) {
            bail!("these are the controllers of Sluice {ours} already: nothing is to be migrated");
        }
        self.refuse_bootstrapped().await?;
        for object in &deployments {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
            let successor = taken_over::successor(name).with_context(|| {
                format!("Deployment {name} is none of Flux's: take the label {PART_OF_FLUX} from it")
            })?;
            output.action(&format!("{name} ({}) becomes {successor}", image.as_str().unwrap_or_default()));
        }
        let wanted = taken_over::components(&self.args.components, &deployments);
        let objects = wanted.objects(self.namespace)?;
        if !self.may_go_on("Are you sure you want to replace Flux")? {
            return Ok(());
        }
        let keep = saved::write(self.cluster, self.namespace, &installed);
        self.app.bounded("keeping what is installed", keep).await?;
        output.success(&format!("what is installed is kept in Secret {}/{SECRET}", self.namespace));
        self.switch(&installed, objects).await?;
        output.success("Flux is replaced by Sluice; `sluice migrate flux --back` brings it back");
        Ok(())
    }

    async fn back(&self) -> Result<()> {
        let kept =
            self.app.bounded("asking for what was kept", saved::read(self.cluster, self.namespace)).await?;
        let Some(kept) = kept else {
            return Err(hinted(
                anyhow!("there is nothing to go back to: no Secret {}/{SECRET}", self.namespace),
                "where Flux was bootstrapped, run `flux bootstrap` with the flags of then",
            ));
        };
        let installed = self.app.bounded("asking for what is installed", self.installed()).await?;
        for object in kept.iter().filter(|object| object["kind"] == "Deployment") {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
            self.app.output.action(&format!("{name} ({}) comes back", image.as_str().unwrap_or_default()));
        }
        if !self.may_go_on("Are you sure you want to bring Flux back")? {
            return Ok(());
        }
        self.switch(&installed, kept).await?;
        self.app.bounded("forgetting what was kept", saved::forget(self.cluster, self.namespace)).await?;
        self.app.output.success("Flux is back");
        Ok(())
    }

    fn may_go_on(&self, question: &str) -> Result<bool> {
        if self.args.dry_run {
            return Ok(false);
        }
        if !self.args.yes && !confirmed(self.app, question) {
            bail!("aborting");
        }
        Ok(true)
    }

    /// Takes the controllers away, applies the wanted objects, and takes away what is left of the others. While definitions
    /// and roles change nobody works, and nothing of a Deployment outlives it: what it applied does.
    async fn switch(&self, installed: &[Value], mut wanted: Vec<Value>) -> Result<()> {
        let kept: BTreeSet<_> = wanted.iter().map(key).collect();
        let superfluous = |object: &&Value| {
            let stays = ["CustomResourceDefinition", "Namespace"].iter().any(|kind| object["kind"] == *kind);
            !stays && !kept.contains(&key(object))
        };
        let (controllers, others): (Vec<&Value>, Vec<&Value>) =
            installed.iter().partition(|object| object["kind"] == "Deployment");
        for object in controllers {
            self.app.bounded("deleting", self.delete(object)).await?;
        }
        until_stopped(self.app, self.cluster, self.namespace).await?;
        wanted.sort_by_key(|object| object["kind"] == "Deployment");
        let deployments = wanted.clone();
        installation::apply_all(self.app, wanted).await?;
        for object in others.into_iter().filter(superfluous) {
            self.app.bounded("deleting", self.delete(object)).await?;
        }
        let failures = installation::rolled_out(self.app, self.namespace, &deployments).await;
        if !failures.is_empty() {
            return Err(hinted(
                anyhow!("{}", failures.join("; ")),
                format!(
                    "look with `sluice check -n {0}`; `sluice migrate flux --back -n {0}` brings Flux back",
                    self.namespace
                ),
            ));
        }
        Ok(())
    }

    async fn delete(&self, object: &Value) -> Result<()> {
        let (kind, namespace, name) = key(object);
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let known = COMPONENTS.iter().find(|known| known.2 == kind);
        let (.., plural, namespaced) =
            known.with_context(|| format!("{kind} is no kind of an installation"))?;
        let api = self.cluster.of(&resource(group, version, &kind, plural), namespaced.then_some(&namespace));
        match api.delete(&name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            outcome => outcome.with_context(|| format!("{kind} {name} cannot be deleted"))?,
        };
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        self.app.output.data(format!("{kind}/{place}{name} deleted\n"))
    }

    /// All objects of the installation, as they can be applied again.
    async fn installed(&self) -> Result<Vec<Value>> {
        let labelled = ListParams::default().labels(PART_OF_FLUX);
        let mut found = Vec::new();
        let definitions =
            resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions");
        for kind in KINDS {
            // By name: an installation by helm does not label them.
            if let Some(object) = self.cluster.of(&definitions, None).get_opt(&kind.crd()).await? {
                found.push(saved::clean(serde_json::to_value(object)?, &definitions));
            }
        }
        for (group, version, kind, plural, namespaced) in COMPONENTS {
            let resource = resource(group, version, kind, plural);
            let api = self.cluster.of(&resource, namespaced.then_some(self.namespace));
            for object in self.cluster.pages(&api, labelled.clone()).await? {
                found.push(saved::clean(serde_json::to_value(object)?, &resource));
            }
        }
        Ok(found)
    }

    /// A cluster that follows a repository would undo what is done here: it is switched by the repository.
    async fn refuse_bootstrapped(&self) -> Result<()> {
        let definition = source_definition(&self.cluster.client);
        let definition = self.app.bounded("asking for what is installed", definition).await?;
        let labels = definition.and_then(|found| found.metadata.labels).unwrap_or_default();
        let (Some(name), Some(namespace)) =
            (labels.get(KUSTOMIZATION_NAME_LABEL), labels.get(KUSTOMIZATION_NAMESPACE_LABEL))
        else {
            return Ok(());
        };
        let find = self.cluster.find(&KUSTOMIZATION, namespace, name);
        let sync = self.app.bounded("asking for the Kustomization", find).await?;
        let kind = sync.as_ref().map(|sync| sync.text("/spec/sourceRef/kind")).unwrap_or_default();
        let kind = if kind == OCI_REPOSITORY.kind { &OCI_REPOSITORY } else { &GIT_REPOSITORY };
        let find = self.cluster.find(kind, namespace, name);
        let source = self.app.bounded("asking for the source", find).await?;
        let text = |object: &Option<crate::object::Object>, pointer: &str| {
            object.as_ref().map(|object| object.text(pointer).to_owned()).unwrap_or_default()
        };
        let url = text(&source, "/spec/url");
        let path = text(&sync, "/spec/path");
        let flags = if kind.kind == OCI_REPOSITORY.kind {
            format!("oci --url={url} --tag={}", text(&source, "/spec/ref/tag"))
        } else {
            format!("git --url={url} --branch={}", text(&source, "/spec/ref/branch"))
        };
        Err(hinted(
            anyhow!(
                "this cluster follows {url}, which holds its controllers too: it would undo whatever is done in the cluster alone"
            ),
            format!(
                "switch the repository, and the cluster follows in place: sluice bootstrap {flags} --path={path} -n {}; and back: flux bootstrap with the same flags",
                self.namespace
            ),
        ))
    }
}

/// Kind, namespace and name.
fn key(object: &Value) -> (String, String, String) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

//! The ExternalArtifacts that a generator makes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use sluice_api::meta::{
    Artifact, ConditionStatus, NamespacedObjectKindReference, READY_CONDITION, SUCCEEDED_REASON,
};
use sluice_api::source::{
    ArtifactGenerator, ExternalArtifact, ExternalArtifactReference, ExternalArtifactStatus, GENERATOR_LABEL,
};
use sluice_artifact::Storage;
use sluice_artifact::storage::{Integrity, Location};
use sluice_runtime::{Cache, ObjectKey, StatusWriter, conditions, errors};

use super::FIELD_MANAGER;
use super::failure::Failure;
use super::request::Request;
use crate::Shared;
use crate::source::blocking;

const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// Writes and removes ExternalArtifacts; cheap to copy.
#[derive(Clone)]
pub(super) struct Outputs {
    shared: Arc<Shared>,
    known: Arc<Cache<ExternalArtifact>>,
    generators: Arc<Cache<ArtifactGenerator>>,
    status: Arc<StatusWriter<ExternalArtifact>>,
}

impl Outputs {
    pub(super) fn new(
        shared: Arc<Shared>,
        known: Arc<Cache<ExternalArtifact>>,
        generators: Arc<Cache<ArtifactGenerator>>,
    ) -> Self {
        let client = shared.manager.client.clone();
        let status = StatusWriter::new(client, known.clone(), FIELD_MANAGER, &[READY_CONDITION]);
        Outputs { shared, known, generators, status: Arc::new(status) }
    }

    /// The artifact that an object of this name holds.
    pub(super) fn artifact(&self, key: &ObjectKey) -> Option<Artifact> {
        self.known.get(key)?.status.as_ref()?.artifact.clone()
    }

    /// The names of the objects that carry the label of a generator.
    pub(super) fn labelled(&self, generator: &ArtifactGenerator) -> Vec<String> {
        let (namespace, uid) = (generator.namespace(), generator.uid());
        let own = |object: &ExternalArtifact| {
            object.namespace() == namespace && object.labels().get(GENERATOR_LABEL) == uid.as_ref()
        };
        self.known.filter(own).iter().map(|object| object.name_any()).collect()
    }

    /// The names of all that a generator has made: by its own record, and by the label.
    pub(super) fn of(&self, generator: &ArtifactGenerator) -> BTreeSet<String> {
        let recorded = generator.status.iter().flat_map(|status| &status.inventory);
        recorded.map(|output| output.name.clone()).chain(self.labelled(generator)).collect()
    }

    /// Whether an output is what was recorded, on disk and in the cluster.
    pub(super) fn is_intact(&self, output: &ExternalArtifactReference) -> bool {
        let Some(artifact) = self.artifact(&ObjectKey::new(&output.namespace, &output.name)) else {
            return false;
        };
        let Some(location) = location(output) else { return false };
        if artifact.digest != output.digest
            || artifact.path != location.relative()
            || artifact.url != self.storage().url(&artifact.path)
        {
            return false;
        }
        let Ok(digest) = output.digest.parse() else { return false };
        match self.storage().verify(&location, &digest) {
            Ok(Integrity::Intact) => true,
            Ok(Integrity::Corrupt(_)) => {
                let removed = self.storage().remove(&location);
                removed.unwrap_or_else(|error| tracing::warn!(%error, "cannot remove a corrupt artifact"));
                false
            }
            _ => false,
        }
    }

    /// Removes superseded files of an output. Failing to is no reason not to go on.
    pub(super) fn tidy(&self, output: &ExternalArtifactReference) {
        if let Some(location) = location(output) {
            let _ = self.storage().collect_garbage(&location, SystemTime::now());
        }
    }

    /// Writes the object of an artifact where it is not so already.
    pub(super) async fn apply(
        &self,
        generator: &ArtifactGenerator,
        request: &Request,
        artifact: Artifact,
    ) -> Result<(), Failure> {
        let namespace = generator.namespace().unwrap_or_default();
        let known = self.known.get(&ObjectKey::new(&namespace, &request.name));
        if let Some(known) = &known {
            self.check_maker(generator, known)?;
        }
        let wanted = object(generator, request);
        let current = match known.filter(|known| is_as_wanted(known, &wanted)) {
            Some(known) => known,
            None => {
                let api = self.api(&namespace);
                let params = PatchParams::apply(FIELD_MANAGER).force();
                let applied = api.patch(&request.name, &params, &Patch::Apply(&wanted)).await;
                self.known.observe_write(applied.map_err(|error| Failure::output(&request.name, &error))?)
            }
        };
        let generation = current.metadata.generation.unwrap_or_default();
        let mut status =
            ExternalArtifactStatus { artifact: Some(artifact), ..ExternalArtifactStatus::default() };
        if let Some(before) = &current.status {
            status.conditions.clone_from(&before.conditions);
        }
        let (ready, true_) = (READY_CONDITION, ConditionStatus::True);
        conditions::set(
            &mut status.conditions,
            generation,
            ready,
            true_,
            SUCCEEDED_REASON,
            "Artifact is ready",
        );
        let written = self.status.write(&current, &status).await;
        written.map(|_| ()).map_err(|error| Failure::output(&request.name, &error))
    }

    /// An object that somebody else answers for is not taken over.
    fn check_maker(&self, generator: &ArtifactGenerator, known: &ExternalArtifact) -> Result<(), Failure> {
        let name = known.name_any();
        let maker = known.labels().get(GENERATOR_LABEL);
        if maker == generator.uid().as_ref() || known.spec.source_ref.as_ref() == Some(&reference(generator))
        {
            return Ok(());
        }
        let Some(maker) = maker else {
            let message =
                format!("{name} reconcile failed: the ExternalArtifact is there and no generator made it");
            return Err(Failure::taken(message));
        };
        match self.generators.filter(|other| other.metadata.uid.as_ref() == Some(maker)).first() {
            Some(other) => Err(Failure::taken(format!(
                "{name} reconcile failed: the ExternalArtifact belongs to ArtifactGenerator '{}'",
                ObjectKey::of(&**other)
            ))),
            None => Ok(()),
        }
    }

    /// Removes an output: its object, then its files. One that another generator has taken over stays.
    pub(super) async fn remove(&self, generator: &ArtifactGenerator, name: &str) -> kube::Result<()> {
        let namespace = generator.namespace().unwrap_or_default();
        let api = self.api(&namespace);
        if let Some(found) = api.get_opt(name).await? {
            if found.labels().get(GENERATOR_LABEL) != generator.uid().as_ref() {
                return Ok(());
            }
            let preconditions = Preconditions { uid: found.uid(), resource_version: None };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match api.delete(name, &params).await {
                Err(error) if !errors::is_not_found(&error) => return Err(error),
                _ => {}
            }
        }
        let (storage, name) = (self.shared.storage.clone(), name.to_owned());
        let kind = ExternalArtifact::kind(&());
        let removed = blocking(move || storage.remove_object(&kind, &namespace, &name)).await;
        if let Err(error) = removed {
            tracing::warn!(error = errors::chain(&error), "cannot remove the files of an artifact");
        }
        Ok(())
    }

    fn api(&self, namespace: &str) -> Api<ExternalArtifact> {
        Api::namespaced(self.shared.manager.client.clone(), namespace)
    }

    fn storage(&self) -> &Storage {
        &self.shared.storage
    }
}

fn location(output: &ExternalArtifactReference) -> Option<Location> {
    Location::new(&ExternalArtifact::kind(&()), &output.namespace, &output.name, &output.filename).ok()
}

fn reference(generator: &ArtifactGenerator) -> NamespacedObjectKindReference {
    NamespacedObjectKindReference {
        api_version: ArtifactGenerator::api_version(&()).into_owned(),
        kind: ArtifactGenerator::kind(&()).into_owned(),
        name: generator.name_any(),
        namespace: generator.namespace().unwrap_or_default(),
    }
}

/// The object of an artifact, as it is applied.
fn object(generator: &ArtifactGenerator, request: &Request) -> serde_json::Value {
    let common = generator.spec.common_metadata.clone().unwrap_or_default();
    let mut labels = common.labels;
    labels.extend(request.labels.clone());
    labels.insert(MANAGED_BY_LABEL.to_owned(), FIELD_MANAGER.to_owned());
    labels.insert(GENERATOR_LABEL.to_owned(), generator.uid().unwrap_or_default());
    json!({
        "apiVersion": ExternalArtifact::api_version(&()),
        "kind": ExternalArtifact::kind(&()),
        "metadata": {
            "name": request.name,
            "namespace": generator.namespace(),
            "labels": labels,
            "annotations": common.annotations,
        },
        "spec": {"sourceRef": reference(generator)},
    })
}

/// Whether applying would change nothing. Labels and annotations of others may stand beside ours.
fn is_as_wanted(known: &ExternalArtifact, wanted: &serde_json::Value) -> bool {
    let holds = |map: &std::collections::BTreeMap<String, String>, field: &str| {
        let wanted = wanted["metadata"][field].as_object();
        wanted.is_some_and(|wanted| {
            wanted.iter().all(|(key, value)| map.get(key).map(String::as_str) == value.as_str())
        })
    };
    holds(known.labels(), "labels")
        && holds(known.annotations(), "annotations")
        && serde_json::to_value(&known.spec).is_ok_and(|spec| spec == wanted["spec"])
}

//! Definitions of a chart's `crds` folder: applied before a release, never deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::Value;
use sluice_helm::Values;
use sluice_helm::chart::process_dependencies;
use sluice_releases::{parse, resolve};
use sluice_runtime::apply::{Object, Requests};

use super::apply::Written;
use super::{Error, FIELD_MANAGER, Method, Session, wait};

/// How long definitions may take to be served.
const PATIENCE: Duration = Duration::from_mins(1);

/// What becomes of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrdPolicy {
    Skip,
    /// Those that are missing are created.
    Create,
    /// All are put in place.
    CreateReplace,
}

/// The definitions of a chart and what is to become of them.
#[derive(Debug)]
pub(crate) struct Crds {
    /// All objects of the folders, whatever their kind.
    pub(crate) objects: Vec<Object>,
    pub(crate) policy: CrdPolicy,
    /// Labels of every definition.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) method: Method,
    /// Whether to wait until they are served.
    pub(crate) wait: bool,
}

/// The objects in the `crds` folders of a chart and of the subcharts that take part.
pub(crate) fn of_chart(chart: &sluice_helm::Chart, values: &Values) -> Result<Vec<Object>, Error> {
    let mut chart = chart.clone();
    process_dependencies(&mut chart, values).map_err(|error| Error::Render(error.to_string()))?;
    let mut objects = Vec::new();
    for (name, file) in chart.crds().iter() {
        let found = parse(&file.text()).map_err(|error| {
            Error::Render(format!("failed to parse CustomResourceDefinitions from {name}: {error}"))
        })?;
        objects.extend(found);
    }
    Ok(objects)
}

/// Brings the definitions to the cluster. Returns whether anything was written.
pub(crate) async fn apply(session: &Session<'_>, crds: Crds) -> Result<bool, Error> {
    if crds.policy == CrdPolicy::Skip {
        return Ok(false);
    }
    let failed = |error: &dyn std::fmt::Display| {
        Error::Apply(format!("failed to apply CustomResourceDefinitions: {error}"))
    };
    let mut definitions = Vec::new();
    for mut object in crds.objects {
        if object.is_crd() {
            object.set_tags("labels", crds.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
            definitions.push(object);
        } else {
            session.log.push(format!(
                "warning: {} in the crds folder is no CustomResourceDefinition; it is left out",
                object.id()
            ));
        }
    }
    let requests = Requests { client: session.client, field_manager: FIELD_MANAGER };
    let mut written = Vec::new();
    for item in resolve(session.cluster, definitions, "").await? {
        let live =
            requests.find(&item.resource, "", item.object.name()).await.map_err(|error| failed(&error))?;
        let answer = match (&live, crds.policy, crds.method) {
            (Some(_), CrdPolicy::Create | CrdPolicy::Skip, _) => {
                session.log.push(format!("CustomResourceDefinition {} already exists", item.object.name()));
                continue;
            }
            (None, ..) | (Some(_), _, Method::Server) => {
                let params = PatchParams { force: true, ..PatchParams::default() };
                let body = Patch::Apply(Value::Object(item.object.fields().clone()));
                requests.patch(&item.resource, &item.object, params, &body).await
            }
            (Some(live), _, Method::Client) => {
                let mut object = item.object.clone();
                object.metadata_mut().insert("resourceVersion".to_owned(), live.resource_version().into());
                requests.replace(&item.resource, &object).await
            }
        };
        let answer = answer.map_err(|error| failed(&error))?;
        if let Some((group, kind)) = item.object.defines() {
            session.cluster.define(group, kind);
        }
        written.push(Written::new(&item, live.is_none(), &answer));
    }
    if written.is_empty() {
        return Ok(false);
    }
    if crds.wait {
        wait::ready(session, &written, super::Waiting::Objects, PATIENCE)
            .await
            .map_err(|error| failed(&error))?;
    }
    Ok(true)
}

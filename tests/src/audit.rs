//! What the controllers did, as the API server has written it down.

use crate::ControlPlane;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::PathBuf;

/// A place in the audit log. The log has only what controllers under test did.
#[derive(Clone, Debug)]
pub struct Audit {
    path: PathBuf,
    offset: u64,
}

/// One request of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whose account it was made with.
    pub user: String,
    /// In whose name it was made, if not in the account's own.
    pub impersonated: Option<String>,
    /// `create`, `patch`, `get` …
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    /// Such as `deployments`, or `kustomizations/status`.
    pub resource: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Empty for lists.
    pub name: String,
    /// The path and the query.
    pub uri: String,
    /// The status of the answer.
    pub code: u64,
    /// What the client calls itself.
    pub agent: String,
}

impl Call {
    /// Whether it was to change something: reads and dry runs are not, nor is being the leader.
    pub fn is_write(&self) -> bool {
        self.resource != "leases"
            && matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection")
            && !self.uri.contains("dryRun=")
    }
}

impl Audit {
    /// The end of the log: what is done from now on. `None` where no log is kept (a cluster that is not ours).
    pub fn mark(plane: &ControlPlane) -> Result<Option<Self>> {
        let Some(path) = plane.facts().audit.clone() else { return Ok(None) };
        let offset = path.metadata().map_or(0, |data| data.len());
        Ok(Some(Self { path, offset }))
    }

    /// The requests since the mark that `wanted` selects, oldest first. An entry is written before its answer is sent.
    pub fn calls(&self, mut wanted: impl FnMut(&Call) -> bool) -> Result<Vec<Call>> {
        let mut calls = Vec::new();
        self.each(|call| {
            if wanted(&call) {
                calls.push(call);
            }
        })?;
        Ok(calls)
    }

    /// Shows every request since the mark, oldest first, without keeping any.
    pub fn each(&self, mut show: impl FnMut(Call)) -> Result<()> {
        let mut file = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        file.seek(SeekFrom::Start(self.offset))?;
        for line in BufReader::new(file).lines() {
            // The last line may be half written.
            let Ok(event) = serde_json::from_str::<Value>(&line?) else { break };
            show(call(&event));
        }
        Ok(())
    }

    /// The writes to objects of a namespace since the mark.
    pub fn writes_in(&self, namespace: &str) -> Result<Vec<Call>> {
        self.calls(|call| call.namespace == namespace && call.is_write())
    }
}

fn call(event: &Value) -> Call {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let mut resource = text(&object["resource"]);
    if let Some(subresource) = object["subresource"].as_str() {
        resource = format!("{resource}/{subresource}");
    }
    Call {
        user: text(&event["user"]["username"]),
        impersonated: event["impersonatedUser"]["username"].as_str().map(str::to_owned),
        group: text(&object["apiGroup"]),
        verb: text(&event["verb"]),
        resource,
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        uri: text(&event["requestURI"]),
        code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
        agent: text(&event["userAgent"]),
    }
}

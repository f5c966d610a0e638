//! Our custom resource definitions, from the chart.

use crate::objects::documents;
use anyhow::{Context, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::{conditions, wait::await_condition};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The files that hold them.
pub fn crd_files() -> Result<Vec<PathBuf>> {
    let folder = crate::workspace().join("charts/sluice/crds");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("no CRD in {}", folder.display());
    }
    Ok(files)
}

/// Installs all of them and waits until they are served. Where they are installed already, it changes nothing.
pub async fn install_crds(client: &kube::Client) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut definitions = Vec::new();
    for file in crd_files()? {
        definitions
            .extend(documents(&fs::read_to_string(&file)?).with_context(|| file.display().to_string())?);
    }
    stream::iter(definitions)
        .map(|definition| {
            let api = api.clone();
            async move {
                let name =
                    definition["metadata"]["name"].as_str().context("a CRD without a name")?.to_owned();
                api.patch(&name, &PatchParams::apply("sluice-tests").force(), &Patch::Apply(&definition))
                    .await
                    .with_context(|| format!("the API server refuses CRD {name}"))?;
                let established = await_condition(api.clone(), &name, conditions::is_crd_established());
                tokio::time::timeout(Duration::from_mins(1), established)
                    .await
                    .with_context(|| format!("CRD {name} is not served"))??;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(8)
        .try_collect()
        .await
}

//! `version`: this program's, and those of what runs in the cluster.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, ListParams};
use serde_json::{Value, json};

use crate::app::App;
use crate::cluster::Cluster;
use crate::documents::Format;
use crate::kinds::GIT_REPOSITORY;
use crate::object::Object;

/// Flags of `version`.
#[derive(Args)]
pub(crate) struct VersionArgs {
    /// Only this program's.
    #[arg(long)]
    client: bool,
    /// Print as JSON or YAML.
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

/// Label of what belongs to an installation.
pub(crate) const PART_OF_LABEL: &str = "app.kubernetes.io/part-of";
/// Label with the version of an installation.
pub(crate) const VERSION_LABEL: &str = "app.kubernetes.io/version";
/// Selects what belongs to an installation.
pub(crate) const PART_OF_FLUX: &str = "app.kubernetes.io/part-of=flux";

pub(crate) async fn run(app: &App, args: VersionArgs) -> Result<()> {
    let mut versions = vec![("sluice".to_owned(), format!("v{}", env!("CARGO_PKG_VERSION")))];
    if !args.client {
        versions.extend(app.bounded("asking for the versions", in_cluster(app)).await?);
    }
    match args.output {
        None => {
            let lines = versions
                .iter()
                .map(|(name, version)| {
                    format!(
                        "{name}: {version}
"
                    )
                })
                .collect::<Vec<_>>();
            app.output.data(lines.concat())
        }
        Some(format) => {
            let map: BTreeMap<_, _> =
                versions.into_iter().map(|(name, version)| (name, Value::String(version))).collect();
            app.output.data(format.print(&json!(map))?)
        }
    }
}

async fn in_cluster(app: &App) -> Result<Vec<(String, String)>> {
    let namespace = app.namespace()?;
    let cluster = app.cluster().await?;
    let mut versions = Vec::new();
    if let Some(distribution) = distribution(&cluster.client).await? {
        versions.push(("distribution".to_owned(), distribution));
    }
    let deployments = controllers(cluster, &namespace).await?;
    if deployments.is_empty() {
        bail!("no deployments found in {namespace} namespace");
    }
    for deployment in deployments {
        for image in images(&deployment) {
            versions.push(split_image(&image)?);
        }
    }
    Ok(versions)
}

/// `<part-of>-<version>` from the labels of a definition; none without it, or where it was applied by hand.
pub(crate) async fn distribution(client: &kube::Client) -> Result<Option<String>> {
    Ok(source_definition(client).await?.and_then(|crd| {
        let label = |key: &str| crd.labels().get(key).cloned();
        Some(format!("{}-{}", label(PART_OF_LABEL)?, label(VERSION_LABEL)?))
    }))
}

/// The definition whose labels tell what is installed.
pub(crate) async fn source_definition(client: &kube::Client) -> Result<Option<CustomResourceDefinition>> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    Ok(definitions.get_opt(&GIT_REPOSITORY.crd()).await?)
}

/// The Deployments of an installation. They are read as trees: code for all that a Pod may hold takes a third of a megabyte.
pub(crate) async fn controllers(cluster: &Cluster, namespace: &str) -> Result<Vec<Object>> {
    let deployments = cluster.of(&ApiResource::erase::<Deployment>(&()), Some(namespace));
    let found = deployments.list(&ListParams::default().labels(PART_OF_FLUX)).await?.items;
    Ok(found.into_iter().map(Object::from).collect())
}

/// The images of a Deployment's containers.
pub(crate) fn images(deployment: &Object) -> Vec<String> {
    let containers = deployment.list("/spec/template/spec/containers");
    containers.iter().filter_map(|container| Some(container["image"].as_str()?.to_owned())).collect()
}

/// Base name and tag of an image.
fn split_image(image: &str) -> Result<(String, String)> {
    let named = image.split('@').next().unwrap_or(image);
    let base = named.rsplit('/').next().unwrap_or(named);
    base.split_once(':')
        .map(|(name, tag)| (name.to_owned(), tag.to_owned()))
        .ok_or_else(|| anyhow!("the image {image:?} has no tag"))
}

#[cfg(test)]
mod tests {
    use super::split_image;

    #[test]
    fn an_image_is_told_by_base_name_and_tag() {
        let split = |image| split_image(image).map(|(name, tag)| format!("{name}: {tag}"));
        assert_eq!(split("ghcr.io/fluxcd/source-controller:v1.9.0").unwrap(), "source-controller: v1.9.0");
        assert_eq!(split("localhost:5000/x:1@sha256:abc").unwrap(), "x: 1");
        assert!(split("localhost:5000/x").is_err());
    }
}

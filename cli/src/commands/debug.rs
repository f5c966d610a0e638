//! `debug`: what a controller sees: status, history, variables, values. May print secrets.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use serde_json::{Value, json};
use sluice_api::helm::HelmRelease;
use sluice_helm::Values;
use sluice_releases::{ClusterReferences, Redaction, compose};

use crate::app::App;
use crate::cluster::Cluster;
use crate::documents;
use crate::failure::misuse;
use crate::kinds::{HELM_RELEASE, KUSTOMIZATION};
use crate::object::Object;

/// What follows `debug`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct DebugArgs {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// What is known of a Kustomization; the output may contain secrets.
    #[command(visible_alias = "ks")]
    Kustomization {
        /// The Kustomization.
        name: String,
        /// Print the status.
        #[arg(long)]
        show_status: bool,
        /// Print the variables that are substituted, as KEY=value.
        #[arg(long)]
        show_vars: bool,
        /// Print the last runs.
        #[arg(long)]
        show_history: bool,
    },
    /// What is known of a HelmRelease; the output may contain secrets.
    #[command(visible_alias = "hr")]
    Helmrelease {
        /// The HelmRelease.
        name: String,
        /// Print the status.
        #[arg(long)]
        show_status: bool,
        /// Print the values that the chart gets.
        #[arg(long)]
        show_values: bool,
        /// Print the last releases.
        #[arg(long)]
        show_history: bool,
    },
}

const KUSTOMIZATION_PAGE: &str = "https://fluxcd.io/flux/components/kustomize/kustomizations/";
const HELM_RELEASE_PAGE: &str = "https://fluxcd.io/flux/components/helm/helmreleases/";

pub(crate) async fn run(app: &App, args: DebugArgs) -> Result<()> {
    let namespace = app.namespace()?;
    let cluster = app.cluster().await?;
    let work = async {
        match args.subject {
            Subject::Kustomization { name, show_status, show_vars, show_history } => {
                exactly_one(&[("status", show_status), ("vars", show_vars), ("history", show_history)])?;
                let object = cluster.get(&KUSTOMIZATION, &namespace, &name).await?;
                if show_status {
                    status(&object, KUSTOMIZATION_PAGE, "kustomization-status")
                } else if show_history {
                    history(&object, KUSTOMIZATION_PAGE)
                } else {
                    let variables = variables(cluster, &object).await?;
                    if variables.is_empty() {
                        bail!("no post build substitutions found");
                    }
                    Ok(variables
                        .iter()
                        .map(|(key, value)| format!("{key}={value}\n"))
                        .collect::<Vec<_>>()
                        .concat())
                }
            }
            Subject::Helmrelease { name, show_status, show_values, show_history } => {
                exactly_one(&[("status", show_status), ("values", show_values), ("history", show_history)])?;
                let object = cluster.get(&HELM_RELEASE, &namespace, &name).await?;
                if show_status {
                    status(&object, HELM_RELEASE_PAGE, "helmrelease-status")
                } else if show_history {
                    history(&object, HELM_RELEASE_PAGE)
                } else {
                    documents::yaml(&Value::Object(values(cluster, &object).await?))
                }
            }
        }
    };
    let text = app.bounded("asking for the object", work).await?;
    app.output.data(text)
}

fn exactly_one(flags: &[(&str, bool)]) -> Result<()> {
    if flags.iter().filter(|(_, given)| *given).count() == 1 {
        return Ok(());
    }
    let names: Vec<_> = flags.iter().map(|(name, _)| format!("--show-{name}")).collect();
    let (last, others) = names.split_last().context("no flags")?;
    Err(misuse(format!("exactly one of {}, or {last} must be set", others.join(", "))))
}

fn status(object: &Object, page: &str, anchor: &str) -> Result<String> {
    let status = object.0.get("status").cloned().unwrap_or_else(|| json!({}));
    Ok(format!("# Status documentation: {page}#{anchor}\n{}", documents::yaml(&status)?))
}

fn history(object: &Object, page: &str) -> Result<String> {
    let history = object.0.pointer("/status/history").cloned().unwrap_or_else(|| json!([]));
    Ok(format!("# History documentation: {page}#history\n{}", documents::yaml(&history)?))
}

/// The variables of a Kustomization, sorted: what it says itself goes before what it refers to.
async fn variables(cluster: &Cluster, object: &Object) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for reference in object.list("/spec/postBuild/substituteFrom") {
        let data = data(cluster, object.namespace(), reference).await?;
        variables.extend(data.into_iter().map(|(key, value)| (key, value.replace('\n', ""))));
    }
    let own = object.0.pointer("/spec/postBuild/substitute").and_then(Value::as_object);
    for (key, value) in own.into_iter().flatten() {
        variables.insert(key.clone(), value.as_str().unwrap_or_default().replace('\n', ""));
    }
    Ok(variables)
}

/// The values of a HelmRelease as its chart gets them.
async fn values(cluster: &Cluster, object: &Object) -> Result<Values> {
    let object: HelmRelease = serde_json::from_value(object.0.clone())?;
    let references = ClusterReferences(cluster.client.clone());
    compose(&references, &object, &mut Redaction::default()).await.map_err(|error| anyhow!(error))
}

/// The data of a ConfigMap or Secret; empty where an optional one is missing.
async fn data(cluster: &Cluster, namespace: &str, reference: &Value) -> Result<BTreeMap<String, String>> {
    let text = |key: &str| reference[key].as_str().unwrap_or_default();
    let (kind, name) = (text("kind"), text("name"));
    let client = cluster.client.clone();
    let found = match kind {
        "Secret" => {
            let secret = Api::<Secret>::namespaced(client, namespace).get_opt(name).await?;
            secret.map(|secret| {
                let data = secret.data.unwrap_or_default().into_iter();
                data.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect()
            })
        }
        "ConfigMap" => {
            let map = Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await?;
            map.map(|map| map.data.unwrap_or_default())
        }
        other => bail!("cannot read values of kind {other:?}"),
    };
    match found {
        Some(data) => Ok(data),
        None if reference["optional"].as_bool().unwrap_or_default() => Ok(BTreeMap::new()),
        None => bail!("{kind} '{namespace}/{name}' not found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_part_is_shown() {
        assert!(exactly_one(&[("status", true), ("vars", false)]).is_ok());
        let error = exactly_one(&[("status", true), ("vars", true)]).unwrap_err().to_string();
        assert_eq!(error, "exactly one of --show-status, or --show-vars must be set");
        assert!(exactly_one(&[("status", false)]).is_err());
    }

    #[test]
    fn a_history_says_where_to_read_about_it() {
        let text = history(&Object(json!({})), KUSTOMIZATION_PAGE).unwrap();
        assert_eq!(text, format!("# History documentation: {KUSTOMIZATION_PAGE}#history\n[]\n"));
    }
}

//! A Kustomization built from a directory of this machine: what `build` and `diff` have in common.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;
use sluice_api::kustomize::{GROUP, Kustomization};
use sluice_manifests::{Built, Input, Purpose, Variables};

use crate::app::App;
use crate::documents;
use crate::kinds::KUSTOMIZATION;

/// Which Kustomization, and from which directory.
#[derive(Args)]
pub(crate) struct LocalArgs {
    /// The Kustomization.
    pub(crate) name: String,
    /// The directory that stands for what the Kustomization's path leads to.
    #[arg(long, value_name = "DIR")]
    path: PathBuf,
    /// A file with the Kustomization; what is in the cluster is used otherwise.
    #[arg(long, value_name = "FILE")]
    pub(crate) kustomization_file: Option<PathBuf>,
    /// Fail when a variable without a default is not set.
    #[arg(long)]
    strict_substitute: bool,
    /// Accepted: nothing is ever written to the directory.
    #[arg(long, hide = true)]
    in_memory_build: bool,
}

/// Where the Kustomization is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// In the file alone; no cluster is asked for anything.
    File,
    /// In the cluster, where it must be.
    Cluster,
    /// In the cluster; one that is only in the file is new.
    ClusterOrNew,
}

/// The Kustomization with the objects that it would apply.
pub(crate) async fn built(app: &App, args: &LocalArgs, lookup: Lookup) -> Result<(Kustomization, Built)> {
    let directory = args.path.canonicalize().ok().filter(|path| path.is_dir());
    let directory =
        directory.with_context(|| format!("invalid resource path {:?}", args.path.display().to_string()))?;
    let object = find(app, args, lookup).await?;
    let namespace = app.namespace()?;
    let variables = match &object.spec.post_build {
        None => None,
        Some(post_build) if lookup == Lookup::File => {
            Some(Variables::given(post_build, args.strict_substitute))
        }
        Some(post_build) => {
            let client = &app.cluster().await?.client;
            let work = async {
                let loaded = Variables::load(client, &namespace, post_build, args.strict_substitute).await;
                loaded.map_err(|error| anyhow!(error))
            };
            Some(app.bounded("reading variables", work).await?)
        }
    };
    let mut spec = object.spec.clone();
    spec.path = directory.display().to_string();
    let input = Input {
        root: PathBuf::from("/"),
        spec,
        variables,
        decryptor: None,
        purpose: Purpose::Show,
        owner_name: args.name.clone(),
        owner_namespace: namespace,
    };
    let built = tokio::task::spawn_blocking(move || sluice_manifests::build(&input)).await?;
    Ok((object, built.map_err(|error| anyhow!(error))?))
}

async fn find(app: &App, args: &LocalArgs, lookup: Lookup) -> Result<Kustomization> {
    let namespace = app.namespace()?;
    let given =
        args.kustomization_file.as_ref().map(|file| read(file, &args.name, &namespace)).transpose()?;
    if lookup == Lookup::File {
        return given.context("dry-run mode requires a kustomization file");
    }
    let cluster = app.cluster().await?;
    let asked =
        app.bounded("asking for the object", cluster.find(&KUSTOMIZATION, &namespace, &args.name)).await;
    let live = asked.context("failed to get kustomization object")?;
    let live = live.map(|object| serde_json::from_value::<Kustomization>(object.0)).transpose()?;
    match (given, live) {
        (Some(mut given), Some(live)) => {
            given.status = live.status;
            Ok(given)
        }
        (Some(given), None) if lookup == Lookup::ClusterOrNew => Ok(given),
        (None, Some(live)) => Ok(live),
        (_, None) => {
            bail!("failed to get kustomization object: kustomizations.{GROUP} {:?} not found", args.name)
        }
    }
}

/// The Kustomization of a file. One without a namespace is of any.
fn read(file: &std::path::Path, name: &str, namespace: &str) -> Result<Kustomization> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let documents = documents::read_all(&text).with_context(|| file.display().to_string())?;
    let is_it = |document: &Value| {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        text("/apiVersion").split('/').next() == Some(GROUP)
            && text("/kind") == "Kustomization"
            && text("/metadata/name") == name
            && ["", namespace].contains(&text("/metadata/namespace"))
    };
    let found = documents.into_iter().find(is_it).with_context(|| {
        let file = file.display();
        format!("failed find kustomization with name '{name}' and namespace '{namespace}' in file '{file}'")
    })?;
    serde_json::from_value(found).with_context(|| file.display().to_string())
}

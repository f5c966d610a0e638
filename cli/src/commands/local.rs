//! A Kustomization built from a directory of this machine: what `build` and `diff` have in common.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::Value;
use sluice_api::kustomize::{GROUP, Kustomization};
use sluice_artifact::Rules;
use sluice_artifact::ignore::Patterns;
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
    /// Patterns, as in .gitignore files, of what does not count where there is no kustomization file.
    #[arg(long, value_delimiter = ',', value_name = "PATTERN")]
    ignore_paths: Vec<String>,
    /// Accepted: nothing is ever written to the directory.
    #[arg(long, hide = true)]
    in_memory_build: bool,
    /// Also build the Kustomizations among the objects, and those among theirs.
    #[arg(short, long, requires = "local_sources")]
    recursive: bool,
    /// Where the sources of those are on this machine, as Kind/NAMESPACE/NAME=DIR separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "SOURCE=DIR")]
    local_sources: Vec<String>,
}

impl LocalArgs {
    fn ignored(&self) -> Rules {
        let mut patterns = Patterns::new();
        for line in &self.ignore_paths {
            patterns.read(b"", line.as_bytes());
        }
        Rules::only(patterns)
    }
}

/// How deep Kustomizations of Kustomizations are built.
const MAX_DEPTH: usize = 16;

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

/// A Kustomization with the objects that it would apply.
pub(crate) struct Local {
    pub(crate) kustomization: Kustomization,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) built: Built,
    /// Whether it is one of the objects of another, and only with `--recursive` there.
    pub(crate) nested: bool,
    /// Whether the cluster has it.
    pub(crate) live: bool,
}

/// The Kustomization and what it would apply; with `--recursive` also those among its objects, after it.
pub(crate) async fn built(app: &App, args: &LocalArgs, lookup: Lookup) -> Result<Vec<Local>> {
    let directory = directory(&args.path)?;
    let (kustomization, live) = find(app, args, lookup).await?;
    let (name, namespace) = (args.name.clone(), app.namespace()?);
    let built = build(app, args, lookup, &kustomization, (&name, &namespace), directory).await?;
    let mut all = vec![Local { kustomization, name, namespace, built, nested: false, live }];
    if args.recursive {
        let sources = sources(&args.local_sources)?;
        let (mut from, mut depth) = (0, 0);
        while from < all.len() {
            depth += 1;
            if depth > MAX_DEPTH {
                bail!("Kustomizations are nested deeper than {MAX_DEPTH} levels");
            }
            let mut next = Vec::new();
            for parent in &all[from..] {
                next.extend(children(app, args, lookup, parent, &sources).await?);
            }
            // One that applies itself, or another that is there already, is built once.
            next.retain(|child| {
                !all.iter().any(|known| known.name == child.name && known.namespace == child.namespace)
            });
            from = all.len();
            all.extend(next);
        }
    }
    Ok(all)
}

fn directory(path: &std::path::Path) -> Result<PathBuf> {
    let found = path.canonicalize().ok().filter(|path| path.is_dir());
    found.with_context(|| format!("invalid resource path {:?}", path.display().to_string()))
}

/// The directories of `--local-sources` by source.
fn sources(list: &[String]) -> Result<BTreeMap<&str, PathBuf>> {
    let pair =
        |entry: &String| format!("--local-sources {entry:?} is not of the form Kind/NAMESPACE/NAME=DIR");
    list.iter()
        .map(|entry| {
            let (source, path) = entry.split_once('=').with_context(|| pair(entry))?;
            if source.split('/').count() != 3 {
                bail!(pair(entry));
            }
            Ok((source, directory(std::path::Path::new(path))?))
        })
        .collect()
}

/// The Kustomizations among the objects of another.
async fn children(
    app: &App,
    args: &LocalArgs,
    lookup: Lookup,
    parent: &Local,
    sources: &BTreeMap<&str, PathBuf>,
) -> Result<Vec<Local>> {
    let mut found = Vec::new();
    for object in parent
        .built
        .objects
        .iter()
        .filter(|object| object.group() == GROUP && object.kind() == "Kustomization")
    {
        let (name, namespace) = (object.name().to_owned(), object.namespace().to_owned());
        if name == parent.name && namespace == parent.namespace {
            continue;
        }
        let mut kustomization: Kustomization = serde_json::from_value(object.clone().into_value())?;
        let mut live = false;
        if lookup != Lookup::File {
            let cluster = app.cluster().await?;
            let asked =
                app.bounded("asking for the object", cluster.find(&KUSTOMIZATION, &namespace, &name)).await?;
            if let Some(there) = asked {
                kustomization = serde_json::from_value(there.0)?;
                live = true;
            }
        }
        let reference = &kustomization.spec.source_ref;
        let key = format!("{}/{}/{}", reference.kind, reference.namespace_or(&namespace), reference.name);
        let root = sources
            .get(key.as_str())
            .with_context(|| format!("cannot get local path for {key} of kustomization {name}"))?;
        let directory = directory(&root.join(kustomization.spec.path.trim_start_matches('/')))?;
        let built = build(app, args, lookup, &kustomization, (&name, &namespace), directory).await;
        let built = built.with_context(|| format!("Kustomization/{namespace}/{name}"))?;
        found.push(Local { kustomization, name, namespace, built, nested: true, live });
    }
    Ok(found)
}

async fn build(
    app: &App,
    args: &LocalArgs,
    lookup: Lookup,
    object: &Kustomization,
    (name, namespace): (&str, &str),
    directory: PathBuf,
) -> Result<Built> {
    let variables = match &object.spec.post_build {
        None => None,
        Some(post_build) if lookup == Lookup::File => {
            Some(Variables::given(post_build, args.strict_substitute))
        }
        Some(post_build) => {
            let client = &app.cluster().await?.client;
            let work = async {
                let loaded = Variables::load(client, namespace, post_build, args.strict_substitute).await;
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
        ignored: args.ignored(),
        network: Some(super::kustomize::network()?),
        purpose: Purpose::Show,
        owner_name: name.to_owned(),
        owner_namespace: namespace.to_owned(),
    };
    let built = tokio::task::spawn_blocking(move || sluice_manifests::build(&input)).await?;
    built.map_err(|error| anyhow!(error))
}

/// The Kustomization to begin with, and whether the cluster has it.
async fn find(app: &App, args: &LocalArgs, lookup: Lookup) -> Result<(Kustomization, bool)> {
    let namespace = app.namespace()?;
    let given =
        args.kustomization_file.as_ref().map(|file| read(file, &args.name, &namespace)).transpose()?;
    if lookup == Lookup::File {
        let given = given.context("dry-run mode requires a kustomization file")?;
        return Ok((given, false));
    }
    let cluster = app.cluster().await?;
    let asked =
        app.bounded("asking for the object", cluster.find(&KUSTOMIZATION, &namespace, &args.name)).await;
    let live = asked.context("failed to get kustomization object")?;
    let live = live.map(|object| serde_json::from_value::<Kustomization>(object.0)).transpose()?;
    match (given, live) {
        (Some(mut given), Some(live)) => {
            given.status = live.status;
            Ok((given, true))
        }
        (Some(given), None) if lookup == Lookup::ClusterOrNew => Ok((given, false)),
        (None, Some(live)) => Ok((live, true)),
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

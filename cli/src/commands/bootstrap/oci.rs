//! Bootstrap from an artifact in a registry, without any Git: the same files in the same layout.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use clap::Args;
use sluice_oci::{Client, Manifest, Reference};

use super::ground::Ground;
use super::layout::{self, Origin, Sync};
use super::tree::Tree;
use super::{Follow, check_components, run::ATTEMPTS};
use crate::app::App;
use crate::commands::artifact::{self, InsecureArgs, RegistryArgs};
use crate::failure::{self, misuse};
use crate::installation::Components;
use crate::kinds::OCI_REPOSITORY;

/// Flags of `bootstrap oci`.
#[derive(Args)]
pub(super) struct OciArgs {
    #[command(flatten)]
    components: Components,
    /// The artifact that the cluster follows, as oci://host/repository; made where it is not there.
    #[arg(long)]
    url: Option<String>,
    /// Its tag.
    #[arg(long = "tag", default_value = "latest", value_name = "TAG")]
    followed_tag: String,
    #[command(flatten)]
    follow: Follow,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    insecure: InsecureArgs,
}

/// The artifact as it was pulled.
struct Pulled {
    tree: Tree,
    /// What the tag names; nothing where it is not there yet.
    digest: Option<String>,
    annotations: BTreeMap<String, String>,
}

pub(super) async fn run(app: &App, args: OciArgs) -> Result<()> {
    check_components(&args.components)?;
    let Some(url) = &args.url else { return Err(misuse("--url is required")) };
    let mut reference = artifact::parse(url)?;
    let tag = reference.tag.get_or_insert_with(|| args.followed_tag.clone()).clone();
    if reference.digest.is_some() {
        bail!("{url} names a digest, which never changes: give a tag to follow");
    }
    let namespace = app.namespace()?;
    let secret_name = args.follow.secret(&namespace);
    let ground = Ground { app, components: &args.components, namespace: &namespace };
    let directory = layout::own_directory(&args.follow.path, &namespace)?;
    let address = format!("oci://{}", reference.context());
    let mut sync = Sync {
        namespace: &namespace,
        url: &address,
        path: &args.follow.path,
        interval: args.follow.interval,
        secret: None,
        service_account: args.components.is_locked_down().then_some("kustomize-controller"),
        origin: Origin::Oci {
            tag: &tag,
            provider: args.registry.provider_name(),
            insecure: args.insecure.insecure_registry,
        },
    };
    ground.check(&layout::sync_path(&args.follow.path)?).await?;
    let login = args.registry.docker_config(&reference)?;
    let live = ground.secret(secret_name).await?;
    sync.secret = (login.is_some() || live.is_some()).then_some(secret_name);
    let files = BTreeMap::from([
        (format!("{directory}/{}", layout::COMPONENTS), args.components.text(&namespace)?),
        (format!("{directory}/{}", layout::SYNC), sync.text()?),
    ]);

    let work = async {
        let client = args.registry.client(app, &reference, args.insecure.insecure_registry).await?;
        let (tree, digest) = push(app, &client, &reference, &directory, files).await?;
        ground.install(&tree, &directory).await?;
        if let Some(login) = login {
            let data = BTreeMap::from([(".dockerconfigjson".to_owned(), login)]);
            let type_ = Some("kubernetes.io/dockerconfigjson");
            ground.put_secret(secret_name, live.as_ref(), type_, &data).await?;
        }
        ground.follow(&tree, &directory, &OCI_REPOSITORY, &format!("{tag}@{digest}")).await
    };
    work.await.map_err(|error| failure::resumable(error, app.known_cluster()))
}

/// Brings the files into the artifact, beside whatever else it holds; returns all of it, and its digest.
async fn push(
    app: &App,
    client: &Client,
    reference: &Reference,
    directory: &str,
    files: BTreeMap<String, String>,
) -> Result<(Tree, String)> {
    let output = &app.output;
    for _ in 0..ATTEMPTS {
        output.action(&format!("pulling artifact {:?}", reference.to_string()));
        let mut pulled = app.bounded("pulling the artifact", pull(client, reference)).await?;
        let mut files = files.clone();
        if let Some(kustomization) = pulled.tree.missing_kustomization(directory)? {
            files.insert(format!("{directory}/{}", layout::KUSTOMIZATION), kustomization);
        }
        let changed = pulled.tree.write(files)?;
        if let Some(digest) = pulled.digest.take_if(|_| changed.is_empty()) {
            output.success("manifests are up to date");
            return Ok((pulled.tree, digest));
        }
        let archive = artifact::archive(pulled.tree.folder())?;
        let annotations = artifact::annotations(
            &format!("oci://{}", reference.context()),
            reference.identifier(),
            &pulled.annotations,
        );
        let pushing = async {
            // A registry knows no push that fails where somebody else was faster: what can be done is to look again.
            if digest(client, reference).await? != pulled.digest {
                return Ok(None);
            }
            artifact::upload(client, reference, archive.path(), &annotations).await.map(Some)
        };
        match app.bounded("pushing the artifact", pushing).await? {
            Some(digest) => {
                output.success(&format!("pushed manifests to {}@{digest}", reference.context()));
                return Ok((pulled.tree, digest));
            }
            None => output.warning("somebody else has pushed meanwhile: starting again"),
        }
    }
    bail!("{reference} is pushed to again and again: run bootstrap when that has ended")
}

async fn digest(client: &Client, reference: &Reference) -> Result<Option<String>> {
    match client.digest(reference).await {
        Ok(digest) => Ok(Some(digest)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn pull(client: &Client, reference: &Reference) -> Result<Pulled> {
    let tree = Tree::new()?;
    let (digest, manifest) = match client.manifest(reference).await {
        Ok((digest, manifest)) => (Some(digest), manifest),
        Err(error) if error.is_not_found() => (None, Manifest::default()),
        Err(error) => return Err(error).context("failed to pull the artifact"),
    };
    if digest.is_some() {
        artifact::unpack(client, reference, &manifest, tree.folder())
            .await
            .with_context(|| format!("{reference} is no artifact with manifests"))?;
    }
    Ok(Pulled { tree, digest, annotations: manifest.annotations })
}

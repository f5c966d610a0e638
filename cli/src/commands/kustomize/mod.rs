//! `kustomize build`: the overlay engine's door, with the flags, texts and codes of kustomize.

mod local;
mod remote;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use jiff::Zoned;
use sluice_kustomize::{
    DiskFileSystem, LoadRestriction, Object, Options, Output, Reorder, Warning, build_with_warnings,
};

use self::remote::Network;
use crate::app::App;
use crate::failure::Exit;
use crate::output::Output as Terminal;

/// What follows `kustomize`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct KustomizeArgs {
    #[command(subcommand)]
    command: KustomizeCommand,
}

#[derive(Subcommand)]
enum KustomizeCommand {
    /// Build a kustomization and print the manifests.
    Build(BuildArgs),
}

#[derive(Args, Clone)]
struct BuildArgs {
    /// The directory with the kustomization, or the URL of a repository.
    #[arg(value_name = "DIR")]
    paths: Vec<String>,
    /// Write to this file, or a file for each object into this directory.
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// LoadRestrictionsNone lets a kustomization read files outside of its directory.
    #[arg(long, default_value = "LoadRestrictionsRootOnly", value_name = "RESTRICTION")]
    load_restrictor: String,
    /// Deprecated: the order of objects where the kustomization does not say one, legacy or none.
    #[arg(long, value_name = "ORDER")]
    reorder: Option<String>,
    /// Deprecated: label all objects as managed by kustomize.
    #[arg(long)]
    enable_managedby_label: bool,
    /// Accepted so that the refusal of charts says so: charts are rendered by `sluice helm template`.
    #[arg(long)]
    enable_helm: bool,
    /// Accepted and without effect: external plugins are refused.
    #[arg(long, hide = true)]
    enable_alpha_plugins: bool,
    #[command(flatten)]
    unused: UnusedArgs,
}

/// Options of programs that are never run, so that scripts need not change.
#[derive(Args, Clone)]
struct UnusedArgs {
    #[arg(long, hide = true)]
    enable_exec: bool,
    #[arg(long, hide = true)]
    as_current_user: bool,
    #[arg(short = 'e', long, hide = true)]
    env: Vec<String>,
    #[arg(long, hide = true)]
    mount: Vec<String>,
    #[arg(long, hide = true)]
    network: bool,
    #[arg(long, hide = true)]
    network_name: Option<String>,
    #[arg(long, hide = true)]
    helm_api_versions: Vec<String>,
    #[arg(long, hide = true)]
    helm_command: Option<String>,
    #[arg(long, hide = true)]
    helm_debug: bool,
    #[arg(long, hide = true)]
    helm_kube_version: Option<String>,
    #[arg(long, hide = true)]
    stack_trace: bool,
}

/// Runs outside of a runtime: what is fetched brings its own.
pub(crate) fn run(app: &App, args: &KustomizeArgs) -> Result<()> {
    let KustomizeCommand::Build(args) = &args.command;
    built(&app.output, &Network::default(), args).map_err(Exit::as_tool)
}

/// What fetches the bases of a Kustomization that a person builds.
pub(crate) fn network() -> Result<Arc<sluice_manifests::bases::Network>> {
    remote::plain().map(Arc::new)
}

fn built(terminal: &Terminal, network: &Network, args: &BuildArgs) -> Result<()> {
    let options = options(terminal, args)?;
    let path = match args.paths.as_slice() {
        [] => ".",
        [path] => path,
        _ => bail!("specify one path to kustomization.yaml"),
    };
    let mut warnings = Vec::new();
    let built = build_with_warnings(&DiskFileSystem::new(), Some(network), path, &options, &mut warnings);
    for warning in &warnings {
        match warning {
            Warning::Deprecated(text) => terminal.say(text),
            Warning::Logged(text) => {
                terminal.say(&format!("{} {text}", Zoned::now().strftime("%Y/%m/%d %H:%M:%S")));
            }
        }
    }
    let output = built?;
    match &args.output {
        None => output.into_yaml()?.into_iter().try_for_each(|piece| terminal.data(piece)),
        Some(folder) if folder.is_dir() => write_each(folder, &output),
        Some(file) => write(file, &output.into_yaml()?),
    }
}

fn options(terminal: &Terminal, args: &BuildArgs) -> Result<Options> {
    let load_restriction = match args.load_restrictor.as_str() {
        "LoadRestrictionsRootOnly" => LoadRestriction::RootOnly,
        "LoadRestrictionsNone" => LoadRestriction::None,
        other => bail!(
            "illegal flag value --load-restrictor {other}; legal values: [LoadRestrictionsRootOnly LoadRestrictionsNone]"
        ),
    };
    if args.reorder.is_some() {
        terminal.say(
            "Flag --reorder has been deprecated, use the new 'sortOptions' field in kustomization.yaml instead.",
        );
    }
    if args.enable_managedby_label {
        terminal.say(
            "Flag --enable-managedby-label has been deprecated, The flag `enable-managedby-label` has been deprecated. \
             Use the `managedByLabel` option in the `buildMetadata` field instead.",
        );
    }
    let reorder = match args.reorder.as_deref() {
        None | Some("legacy") => Reorder::Legacy,
        Some("none") => Reorder::None,
        Some(other) => bail!("illegal flag value --reorder {other}; legal values: [legacy none]"),
    };
    Ok(Options {
        load_restriction,
        reorder,
        managed_by_label: args.enable_managedby_label,
        enable_helm: args.enable_helm,
        ..Options::cli()
    })
}

/// The error is worded as Go's.
fn write(path: &Path, pieces: &[String]) -> Result<()> {
    let written = File::create(path)
        .and_then(|mut file| pieces.iter().try_for_each(|piece| file.write_all(piece.as_bytes())));
    written.map_err(|error| anyhow!("open {}: {}", path.display(), crate::failure::io(&error)))
}

fn write_each(folder: &Path, output: &Output) -> Result<()> {
    let namespaces: BTreeSet<String> =
        output.resources().iter().map(Object::namespace).filter(|namespace| !namespace.is_empty()).collect();
    for object in output.resources() {
        let name = file_name(&object.api_version(), &object.kind(), &object.name());
        let namespace = object.namespace();
        let prefix = if namespaces.len() > 1 && !namespace.is_empty() {
            namespace.to_lowercase() + "_"
        } else {
            String::new()
        };
        let path = folder.join(prefix + &name);
        write(&path, &[object.to_yaml()?])?;
    }
    Ok(())
}

/// `apps_v1_deployment_web.yaml`. A name that would lead out of the folder loses its slashes.
fn file_name(api_version: &str, kind: &str, name: &str) -> String {
    format!("{api_version}_{kind}_{name}.yaml").to_lowercase().replace(['/', '\\'], "_")
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn files_are_named_by_group_version_kind_and_name() {
        assert_eq!(file_name("apps/v1", "Deployment", "Web"), "apps_v1_deployment_web.yaml");
        assert_eq!(file_name("v1", "ConfigMap", "../x"), "v1_configmap_.._x.yaml");
    }
}

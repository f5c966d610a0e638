//! `kustomize build`: the overlay engine's door, with the flags, texts and codes of kustomize.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use sluice_kustomize::{DiskFileSystem, LoadRestriction, Object, Options, Output, build};

use crate::app::App;
use crate::failure::Exit;

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

#[derive(Args)]
struct BuildArgs {
    /// The directory with the kustomization.
    #[arg(default_value = ".", value_name = "DIR")]
    directory: String,
    /// Write to this file, or a file for each object into this directory.
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// LoadRestrictionsNone lets a kustomization read files outside of its directory.
    #[arg(long, default_value = "LoadRestrictionsRootOnly", value_name = "RESTRICTION")]
    load_restrictor: String,
    /// Accepted so that the refusal of charts says so: charts are rendered by `sluice helm template`.
    #[arg(long)]
    enable_helm: bool,
    /// Accepted and without effect: no plugin is ever run.
    #[arg(long, hide = true)]
    enable_alpha_plugins: bool,
    /// Accepted and without effect: no program is ever run.
    #[arg(long, hide = true)]
    enable_exec: bool,
}

pub(crate) fn run(app: &App, args: &KustomizeArgs) -> Result<()> {
    let KustomizeCommand::Build(args) = &args.command;
    built(app, args).map_err(Exit::as_tool)
}

fn built(app: &App, args: &BuildArgs) -> Result<()> {
    let load_restriction = match args.load_restrictor.as_str() {
        "LoadRestrictionsRootOnly" => LoadRestriction::RootOnly,
        "LoadRestrictionsNone" => LoadRestriction::None,
        other => bail!(
            "illegal flag value --load-restrictor {other}; legal values: [LoadRestrictionsRootOnly LoadRestrictionsNone]"
        ),
    };
    let options = Options { load_restriction, enable_helm: args.enable_helm, ..Options::cli() };
    let output = build(&DiskFileSystem::new(), None, &args.directory, &options)?;
    for warning in output.warnings() {
        app.output.say(warning);
    }
    match &args.output {
        None => app.output.data(output.to_yaml()?),
        Some(folder) if folder.is_dir() => write_each(folder, &output),
        Some(file) => std::fs::write(file, output.to_yaml()?)
            .with_context(|| format!("cannot write {}", file.display())),
    }
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
        std::fs::write(&path, object.to_yaml()?)
            .with_context(|| format!("cannot write {}", path.display()))?;
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

//! `helm template`: a chart rendered and printed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use sluice_gotemplate::SystemHost;
use sluice_helm::chart::{load_lean, missing_dependencies};
use sluice_helm::template::{check_installable, printed, render_chart};
use sluice_helm::{Capabilities, TemplateError, TemplateOptions};

use super::values::ValueArgs;
use super::{found, kube_version, namespace};
use crate::app::App;
use crate::failure::hinted;
use crate::schemas::Web;

/// Flags of `helm template`.
#[derive(Args)]
pub(super) struct TemplateArgs {
    /// Name of the release, and folder or archive of the chart.
    #[arg(value_names = ["NAME", "CHART"], num_args = 0..=2)]
    words: Vec<String>,
    #[command(flatten)]
    pub(super) values: ValueArgs,
    /// APIs that the chart may find: group/version or group/version/Kind.
    #[arg(short, long, value_delimiter = ',', action = clap::ArgAction::Append)]
    api_versions: Vec<String>,
    /// The version of Kubernetes that the chart is told.
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,
    /// Print the CRDs too.
    #[arg(long)]
    include_crds: bool,
    /// Leave the CRDs out, which is the default.
    #[arg(long)]
    skip_crds: bool,
    /// Leave tests out.
    #[arg(long)]
    skip_tests: bool,
    /// Leave hooks out.
    #[arg(long)]
    no_hooks: bool,
    /// Render an upgrade, not an installation.
    #[arg(long)]
    is_upgrade: bool,
    /// Do not check values against the chart's schema.
    #[arg(long)]
    skip_schema_validation: bool,
    /// Only what these templates made.
    #[arg(short, long, value_name = "TEMPLATE", action = clap::ArgAction::Append)]
    show_only: Vec<String>,
    /// Accepted without a NAME; as in helm, what is rendered gets the name release-name.
    #[arg(short, long)]
    generate_name: bool,
    /// Make the name of the release with a template.
    #[arg(long, value_name = "TEMPLATE", default_value = "", hide_default_value = true)]
    name_template: String,
    /// Write files into this folder, not to stdout.
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// With --output-dir: put a folder of the release's name in between.
    #[arg(long)]
    release_name: bool,
    /// Accepted: nothing is ever sent to a cluster.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "client", value_name = "WHERE")]
    dry_run: Option<String>,
    /// Print what was rendered even when it is no YAML.
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    without_effect: WithoutEffect,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

/// Flags of `helm template` about what is done with a cluster, where nothing is done.
#[derive(Args)]
struct WithoutEffect {
    #[arg(long, hide = true)]
    atomic: bool,
    #[arg(long, hide = true)]
    create_namespace: bool,
    #[arg(long, hide = true)]
    description: Option<String>,
    #[arg(long, hide = true)]
    devel: bool,
    #[arg(long, hide = true)]
    disable_openapi_validation: bool,
    #[arg(long, hide = true)]
    force_conflicts: bool,
    #[arg(long, hide = true)]
    force_replace: bool,
    #[arg(long, hide = true)]
    hide_notes: bool,
    #[arg(short, long, hide = true)]
    labels: Vec<String>,
    #[arg(long, hide = true)]
    render_subchart_notes: bool,
    #[arg(long, hide = true)]
    replace: bool,
    #[arg(long, hide = true)]
    rollback_on_failure: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    server_side: Option<String>,
    #[arg(long, hide = true)]
    take_ownership: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "watcher")]
    wait: Option<String>,
    #[arg(long, hide = true)]
    wait_for_jobs: bool,
}

/// Flags of helm for what other commands are for.
#[derive(Args)]
struct Elsewhere {
    #[arg(long, hide = true)]
    repo: Option<String>,
    #[arg(long, hide = true)]
    version: Option<String>,
    #[arg(long, hide = true)]
    verify: bool,
    #[arg(long, hide = true)]
    dependency_update: bool,
    #[arg(long, hide = true)]
    post_renderer: Option<String>,
    #[arg(long, hide = true)]
    enable_dns: bool,
}

impl Elsewhere {
    /// Says what to do in the place of a flag. `--version` chooses among the versions of a repository, so it says nothing of
    /// a chart on this machine.
    fn check(&self) -> Result<()> {
        if let Some(repository) = &self.repo {
            let version =
                self.version.as_ref().map_or_else(String::new, |version| format!(" --version {version}"));
            bail!(
                "--repo: charts are read from this machine: fetch it first, sluice helm pull --repo {repository}{version}"
            );
        }
        if self.verify {
            bail!("--verify: signatures of charts are not checked here");
        }
        if self.dependency_update {
            bail!("--dependency-update: dependencies are not fetched here: put them into charts/ first");
        }
        if let Some(renderer) = &self.post_renderer {
            bail!("--post-renderer {renderer}: there are no plugins: pipe what is printed to a program");
        }
        if self.enable_dns {
            bail!("--enable-dns: names are not looked up here: getHostByName gives an empty text");
        }
        Ok(())
    }
}

pub(super) fn run(app: &App, args: TemplateArgs) -> Result<()> {
    args.elsewhere.check()?;
    let (name, path) = match args.words.as_slice() {
        [] => bail!(
            "\"helm template\" requires at least 1 argument\n\nUsage:  helm template [NAME] [CHART] [flags]"
        ),
        [_, _] if args.generate_name => bail!("cannot set --generate-name and also specify a name"),
        [_, _] if !args.name_template.is_empty() => {
            bail!("cannot set --name-template and also specify a name")
        }
        [name, path] => (name.clone(), PathBuf::from(path)),
        [path, ..] => {
            let name = if args.name_template.is_empty() {
                "release-name".to_owned()
            } else {
                sluice_helm::release_name::from_template(&args.name_template)?
            };
            (name, PathBuf::from(path))
        }
    };
    let values = args.values.merge()?;
    let mut capabilities = Capabilities::default();
    if let Some(version) = args.kube_version.as_ref().filter(|version| !version.is_empty()) {
        capabilities.kube_version = kube_version(version)?;
    }
    capabilities.api_versions.extend(args.api_versions);
    let options = TemplateOptions {
        release_name: name.clone(),
        namespace: namespace(app),
        is_upgrade: args.is_upgrade,
        capabilities,
        include_crds: args.include_crds && !args.skip_crds,
        skip_tests: args.skip_tests,
        no_hooks: args.no_hooks,
        skip_schema_validation: args.skip_schema_validation,
        schemas: Arc::new(Web::default()),
        show_only: args.show_only,
        ..TemplateOptions::default()
    };
    let mut chart = load_lean(&found(&path)?)?;
    check_installable(&chart)?;
    missing_dependencies(&chart).map_err(TemplateError::MissingDependencies)?;
    let rendered = match render_chart(&mut chart, &values, &options, &mut SystemHost, None) {
        Err(error @ TemplateError::Manifest(_)) if args.debug => {
            // What made the error is rare and wanted in full: all is rendered once more.
            let mut chart = load_lean(&found(&path)?)?;
            app.output.data(printed(&mut chart, &values, &options, &mut SystemHost)?)?;
            return Err(error.into());
        }
        Err(error @ TemplateError::Manifest(_)) => {
            return Err(hinted(error.into(), "--debug shows what the templates printed"));
        }
        rendered => rendered?,
    };
    for warning in &rendered.warnings {
        app.output.say(&format!("level=WARN msg={warning:?}"));
    }
    match args.output_dir {
        None if options.show_only.is_empty() => {
            rendered.print(&options, &mut |part| app.output.data(part))?;
            // The program ends: what takes many pieces of memory is left to the system.
            std::mem::forget((chart, rendered, values));
            Ok(())
        }
        None => app.output.data(rendered.text(&options)?),
        Some(folder) => {
            let text = rendered.text(&options)?;
            let folder = if args.release_name { folder.join(&name) } else { folder };
            write_files(app, &folder, &text)
        }
    }
}

/// Each document goes to the file that its `# Source:` line names.
fn write_files(app: &App, folder: &Path, text: &str) -> Result<()> {
    let mut written: Vec<PathBuf> = Vec::new();
    for document in text.split("---\n# Source: ").skip(1) {
        let (source, body) = document.split_once('\n').unwrap_or((document, ""));
        let relative = Path::new(source);
        // A template's name comes from the chart: it must not lead out of the folder.
        if relative.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            bail!("the chart has a template with a bad name: {source:?}");
        }
        let path = folder.join(relative);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        let more = written.contains(&path);
        let mut file = std::fs::OpenOptions::new();
        let file = if more { file.append(true) } else { file.write(true).create(true).truncate(true) };
        let mut file = file.open(&path).with_context(|| format!("cannot write {}", path.display()))?;
        std::io::Write::write_all(&mut file, format!("---\n# Source: {source}\n{body}").as_bytes())?;
        if !more {
            app.output.data(format!("wrote {}\n", path.display()))?;
            written.push(path);
        }
    }
    Ok(())
}

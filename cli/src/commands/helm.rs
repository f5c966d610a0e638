//! `helm`: the chart engine's door, with the flags, texts and codes of helm.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use sluice_gotemplate::{Host, SystemHost};
use sluice_helm::chart::{load, load_lean, missing_dependencies};
use sluice_helm::lint::{LintOptions, Severity, lint};
use sluice_helm::package::package;
use sluice_helm::show::{Part, show};
use sluice_helm::template::{check_installable, render_chart};
use sluice_helm::values::ValueSources;
use sluice_helm::{Capabilities, KubeVersion, TemplateError, TemplateOptions, Values};

use super::helm_pull;
use crate::app::App;
use crate::failure::Exit;

/// What follows `helm`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct HelmArgs {
    #[command(subcommand)]
    command: HelmCommand,
}

#[derive(Subcommand)]
enum HelmCommand {
    /// Render a chart and print the manifests.
    Template(Box<TemplateArgs>),
    /// Look for mistakes in charts.
    Lint(LintArgs),
    /// Pack charts into archives.
    Package(PackageArgs),
    /// Fetch a chart from a repository or a registry.
    #[command(alias = "fetch", arg_required_else_help = true)]
    Pull(helm_pull::PullArgs),
    /// Print a part of a chart.
    #[command(alias = "inspect", arg_required_else_help = true)]
    Show {
        #[command(subcommand)]
        part: ShowPart,
    },
}

#[derive(Subcommand)]
enum ShowPart {
    /// Everything.
    All(ShowArgs),
    /// Chart.yaml.
    Chart(ShowArgs),
    /// The CRDs.
    #[command(alias = "crd")]
    Crds(ShowArgs),
    /// The readme.
    Readme(ShowArgs),
    /// values.yaml.
    Values(ShowArgs),
}

#[derive(Args)]
struct ShowArgs {
    /// Folder or archive of the chart.
    chart: PathBuf,
}

/// Where values come from.
#[derive(Args)]
struct ValueArgs {
    /// A YAML file with values; - is stdin.
    #[arg(short = 'f', long, value_name = "FILE", value_delimiter = ',', action = clap::ArgAction::Append)]
    values: Vec<String>,
    /// Set a value: key1=val1,key2=val2.
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    set: Vec<String>,
    /// Set a value that is a string whatever it looks like.
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    set_string: Vec<String>,
    /// Set a value to the content of a file.
    #[arg(long, value_name = "KEY=FILE", action = clap::ArgAction::Append)]
    set_file: Vec<String>,
    /// Set a value from JSON.
    #[arg(long, value_name = "KEY=JSON", action = clap::ArgAction::Append)]
    set_json: Vec<String>,
    /// Set a value literally.
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    set_literal: Vec<String>,
}

#[derive(Args)]
struct TemplateArgs {
    /// Name of the release, and folder or archive of the chart.
    #[arg(value_names = ["NAME", "CHART"], num_args = 0..=2)]
    words: Vec<String>,
    #[command(flatten)]
    values: ValueArgs,
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

#[derive(Args)]
struct LintArgs {
    /// Folders or archives of charts.
    #[arg(default_value = ".")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueArgs,
    /// The version of Kubernetes that the chart is for.
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,
    /// Fail on warnings too.
    #[arg(long)]
    strict: bool,
    /// Print warnings and errors only.
    #[arg(long)]
    quiet: bool,
    /// Look at the subcharts too.
    #[arg(long)]
    with_subcharts: bool,
    /// Do not check values against the chart's schema.
    #[arg(long)]
    skip_schema_validation: bool,
}

#[derive(Args)]
struct PackageArgs {
    /// Folders of charts.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Where to put the archives.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    destination: PathBuf,
    /// The version to give to the chart.
    #[arg(long)]
    version: Option<String>,
    /// The version of the software to give to the chart.
    #[arg(long)]
    app_version: Option<String>,
}

impl HelmArgs {
    /// Whether it is work on this machine alone.
    pub(crate) fn is_local(&self) -> bool {
        !matches!(self.command, HelmCommand::Pull(_))
    }

    /// How many `--set` and `--values` were read.
    #[cfg(test)]
    pub(crate) fn given(&self) -> (usize, usize) {
        match &self.command {
            HelmCommand::Template(args) => (args.values.set.len(), args.values.values.len()),
            _ => (0, 0),
        }
    }
}

pub(crate) async fn run(app: &App, args: HelmArgs) -> Result<()> {
    let result = match args.command {
        HelmCommand::Template(args) => template(app, *args),
        HelmCommand::Lint(args) => lint_all(app, &args),
        HelmCommand::Package(args) => package_all(app, &args),
        HelmCommand::Pull(args) => helm_pull::run(app, &args).await,
        HelmCommand::Show { part } => show_part(app, &part),
    };
    result.map_err(Exit::as_tool)
}

/// A chart's templates know no cluster; `fail` and `required` let pass while linting.
struct Lint;

impl Host for Lint {
    fn is_lint(&self) -> bool {
        true
    }
}

impl ValueArgs {
    fn merge(&self) -> Result<Values> {
        let sources = ValueSources {
            files: self.values.clone(),
            json: self.set_json.clone(),
            typed: self.set.clone(),
            strings: self.set_string.clone(),
            file_contents: self.set_file.clone(),
            literals: self.set_literal.clone(),
        };
        Ok(sources.merge(&mut read_source)?)
    }
}

fn read_source(name: &str) -> Result<Vec<u8>, String> {
    if name == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot read stdin: {error}"))?;
        return Ok(bytes);
    }
    if name.contains("://") {
        return Err(format!("{name}: values are read from files here, not from addresses"));
    }
    std::fs::read(name).map_err(|error| format!("open {name}: {}", crate::failure::io(&error)))
}

fn template(app: &App, args: TemplateArgs) -> Result<()> {
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
        capabilities.kube_version = KubeVersion::parse(version)
            .map_err(|error| anyhow!("invalid kube version '{version}': {error}"))?;
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
        show_only: args.show_only,
        ..TemplateOptions::default()
    };
    let mut chart = load_lean(&found(&path)?)?;
    check_installable(&chart)?;
    missing_dependencies(&chart).map_err(TemplateError::MissingDependencies)?;
    let rendered = render_chart(&mut chart, &values, &options, &mut SystemHost, None)?;
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

/// The namespace of releases: as told, and not what a kubeconfig of this machine says.
fn namespace(app: &App) -> String {
    let named = app.globals.namespace.clone().or_else(|| std::env::var("HELM_NAMESPACE").ok());
    named.filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| "default".into())
}

/// A chart on this machine.
fn found(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        return Ok(path.to_owned());
    }
    let text = path.display().to_string();
    if text.contains("://") {
        bail!("{text} is an address: fetch the chart first, charts are read from this machine only");
    }
    bail!("path {text:?} not found")
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

fn show_part(app: &App, part: &ShowPart) -> Result<()> {
    let (part, args) = match part {
        ShowPart::All(args) => (Part::All, args),
        ShowPart::Chart(args) => (Part::Chart, args),
        ShowPart::Crds(args) => (Part::Crds, args),
        ShowPart::Readme(args) => (Part::Readme, args),
        ShowPart::Values(args) => (Part::Values, args),
    };
    let chart = load(&found(&args.chart)?)?;
    app.output.data(show(&chart, part))
}

fn lint_all(app: &App, args: &LintArgs) -> Result<()> {
    let kube_version = match &args.kube_version {
        Some(version) => Some(
            KubeVersion::parse(version)
                .map_err(|error| anyhow!("invalid kube version '{version}': {error}"))?,
        ),
        None => None,
    };
    let options = LintOptions {
        values: args.values.merge()?,
        namespace: namespace(app),
        kube_version,
        skip_schema_validation: args.skip_schema_validation,
    };
    let mut paths = args.paths.clone();
    if args.with_subcharts {
        for path in &args.paths {
            paths.extend(subcharts(path));
        }
    }
    let (worst, mut failed, mut text) =
        (if args.strict { Severity::Warning } else { Severity::Error }, 0_usize, String::new());
    for path in &paths {
        let mut shown = Vec::new();
        let bad = match lint(path, &options, &mut Lint) {
            Ok(findings) => {
                let wanted = if args.quiet { Severity::Warning } else { Severity::Info };
                shown.extend(
                    findings
                        .messages()
                        .iter()
                        .filter(|found| found.severity >= wanted)
                        .map(ToString::to_string),
                );
                findings.any_at_least(worst)
            }
            Err(error) => {
                shown.push(format!("Error {error}"));
                true
            }
        };
        failed += usize::from(bad);
        if !args.quiet || !shown.is_empty() {
            text += &format!("==> Linting {}\n", path.display());
            for line in shown {
                text += &line;
                text.push('\n');
            }
            text.push('\n');
        }
    }
    app.output.data(&text)?;
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", paths.len());
    if failed > 0 {
        bail!(summary);
    }
    if args.quiet { Ok(()) } else { app.output.data(summary + "\n") }
}

/// The folders and archives in `charts/`, sorted.
fn subcharts(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path.join("charts")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "tgz"))
        .collect();
    found.sort();
    found
}

fn package_all(app: &App, args: &PackageArgs) -> Result<()> {
    for path in &args.paths {
        let mut chart = load(&found(path)?)?;
        if let Some(version) = &args.version {
            chart.metadata.version.clone_from(version);
        }
        if let Some(version) = &args.app_version {
            chart.metadata.app_version.clone_from(version);
        }
        missing_dependencies(&chart)?;
        let packed = package(&chart, Some(Timestamp::now()))?;
        std::fs::create_dir_all(&args.destination)
            .with_context(|| format!("cannot create {}", args.destination.display()))?;
        // As helm does, the working directory is named in full.
        let here = args.destination == Path::new(".");
        let folder = if here { std::env::current_dir()? } else { args.destination.clone() };
        let target = folder.join(&packed.file_name);
        std::fs::write(&target, &packed.bytes)
            .with_context(|| format!("cannot write {}", target.display()))?;
        app.output.data(format!("Successfully packaged chart and saved it to: {}\n", target.display()))?;
    }
    Ok(())
}

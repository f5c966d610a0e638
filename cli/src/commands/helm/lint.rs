//! `helm lint`: what is wrong with charts.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use sluice_gotemplate::Host;
use sluice_helm::lint::{LintOptions, Severity, lint};

use super::values::ValueArgs;
use super::{kube_version, namespace};
use crate::app::App;
use crate::schemas::Web;

/// Flags of `helm lint`.
#[derive(Args)]
pub(super) struct LintArgs {
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

/// A chart's templates know no cluster; `fail` and `required` let pass while linting.
struct Lint;

impl Host for Lint {
    fn is_lint(&self) -> bool {
        true
    }
}

pub(super) fn run(app: &App, args: &LintArgs) -> Result<()> {
    let kube_version = args.kube_version.as_deref().map(kube_version).transpose()?;
    let options = LintOptions {
        values: args.values.merge()?,
        namespace: namespace(app),
        kube_version,
        skip_schema_validation: args.skip_schema_validation,
        schemas: std::sync::Arc::new(Web::default()),
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

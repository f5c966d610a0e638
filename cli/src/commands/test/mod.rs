//! `test`: a whole GitOps repository checked without a cluster, as CI wants it: everything is found, built and checked
//! against the definitions, and what refers to nothing is told.

pub(super) mod find;
mod report;
mod rules;
mod schema;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::app::App;

/// What to check, and how to tell.
#[derive(Args)]
pub(crate) struct TestArgs {
    /// The root of the repository.
    #[arg(default_value = ".", value_name = "DIR")]
    directory: PathBuf,
    /// How to print what was found.
    #[arg(short, long, value_enum, default_value = "human")]
    output: Form,
    /// Write that to a file.
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Warnings end with an error too.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Human,
    Sarif,
    Junit,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Warning,
    Error,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    /// The file, from the root of the repository.
    pub(super) file: String,
    /// The object, as `Kind/namespace/name`; empty for a file.
    pub(super) subject: String,
    pub(super) level: Level,
    /// The name of the rule.
    pub(super) rule: &'static str,
    pub(super) message: String,
}

pub(crate) fn run(app: &App, args: &TestArgs) -> Result<()> {
    let repository = find::Repository::read(&args.directory)?;
    let mut findings = repository.findings.clone();
    findings.extend(rules::check(&repository)?);
    findings.sort();
    findings.dedup();
    let text = match args.output {
        Form::Human => report::human(&findings, &repository, app.output.data_style),
        Form::Sarif => report::sarif(&findings)?,
        Form::Junit => report::junit(&findings, &repository),
    };
    match &args.output_file {
        Some(path) => std::fs::write(path, text)?,
        None => app.output.data(text)?,
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    if errors > 0 || (args.strict && warnings > 0) {
        bail!("{errors} error(s), {warnings} warning(s) in {} object(s)", repository.objects.len());
    }
    app.output.success(&format!("{} object(s) checked, {warnings} warning(s)", repository.objects.len()));
    Ok(())
}

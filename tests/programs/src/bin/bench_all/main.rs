//! `make bench-all`: all benchmarks in one run, and whether each target is met. A target is a share of Flux's figures, or of a
//! reference tool on this machine.

mod objects;
mod table;
mod tools;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sluice_programs::flux::Kind;
use sluice_programs::measure::{self, say};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;
use table::Table;

/// Every benchmark, beside its target. The other programs are taken from this one's folder, the controllers and `sluice` from
/// `SLUICE_BIN_DIR`.
#[derive(Parser)]
struct Arguments {
    /// Where the stripped release binaries are. Without it, or when they are not there, their size is left out.
    #[arg(long)]
    release: Option<PathBuf>,
    /// The reference kustomize.
    #[arg(long)]
    kustomize: PathBuf,
    /// How many Kustomizations, in several runs.
    #[arg(long, value_delimiter = ',', default_value = "100,500,1000")]
    counts: Vec<usize>,
    /// How many HelmReleases, in several runs.
    #[arg(long, value_delimiter = ',', default_value = "100,1000")]
    helm_releases: Vec<usize>,
    /// How many OCIRepositories, and how many HelmCharts.
    #[arg(long, default_value_t = 1000)]
    sources: usize,
    /// Files and commits of the large repository, and mebibytes in a file of another one's history.
    #[arg(long, value_delimiter = ',', default_value = "20000,50000,1024")]
    repository: Vec<usize>,
    /// Resources of the large overlay.
    #[arg(long, default_value_t = 4000)]
    resources: usize,
    /// The page that gets the table, between its marks.
    #[arg(long)]
    page: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut table = Table::default();
    let begin = Instant::now();
    table.section("idle memory", objects::idle)?;
    for (kind, counts) in
        [(Kind::Kustomizations, &arguments.counts), (Kind::HelmReleases, &arguments.helm_releases)]
    {
        let most = counts.iter().max();
        for count in counts {
            let what = format!("{count} {}", objects::title(kind));
            table.section(&what, |table| objects::applied(table, kind, *count, Some(count) == most))?;
        }
    }
    table.section("sources", |table| objects::sources(table, arguments.sources))?;
    table.section("push", objects::push)?;
    table.section("binaries", |table| tools::binaries(table, arguments.release.as_deref()))?;
    table.section("kustomize build", |table| {
        tools::overlay(table, &arguments.kustomize, arguments.resources)
    })?;
    table.section("helm template", tools::chart)?;
    table.section("clone", |table| tools::clone(table, &arguments.repository))?;
    let (missed, all) = table.missed();
    let minutes = begin.elapsed().as_secs_f64() / 60.0;
    let text = format!(
        "`make bench-all` on {}; it took {minutes:.0} minutes. {} of {all} targets are met.\n\n{}",
        measure::machine(),
        all - missed,
        table.markdown()
    );
    say(&format!("\n{text}"))?;
    match &arguments.page {
        Some(page) => measure::replace(page, "<!-- bench-all -->\n", "<!-- /bench-all -->\n", &text),
        None => Ok(()),
    }
}

/// Runs a program whose output is also shown, and returns it.
fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("{command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    say(&text)?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(text)
}

/// Another of the programs, which are all in one folder.
fn sibling(name: &str) -> Result<Command> {
    let own = std::env::current_exe()?;
    Ok(Command::new(own.parent().context("no folder")?.join(name)))
}

/// The number behind a text.
fn after(text: &str, before: &str) -> Result<f64> {
    let rest = text.split_once(before).with_context(|| format!("no {before:?} in {text:?}"))?.1.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let number = rest[..end].trim_end_matches('.').parse();
    number.with_context(|| format!("no number behind {before:?} in {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_what_the_programs_print() {
        let git =
            "20000 files, 50000 commits: 1.25 s to an artifact of 3.0 MiB, 1.10 s of CPU, peak 41.5 MiB";
        assert_eq!((after(git, "commits: ").unwrap(), after(git, "peak ").unwrap()), (1.25, 41.5));
        let push = "changed object applied   median 0.101, 95th percentile 0.345, slowest 1.2";
        assert_eq!(after(push, "95th percentile ").unwrap(), 0.345);
    }
}

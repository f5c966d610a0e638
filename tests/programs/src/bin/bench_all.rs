//! `make bench-all`: all benchmarks in one run, and whether each target is met. A target is a share of Flux's figures, or of a
//! reference tool on this machine.

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::Value;
use sluice_programs::flux::{self, Kind};
use sluice_programs::measure::{self, say};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Every benchmark, beside its target.
#[derive(Parser)]
struct Arguments {
    /// Where the binaries and examples are: `target/fast`.
    #[arg(long)]
    folder: PathBuf,
    /// Where the release binaries are. Without it, or when they are not there, their size is left out.
    #[arg(long)]
    release: Option<PathBuf>,
    /// The reference kustomize.
    #[arg(long)]
    kustomize: PathBuf,
    /// How many Kustomizations, in several runs.
    #[arg(long, value_delimiter = ',', default_value = "100,500,1000")]
    counts: Vec<usize>,
    /// How many HelmReleases.
    #[arg(long, default_value_t = 100)]
    helm_releases: usize,
    /// Files and commits of the large repository, and mebibytes in a file of another one's history.
    #[arg(long, value_delimiter = ',', default_value = "20000,50000,1024")]
    repository: Vec<usize>,
    /// Resources of the large overlay.
    #[arg(long, default_value_t = 10_000)]
    resources: usize,
    /// The page that gets the table, between its marks.
    #[arg(long)]
    page: Option<PathBuf>,
}

/// A target: at most so much.
struct Row {
    what: String,
    target: String,
    measured: String,
    met: bool,
}

struct Table(Vec<Row>);

impl Table {
    /// One benchmark; one that fails keeps no other from being run.
    fn section(&mut self, what: &str, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        match run(self) {
            Ok(()) => Ok(()),
            Err(error) => self.add(what, "it runs".into(), format!("{error:#}").replace('\n', " "), false),
        }
    }

    fn at_most(&mut self, what: impl Into<String>, measured: f64, limit: f64, unit: &str) -> Result<()> {
        self.add(what, format!("≤ {limit:.2} {unit}"), format!("{measured:.2} {unit}"), measured <= limit)
    }

    fn at_least(&mut self, what: impl Into<String>, measured: f64, limit: f64, unit: &str) -> Result<()> {
        self.add(what, format!("≥ {limit:.1} {unit}"), format!("{measured:.1} {unit}"), measured >= limit)
    }

    fn add(&mut self, what: impl Into<String>, target: String, measured: String, met: bool) -> Result<()> {
        let row = Row { what: what.into(), target, measured, met };
        say(&row.line())?;
        self.0.push(row);
        Ok(())
    }
}

impl Row {
    fn line(&self) -> String {
        let met = if self.met { "yes" } else { "**no**" };
        format!("| {} | {} | {} | {met} |", self.what, self.target, self.measured)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut table = Table(Vec::new());
    for count in &arguments.counts {
        table.section("Kustomizations", |table| objects(table, &arguments, Kind::Kustomizations, *count))?;
    }
    let count = arguments.helm_releases;
    table.section("HelmReleases", |table| objects(table, &arguments, Kind::HelmReleases, count))?;
    table.section("binaries", |table| binaries(table, arguments.release.as_deref()))?;
    table.section("kustomize build", |table| overlay(table, &arguments))?;
    table.section("helm template", chart)?;
    table.section("clone", |table| clone(table, &arguments))?;
    table.section("push", |table| push(table, &arguments))?;
    let missed = table.0.iter().filter(|row| !row.met).count();
    say(&format!("{} targets, {missed} missed", table.0.len()))?;
    if let Some(page) = &arguments.page {
        let lines: Vec<String> = table.0.iter().map(Row::line).collect();
        let text = format!(
            "Measured on {} by `make bench-all`.\n\n| what | target | measured | met |\n|---|---|---|---|\n{}\n",
            measure::machine(),
            lines.join("\n")
        );
        measure::replace(page, "<!-- bench-all -->\n", "<!-- /bench-all -->\n", &text)?;
    }
    Ok(())
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

/// The number behind a text.
fn after(text: &str, before: &str) -> Result<f64> {
    let rest = text.split_once(before).with_context(|| format!("no {before:?} in {text:?}"))?.1.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    rest[..end]
        .trim_end_matches('.')
        .parse()
        .with_context(|| format!("no number behind {before:?} in {text:?}"))
}

/// `make bench` and `make bench-helm-releases`.
fn objects(table: &mut Table, arguments: &Arguments, kind: Kind, count: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("figures.json");
    let mut command = Command::new(arguments.folder.join("bench"));
    command.args(["--count", &count.to_string()]).arg("--json").arg(&file);
    if kind == Kind::HelmReleases {
        command.arg("--helm-releases");
    }
    output(&mut command)?;
    let figures: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    let title = match kind {
        Kind::Kustomizations => format!("{count} Kustomizations"),
        Kind::HelmReleases => format!("{count} HelmReleases"),
    };
    // Flux was not measured with so many: it grows in proportion.
    let (flux, scale) = match flux::run(kind, count) {
        Some(flux) => (flux, 1.0),
        None => {
            let most = flux::RUNS.iter().filter(|run| run.kind == kind).max_by_key(|run| run.count);
            let most = most.context("Flux was not measured")?;
            (most, count as f64 / most.count as f64)
        }
    };
    for (index, name) in ["install", "upgrade", "unchanged"].into_iter().enumerate() {
        let phase = &figures["phases"][index];
        let (seconds, cpu) = (flux.phases[index].0 * scale, flux.phases[index].1 * scale);
        let own: f64 = phase["cpu"].as_object().context("no cpu")?.values().filter_map(Value::as_f64).sum();
        let took = phase["seconds"].as_f64().context("no seconds")?;
        if index < 2 {
            table.at_most(format!("{title}, {name}: time, a third of Flux's"), took, seconds / 3.0, "s")?;
            table.at_most(format!("{title}, {name}: CPU, an eighth of Flux's"), own, cpu / 8.0, "s")?;
        } else if kind == Kind::Kustomizations {
            table.at_most(format!("{title}, {name}: CPU, a twentieth of Flux's"), own, cpu / 20.0, "s")?;
        }
        if index == 0
            && let Some(limit) = figures["limit"].as_f64()
        {
            table.at_most(format!("{title}, {name}: time, twice the limit"), took, 2.0 * limit, "s")?;
        }
    }
    let mebibytes = |value: &Value| measure::mebibytes(value.as_u64().unwrap_or_default());
    for (name, idle) in figures["idle"].as_object().into_iter().flatten() {
        table.at_most(
            format!("{title}: idle memory of {name}"),
            mebibytes(&idle["resident"]),
            15.0,
            "MiB",
        )?;
    }
    for (name, peak) in figures["peak"].as_object().into_iter().flatten() {
        let theirs = match name.as_str() {
            "source" => flux.peak[1],
            _ if count >= 1000 => flux::published_peak(kind),
            _ => flux.peak[0],
        };
        let what = format!("{title}: peak memory of {name}, a sixth of Flux's");
        table.at_most(what, mebibytes(peak), theirs as f64 / 6.0, "MiB")?;
    }
    Ok(())
}

fn binaries(table: &mut Table, folder: Option<&Path>) -> Result<()> {
    let Some(folder) = folder.filter(|folder| folder.join("source-controller").is_file()) else {
        return say("the release binaries are not there: their size is left out");
    };
    let mut all = 0.0;
    for (name, theirs) in flux::BINARIES {
        let size = std::fs::metadata(folder.join(name)).with_context(|| name.to_owned())?.len() as f64 / 1e6;
        all += size;
        table.at_most(format!("size of {name}, a fifth of Flux's"), size, theirs / 5.0, "MB")?;
    }
    table.at_most("size of all five controllers", all, 80.0, "MB")
}

fn overlay(table: &mut Table, arguments: &Arguments) -> Result<()> {
    let examples = arguments.folder.join("examples");
    let mut command = Command::new(examples.join("bench"));
    command.arg(&arguments.kustomize).arg(examples.join("build")).arg(arguments.resources.to_string());
    let text = output(&mut command)?;
    match factors(&text)? {
        (speed, Some(memory)) => {
            table.at_least(
                "kustomize build, large overlay: speed, beside kustomize",
                speed,
                10.0,
                "times",
            )?;
            table.at_least("kustomize build, large overlay: less memory than kustomize", memory, 5.0, "times")
        }
        (speed, None) => {
            table.at_least("kustomize build: speed, beside kustomize (stopped)", speed, 10.0, "times")
        }
    }
}

/// How much faster than kustomize, and how much less memory; at least so much faster where kustomize was stopped.
fn factors(text: &str) -> Result<(f64, Option<f64>)> {
    let line = text.lines().last().context("no figures")?;
    let numbers = line.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|word| word.parse().ok());
    let numbers: Vec<f64> = numbers.collect();
    match numbers[..] {
        [_, ours, _, stopped] if line.contains("more than") => Ok((stopped / ours.max(0.01), None)),
        [.., speed, memory] => Ok((speed, Some(memory))),
        _ => anyhow::bail!("no factors in {line:?}"),
    }
}

fn chart(table: &mut Table) -> Result<()> {
    let text = output(&mut Command::new(sluice_tests::workspace().join("crates/helm/benches/bench.sh")))?;
    table.at_least("helm template, large chart: speed, beside helm", faster(&text)?, 10.0, "times")
}

fn faster(text: &str) -> Result<f64> {
    let line = text.lines().find(|line| line.starts_with("large: "));
    after(line.context("no figures of the large chart")?.rsplit_once("MB: ").context("no factor")?.1, "")
}

fn clone(table: &mut Table, arguments: &Arguments) -> Result<()> {
    let [files, commits, large] = arguments.repository[..] else {
        anyhow::bail!("--repository takes three numbers")
    };
    let mut command = Command::new(arguments.folder.join("bench_git"));
    command.args(["--count", "0", "--files", &files.to_string(), "--commits", &commits.to_string()]);
    let text = output(command.args(["--large", &large.to_string()]))?;
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair[1].starts_with("  git clone")) {
        let (what, figures) = pair[0].split_once(": ").context("no figures")?;
        if what != "small" {
            let (ours, theirs) = (after(figures, "")?, after(pair[1], "and tar: ")?);
            table.at_most(
                format!("{what}: time to the artifact, half of git and tar"),
                ours,
                theirs / 2.0,
                "s",
            )?;
        }
        table.at_most(format!("{what}: peak memory"), after(figures, "peak ")?, 64.0, "MiB")?;
    }
    Ok(())
}

fn push(table: &mut Table, arguments: &Arguments) -> Result<()> {
    let text = output(&mut Command::new(arguments.folder.join("bench-push")))?;
    let line = text.lines().find(|line| line.starts_with("changed object applied")).context("no figures")?;
    table.at_most("from a webhook to the object, 95th percentile", after(line, "95th percentile ")?, 1.0, "s")
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
        let helm = "small: helm 1.0 ms CPU, 1.0 MB; ours 1.0 ms CPU, 1.0 MB: 1.0 times faster, 1.0 of the memory\n\
                    large: helm 900.1 ms CPU, 99.0 MB; ours 40.2 ms CPU, 20.0 MB: 22.4 times faster, 0.20 of the memory\n";
        assert_eq!(faster(helm).unwrap(), 22.4);
        let both =
            "    10000                 0.31 /   120                12.34 /   900  39.8x time, 7.5x memory";
        assert_eq!(factors(both).unwrap(), (39.8, Some(7.5)));
        let stopped = "    10000                 0.50 /   120              more than 300 s\n";
        assert_eq!(factors(stopped).unwrap(), (600.0, None));
    }
}

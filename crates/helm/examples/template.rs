//! `helm template|show|lint|package` on this library, for comparisons and measurements.
//!
//! `cargo run -p sluice-helm --example template -- template NAME CHART [options]`

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use sluice_gotemplate::{Host, SystemHost, with_large_stack};
use sluice_helm::chart::{load, load_lean, missing_dependencies, process_dependencies};
use sluice_helm::lint::{LintOptions, Severity, lint};
use sluice_helm::package::package;
use sluice_helm::render::{ReleaseOptions, RenderInput, TemplateCache};
use sluice_helm::schema::NoFetch;
use sluice_helm::show::{Part, show};
use sluice_helm::template::{check_installable, render_chart};
use sluice_helm::values::{ValueSources, coalesce, validate};
use sluice_helm::{KubeVersion, TemplateError, TemplateOptions, Values, template};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "Error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Arguments {
    names: Vec<String>,
    options: TemplateOptions,
    sources: ValueSources,
    repeat: usize,
    parse_again: bool,
}

fn run() -> Result<ExitCode, Failure> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let parsed = parse(arguments)?;
    let values = parsed.sources.merge(&mut read)?;
    let names: Vec<&str> = parsed.names.iter().map(String::as_str).collect();
    let text = match (command.as_str(), names.as_slice()) {
        ("template", [name, chart]) => {
            let options = TemplateOptions { release_name: (*name).to_owned(), ..parsed.options };
            if parsed.repeat > 0 {
                return repeat(chart, &values, &options, parsed.repeat, parsed.parse_again);
            }
            return render(Path::new(chart), &values, &options).map(|()| ExitCode::SUCCESS).map_err(
                |error| match error.downcast_ref::<TemplateError>().and_then(TemplateError::hint) {
                    Some(hint) => format!("{error}\n\n{hint}").into(),
                    None => error,
                },
            );
        }
        ("show", [part, chart]) => {
            let part = match *part {
                "values" => Part::Values,
                "chart" => Part::Chart,
                "crds" => Part::Crds,
                "readme" => Part::Readme,
                _ => Part::All,
            };
            show(&load(Path::new(chart))?, part)
        }
        ("lint", [chart]) => {
            let options =
                LintOptions { values, namespace: parsed.options.namespace, ..LintOptions::default() };
            let findings = lint(Path::new(chart), &options, &mut LintHost)?;
            let mut text = format!("==> Linting {chart}\n");
            for message in findings.messages() {
                text.push_str(&format!("{message}\n"));
            }
            print(&text)?;
            let failed = findings.any_at_least(Severity::Error);
            return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
        ("package", [chart, folder]) => {
            let package = package(&load(Path::new(chart))?, None)?;
            let path = Path::new(folder).join(&package.file_name);
            fs::write(&path, &package.bytes)?;
            format!("Successfully packaged chart and saved it to: {}\n", path.display())
        }
        _ => {
            return Err(
                "usage: template NAME CHART | show PART CHART | lint CHART | package CHART FOLDER".into()
            );
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn render(path: &Path, values: &Values, options: &TemplateOptions) -> Result<(), Failure> {
    if !options.show_only.is_empty() {
        return print(&template(path, values, options, &mut SystemHost, None)?);
    }
    let mut chart = load_lean(path)?;
    check_installable(&chart)?;
    missing_dependencies(&chart).map_err(TemplateError::MissingDependencies)?;
    let rendered = render_chart(&mut chart, values, options, &mut SystemHost, None)?;
    rendered.print(options, &mut print)?;
    // As in `sluice`: the program ends.
    std::mem::forget((chart, rendered));
    Ok(())
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// Composes the values and renders again and again within one process, as a controller does, or as one that keeps no
/// parsed templates, and tells how long one round takes. Dependencies are processed before, and nothing is sorted.
fn repeat(
    path: &str,
    values: &Values,
    options: &TemplateOptions,
    rounds: usize,
    parse_again: bool,
) -> Result<ExitCode, Failure> {
    let mut chart = load(Path::new(path))?;
    process_dependencies(&mut chart, values)?;
    let cache = TemplateCache::new(1);
    let cache = if parse_again { None } else { Some(&cache) };
    let release = ReleaseOptions {
        name: options.release_name.clone(),
        namespace: options.namespace.clone(),
        revision: 1,
        is_upgrade: false,
    };
    let start = Instant::now();
    // One thread with a large stack for all rounds, as a controller has.
    let bytes = with_large_stack(|| {
        let mut bytes = 0;
        for _ in 0..rounds {
            let values = coalesce(&chart, values).map_err(|error| error.to_string())?;
            validate(&chart, &values, &NoFetch).map_err(|error| error.to_string())?;
            let input = RenderInput {
                chart: &chart,
                values: &values,
                release: &release,
                capabilities: &options.capabilities,
            };
            let files = sluice_helm::render::render(input, &mut SystemHost, options.limits, cache)
                .map_err(|error| error.to_string())?;
            bytes = files.values().map(String::len).sum::<usize>();
        }
        Ok::<_, String>(bytes)
    })??;
    let each = start.elapsed() / u32::try_from(rounds)?;
    print(&format!("{each:?} a round, {bytes} bytes\n"))?;
    Ok(ExitCode::SUCCESS)
}

struct LintHost;

impl Host for LintHost {
    fn is_lint(&self) -> bool {
        true
    }
}

fn read(name: &str) -> Result<Vec<u8>, String> {
    if name == "-" {
        let mut text = Vec::new();
        return match std::io::stdin().read_to_end(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(error.to_string()),
        };
    }
    fs::read(name).map_err(|error| format!("open {name}: {error}"))
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, Failure> {
    let mut parsed = Arguments::default();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("flag needs an argument: {argument}"));
        match argument.as_str() {
            "-f" | "--values" => parsed.sources.files.push(value()?),
            "--set" => parsed.sources.typed.push(value()?),
            "--set-string" => parsed.sources.strings.push(value()?),
            "--set-json" => parsed.sources.json.push(value()?),
            "--set-file" => parsed.sources.file_contents.push(value()?),
            "--set-literal" => parsed.sources.literals.push(value()?),
            "-n" | "--namespace" => parsed.options.namespace = value()?,
            "-s" | "--show-only" => parsed.options.show_only.push(value()?),
            "--kube-version" => parsed.options.capabilities.kube_version = KubeVersion::parse(&value()?)?,
            "-a" | "--api-versions" => {
                let versions = value()?;
                parsed.options.capabilities.api_versions.extend(versions.split(',').map(str::to_owned));
            }
            "--include-crds" => parsed.options.include_crds = true,
            "--skip-tests" => parsed.options.skip_tests = true,
            "--no-hooks" => parsed.options.no_hooks = true,
            "--is-upgrade" => parsed.options.is_upgrade = true,
            "--skip-schema-validation" => parsed.options.skip_schema_validation = true,
            "--parse-again" => parsed.parse_again = true,
            "--repeat" => parsed.repeat = value()?.parse()?,
            other if other.starts_with('-') => return Err(format!("unknown flag: {other}").into()),
            _ => parsed.names.push(argument),
        }
    }
    Ok(parsed)
}

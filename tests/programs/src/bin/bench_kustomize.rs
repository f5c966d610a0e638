//! `make bench-kustomize`: CPU and memory of `sluice kustomize build` beside kustomize.

use anyhow::Result;
use clap::Parser;
use sluice_programs::measure::say;
use sluice_programs::overlay::compare;
use std::path::PathBuf;

/// An overlay of five layers, built by both.
#[derive(Parser)]
struct Arguments {
    /// The reference kustomize.
    #[arg(long)]
    kustomize: PathBuf,
    /// Seconds after which a program is stopped.
    #[arg(long, default_value_t = 300)]
    limit: u64,
    /// How many resources, in several runs.
    #[arg(default_values_t = [1000, 10_000])]
    counts: Vec<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    say(&format!(
        "{:>9}  {:>22}  {:>22}  factor",
        "resources", "sluice CPU s / MiB", "kustomize CPU s / MiB"
    ))?;
    for count in arguments.counts {
        let both = compare(count, &arguments.kustomize, arguments.limit)?;
        let ours = format!("{count:>9}  {:>15.2} / {:>4.0}", both.ours.cpu, both.ours.memory);
        say(&match both.theirs {
            Some(theirs) => format!(
                "{ours}  {:>15.2} / {:>4.0}  {:.1}x time, {:.1}x memory",
                theirs.cpu,
                theirs.memory,
                theirs.cpu / both.ours.cpu.max(0.01),
                theirs.memory / both.ours.memory
            ),
            None => format!("{ours}  more than {} s", arguments.limit),
        })?;
    }
    Ok(())
}

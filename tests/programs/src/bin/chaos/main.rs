//! `make chaos SEED=… FAULTS=…`: a fleet that changes all the time, while everything around it fails. All choices come from
//! the seed; only the moments do not. In the end nothing may be missing, stuck, or have been deleted on the way.

mod changes;
mod fault;
mod fleet;
mod parts;
mod soak;
mod verdict;
mod watch;

use anyhow::{Context as _, Result};
use changes::Changes;
use clap::Parser;
use fleet::Fleet;
use parts::Parts;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Faults of every kind for a fleet on a control plane of its own.
#[derive(Parser)]
struct Arguments {
    /// What all choices come from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many faults.
    #[arg(long, default_value_t = 50)]
    faults: usize,
    /// Milliseconds between two faults: at least a quarter of this, at most twice as much.
    #[arg(long, default_value_t = 600)]
    pause: u64,
    /// Seconds after the last fault until everything must be as Git says.
    #[arg(long, default_value_t = 300)]
    settle: u64,
    /// Before the faults, so many minutes of changes without any, during which memory must not grow.
    #[arg(long, default_value_t = 0)]
    soak: u64,
    /// Where the logs of the controllers are put at the end; without it, they go.
    #[arg(long)]
    logs: Option<std::path::PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let begin = Instant::now();
    say(&format!("seed {}, {} faults: building a fleet", arguments.seed, arguments.faults));
    let fleet = Fleet::start().await?;
    let mut parts = Parts::start(&fleet, arguments.faults == 0).await?;
    let outcome = run(&arguments, &fleet, &mut parts).await;
    if let Some(folder) = &arguments.logs {
        parts.keep_logs(&fleet, folder).with_context(|| folder.display().to_string())?;
    }
    let problems = outcome?;
    for problem in &problems {
        say(&format!("PROBLEM: {problem}"));
    }
    say(&format!(
        "seed {}: {} faults, {} problems, {:.0} s",
        arguments.seed,
        arguments.faults,
        problems.len(),
        begin.elapsed().as_secs_f64()
    ));
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(arguments: &Arguments, fleet: &Fleet, parts: &mut Parts) -> Result<Vec<String>> {
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let mut changes = Changes::begin(fleet).await?;
    fleet.begin(parts).await?;
    let patience = Duration::from_secs(arguments.settle);
    verdict::settled(fleet, &changes, patience).await.context("before the first fault")?;
    let watch = watch::Watch::start(fleet, &changes).await?;
    watch.count(parts);
    let mut problems = Vec::new();
    if arguments.soak > 0 {
        let time = Duration::from_secs(60 * arguments.soak);
        problems = soak::soak(fleet, parts, &mut changes, &mut random, time).await?;
    }
    say("the fleet is up; now the faults");

    let begin = Instant::now();
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut healing: Vec<(usize, fault::Heal)> = Vec::new();
    for step in 1..=arguments.faults {
        let (due, later) = healing.into_iter().partition(|(when, _)| *when <= step);
        healing = later;
        for (_, heal) in due {
            fault::heal(heal, parts, fleet).await?;
        }
        let changed =
            if random.u8(..3) > 0 { changes.make(&mut random, fleet).await? } else { String::new() };
        let (name, what, heals) = fault::inject(&mut random, parts, fleet, &watch).await?;
        say(&format!("#{step:<4} {what}{changed}"));
        *counts.entry(name).or_default() += 1;
        healing.extend(heals.into_iter().map(|(steps, heal)| (step + steps, heal)));
        let pause = random.u64(arguments.pause / 4..=arguments.pause * 2);
        // Not a wait for something: these are the random moments.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        parts.revive(&watch)?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    say(&format!("{} faults in {seconds:.0} s; everything is mended now", arguments.faults));
    for (_, heal) in healing {
        fault::heal(heal, parts, fleet).await?;
    }
    parts.mend(fleet, &watch).await?;

    let calm = Instant::now();
    let last = changes.last(fleet).await?;
    match verdict::settled(fleet, &changes, patience).await {
        Ok(()) => say(&format!("all as Git says after {:.1} s", calm.elapsed().as_secs_f64())),
        Err(error) => problems.push(format!("{error:#}")),
    }
    problems.extend(verdict::no_release_is_stuck(fleet).await?);
    problems.extend(watch.end(fleet, &last).await?);
    problems.extend(parts.panics());
    for (name, count) in counts {
        say(&format!("{count:>5} x {name}"));
    }
    Ok(problems)
}

#[expect(clippy::print_stdout, reason = "the log of a program for people")]
fn say(text: &str) {
    println!("{text}");
}

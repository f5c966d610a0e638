//! `fuzz SECONDS [SEED [TARGET]]`: each target, or one, for so long.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use sluice_fuzz::{Finding, TARGETS, run};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let (seconds, first) = (number(0).unwrap_or(10), number(1).unwrap_or(1));
    let mut code = ExitCode::SUCCESS;
    for target in TARGETS.iter().filter(|target| words.get(2).is_none_or(|name| name == target.name)) {
        let started = Instant::now();
        let mut seed = first;
        let ended = loop {
            if started.elapsed() > Duration::from_secs(seconds) {
                break Ok(());
            }
            // A crash of the whole process, which nothing can catch, is found by the last number.
            if seed.is_multiple_of(1000) {
                say(&format!("{}: at seed {seed}", target.name));
            }
            match run(target, seed) {
                Ok(()) => seed += 1,
                Err(found) => break Err(found),
            }
        };
        match ended {
            Ok(()) => say(&format!("{}: {} inputs from seed {first}", target.name, seed - first)),
            Err(Finding { seed, problem, input }) => {
                say(&format!("{}: seed {seed} {problem}\n{}", target.name, input.escape_ascii()));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

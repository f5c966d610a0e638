//! `fuzz SECONDS [SEED [TARGET]]`: each target, or one, for so long; a line of report for each.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use sluice_fuzz::{TARGETS, campaign};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let (time, first) = (Duration::from_secs(number(0).unwrap_or(10)), number(1).unwrap_or(1));
    let mut code = ExitCode::SUCCESS;
    let mut out = std::io::stdout().lock();
    for target in TARGETS.iter().filter(|target| words.get(2).is_none_or(|name| name == target.name)) {
        drop(out);
        let outcome = campaign(target, time, first);
        out = std::io::stdout().lock();
        let _ = writeln!(out, "{outcome}");
        if outcome.finding.is_some() {
            code = ExitCode::FAILURE;
        }
    }
    code
}

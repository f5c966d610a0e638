//! The figures, for people and for tools.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

use crate::subject::Subject;
use serde::Serialize;
use sluice_programs::flux;
use sluice_tests::Usage;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, stderr};

/// What one phase took.
#[derive(Serialize)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    /// Seconds of CPU by controller.
    pub(crate) cpu: BTreeMap<&'static str, f64>,
    /// Seconds of CPU of the whole control plane.
    pub(crate) plane_cpu: f64,
}

/// A controller that has nothing to do.
#[derive(Serialize)]
pub(crate) struct Idle {
    resident: u64,
}

impl Idle {
    pub(crate) fn of(usage: Usage) -> Self {
        Self { resident: usage.resident }
    }
}

/// All of a run.
#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(skip)]
    subject: Subject,
    count: usize,
    cores: usize,
    idle: BTreeMap<&'static str, Idle>,
    phases: Vec<Phase>,
    /// The most memory by controller, in bytes.
    peak: BTreeMap<&'static str, u64>,
    /// Seconds for the same objects created directly.
    limit: Option<f64>,
}

impl Report {
    pub(crate) fn new(
        subject: Subject,
        count: usize,
        idle: BTreeMap<&'static str, Idle>,
        phases: Vec<Phase>,
        peak: BTreeMap<&'static str, u64>,
        limit: Option<f64>,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { subject, count, cores, idle, phases, peak, limit }
    }

    pub(crate) fn print(&self) {
        let flux = flux::run(self.subject.kind_of_flux(), self.count);
        println!("{} {}, on {} cores", self.count, self.subject.title(), self.cores);
        println!();
        println!(
            "{:<10} {:>8} {:>8} {:>7}   {:>9} {:>9} {:>8} {:>7}   {:>13}",
            "", "seconds", "Flux", "faster", "source s", "applier s", "Flux s", "less", "control plane"
        );
        for (index, phase) in self.phases.iter().enumerate() {
            let own: f64 = phase.cpu.values().sum();
            // What comes after the third phase is that phase once more.
            let theirs = flux.map(|flux| flux.phases[index.min(2)]);
            let figure = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.1}"));
            let times = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.1}x"));
            println!(
                "{:<10} {:>8.1} {:>8} {:>7}   {:>9.2} {:>9.2} {:>8} {:>7}   {:>11.1} s",
                phase.name,
                phase.seconds,
                figure(theirs.map(|(seconds, _)| seconds)),
                times(theirs.map(|(seconds, _)| seconds / phase.seconds)),
                phase.cpu.get("source").copied().unwrap_or_default(),
                own - phase.cpu.get("source").copied().unwrap_or_default(),
                figure(theirs.map(|(_, cpu)| cpu)),
                times(theirs.map(|(_, cpu)| cpu / own.max(0.01))),
                phase.plane_cpu,
            );
        }
        if let Some(limit) = self.limit {
            println!(
                "{:<10} {limit:>8.1}   the same objects created directly, until every Deployment is available",
                "limit"
            );
        }
        println!();
        println!("{:<10} {:>9} {:>9} {:>10}", "MiB", "idle", "peak", "Flux peak");
        for (name, peak) in &self.peak {
            let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let theirs = flux.map(|flux| flux.peak[usize::from(*name == "source")]);
            println!(
                "{name:<10} {:>9.1} {:>9.1} {:>10}",
                mebibytes(self.idle.get(name).map_or(0, |idle| idle.resident)),
                mebibytes(*peak),
                theirs.map_or_else(|| "-".into(), |peak| peak.to_string()),
            );
        }
    }
}

/// What goes on, for a person who waits.
pub(crate) fn progress(what: &str) {
    if stderr().is_terminal() {
        eprintln!("… {what}");
    }
}

//! Mutated input for the engines: none of it may make them panic, hang or outgrow their limits.
//!
//! `make fuzz` runs each target for some seconds; `cargo test -p sluice-fuzz` a few hundred inputs of each. All
//! chance comes from a seed, so a failure is reproduced by its number. What may be guarded by no test here: that
//! results are right. That is what the comparisons with the reference tools are for.
//!
//! What a controller keeps to itself is fed by a test of its own, with [`campaign`] and [`check`].

mod campaign;
mod charts;
mod documents;
mod expressions;
mod git;
mod index;
mod mutate;
mod outside;
mod registry;
mod server;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

pub use campaign::{Campaign, campaign};
pub use targets::{TARGETS, Target};

/// One input may take no longer than this in a debug build.
const SLOWEST: Duration = Duration::from_secs(30);

/// An input that an engine does not bear.
#[derive(Debug)]
pub struct Finding {
    /// What makes it again.
    pub seed: u64,
    /// What happened.
    pub problem: String,
    /// The input.
    pub input: Vec<u8>,
}

/// The input that a seed stands for.
pub fn input(target: &Target, seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let seeds = (target.seeds)();
    let mut bytes = seeds[rng.usize(..seeds.len())].clone();
    for _ in 0..rng.usize(1..=6) {
        mutate::once(&mut rng, &mut bytes, &seeds, target.words);
    }
    bytes
}

/// Runs one input.
pub fn run(target: &Target, seed: u64) -> Result<(), Finding> {
    let input = input(target, seed);
    let started = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
    let problem = match ended {
        Err(_) => "panics".to_owned(),
        Ok(()) if started.elapsed() > SLOWEST => format!("takes {:?}", started.elapsed()),
        Ok(()) => return Ok(()),
    };
    Err(Finding { seed, problem, input })
}

/// Runs the first few hundred inputs, and panics at one that the target does not bear.
pub fn check(target: &Target) {
    for seed in 0..300 {
        let found = run(target, seed).err();
        let text = found.map(|Finding { problem, input, .. }| format!("{problem}\n{}", input.escape_ascii()));
        assert!(text.is_none(), "{}, seed {seed}: {}", target.name, text.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str) {
        super::check(TARGETS.iter().find(|target| target.name == name).expect("a target"));
    }

    #[test]
    fn the_template_parser_bears_anything() {
        check("template-parser");
    }

    #[test]
    fn the_template_executor_bears_anything() {
        check("template-executor");
    }

    #[test]
    fn the_archive_reader_bears_anything() {
        check("chart-archive");
    }

    #[test]
    fn kustomize_bears_anything() {
        check("kustomize");
    }

    #[test]
    fn yaml_bears_anything() {
        check("yaml");
    }

    #[test]
    fn artifacts_variables_and_patterns_bear_anything() {
        check("artifact");
        check("envsubst");
        check("ignore");
    }

    #[test]
    fn secrets_registries_and_markers_bear_anything() {
        check("sops");
        check("registry");
        check("image-markers");
    }

    #[test]
    fn answers_of_git_servers_and_registries_are_borne() {
        for name in ["git-listing", "git-fetch", "git-pack", "registry-answers"] {
            check(name);
        }
    }

    #[test]
    fn expressions_values_and_indexes_bear_anything() {
        for name in ["cel", "patterns", "set-values", "helm-index"] {
            check(name);
        }
    }

    #[test]
    fn a_seed_always_stands_for_the_same_input() {
        for target in TARGETS {
            assert_eq!(input(target, 7), input(target, 7), "{}", target.name);
            assert_ne!(input(target, 7), input(target, 8), "{}", target.name);
        }
    }
}

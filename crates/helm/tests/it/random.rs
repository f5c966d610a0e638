//! Random charts of nested subcharts, rendered by both.
//!
//! `SLUICE_SEED` is the first seed and `SLUICE_CASES` the number of seeds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::charts::{Case, outcome};
use crate::random_chart::random_case;
use crate::reference::helm_template;

/// How often helm is asked again where both differ: it walks maps in random order, and charts see that.
const AGAIN: usize = 12;

const SET: &str = "set";

fn theirs(case: &Case) -> String {
    helm_template(case, &case.sets[SET])
}

fn ours(case: &Case) -> String {
    outcome(case, &case.sets[SET])
}

/// What both print, if helm never prints what we do.
fn difference(case: &Case) -> Option<(String, String)> {
    let mine = ours(case);
    let first = theirs(case);
    if mine == first || (0..AGAIN).any(|_| theirs(case) == mine) {
        return None;
    }
    // Helm walks more than one map: where it is not sure itself, there is no answer to compare with.
    (0..AGAIN).all(|_| theirs(case) == first).then_some((mine, first))
}

/// The case without one line, for each line of each file.
fn smaller(case: &Case) -> impl Iterator<Item = Case> {
    let copy = |files: Vec<(String, String)>, set: String| Case {
        name: case.name.clone(),
        files,
        sets: BTreeMap::from([(SET.to_owned(), set)]),
    };
    let without = |text: &str, line: usize| -> String {
        text.split_inclusive('\n').enumerate().filter(|(at, _)| *at != line).map(|(_, text)| text).collect()
    };
    let files = (0..case.files.len()).map(move |file| {
        let mut files = case.files.clone();
        files.remove(file);
        copy(files, case.sets[SET].clone())
    });
    let lines = case.files.iter().enumerate().flat_map(move |(file, (_, text))| {
        (0..text.lines().count()).map(move |line| {
            let mut files = case.files.clone();
            files[file].1 = without(text, line);
            copy(files, case.sets[SET].clone())
        })
    });
    let set = &case.sets[SET];
    let sets = (0..set.lines().count()).map(move |line| copy(case.files.clone(), without(set, line)));
    files.chain(lines).chain(sets)
}

fn shrink(mut case: Case) -> Case {
    loop {
        let found = smaller(&case).find(|smaller| difference(smaller).is_some());
        match found {
            Some(smaller) => case = smaller,
            None => return case,
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_subcharts_render_as_helm_renders_them() {
    let (first, count) = (number("SLUICE_SEED", 1), number("SLUICE_CASES", 12));
    let next = AtomicU64::new(first);
    let failures = Mutex::new(Vec::new());
    let good = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let case = random_case(seed);
                    if difference(&case).is_none() {
                        let failed = ours(&case).starts_with("Error: ");
                        good.fetch_add(u64::from(!failed), Ordering::Relaxed);
                        continue;
                    }
                    let mut failures = failures.lock().expect("no panic");
                    // Shrinking takes many runs of helm, so only the first is made small.
                    let case = if failures.is_empty() { shrink(case) } else { case };
                    failures.push((seed, case));
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    for (seed, case) in &failures {
        println!("##### seed {seed}");
        if failures.first().is_some_and(|(first, _)| first == seed) {
            for (path, text) in &case.files {
                println!("=== {path}\n{text}");
            }
            println!("=== set\n{}", case.sets[SET]);
            println!("=== ours\n{}\n=== helm's\n{}", ours(case), theirs(case));
        }
    }
    let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
    assert!(seeds.is_empty(), "{} of {count} charts differ: seeds {seeds:?}", seeds.len());
    println!("{} of {count} charts render, the others are refused", good.into_inner());
}

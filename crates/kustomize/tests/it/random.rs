//! Random overlays, built by both.
//!
//! `SLUICE_SEED` is the first seed and `SLUICE_CASES` the number of seeds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::overlay::Tree;
use crate::{Built, compare, ours, theirs};

/// A tree like this one that builds, because parts of it are left out.
fn repaired(mut tree: Tree, seed: u64) -> Option<Tree> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..40 {
        if ours(&tree.files()).is_ok() {
            return Some(tree);
        }
        let mut candidates = tree.smaller();
        if candidates.is_empty() {
            return None;
        }
        let chosen = candidates.iter().position(|smaller| ours(&smaller.files()).is_ok());
        tree = candidates.swap_remove(chosen.unwrap_or_else(|| rng.usize(..candidates.len())));
    }
    None
}

/// Leaves out what can be left out while the two still differ.
fn shrink(mut tree: Tree, differs: impl Fn(&Tree) -> bool) -> Tree {
    loop {
        let smaller = tree.smaller().into_iter().find(|smaller| differs(smaller));
        match smaller {
            Some(smaller) => tree = smaller,
            None => return tree,
        }
    }
}

/// What the reference builds, and we refuse: the name suffix of a generated object whose kind a patch has changed is
/// a hash of the reference's own memory layout.
fn is_refused(actual: &Built) -> bool {
    matches!(actual, Err(error) if error.contains("a name suffix hash is supported for ConfigMap and Secret only"))
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn builds_random_overlays_as_kustomize_does() {
    let kustomize = sluice_reference::tool("kustomize");
    let (first, count) = (number("SLUICE_SEED", 1), number("SLUICE_CASES", 60));
    let next = AtomicU64::new(first);
    let refused = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || failures.lock().expect("no panic").len() >= 5 {
                        return;
                    }
                    let mut tree = Tree::random(seed);
                    // What does not build is compared in one of four cases, and otherwise made to build.
                    if !seed.is_multiple_of(4) {
                        tree = repaired(tree, seed).unwrap_or_else(|| Tree::random(seed));
                    }
                    let files = tree.files();
                    let expected = theirs(&kustomize, &files);
                    refused.fetch_add(u64::from(expected.is_err()), Ordering::Relaxed);
                    let actual = ours(&files);
                    if compare(&expected, &actual).is_none() || is_refused(&actual) {
                        continue;
                    }
                    eprintln!("seed {seed} differs");
                    let kind = |tree: &Tree| {
                        let files = tree.files();
                        let (one, two) = (theirs(&kustomize, &files), ours(&files));
                        compare(&one, &two).map(|text| ((one.is_ok(), two.is_ok()), text))
                    };
                    let class = kind(&tree).map(|(class, _)| class);
                    let tree = shrink(tree, |tree| kind(tree).map(|(class, _)| class) == class);
                    let text = kind(&tree).map(|(_, text)| text).unwrap_or_default();
                    let mut listing = String::new();
                    for (path, content) in tree.files() {
                        listing.push_str(&format!("=== {path}\n{content}"));
                    }
                    failures
                        .lock()
                        .expect("no panic")
                        .push(format!("seed {seed}: {text}\n### seed {seed}\n{listing}"));
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    eprintln!("{count} overlays from seed {first}, {} refused by both", refused.into_inner());
    assert!(failures.is_empty(), "{} overlays differ:\n{}", failures.len(), failures.join("\n"));
}

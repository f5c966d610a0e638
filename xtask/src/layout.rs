//! Where the linker puts what a build of an overlay runs.
//!
//! The kernel maps a program in pieces of 64 KiB, and a function that runs brings the piece around it into memory. A build
//! runs a twelfth of the command line; unordered, it lies so far apart that most of the program comes in. So the linker is
//! told to put what runs side by side, by names in which what changes from build to build is left open. A name that is gone
//! does no harm, and what is new lies with the rest until the list is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::{Object as _, ObjectSymbol as _};

/// What the kernel maps at once.
const PIECE: u64 = 64 << 10;

const HEAD: &str = "\
/* What `sluice kustomize build` runs, side by side in memory: see xtask/src/layout.rs. Made by `cargo xtask layout`. */
SECTIONS { .text.build : {
";

/// Makes the list from a program with its symbols and what callgrind saw it run.
pub(crate) fn write(root: &Path, program: &Path, profile: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let file = object::File::parse(bytes.as_slice()).context("this is no program")?;
    let sizes: BTreeMap<&str, u64> = file
        .symbols()
        .filter(|symbol| symbol.is_definition())
        .filter_map(|symbol| Some((symbol.name().ok()?, symbol.size())))
        .collect();
    let text = fs::read_to_string(profile).with_context(|| format!("cannot read {}", profile.display()))?;
    let script = script(&sizes, &run(&text));
    fs::write(root.join("cli/layout.ld"), script).context("cannot write cli/layout.ld")
}

/// The names of the functions that ran, as callgrind writes them: `fn=(1) name`, with `'2` behind calls of itself.
fn run(profile: &str) -> Vec<&str> {
    let names = profile.lines().filter_map(|line| {
        let (key, value) = line.split_once("=(")?;
        let name = value.split_once(") ")?.1;
        matches!(key, "fn" | "cfn").then(|| name.split('\'').next().unwrap_or(name))
    });
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

fn script(sizes: &BTreeMap<&str, u64>, run: &[&str]) -> String {
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    for (name, size) in sizes {
        if let Some(pattern) = pattern(name) {
            *totals.entry(pattern).or_default() += size;
        }
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut order = Vec::new();
    for pattern in run.iter().filter(|name| sizes.contains_key(*name)).filter_map(|name| pattern(name)) {
        let count = counts.entry(pattern.clone()).or_default();
        if *count == 0 {
            order.push(pattern);
        }
        *count += 1;
    }
    let mut script = HEAD.to_owned();
    for pattern in order {
        // A function with hundreds of forms, of which few run, would cost more here than where it lies.
        if totals[&pattern] <= counts[&pattern] * PIECE {
            let _ = writeln!(script, "*(.text.{pattern} .text.unlikely.{pattern})");
        }
    }
    script + "} } INSERT BEFORE .text;\n"
}

/// The name of a Rust function with its hashes left open; nothing for others.
pub(crate) fn pattern(name: &str) -> Option<String> {
    const HASH: &str = "17h";
    if name.starts_with("_ZN") {
        return name.rfind(HASH).map(|at| format!("{}*", &name[..at + HASH.len()]));
    }
    let rest = name.strip_prefix("_R")?;
    // In the newer form crates are `Cs` and a number, and what was named before is `B` and where; both end with `_`.
    let mut out = String::from("_R");
    let mut bytes = rest.char_indices();
    while let Some((at, character)) = bytes.next() {
        out.push(character);
        let from = match (character, &rest[at + 1..]) {
            ('C', tail) if tail.starts_with('s') => "s".len(),
            ('B', _) => 0,
            _ => continue,
        };
        let number = &rest[at + 1 + from..];
        let length = number.find(|digit: char| !digit.is_ascii_alphanumeric()).unwrap_or(number.len());
        let longest = if character == 'C' { 13 } else { 3 };
        if number[length..].starts_with('_') && length <= longest {
            out.push_str(&rest[at + 1..at + 1 + from]);
            out.push_str("*_");
            bytes = rest.char_indices();
            bytes.nth(at + from + length + 1);
        }
    }
    // Behind a dot the compiler numbers what it has split or merged.
    Some(out.split('.').next().unwrap_or(&out).to_owned() + "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_left_open() {
        let legacy = "_ZN11sluice_yaml4read10read_first17h0123456789abcdefE.llvm.42";
        assert_eq!(pattern(legacy).unwrap(), "_ZN11sluice_yaml4read10read_first17h*");
        let newer = "_RNvMs16_NtCsjrHSEGnQ3l9_3std4pathNtB6_4Path6exists";
        assert_eq!(pattern(newer).unwrap(), "_RNvMs16_NtCs*_3std4pathNtB*_4Path6exists*");
        assert_eq!(pattern("_RNvCs1_1a1b.7").unwrap(), "_RNvCs*_1a1b*");
        assert_eq!(pattern("memcpy"), None);
    }

    #[test]
    fn what_runs_is_listed_unless_its_other_forms_are_too_large() {
        let profile = "fn=(1) _ZN1a17h0E\ncfn=(2) _ZN1b17h0E'2\nfn=(1)\ncfn=(3) memcpy\nfn=(4) _ZN1d17h0E\n";
        let sizes = [("_ZN1a17h0E", 10), ("_ZN1a17h1E", 70_000), ("_ZN1b17h0E", 10), ("memcpy", 5)].into();
        let script = script(&sizes, &run(profile));
        let lines: Vec<&str> = script.lines().filter(|line| line.starts_with("*(")).collect();
        assert_eq!(lines, ["*(.text._ZN1b17h* .text.unlikely._ZN1b17h*)"]);
    }
}

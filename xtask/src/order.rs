//! `cargo xtask order`: which functions of a program run, in the order in which they first do, from what callgrind
//! recorded. `link.rs` puts them beside each other in the program.

use std::collections::{HashMap, hash_map};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

const HEAD: &str = "\
# The functions that run in ordinary work, in the order in which they first do: for ../xtask/link.rs. Written by
# `cargo xtask order`, see docs/benchmarks.md. Each name is followed by the beginnings of the hashes of those that ran.
";
/// So much of a hash tells functions of one name apart.
const HASH: usize = 4;

/// Functions by name, each with its hashes.
#[derive(Default)]
struct Order {
    functions: Vec<(String, Vec<String>)>,
    index: HashMap<String, usize>,
}

impl Order {
    /// Takes the functions of a recording that are not known yet.
    fn read(&mut self, recording: &str) {
        for symbol in recording.lines().filter_map(|line| line.strip_prefix("fn=")) {
            let Some((name, hash)) = split(symbol) else { continue };
            let at = match self.index.entry(name.clone()) {
                hash_map::Entry::Occupied(known) => *known.get(),
                hash_map::Entry::Vacant(new) => {
                    self.functions.push((name, Vec::new()));
                    *new.insert(self.functions.len() - 1)
                }
            };
            let hashes = &mut self.functions[at].1;
            if let Some(hash) = hash
                && !hashes.iter().any(|known| known == hash)
            {
                hashes.push(hash.to_owned());
            }
        }
    }

    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, hashes) in &self.functions {
            let words: Vec<&str> =
                std::iter::once(name.as_str()).chain(hashes.iter().map(String::as_str)).collect();
            let _ = writeln!(text, "{}", words.join(" "));
        }
        text
    }
}

/// The name, in which numbers of the compiler are left open, and the beginning of the hash, where there is one. `None`: not
/// a function of Rust, or a part of one.
fn split(symbol: &str) -> Option<(String, Option<&str>)> {
    // callgrind numbers calls of a function by itself.
    let symbol = symbol.split('\'').next()?;
    let pattern = pattern(symbol)?;
    let name = pattern.strip_suffix('*')?;
    let Some(name) = name.strip_suffix("17h").filter(|_| symbol.starts_with("_ZN")) else {
        return Some((name.to_owned(), None));
    };
    let hash = symbol.get(name.len() + 3..)?;
    Some((name.to_owned(), Some(hash.get(..HASH)?)))
}

/// The name of a Rust function with its hashes left open; nothing for others.
fn pattern(name: &str) -> Option<String> {
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

/// Which part of a recording a file is: callgrind numbers them. Those of several runs are taken in turns, so that what runs
/// at a start is together.
fn part(file: &Path) -> u32 {
    let number = file.extension().and_then(|number| number.to_str()?.parse().ok());
    number.unwrap_or(u32::MAX)
}

/// Writes `order.txt` into the folder of a program's package.
pub(crate) fn write(root: &Path, package: &str, mut files: Vec<PathBuf>) -> Result<()> {
    files.sort_by_key(|file| part(file));
    let mut order = Order::default();
    for file in files {
        order.read(&std::fs::read_to_string(&file).with_context(|| file.display().to_string())?);
    }
    ensure!(!order.functions.is_empty(), "no functions of Rust in it: were symbols stripped or demangled?");
    let path = root.join(package).join("order.txt");
    std::fs::write(&path, order.text()).with_context(|| path.display().to_string())
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
    fn functions_are_told_by_name_and_hash_and_keep_their_order() {
        let mut order = Order::default();
        order.read("ob=/x\nfn=_ZN4core3fmt17h0123456789abcdefE\n1 2\nfn=malloc\nfn=_RNvCs1_3std2rt.12\ncfn=_ZN1a1b17h0000E\n");
        order.read("fn=_ZN4core3fmt17hfedc456789abcdefE'2\nfn=_ZN4core3fmt17h0123456789abcdefE.llvm.7\nfn=_RNvCs1_3std2rt\n");
        let text = order.text();
        assert_eq!(text.strip_prefix(HEAD), Some("_ZN4core3fmt 0123 fedc\n_RNvCs*_3std2rt\n"));
    }

    #[test]
    fn parts_of_several_runs_are_taken_in_turns() {
        let mut files: Vec<PathBuf> = ["cg.7", "cg.9.10", "cg.9.2", "cg.7.2"].map(PathBuf::from).into();
        files[0] = PathBuf::from("cg");
        files.sort_by_key(|file| part(file));
        assert_eq!(files, ["cg.9.2", "cg.7.2", "cg.9.10", "cg"].map(PathBuf::from));
    }
}

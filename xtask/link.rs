//! Build script of the programs that run in a cluster: how they are linked.
//!
//! A program that may be loaded anywhere carries a list of the places to mend when it is. Packed, that list takes a
//! twentieth: half a megabyte less on disk and in memory. Loaders know the form since glibc 2.36; linkers that do not
//! know it ignore the flag.
//!
//! A third of a program's code runs in ordinary work. The kernel maps code in pieces of 64 KiB, so what runs is put
//! beside each other: four megabytes less in memory. `order.txt` in the package's folder names it. The command line's
//! build script uses this part too.

#![allow(
    clippy::print_stdout,
    reason = "this is how build scripts speak to cargo; clippy knows some of them as such"
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

/// What runs, in the package's folder.
const ORDER: &str = "order.txt";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=../xtask/link.rs");
    if is_linux_with_glibc() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    order()
}

/// Whether the program is for a system whose loader and linkers are known here.
pub(crate) fn is_linux_with_glibc() -> bool {
    variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu"
}

/// Has the functions that run put beside each other.
pub(crate) fn order() -> io::Result<()> {
    println!("cargo::rerun-if-changed={ORDER}");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    if is_ordered() && fs::exists(ORDER)? {
        let script = PathBuf::from(variable("OUT_DIR")).join("order.ld");
        fs::write(&script, link_script(&fs::read_to_string(ORDER)?))?;
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
    Ok(())
}

/// Whether the order of functions matters, and the linker is the compiler's own: others may not know how to add to their
/// layout, and take long for so many names.
fn is_ordered() -> bool {
    is_linux_with_glibc()
        && variable("PROFILE") == "release"
        && variable("CARGO_CFG_TARGET_ARCH") == "x86_64"
        && !["fuse-ld", "linker"].iter().any(|word| variable("CARGO_ENCODED_RUSTFLAGS").contains(word))
        && env::vars().all(|(name, _)| !(name.starts_with("CARGO_TARGET_") && name.ends_with("_LINKER")))
}

/// Puts functions of these names before all others, those with one of these hashes first. Hashes are others with each
/// version of the compiler and of a package; then the names alone put a little more there than what runs.
fn link_script(order: &str) -> String {
    let functions: Vec<(&str, Vec<&str>)> = order
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            Some((words.next()?, words.collect()))
        })
        .collect();
    let mut script = "SECTIONS\n{\n  .text.often :\n  {\n".to_owned();
    let mut put = |symbol: &str| {
        // What is cold to the compiler is in a section of another name.
        let _ = writeln!(script, "    *(.text.{symbol}* .text.unlikely.{symbol}*)");
    };
    for (name, hashes) in &functions {
        if hashes.is_empty() {
            put(name);
        }
        for hash in hashes {
            put(&format!("{name}17h{hash}"));
        }
    }
    for (name, _) in functions.iter().filter(|(_, hashes)| !hashes.is_empty()) {
        put(&format!("{name}17h"));
    }
    script.push_str("  }\n}\nINSERT BEFORE .text;\n");
    script
}

/// A variable that cargo sets; empty where it does not.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

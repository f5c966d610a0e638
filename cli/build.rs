//! Puts the chart into the program, so that `sluice install` needs no network, and says how the program is linked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[path = "../xtask/link.rs"]
#[expect(dead_code, reason = "the rest is of the controllers, which are position-independent")]
mod linking;

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    link()?;
    let chart = manifest.join("../charts/sluice").canonicalize()?;
    println!("cargo::rerun-if-changed={}", chart.display());
    let mut files = Vec::new();
    collect(&chart, &mut files)?;
    files.sort();
    let mut code = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&chart).unwrap_or(file).display().to_string();
        let _ =
            writeln!(code, "    ({name:?}, include_bytes!({:?}).as_slice()),", file.display().to_string());
    }
    code.push(']');
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("chart.rs");
    fs::write(target, code)
}

/// On Linux the program has a fixed place in memory, as Go's command lines have: otherwise the loader mends 26,000 addresses
/// at each start, which takes a megabyte of memory. Linkers of other systems refuse the flag or ignore it, and programs that
/// are linked statically (musl) bring their own start code.
fn link() -> io::Result<()> {
    println!("cargo::rerun-if-changed=../xtask/link.rs");
    if linking::is_linux_with_glibc() {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
    linking::order()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

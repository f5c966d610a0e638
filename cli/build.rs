//! Puts the chart into the program, so that `sluice install` needs no network, and says how the program is linked.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    link(&manifest);
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
/// at each start, which takes a megabyte of memory. And what a build of an overlay runs lies side by side, which takes three
/// more. Linkers of other systems refuse the flags or ignore them, and programs that are linked statically (musl) bring
/// their own start code; so this is for glibc, and the list for the machines where rustc brings the linker.
fn link(manifest: &Path) {
    let variable = |key: &str| env::var(key).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") != "linux" || variable("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-no-pie");
    let layout = manifest.join("layout.ld");
    println!("cargo::rerun-if-changed={}", layout.display());
    if variable("CARGO_CFG_TARGET_ARCH") == "x86_64" && variable("PROFILE") == "release" {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", layout.display());
    }
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

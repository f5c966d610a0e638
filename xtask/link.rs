//! Build script of the programs that run in a cluster: how they are linked.
//!
//! A program that may be loaded anywhere carries a list of the places to mend when it is. Packed, that list takes a
//! twentieth: half a megabyte less on disk and in memory. Loaders know the form since glibc 2.36; linkers that do not
//! know it ignore the flag.

#![expect(clippy::print_stdout, reason = "this is how build scripts speak to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=../xtask/link.rs");
    let target = |key: &str| std::env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

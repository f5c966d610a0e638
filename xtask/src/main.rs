//! Makes files from code: `cargo xtask generate` writes them, `cargo xtask verify` fails where one is out of date; and
//! images of the programs: `cargo xtask image`. `cargo xtask order` notes which functions of a program run.

mod generate;
mod image;
mod order;
mod reference;
mod yaml;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser as _;

const USAGE: &str = "usage: cargo xtask <generate|verify|image|order>

generate  writes the files that are made from code
verify    fails, naming the files, where one of them is out of date
image     makes images of the programs and pushes them or writes them to files; see cargo xtask image --help
order     writes FOLDER/order.txt: cargo xtask order FOLDER FILE..., the folder of a program's package and files that
          callgrind wrote of its release build with symbols (see docs/benchmarks.md)";

#[expect(clippy::print_stderr, reason = "this is a command line")]
fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = root.parent().context("the crate lies in the repository")?;
    let first = arguments.next();
    if first.as_deref() == Some("image") {
        let words = std::iter::once("image".to_owned()).chain(arguments);
        return image::run(image::Arguments::parse_from(words));
    }
    if first.as_deref() == Some("order") {
        let package = arguments.next().context(USAGE)?;
        return order::write(root, &package, arguments.map(PathBuf::from).collect());
    }
    match (first.as_deref(), arguments.next()) {
        (Some("generate"), None) => generate::write(root),
        (Some("verify"), None) => generate::verify(root),
        _ => bail!("{USAGE}"),
    }
}

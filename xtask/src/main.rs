//! Makes files from code: `cargo xtask generate` writes them, `cargo xtask verify` fails where one is out of date.

mod generate;
mod reference;
mod yaml;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask <generate|verify>

generate  writes the files that are made from code
verify    fails, naming the files, where one of them is out of date";

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
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("generate"), None) => generate::write(root),
        (Some("verify"), None) => generate::verify(root),
        _ => bail!("{USAGE}"),
    }
}

//! `kustomize build` for comparisons: `build [--none] [--flux] DIR`.

use std::io::Write;

use sluice_kustomize::{DiskFileSystem, LoadRestriction, Options, Reorder, build_with_warnings};

fn main() -> std::process::ExitCode {
    let mut options = Options::cli();
    let mut target = String::from(".");
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--none" => options.reorder = Reorder::None,
            "--flux" => options = Options::flux(),
            "--unrestricted" => options.load_restriction = LoadRestriction::None,
            other => other.clone_into(&mut target),
        }
    }
    let mut warnings = Vec::new();
    let result = build_with_warnings(&DiskFileSystem::new(), None, &target, &options, &mut warnings)
        .and_then(|output| output.to_yaml());
    for warning in warnings {
        let _ = writeln!(std::io::stderr(), "{warning}");
    }
    match result {
        Ok(text) => {
            let written = std::io::stdout().lock().write_all(text.as_bytes());
            if written.is_ok() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "Error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

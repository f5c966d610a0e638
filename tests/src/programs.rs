//! The programs that the harness runs: built on first use, never twice at the same time.

use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The root of the clone.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The multi-call program of the control plane: some minutes when it is not in the cache.
pub(crate) fn control_plane() -> Result<PathBuf> {
    build_script("program")
}

/// The parent of the control plane's processes.
pub(crate) fn supervisor() -> Result<PathBuf> {
    build_script("supervisor")
}

fn build_script(part: &str) -> Result<PathBuf> {
    let script = workspace().join("tests/controlplane/build.sh");
    sluice_reference::printed_path(
        Command::new(script).arg(part),
        &format!("the test control plane's {part}"),
    )
    .map_err(|message| anyhow!(message))
}

/// Where our own binaries are, by name. They are built once per process, unless `SLUICE_BIN_DIR` names a folder that
/// has them; `SLUICE_TEST_PROFILE` chooses the cargo profile (`dev` when not set).
///
/// A test cannot depend on the binary of another package, so cargo is asked here. It knows when nothing is to do.
pub fn binaries() -> Result<&'static BTreeMap<String, PathBuf>> {
    static BINARIES: OnceLock<Result<BTreeMap<String, PathBuf>, String>> = OnceLock::new();
    BINARIES
        .get_or_init(|| find_binaries().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|message| anyhow!(message.clone()))
}

/// The names of all controllers.
pub const CONTROLLERS: [&str; 5] = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
    "image-controller",
];

/// The packages whose binaries the cases run.
fn packages() -> impl Iterator<Item = &'static str> {
    CONTROLLERS.into_iter().chain(["sluice"])
}

fn find_binaries() -> Result<BTreeMap<String, PathBuf>> {
    if let Some(folder) = env::var_os("SLUICE_BIN_DIR") {
        let folder = PathBuf::from(folder);
        let paths = packages().map(|name| (String::from(name), folder.join(name)));
        return Ok(paths.filter(|(_, path)| path.is_file()).collect());
    }
    let profile = env::var("SLUICE_TEST_PROFILE").unwrap_or_else(|_| "dev".into());
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args(["build", "--bins", "--message-format=json-render-diagnostics"]);
    cargo.args(["--profile", &profile]);
    for package in packages() {
        cargo.args(["--package", package]);
    }
    let output =
        cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("the binaries under test do not build; try: cargo build --workspace --bins");
    }
    let messages = String::from_utf8(output.stdout)?;
    Ok(messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| {
            let path = message["executable"].as_str()?;
            Some((String::from(message["target"]["name"].as_str()?), PathBuf::from(path)))
        })
        .collect())
}

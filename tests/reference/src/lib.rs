//! The reference tools that tests compare with and the servers they run, at pinned versions.
//!
//! `tests/tools/tools.txt` is the list. A tool is built on first use into a cache outside the clone
//! (`${SLUICE_CACHE:-$HOME/.cache/sluice}/tools`), which takes Go and up to some minutes; afterwards it is there at once.
//! For dev-dependencies only: nothing that ships may call it.

pub mod exchange;
pub mod notation;
pub mod sigstore;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The path of the tool `name`, which is built if it is not there yet.
///
/// # Panics
///
/// When the tool is not in the table or cannot be built: the message names the command to try by hand.
pub fn tool(name: &str) -> PathBuf {
    match try_tool(name) {
        Ok(path) => path,
        Err(message) => unavailable(&message),
    }
}

/// Like [`tool`], for callers that have something better to do than to panic.
pub fn try_tool(name: &str) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("tools").join("install.sh");
    printed_path(Command::new(&script).arg(name), &format!("reference tool {name:?}"))
}

/// Runs a build script that prints the path of the file it has made, and returns that path.
/// `what` names the thing in an error.
pub fn printed_path(command: &mut Command, what: &str) -> Result<PathBuf, String> {
    let line = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("{what} is not available: {line} cannot be run: {error}"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let path = PathBuf::from(printed.trim());
    if output.status.success() && path.is_file() {
        return Ok(path);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{what} is not available; try by hand: {line}\n{status}: {}",
        said.trim(),
        status = output.status
    ))
}

#[expect(clippy::panic, reason = "a test that lacks its oracle must fail loudly, and says what to do")]
fn unavailable(message: &str) -> ! {
    panic!("{message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_tool_is_refused_with_the_list_of_those_that_exist() {
        let message = try_tool("no-such-tool").unwrap_err();
        assert!(message.contains("no tool named"), "{message}");
        assert!(message.contains("kustomize"), "{message}");
    }

    #[test]
    fn a_script_that_prints_no_file_is_an_error_with_its_complaint() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo /nowhere; echo out of disk >&2; exit 3"]);
        let message = printed_path(&mut command, "thing").unwrap_err();
        assert!(message.contains("thing is not available") && message.contains("out of disk"), "{message}");
    }
}

//! The real helm, for making expectations.

use std::fs;
use std::process::Command;

use crate::charts::{Case, arguments};

/// What helm prints for a chart and a set of values; its message if it fails.
pub(crate) fn helm_template(case: &Case, set: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let chart = folder.path().join("chart");
    for (name, content) in &case.files {
        let path = chart.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    let values = folder.path().join("set.yaml");
    fs::write(&values, set).expect("a file");
    let mut command = Command::new(sluice_reference::tool("helm"));
    command.arg("template").arg("rel").arg(&chart).args(["--namespace", "ns", "--include-crds"]);
    if !set.is_empty() {
        command.arg("-f").arg(&values);
    }
    let output = command.args(arguments(set)).output().expect("helm runs");
    if output.status.success() {
        return String::from_utf8(output.stdout).expect("UTF-8");
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let message = text.find("Error: ").map_or(&*text, |start| &text[start..]);
    format!("{}\n", message.trim_end())
}

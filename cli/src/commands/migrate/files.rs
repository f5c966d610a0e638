//! Manifests in files: only the text of the version is changed, so that comments and layout stay.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::MigrateArgs;
use crate::app::App;
use crate::commands::delete::confirmed;
use crate::kinds::{KINDS, Kind};

/// A line to change.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    /// Counted from 0.
    line: usize,
    kind: &'static str,
    old: String,
    new: String,
}

pub(super) fn run(app: &App, path: &Path, args: &MigrateArgs) -> Result<()> {
    let minor = minor(&args.version)?;
    let root = std::env::current_dir().context("the working directory cannot be found")?.canonicalize()?;
    let place = path.canonicalize().with_context(|| format!("{} cannot be read", path.display()))?;
    if !place.starts_with(&root) {
        bail!("{} is outside of the working directory", path.display());
    }
    let mut files = Vec::new();
    collect(&place, &args.extensions, &mut files)?;
    files.sort();
    let mut changed = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let changes = changes(&text, minor);
        let shown = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        for change in &changes {
            let Change { line, kind, old, new } = change;
            app.output.generate(&format!("{shown}:{}: {kind} {old} -> {new}", line + 1));
        }
        if !changes.is_empty() {
            changed.push((file, apply(&text, &changes)));
        }
    }
    if changed.is_empty() {
        app.output.success("no custom resources found that require migration");
        return Ok(());
    }
    if args.dry_run {
        return Ok(());
    }
    if !args.yes && !confirmed(app, "Are you sure you want to proceed with the above upgrades?") {
        bail!("aborting");
    }
    for (file, text) in changed {
        std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    app.output.success("custom resources migrated");
    Ok(())
}

fn minor(version: &str) -> Result<u32> {
    let minor = version.trim_start_matches('v').strip_prefix("2.").and_then(|rest| rest.parse().ok());
    match minor {
        Some(minor @ 6..=9) => Ok(minor),
        _ => bail!("version {version} is not supported, must be one of: 2.6, 2.7, 2.8, 2.9"),
    }
}

fn collect(path: &Path, extensions: &[String], files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if extensions.iter().any(|extension| name.ends_with(extension)) {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
    for entry in entries {
        let entry = entry?;
        // Links could lead out of the directory, or around in it.
        if !entry.file_type()?.is_symlink() && entry.file_name() != ".git" {
            collect(&entry.path(), extensions, files)?;
        }
    }
    Ok(())
}

/// The version that a release of Flux stores.
fn version(kind: &Kind, minor: u32) -> &'static str {
    if kind.group == "image.toolkit.fluxcd.io" && minor < 7 { "v1beta2" } else { kind.version }
}

/// `apiVersion: group/version` directly followed by `kind: Kind`, both at the same depth.
fn changes(text: &str, minor: u32) -> Vec<Change> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).enumerate();
    let found = pairs.filter_map(|(line, pair)| {
        let [first, second] = pair else { return None };
        let (indent, value) = first.split_once("apiVersion:")?;
        let (kind_indent, kind) = second.split_once("kind:")?;
        let columns = |indent: &str| indent.chars().all(|c| c == ' ' || c == '-').then_some(indent.len());
        if columns(indent)? != columns(kind_indent)? {
            return None;
        }
        let word = |text: &str| {
            let text = text.split(" #").next().unwrap_or(text).trim();
            text.trim_matches(['"', '\'']).to_owned()
        };
        let (old, kind) = (word(value), word(kind));
        let kind = KINDS.into_iter().find(|known| known.kind == kind)?;
        let (group, _) = old.split_once('/')?;
        let new = format!("{}/{}", kind.group, version(kind, minor));
        (group == kind.group && old != new).then_some(Change { line, kind: kind.kind, old, new })
    });
    found.collect()
}

fn apply(text: &str, changes: &[Change]) -> String {
    let lines = text.split_inclusive('\n').enumerate().map(|(number, line)| {
        match changes.iter().find(|change| change.line == number) {
            Some(change) => line.replacen(&change.old, &change.new, 1),
            None => line.to_owned(),
        }
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\napiVersion: helm.toolkit.fluxcd.io/v2beta1 # old\nkind: HelmRelease\n---\napiVersion: \"image.toolkit.fluxcd.io/v1beta2\"\nkind: ImagePolicy\n---\nkind: Alert\napiVersion: notification.toolkit.fluxcd.io/v1beta2\n---\napiVersion: apps/v1\nkind: Deployment\n---\nitems:\n- apiVersion: kustomize.toolkit.fluxcd.io/v1beta2\n  kind: Kustomization\n";

    #[test]
    fn only_versions_of_known_kinds_change_and_only_their_text() {
        let found = changes(TEXT, 9);
        let lines: Vec<_> = found.iter().map(|change| (change.line, change.kind)).collect();
        assert_eq!(lines, [(1, "HelmRelease"), (4, "ImagePolicy"), (14, "Kustomization")]);
        let text = apply(TEXT, &found);
        assert!(text.contains("apiVersion: helm.toolkit.fluxcd.io/v2 # old\n"), "{text}");
        assert!(text.contains("apiVersion: \"image.toolkit.fluxcd.io/v1\"\n"), "{text}");
        assert!(changes(&text, 9).is_empty());
        // Flux 2.6 still stored these as v1beta2.
        assert_eq!(changes(TEXT, 6).len(), 2);
    }

    #[test]
    fn versions_of_flux_are_checked() {
        assert_eq!(minor("2.9").unwrap(), 9);
        assert!(minor("2.5").is_err() && minor("3").is_err());
    }
}

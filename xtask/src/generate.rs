//! The files that are made from code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, bail};

use crate::{reference, yaml};

const HEADER: &str = "# Made by `cargo xtask generate` from the types in api/. Do not edit.\n";

/// Folders that hold nothing but made files: a file there that is not made any more is out of date.
const FOLDERS: &[&str] = &["charts/sluice/crds", "docs/reference/api"];

/// Every made file, by its path from the root of the repository.
fn files() -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for crd in sluice_api::crd::all() {
        let name = format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        let crd = serde_json::to_value(&crd).with_context(|| format!("encoding {name}"))?;
        let kind = crd["spec"]["names"]["singular"].as_str().unwrap_or_default();
        files.insert(Path::new("docs/reference/api").join(format!("{kind}.md")), reference::page(&crd));
        files.insert(Path::new("charts/sluice/crds").join(name), format!("{HEADER}{}", yaml::print(&crd)));
    }
    Ok(files)
}

/// Writes what differs and removes what is not made any more.
pub(crate) fn write(root: &Path) -> Result<()> {
    let files = files()?;
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder)).with_context(|| format!("creating {folder}"))?;
    }
    for path in differences(root, &files)? {
        let target = root.join(&path);
        match files.get(&path) {
            Some(content) => fs::write(&target, content),
            None => fs::remove_file(&target),
        }
        .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Fails where a file is not as it would be made.
pub(crate) fn verify(root: &Path) -> Result<()> {
    let stale = differences(root, &files()?)?;
    if stale.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = stale.iter().map(|path| format!("\n  {}", path.display())).collect();
    bail!("out of date, run `cargo xtask generate` and commit:{}", names.concat())
}

/// The files that differ from how they would be made, are missing, or are there and should not be.
fn differences(root: &Path, files: &BTreeMap<PathBuf, String>) -> Result<BTreeSet<PathBuf>> {
    let mut stale = BTreeSet::new();
    for (path, content) in files {
        match fs::read(root.join(path)) {
            Ok(found) if found == content.as_bytes() => {}
            Ok(_) => {
                stale.insert(path.clone());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                stale.insert(path.clone());
            }
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }
    for folder in FOLDERS {
        let entries = match fs::read_dir(root.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("reading {folder}")),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {folder}"))?;
            let path = Path::new(folder).join(entry.file_name());
            if !files.contains_key(&path) {
                stale.insert(path);
            }
        }
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_holds_what_is_made_now() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository");
        if let Err(error) = verify(root) {
            panic!("{error:#}");
        }
    }

    #[test]
    fn missing_changed_and_left_over_files_are_named() {
        let root = std::env::temp_dir().join(format!("sluice-xtask-{}", std::process::id()));
        fs::create_dir_all(&root).expect("temporary folder");
        write(&root).expect("first run");
        verify(&root).expect("fresh files are up to date");
        let folder = root.join(FOLDERS[0]);
        let mut names: Vec<_> =
            fs::read_dir(&folder).expect("folder").map(|entry| entry.expect("entry").path()).collect();
        names.sort();
        fs::write(&names[0], "changed").expect("change");
        fs::remove_file(&names[1]).expect("remove");
        fs::write(folder.join("zzz.yaml"), "left over").expect("leave");
        let message = format!("{:#}", verify(&root).expect_err("out of date"));
        assert_eq!(message.lines().count(), 4, "{message}");
        write(&root).expect("second run");
        verify(&root).expect("up to date again");
        fs::remove_dir_all(&root).expect("clean up");
    }
}

//! A folder with what its links lead to in the place of the links.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Copies a folder. A link to a folder above itself ends there.
pub(super) fn copy(folder: &Path) -> Result<tempfile::TempDir> {
    let copy = tempfile::Builder::new().prefix("sluice-artifact-").tempdir()?;
    into(folder, copy.path(), &mut Vec::new())?;
    Ok(copy)
}

/// `above` are the folders that are being copied.
fn into(folder: &Path, target: &Path, above: &mut Vec<PathBuf>) -> Result<()> {
    let real = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let (path, place) = (entry.path(), target.join(entry.file_name()));
        let data = fs::metadata(&path).with_context(|| format!("{} leads nowhere", path.display()))?;
        if data.is_dir() {
            fs::create_dir(&place)?;
            into(&path, &place, above)?;
        } else if data.is_file() {
            fs::copy(&path, &place).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    above.pop();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_become_what_they_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        fs::create_dir_all(outside.join("deep")).unwrap();
        fs::create_dir(&root).unwrap();
        fs::write(outside.join("deep/a.yaml"), "a").unwrap();
        symlink("../outside", root.join("linked")).unwrap();
        symlink("../outside/deep/a.yaml", root.join("b.yaml")).unwrap();
        symlink("..", outside.join("deep/up")).unwrap();
        let copied = copy(&root).unwrap();
        let read = |name: &str| fs::read_to_string(copied.path().join(name)).unwrap();
        assert_eq!((read("linked/deep/a.yaml").as_str(), read("b.yaml").as_str()), ("a", "a"));
        assert!(copied.path().join("linked/deep/up").is_dir(), "the loop ends as an empty folder");
        symlink("nowhere", root.join("broken")).unwrap();
        assert!(copy(&root).unwrap_err().to_string().contains("broken leads nowhere"));
    }
}

//! Paths that stay inside a folder.

use std::path::{Component, Path, PathBuf};

/// `path` below `root`: leading `..` stay at the root, as in a chroot. There are no symlinks on the way.
pub(crate) fn inside(root: &Path, path: &str) -> PathBuf {
    let mut inner = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => inner.push(name),
            Component::ParentDir => {
                inner.pop();
            }
            _ => {}
        }
    }
    // Joining an empty path would add a final slash.
    if inner.as_os_str().is_empty() { root.to_owned() } else { root.join(inner) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        let root = Path::new("/r");
        for (path, expected) in [
            ("a/b", "/r/a/b"),
            ("../../x", "/r/x"),
            ("/etc", "/r/etc"),
            ("a/../..", "/r"),
            ("", "/r"),
            ("./a", "/r/a"),
        ] {
            assert_eq!(inside(root, path), Path::new(expected), "{path}");
        }
    }
}

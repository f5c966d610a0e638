//! Which directories are wanted.

use super::{TreeError, View};
use crate::error::Error;

/// Directories to which a walk is restricted; all if there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(Vec<Vec<Vec<u8>>>);

/// How a path lies to the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Selected, with all below it.
    Inside,
    /// On the way to something selected.
    Above,
    Outside,
}

impl Selection {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Some directories; a leading `./` and final slashes do not count. The root selects everything.
    pub fn directories<'a>(directories: impl IntoIterator<Item = &'a str>) -> Self {
        let components = |path: &str| {
            path.split('/').filter(|c| !c.is_empty() && *c != ".").map(|c| c.as_bytes().to_vec()).collect()
        };
        let selected: Vec<Vec<Vec<u8>>> = directories.into_iter().map(components).collect();
        if selected.iter().any(Vec::is_empty) { Self::all() } else { Selection(selected) }
    }

    /// Fails if a directory does not exist in `view`.
    pub fn check(&self, view: &View) -> Result<(), Error> {
        for directory in &self.0 {
            let path = String::from_utf8_lossy(&directory.join(&b'/')).into_owned();
            if view.find(&path)?.is_none() {
                return Err(TreeError::Missing(path).into());
            }
        }
        Ok(())
    }

    /// Whether something at or below a path is selected.
    pub(crate) fn touches(&self, path: &[u8]) -> bool {
        self.relation(path) != Relation::Outside
    }

    pub(super) fn relation(&self, path: &[u8]) -> Relation {
        if self.0.is_empty() {
            return Relation::Inside;
        }
        let mut above = false;
        for directory in &self.0 {
            let mut wanted = directory.iter();
            let mut components = path.split(|b| *b == b'/').filter(|c| !c.is_empty());
            loop {
                match (wanted.next(), components.next()) {
                    (None, _) => return Relation::Inside,
                    (Some(_), None) => {
                        above = true;
                        break;
                    }
                    (Some(wanted), Some(component)) if wanted == component => {}
                    _ => break,
                }
            }
        }
        if above { Relation::Above } else { Relation::Outside }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_relate_to_the_selection_by_components() {
        let selection = Selection::directories(["./apps/dev/", "base"]);
        let relation = |path: &str| selection.relation(path.as_bytes());
        assert_eq!(
            (relation(""), relation("apps"), relation("base")),
            (Relation::Above, Relation::Above, Relation::Inside)
        );
        assert_eq!((relation("apps/dev/x/y"), relation("base/x")), (Relation::Inside, Relation::Inside));
        assert_eq!((relation("apps/devx"), relation("README.md")), (Relation::Outside, Relation::Outside));
        assert_eq!(Selection::directories(["."]).relation(b"x"), Relation::Inside);
    }
}

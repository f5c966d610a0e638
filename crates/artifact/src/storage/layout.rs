//! Where an object's files are.

use std::path::{Component, Path};

/// The place of one artifact: kind, namespace, name and file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    kind: String,
    namespace: String,
    name: String,
    file: String,
}

/// A part of a location that would lead out of the storage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no path of an artifact")]
pub struct LocationError(String);

impl Location {
    /// A location from its parts; the kind is lower-cased.
    pub fn new(kind: &str, namespace: &str, name: &str, file: &str) -> Result<Self, LocationError> {
        let kind = kind.to_lowercase();
        for part in [kind.as_str(), namespace, name, file] {
            let mut components = Path::new(part).components();
            let single = matches!(components.next(), Some(Component::Normal(c)) if c == part);
            if !single || components.next().is_some() || part.contains('\0') {
                return Err(LocationError(part.to_owned()));
            }
        }
        Ok(Location { kind, namespace: namespace.to_owned(), name: name.to_owned(), file: file.to_owned() })
    }

    /// Reads the `path` of a stored artifact.
    pub fn parse(relative: &str) -> Result<Self, LocationError> {
        let parts: Vec<&str> = relative.split('/').collect();
        match parts.as_slice() {
            [kind, namespace, name, file] => Self::new(kind, namespace, name, file),
            _ => Err(LocationError(relative.to_owned())),
        }
    }

    /// The path below the storage root.
    pub fn relative(&self) -> String {
        format!("{}/{}/{}/{}", self.kind, self.namespace, self.name, self.file)
    }

    /// The path of the object's directory below the storage root.
    pub fn directory(&self) -> String {
        format!("{}/{}/{}", self.kind, self.namespace, self.name)
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }
}

//! Values that markers ask for, as in `image: app:v1 # {"$imagepolicy": "ns:policy"}`.
//!
//! Only the text of the marked scalar is replaced, by splicing: comments, quotes, order, indentation, line ends and a
//! byte order mark stay as they are. Enter at [`update`].

mod comment;
mod document;
mod splice;

use std::collections::BTreeMap;

/// What a policy has chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The image's name.
    pub name: String,
    /// Its tag.
    pub tag: String,
    /// Its digest; empty where none is known.
    pub digest: String,
}

/// The values of all setters of one namespace.
#[derive(Debug, Clone, Default)]
pub struct Setters {
    namespace: String,
    images: BTreeMap<String, Image>,
}

/// The object that a value belongs to; empty where a file is no Kubernetes object.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
}

/// A value that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The line, from 1.
    pub line: usize,
    /// The object that it is in.
    pub object: ObjectId,
    /// The value before.
    pub old: String,
    /// The value now.
    pub new: String,
    /// The marker, as `namespace:policy[:suffix]`.
    pub setter: String,
}

/// A marker that nothing comes of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// Why nothing comes of a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// It names a policy that is not known.
    UnknownPolicy(String),
    /// It names a policy and something that is none of `tag`, `name` and `digest`.
    UnknownSuffix(String),
    /// It stands where there is no scalar, or one that is empty or takes several lines.
    NoScalar,
    /// It asks for a digest, and none is known; the value becomes empty.
    NoDigest(String),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.kind {
            ProblemKind::UnknownPolicy(setter) => write!(f, "the marker names an unknown policy: '{setter}'"),
            ProblemKind::UnknownSuffix(setter) => {
                write!(f, "the marker '{setter}' ends in none of ':tag', ':name' and ':digest'")
            }
            ProblemKind::NoScalar => f.write_str("the marker is not at a value of one line"),
            ProblemKind::NoDigest(setter) => {
                write!(
                    f,
                    "the policy of the marker '{setter}' reflects no digest, so the value becomes empty"
                )
            }
        }
    }
}

/// What became of a file.
#[derive(Debug, Clone, Default)]
pub struct Updated {
    /// The new content, if anything changed.
    pub content: Option<Vec<u8>>,
    /// What changed, in the order of the file.
    pub changes: Vec<Change>,
    /// Markers that nothing comes of, in the order of the file.
    pub problems: Vec<Problem>,
}

/// Why a file is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not UTF-8.
    #[error("line {line}: it is not UTF-8 text")]
    Encoding {
        /// The line, from 1.
        line: usize,
    },
    /// It is no YAML.
    #[error("{0}")]
    Yaml(String),
    /// What came out does not read as it should: the file has something that this code does not know.
    #[error("line {line}: the value cannot be replaced without changing others")]
    Unsafe {
        /// The line of the first value that would change, from 1.
        line: usize,
    },
}

/// What every file with a marker contains.
const MARKER: &[u8] = b"\"$imagepolicy\"";

/// Whether a file has a name that markers are looked for in, and holds one.
pub fn is_candidate_name(name: &str) -> bool {
    name == "Kustomization" || [".yaml", ".yml"].iter().any(|end| name.ends_with(end))
}

/// Whether there is a marker in a content.
pub fn has_marker(content: &[u8]) -> bool {
    content.windows(MARKER.len()).any(|window| window == MARKER)
}

impl Setters {
    /// The setters of a namespace, by the names of its policies.
    pub fn new(namespace: &str, images: BTreeMap<String, Image>) -> Self {
        Self { namespace: namespace.to_owned(), images }
    }

    /// Whether a marker names a policy of the same namespace, known or not.
    pub fn is_own(&self, setter: &str) -> bool {
        setter.split_once(':').is_some_and(|(namespace, _)| namespace == self.namespace)
    }

    /// The value that a marker asks for.
    fn value(&self, setter: &str) -> Result<String, ProblemKind> {
        let unknown = || ProblemKind::UnknownPolicy(setter.to_owned());
        let mut parts = setter.splitn(3, ':');
        let (Some(namespace), Some(policy)) = (parts.next(), parts.next()) else { return Err(unknown()) };
        let suffix = parts.next();
        let image = self.images.get(policy).filter(|_| namespace == self.namespace).ok_or_else(unknown)?;
        Ok(match suffix {
            None if image.digest.is_empty() => format!("{}:{}", image.name, image.tag),
            None => format!("{}:{}@{}", image.name, image.tag, image.digest),
            Some("tag") => image.tag.clone(),
            Some("name") => image.name.clone(),
            Some("digest") => image.digest.clone(),
            Some(_) => return Err(ProblemKind::UnknownSuffix(setter.to_owned())),
        })
    }
}

/// Replaces the marked values of a file.
pub fn update(content: &[u8], setters: &Setters) -> Result<Updated, FileError> {
    if !has_marker(content) {
        return Ok(Updated::default());
    }
    let text = std::str::from_utf8(content).map_err(|error| {
        let read = &content[..error.valid_up_to()];
        FileError::Encoding { line: read.split(|byte| *byte == b'\n').count() }
    })?;
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let body = &text[mark..];
    let scalars = document::scalars(body).map_err(FileError::Yaml)?;
    let markers = comment::markers(body, &scalars);
    let mut updated = Updated::default();
    let mut edits = Vec::new();
    for marker in markers {
        let line = marker.line;
        let problem = |kind| Problem { line, kind };
        let value = match setters.value(&marker.setter) {
            Ok(value) => value,
            Err(kind) => {
                updated.problems.push(problem(kind));
                continue;
            }
        };
        let place = marker.scalar.and_then(|at| splice::place(body, &scalars[at]).map(|place| (at, place)));
        let Some((at, place)) = place else {
            updated.problems.push(problem(ProblemKind::NoScalar));
            continue;
        };
        if value.is_empty() {
            updated.problems.push(problem(ProblemKind::NoDigest(marker.setter.clone())));
        }
        let scalar = &scalars[at];
        if place.old == value {
            continue;
        }
        updated.changes.push(Change {
            line: scalar.line,
            object: ObjectId::clone(&scalar.object),
            old: place.old.clone(),
            new: value.clone(),
            setter: marker.setter,
        });
        edits.push((at, place, value));
    }
    if edits.is_empty() {
        return Ok(updated);
    }
    let spliced = splice::apply(body, &scalars, &edits)?;
    let mut content = text.as_bytes()[..mark].to_vec();
    content.extend_from_slice(spliced.as_bytes());
    updated.content = Some(content);
    Ok(updated)
}

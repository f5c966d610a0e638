//! Rendered documents through a program of the user's before they are sorted.
//!
//! The program sees one stream; an annotation on each document remembers its file, so that the answer can be split
//! again. What comes back without it gets a name of its own.

use std::collections::BTreeMap;

use sluice_yaml::Node;
use sluice_yaml::node::read_nodes;
use sluice_yaml::write::write_node;

use super::customize::child;
use super::place::Place;
use super::sort::{ManifestError, sort};
use super::split::split;
use crate::go::trim;

/// Changes a stream of documents.
pub trait PostRenderer {
    /// The stream that takes the place of `manifests`.
    fn run(&mut self, manifests: &str) -> Result<String, String>;
}

/// What a post-renderer gets to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PostRenderStrategy {
    /// Hooks and objects in one stream.
    #[default]
    Combined,
    /// Hooks in one run, objects in another.
    Separate,
    /// Objects only.
    NoHooks,
}

/// Why post-rendering failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostRenderError {
    /// A rendered file that is no YAML.
    #[error("error merging {group}: parsing {file}: {error}{place}")]
    Parse {
        /// Manifests or hooks.
        group: &'static str,
        /// The file.
        file: String,
        /// What is wrong.
        error: sluice_yaml::Error,
        /// Where in the file.
        place: Place,
    },
    /// The program failed.
    #[error("error while running post render on {group}: {error}")]
    Run {
        /// Files, manifests or hooks.
        group: &'static str,
        /// What it said.
        error: String,
    },
    /// Its answer is no YAML.
    #[error("error while parsing post rendered output{group}: error parsing YAML: {error}")]
    Answer {
        /// ` for manifests` or ` for hooks` or nothing.
        group: &'static str,
        /// What is wrong.
        error: sluice_yaml::Error,
    },
    /// Rendered files that cannot be sorted.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

const FILENAME: &str = "postrenderer.helm.sh/postrender-filename";

/// Runs the post-renderer over rendered files (without notes); gives the files to sort in their place.
pub fn post_render(
    files: BTreeMap<String, String>,
    renderer: &mut dyn PostRenderer,
    strategy: PostRenderStrategy,
) -> Result<BTreeMap<String, String>, PostRenderError> {
    if strategy == PostRenderStrategy::Combined {
        let group = Group { merging: "manifests", running: "files", parsing: "", fallback: "" };
        return group.run(&files, renderer);
    }
    let sorted = sort(files)?;
    let hooks = gather(sorted.hooks.into_iter().map(|hook| (hook.path, hook.manifest)));
    let objects = gather(sorted.documents.into_iter().map(|document| (document.path, document.text)));
    let hooks = if strategy == PostRenderStrategy::Separate && !hooks.is_empty() {
        let group = Group { merging: "hooks", running: "hooks", parsing: " for hooks", fallback: "hooks-" };
        group.run(&hooks, renderer)?
    } else {
        hooks
    };
    let objects = if objects.is_empty() {
        objects
    } else {
        let group = Group {
            merging: "manifests",
            running: "manifests",
            parsing: " for manifests",
            fallback: "manifests-",
        };
        group.run(&objects, renderer)?
    };
    Ok(gather(hooks.into_iter().chain(objects)))
}

/// Texts of one file one after the other.
fn gather(texts: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (path, text) in texts {
        match files.get_mut(&path) {
            Some(all) => {
                all.push_str("\n---\n");
                all.push_str(&text);
            }
            None => {
                files.insert(path, text);
            }
        }
    }
    files
}

/// How messages and made-up names call the documents of one run.
struct Group {
    merging: &'static str,
    running: &'static str,
    parsing: &'static str,
    fallback: &'static str,
}

impl Group {
    fn run(
        &self,
        files: &BTreeMap<String, String>,
        renderer: &mut dyn PostRenderer,
    ) -> Result<BTreeMap<String, String>, PostRenderError> {
        let merged = self.merge(files)?;
        let answer =
            renderer.run(&merged).map_err(|error| PostRenderError::Run { group: self.running, error })?;
        self.split(&answer)
    }

    fn merge(&self, files: &BTreeMap<String, String>) -> Result<String, PostRenderError> {
        let mut merged = String::new();
        for (file, text) in files {
            if file.rsplit('/').next().is_some_and(|base| base.starts_with('_')) || trim(text).is_empty() {
                continue;
            }
            for document in split(text) {
                let nodes = read_nodes(document).map_err(|error| PostRenderError::Parse {
                    group: self.merging,
                    file: file.clone(),
                    place: Place::new(text, document, error.line()),
                    error,
                })?;
                for mut node in nodes.into_iter().filter(|node| !node.is_null()) {
                    annotate(&mut node, file);
                    if !merged.is_empty() {
                        merged.push_str("---\n");
                    }
                    merged.push_str(&write_node(&node));
                }
            }
        }
        Ok(merged)
    }

    fn split(&self, answer: &str) -> Result<BTreeMap<String, String>, PostRenderError> {
        let nodes =
            read_nodes(answer).map_err(|error| PostRenderError::Answer { group: self.parsing, error })?;
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for (index, mut node) in nodes.into_iter().filter(|node| !node.is_null()).enumerate() {
            let file = take_annotation(&mut node)
                .unwrap_or_else(|| format!("generated-by-postrender-{}{index}.yaml", self.fallback));
            let all = files.entry(file).or_default();
            if !all.is_empty() {
                all.push_str("---\n");
            }
            all.push_str(&write_node(&node));
        }
        Ok(files)
    }
}

fn annotate(node: &mut Node, file: &str) {
    let annotations = child(node, "metadata").and_then(|metadata| child(metadata, "annotations"));
    if let Some(entries) = annotations.and_then(Node::as_mapping_mut) {
        entries.retain(|(name, _)| name.as_text() != Some(FILENAME));
        entries.push((Node::string(FILENAME), Node::string(file)));
    }
}

fn take_annotation(node: &mut Node) -> Option<String> {
    let metadata = node.get_mut("metadata")?;
    let entries = metadata.get_mut("annotations")?.as_mapping_mut()?;
    let place = entries.iter().position(|(name, _)| name.as_text() == Some(FILENAME))?;
    let (_, file) = entries.remove(place);
    if entries.is_empty()
        && let Some(fields) = metadata.as_mapping_mut()
    {
        fields.retain(|(name, _)| name.as_text() != Some("annotations"));
    }
    file.as_text().filter(|file| !file.is_empty()).map(str::to_owned)
}

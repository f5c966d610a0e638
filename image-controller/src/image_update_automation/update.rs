//! Files with markers are changed, in memory.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use sluice_api::image::{ImageRef, ImageUpdateAutomation};
use sluice_git::tree::{self, View};
use sluice_policy::setters::{self, Image, ProblemKind, Setters};
use sluice_runtime::errors::chain;

use super::push::RunError;
use crate::progress::Failure;

/// Larger files hold no manifests that people mark.
const MAX_FILE: u64 = 64 << 20;

/// Files that changed, and what changed in them.
#[derive(Debug, Default)]
pub(super) struct Updated {
    /// New contents by paths from the root of the repository.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Changes by paths from the directory of the automation.
    pub(super) changes: BTreeMap<String, Vec<setters::Change>>,
    /// Markers that nothing comes of, by file and line.
    pub(super) problems: Vec<String>,
}

/// Applies what policies have chosen to a tree.
pub(super) async fn apply(
    object: &ImageUpdateAutomation,
    policies: &BTreeMap<String, ImageRef>,
    view: View,
) -> Result<Updated, RunError> {
    let update = object.spec.update.clone().unwrap_or_default();
    if !matches!(update.strategy.as_str(), "" | "Setters") {
        let message = format!("unknown update strategy '{}'", update.strategy);
        return Err(Failure::stalled("InvalidUpdateStrategy", message).into());
    }
    let images = policies.iter().map(|(name, image)| {
        let ImageRef { name: image_name, tag, digest } = image.clone();
        (name.clone(), Image { name: image_name, tag, digest })
    });
    let setters = Setters::new(&object.namespace().unwrap_or_default(), images.collect());
    let directory = clamp(&update.path);
    let work = tokio::task::spawn_blocking(move || rewrite(&view, &directory, &setters));
    let done = work.await.map_err(|error| Failure::new("UpdateFailed", error.to_string()))?;
    done.map_err(|message| {
        Failure::new("UpdateFailed", format!("failed to apply policies: {message}")).into()
    })
}

/// A directory that is within the repository whatever it says.
pub(super) fn clamp(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn rewrite(view: &View, directory: &str, setters: &Setters) -> Result<Updated, String> {
    let files = tree::files(view, directory, &setters::is_candidate_name).map_err(|error| chain(&error))?;
    let files = files.ok_or_else(|| format!("the path '{directory}' is no directory of the repository"))?;
    let mut updated = Updated::default();
    for file in files {
        let content = view.read(&file.path, MAX_FILE).map_err(|error| chain(&error))?;
        let Some(content) = content.filter(|content| setters::has_marker(content)) else { continue };
        let relative = file.path.strip_prefix(directory).unwrap_or(&file.path).trim_start_matches('/');
        let done = match setters::update(&content, setters) {
            Ok(done) => done,
            Err(error) => {
                updated.problems.push(format!("{}: {error}", file.path));
                continue;
            }
        };
        for problem in &done.problems {
            // Markers of other namespaces and of other automations' policies are no business of this one.
            let foreign =
                matches!(&problem.kind, ProblemKind::UnknownPolicy(setter) if !setters.is_own(setter));
            if !foreign {
                updated.problems.push(format!("{}: {problem}", file.path));
            }
        }
        if let Some(content) = done.content {
            updated.changes.insert(relative.to_owned(), done.changes);
            updated.files.insert(file.path, content);
        }
    }
    Ok(updated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_leads_out_of_the_repository() {
        for (path, clamped) in
            [("", ""), ("./", ""), ("./clusters/a/", "clusters/a"), ("../../etc", "etc"), ("a/../../b", "b")]
        {
            assert_eq!(clamp(path), clamped, "{path}");
        }
    }
}

//! Which tag of an image is the one to use, and how it gets into files.
//!
//! [`Filter`] says which tags count and what of them is compared, [`Policy`] chooses among them, [`latest`] does both.
//! Ranges are those of Masterminds' library, expressions those of Go. [`setters`] writes what was chosen where markers
//! in YAML ask for it.
//!
//! The crate knows nothing of registries, of Git or of Kubernetes.

mod choose;
mod filter;
mod number;
pub mod setters;

pub use choose::{Order, Policy, PolicyError};
pub use filter::{Filter, FilterError};

/// The tag that a policy chooses of those that a filter lets through. `tags` are in descending order of their bytes.
pub fn latest<'t>(
    tags: &'t [String],
    filter: Option<&Filter>,
    policy: &Policy,
) -> Result<&'t str, PolicyError> {
    match filter {
        None => policy.choose(tags.iter().map(|tag| (tag.as_str(), tag.as_str()))),
        Some(filter) => {
            let kept = filter.apply(tags.iter().map(String::as_str));
            policy.choose(kept.iter().map(|(key, tag)| (key.as_str(), *tag)))
        }
    }
}

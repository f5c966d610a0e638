//! Helm charts as helm 4 treats them: loading, values, rendering, release records, packages.
//!
//! A library without a cluster and without a network: what a chart may learn of the world comes through
//! [`sluice_gotemplate::Host`], files come as bytes or from folders the caller names. The same chart and values
//! give the same bytes. Hostile charts end in an error; see [`chart::load_archive`] and the limits of rendering.
//!
//! Enter at [`template()`] for what `helm template` does in one call; its parts are [`chart::load`],
//! [`chart::process_dependencies`], [`values::coalesce`], [`render::render`] and [`manifest::sort`].

pub mod capabilities;
pub mod chart;
mod document;
mod go;
mod hash;
pub mod index;
pub mod lint;
pub mod manifest;
mod metadata_yaml;
pub mod package;
mod pattern;
pub mod release;
pub mod release_name;
pub mod render;
pub mod schema;
pub mod show;
pub mod template;
pub mod values;

pub use capabilities::{Capabilities, KubeVersion};
pub use chart::Chart;
pub use metadata_yaml::{lock_yaml, metadata_yaml};
pub use template::{TemplateError, TemplateOptions, template};
pub use values::Values;

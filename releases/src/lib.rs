//! From a HelmRelease and a chart to the objects of a release: what the helm-controller does in the cluster and the command
//! line before a commit, so that both come to the same.
//!
//! [`compose`] makes the values, [`customization`] what is done to the rendered manifests, [`parse`] and [`resolve`] the
//! objects, [`Schemas`] fetches what schemas of values refer to. Nothing here writes to a cluster or to a disk.

mod capabilities;
mod customization;
mod lookups;
mod name;
mod objects;
mod redaction;
mod schemas;
mod values;

pub use capabilities::CapabilitiesCache;
pub use customization::{NAME_LABEL, NAMESPACE_LABEL, customization, origin_labels, strategy};
pub use lookups::Lookups;
pub use name::release_name;
pub use objects::{Item, ManifestError, foreign, is_kept, parse, parse_hook, resolve};
pub use redaction::Redaction;
pub use schemas::{SchemaText, Schemas};
pub use values::{ClusterReferences, Found, GivenReferences, References, compose};

//! YAML read and written as the Go libraries of the Kubernetes world do.
//!
//! Two dialects ([`Dialect`]): sigs.k8s.io/yaml, through which manifests, values files and flags pass, and
//! go-yaml v3, on which kyaml and sops stand. Enter at [`read()`] and [`write()`] for values, at
//! [`read_node`] for a tree that remembers text, tag and style of each scalar, and at [`event::Events`]
//! for events with their places in the text. Comments are kept where they are asked for, as yaml.v3 hangs them on
//! nodes ([`read_commented`]); else they are the gaps between events.
//!
//! Hostile input ends in an error: nesting is limited to 512 levels, anchors and aliases to a budget, and what has
//! characters that YAML forbids is refused by every reader, that of events too.

mod emit;
mod error;
pub mod event;
mod glance;
mod gosyntax;
pub mod json;
pub mod node;
pub mod number;
pub mod order;
pub mod read;
pub mod resolve;
mod scanner;
mod skim;
pub mod timestamp;
mod transcode;
pub mod value;
pub mod write;
mod write_node;

pub use error::Error;
pub use node::{Collection, Node, read_commented, read_node, read_nodes, read_verbatim};
pub use read::{Dialect, read, read_all, read_strict, text};
pub use scanner::{Comments, MAX_DEPTH, Mark, Style};
pub use skim::read_members;
pub use transcode::transcode;
pub use value::{Mapping, Value};
pub use write::{json_to_yaml, write, write_v3, write_v3_indented};

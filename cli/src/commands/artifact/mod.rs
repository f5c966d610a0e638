//! Artifacts in registries: `build`, `push`, `pull`, `tag`, `list` and `diff`, in the form that Flux gives them.

pub(crate) mod build;
pub(crate) mod diff;
pub(crate) mod list;
pub(crate) mod pull;
pub(crate) mod push;
mod registry;
mod resolved;
pub(crate) mod tag;
mod tree;

pub(crate) use pull::unpack;
pub(crate) use push::{annotations, upload};
pub(crate) use registry::{InsecureArgs, RegistryArgs, docker_config_of, docker_credentials, parse};
pub(crate) use tree::archive;

/// Media type of an artifact's configuration.
const CONFIG: &str = "application/vnd.cncf.flux.config.v1+json";
/// Media type of an artifact's content.
const CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
const CREATED: &str = "org.opencontainers.image.created";
const SOURCE: &str = "org.opencontainers.image.source";
const REVISION: &str = "org.opencontainers.image.revision";

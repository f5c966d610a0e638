//! Flags of this controller, with the names and defaults of Flux's two image controllers.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sluice_runtime::flags::{CommonFlags, TokenCacheFlags, parse_bool, parse_duration};

/// Looks for new tags of images and commits them to Git.
#[derive(Parser, Clone, Debug)]
#[command(args_override_self = true, name = "image-controller", version)]
pub(crate) struct Flags {
    /// Flags of every controller.
    #[command(flatten)]
    pub(crate) common: CommonFlags,
    /// How many objects of each kind are worked on at once.
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    pub(crate) concurrent: usize,
    /// Directory of the tags that were found; made if it is not there.
    #[arg(long, default_value = "/data", env = "STORAGE_PATH", value_name = "PATH")]
    pub(crate) storage_path: PathBuf,
    /// Accepted for compatibility: there are no value logs.
    #[arg(long, default_value_t = 268_435_456, value_name = "BYTES")]
    pub(crate) storage_value_log_file_size: i64,
    /// Lists of tags of this size or more are compressed, in KiB.
    #[arg(long, default_value_t = 64, value_name = "KIB")]
    pub(crate) storage_compression_threshold: u64,
    /// How often tags of objects that are gone are removed, in minutes; 0 never does.
    #[arg(long, default_value_t = 10, value_name = "MINUTES")]
    pub(crate) gc_interval: u64,
    /// When to look again at a policy whose image has no tags yet.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) requeue_dependency: Duration,
    /// Refuse references to objects in other namespaces.
    #[arg(long, default_value = "false", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) no_cross_namespace_refs: bool,
    /// Key exchange algorithms for SSH, in order of preference.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) ssh_kex_algos: Vec<String>,
    /// Host key algorithms for SSH, in order of preference.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) ssh_hostkey_algos: Vec<String>,
    /// ServiceAccount for cloud identities where an object names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) default_service_account: String,
    /// Tokens of cloud identities.
    #[command(flatten)]
    pub(crate) token_cache: TokenCacheFlags,
}

pub(crate) use sluice_access::OBJECT_LEVEL_WORKLOAD_IDENTITY;
pub(crate) const GIT_ALL_BRANCH_REFERENCES: &str = "GitAllBranchReferences";
pub(crate) const GIT_FORCE_PUSH_BRANCH: &str = "GitForcePushBranch";

/// The feature gates of Flux's two controllers with their defaults.
pub(crate) const GATES: [(&str, bool); 7] = [
    ("CacheSecretsAndConfigMaps", false),
    ("FluxStorage", true),
    (GIT_ALL_BRANCH_REFERENCES, true),
    (GIT_FORCE_PUSH_BRANCH, true),
    ("GitShallowClone", true),
    ("GitSparseCheckout", false),
    (OBJECT_LEVEL_WORKLOAD_IDENTITY, false),
];

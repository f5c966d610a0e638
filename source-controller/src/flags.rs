//! Flags of this controller, with the names and defaults of Flux's.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use sluice_artifact::Algorithm;
use sluice_runtime::flags::{CommonFlags, TokenCacheFlags, parse_bool, parse_duration};

/// Fetches sources and serves them as artifacts.
#[derive(Parser, Clone, Debug)]
#[command(args_override_self = true, name = "source-controller", version)]
pub(crate) struct Flags {
    /// Flags of every controller.
    #[command(flatten)]
    pub(crate) common: CommonFlags,
    /// How many objects of each kind are worked on at once.
    #[arg(long, default_value_t = 2, value_name = "NUMBER")]
    pub(crate) concurrent: usize,
    /// When to look again at a source that another one includes and that is not ready.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) requeue_dependency: Duration,
    /// Directory of the artifacts; it must exist.
    #[arg(long, default_value = "/data", env = "STORAGE_PATH", value_name = "PATH")]
    pub(crate) storage_path: PathBuf,
    /// Address at which artifacts are served.
    #[arg(long, default_value = ":9090", env = "STORAGE_ADDRESS", value_name = "ADDRESS")]
    pub(crate) storage_addr: String,
    /// Address that the URLs of artifacts name; made from --storage-addr when empty.
    #[arg(long, default_value = "", env = "STORAGE_ADV_ADDR", value_name = "ADDRESS")]
    pub(crate) storage_adv_addr: String,
    /// How long superseded artifacts are kept.
    #[arg(long, default_value = "1m", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) artifact_retention_ttl: Duration,
    /// How many artifacts of one object are kept within that time.
    #[arg(long, default_value_t = 2, value_name = "NUMBER")]
    pub(crate) artifact_retention_records: usize,
    /// Algorithm of artifacts' digests: sha256, sha384, sha512, blake3 or sha1.
    #[arg(long, default_value = "sha256", value_name = "NAME")]
    pub(crate) artifact_digest_algo: Algorithm,
    /// Largest Helm repository index, in bytes.
    #[arg(long, default_value_t = 50 << 20, value_name = "BYTES")]
    pub(crate) helm_index_max_size: u64,
    /// Largest Helm chart, in bytes.
    #[arg(long, default_value_t = 10 << 20, value_name = "BYTES")]
    pub(crate) helm_chart_max_size: u64,
    /// Largest file in a Helm chart, in bytes.
    #[arg(long, default_value_t = 5 << 20, value_name = "BYTES")]
    pub(crate) helm_chart_file_max_size: u64,
    /// How many Helm repository indices are kept in memory.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) helm_cache_max_size: usize,
    /// How long a Helm repository index is kept in memory.
    #[arg(long, default_value = "15m", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) helm_cache_ttl: Duration,
    /// How often Helm repository indices that are too old are dropped.
    #[arg(long, default_value = "1m", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) helm_cache_purge_interval: Duration,
    /// How many bytes of Git objects are kept among the temporary files, so that only news are fetched; 0 keeps none.
    #[arg(long, default_value_t = 256 << 20, value_name = "BYTES")]
    pub(crate) git_cache_max_size: u64,
    /// Key exchange algorithms for SSH, in order of preference.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) ssh_kex_algos: Vec<String>,
    /// Host key algorithms for SSH, in order of preference.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) ssh_hostkey_algos: Vec<String>,
    /// ServiceAccount for cloud identities where an object names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) default_service_account: String,
    /// Let ArtifactGenerators take from sources of their own namespace only.
    #[arg(long, default_value = "false", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) no_cross_namespace_refs: bool,
    /// Tokens of cloud identities.
    #[command(flatten)]
    pub(crate) token_cache: TokenCacheFlags,
}

pub(crate) use sluice_access::OBJECT_LEVEL_WORKLOAD_IDENTITY;

/// Whether ArtifactGenerators are seen to: what Flux has source-watcher for.
pub(crate) const ARTIFACT_GENERATOR: &str = "ArtifactGenerator";

/// The feature gates of Flux's controller with their defaults, and one of ours.
pub(crate) const GATES: [(&str, bool); 3] = [
    ("CacheSecretsAndConfigMaps", false),
    (OBJECT_LEVEL_WORKLOAD_IDENTITY, false),
    (ARTIFACT_GENERATOR, false),
];

impl Flags {
    /// The address that URLs of artifacts name.
    pub(crate) fn advertised_address(&self) -> String {
        if !self.storage_adv_addr.is_empty() {
            return self.storage_adv_addr.clone();
        }
        let (host, port) = self.storage_addr.rsplit_once(':').unwrap_or((&self.storage_addr, ""));
        let host = match host {
            "" => "localhost".to_owned(),
            "0.0.0.0" => std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned()),
            host => host.to_owned(),
        };
        if port.is_empty() { host } else { format!("{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advertised_address_comes_from_the_bound_one() {
        let address = |arguments: &[&str]| {
            Flags::parse_from([&["source-controller"], arguments].concat()).advertised_address()
        };
        assert_eq!(address(&[]), "localhost:9090");
        assert_eq!(address(&["--storage-addr=127.0.0.1:81"]), "127.0.0.1:81");
        assert_eq!(address(&["--storage-adv-addr=source.flux-system.svc."]), "source.flux-system.svc.");
    }
}

//! Flags of this controller, with the names and defaults of Flux's.

use std::time::Duration;

use clap::{ArgAction, Parser};
use sluice_artifact::Algorithm;
use sluice_runtime::flags::{CommonFlags, TokenCacheFlags, parse_bool, parse_duration};

/// Installs Helm charts and keeps the releases as HelmReleases say.
#[derive(Parser, Clone, Debug)]
#[command(args_override_self = true, name = "helm-controller", version)]
pub(crate) struct Flags {
    /// Flags of every controller.
    #[command(flatten)]
    pub(crate) common: CommonFlags,
    /// How many HelmReleases are worked on at once. Those that wait do not count.
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    pub(crate) concurrent: usize,
    /// When to look again at a dependency that is not ready and whose change is not seen.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) requeue_dependency: Duration,
    /// Accepted for compatibility: actions that wait are given up at once, recorded, and tried again after the next start.
    #[arg(long, default_value = "600s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) graceful_shutdown_timeout: Duration,
    /// How often the download of an artifact is tried again.
    #[arg(long, default_value_t = 9, value_name = "NUMBER")]
    pub(crate) http_retry: u32,
    /// How long the server of an artifact may be silent.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) http_timeout: Duration,
    /// Refuse sources of other namespaces.
    #[arg(long, default_value = "false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) no_cross_namespace_refs: bool,
    /// ServiceAccount to act as where a HelmRelease names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) default_service_account: String,
    /// ServiceAccount for kubeconfigs where a ConfigMap names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) default_kubeconfig_service_account: String,
    /// Algorithm of the digests in the history: sha256, sha384, sha512 or blake3.
    #[arg(long, default_value = "sha256", value_parser = parse_algorithm, value_name = "NAME")]
    pub(crate) snapshot_digest_algo: Algorithm,
    /// Field manager whose fields are taken over before drift is detected; may be given several times.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) override_manager: Vec<String>,
    /// Allow programs in kubeconfigs.
    #[arg(long, default_value = "false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) insecure_kubeconfig_exec: bool,
    /// Allow kubeconfigs that do not verify the server.
    #[arg(long, default_value = "false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) insecure_kubeconfig_tls: bool,
    /// Hosts that schemas of charts' values are not fetched from: names, *.domains, addresses, ranges, and the words metadata
    /// (where clouds tell credentials) and cluster (services of the cluster and all private addresses).
    #[arg(long, default_value = "metadata", value_delimiter = ',', value_name = "HOSTS")]
    pub(crate) deny_schema_hosts: Vec<String>,
    /// Exceptions from --deny-schema-hosts.
    #[arg(long, value_delimiter = ',', value_name = "HOSTS")]
    pub(crate) allow_schema_hosts: Vec<String>,
    /// Accepted for compatibility: how full the memory may be before Flux's controller ends itself.
    #[arg(long, default_value_t = 95, value_name = "PERCENT")]
    pub(crate) oom_watch_memory_threshold: u8,
    /// Accepted for compatibility, see --oom-watch-memory-threshold.
    #[arg(long, default_value = "500ms", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) oom_watch_interval: Duration,
    /// Accepted for compatibility, see --oom-watch-memory-threshold.
    #[arg(long, default_value = "", value_name = "PATH")]
    pub(crate) oom_watch_max_memory_path: String,
    /// Accepted for compatibility, see --oom-watch-memory-threshold.
    #[arg(long, default_value = "", value_name = "PATH")]
    pub(crate) oom_watch_current_memory_path: String,
    /// Tokens of cloud identities.
    #[command(flatten)]
    pub(crate) token_cache: TokenCacheFlags,
}

fn parse_algorithm(text: &str) -> Result<Algorithm, String> {
    [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512, Algorithm::Blake3]
        .into_iter()
        .find(|algorithm| algorithm.name() == text)
        .ok_or_else(|| "must be sha256, sha384, sha512 or blake3".to_owned())
}

/// The feature gates of Flux's controller with their defaults.
pub(crate) const GATES: [(&str, bool); 15] = [
    ("CacheSecretsAndConfigMaps", false),
    ("DetectDrift", false),
    ("CorrectDrift", false),
    ("AllowDNSLookups", false),
    ("OOMWatch", false),
    ("AdoptLegacyReleases", false),
    ("DisableChartDigestTracking", false),
    ("AdditiveCELDependencyCheck", false),
    ("ExternalArtifact", false),
    ("DisableConfigWatchers", false),
    ("DirectSourceFetch", false),
    ("UseHelm3Defaults", false),
    ("CancelHealthCheckOnNewRevision", false),
    ("DefaultToRetryOnFailure", false),
    ("ObjectLevelWorkloadIdentity", false),
];

//! Flags of this controller, with the names and defaults of Flux's.

use std::time::Duration;

use clap::{ArgAction, Parser};
use sluice_runtime::flags::{CommonFlags, TokenCacheFlags, parse_bool, parse_duration};

/// Builds and applies Kustomizations.
#[derive(Parser, Clone, Debug)]
#[command(args_override_self = true, name = "kustomize-controller", version)]
pub(crate) struct Flags {
    /// Flags of every controller.
    #[command(flatten)]
    pub(crate) common: CommonFlags,
    /// How many Kustomizations are worked on at once.
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    pub(crate) concurrent: usize,
    /// How many objects of one Kustomization are compared or applied at once.
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    pub(crate) concurrent_ssa: usize,
    /// When to look again at a dependency that is not ready and whose change is not seen.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) requeue_dependency: Duration,
    /// How often the download of an artifact is tried again.
    #[arg(long, default_value_t = 9, value_name = "NUMBER")]
    pub(crate) http_retry: u32,
    /// Refuse kustomize bases from elsewhere. Set it to false to allow them to everybody who may write Kustomizations.
    #[arg(long, default_value = "true", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) no_remote_bases: bool,
    /// Refuse sources of other namespaces.
    #[arg(long, default_value = "false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) no_cross_namespace_refs: bool,
    /// Beyond Flux: hosts that artifacts may come from, separated by commas; any where there are none.
    #[arg(long, value_delimiter = ',', value_name = "HOSTS")]
    pub(crate) artifact_hosts: Vec<String>,
    /// ServiceAccount to act as where a Kustomization names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) default_service_account: String,
    /// ServiceAccount for decryption where a Kustomization names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) default_decryption_service_account: String,
    /// ServiceAccount for kubeconfigs where a ConfigMap names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) default_kubeconfig_service_account: String,
    /// Secret of the controller's namespace with age keys for all Kustomizations that name none.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) sops_age_secret: String,
    /// ConfigMap of the controller's namespace with the Vault servers that may be used.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) sops_vault_configmap: String,
    /// Field manager whose fields are taken over; may be given several times.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) override_manager: Vec<String>,
    /// Kinds to apply in a stage of their own, as group/Kind separated by commas.
    #[arg(long, default_value = "", value_name = "KINDS")]
    pub(crate) custom_apply_stage_kinds: String,
    /// Allow programs in kubeconfigs.
    #[arg(long, default_value = "false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) insecure_kubeconfig_exec: bool,
    /// Allow kubeconfigs that do not verify the server.
    #[arg(long, default_value = "false", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub(crate) insecure_kubeconfig_tls: bool,
    /// Tokens of cloud identities.
    #[command(flatten)]
    pub(crate) token_cache: TokenCacheFlags,
}

/// The feature gates of Flux's controller with their defaults.
pub(crate) const GATES: [(&str, bool); 12] = [
    ("CacheSecretsAndConfigMaps", false),
    ("DisableStatusPollerCache", true),
    ("DisableFailFastBehavior", false),
    ("StrictPostBuildSubstitutions", true),
    ("GroupChangeLog", false),
    ("AdditiveCELDependencyCheck", false),
    ("ExternalArtifact", false),
    ("CancelHealthCheckOnNewRevision", false),
    ("DisableConfigWatchers", false),
    ("DirectSourceFetch", false),
    ("MigrateAPIVersion", false),
    ("ObjectLevelWorkloadIdentity", false),
];

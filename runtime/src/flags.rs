//! Flags that all controllers take, with the names and defaults of Flux's.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use kube::runtime::watcher;

use crate::logging::{Encoding, Level};
use crate::queue::Backoff;

/// How soon an object is looked at again at the earliest, whatever its interval says. One with an interval of a
/// millisecond would have a worker for itself.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Flags of every controller. Flatten them into the controller's own.
#[derive(Args, Clone, Debug)]
pub struct CommonFlags {
    /// Address of the metrics endpoint; "0" turns it off.
    #[arg(long, default_value = ":8080", env = "METRICS_ADDR", value_name = "ADDRESS")]
    pub metrics_addr: String,
    /// Address of the health endpoint; "0" turns it off.
    #[arg(long, default_value = ":9440", value_name = "ADDRESS")]
    pub health_addr: String,
    /// Address of the notification-controller's event endpoint; empty sends none.
    #[arg(long, default_value = "", env = "EVENTS_ADDR", value_name = "URL")]
    pub events_addr: String,
    /// Least important message that is logged.
    #[arg(long, default_value = "info", value_enum)]
    pub log_level: Level,
    /// Form of the log lines.
    #[arg(long, default_value = "json", value_enum)]
    pub log_encoding: Encoding,
    /// Watch all namespaces; false watches RUNTIME_NAMESPACE only.
    #[arg(long, default_value = "true", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub watch_all_namespaces: bool,
    /// Watch only objects whose labels match, for sharding.
    #[arg(long, default_value = "", value_name = "SELECTOR")]
    pub watch_label_selector: String,
    /// Watch referenced ConfigMaps and Secrets whose labels match; empty watches all.
    #[arg(long, default_value = "reconcile.fluxcd.io/watch=Enabled", value_name = "SELECTOR")]
    pub watch_configs_label_selector: String,
    /// Delay after the first failure; it doubles with each further one.
    #[arg(long, default_value = "750ms", value_parser = parse_duration, value_name = "DURATION")]
    pub min_retry_delay: Duration,
    /// Longest delay after failures.
    #[arg(long, default_value = "15m", value_parser = parse_duration, value_name = "DURATION")]
    pub max_retry_delay: Duration,
    /// Percentage by which intervals vary at random, 0 to 99.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..100), value_name = "PERCENT")]
    pub interval_jitter_percentage: u8,
    /// Accepted for compatibility: requests are not limited here, the API server's flow control does it.
    #[arg(long, default_value_t = 50.0, value_name = "NUMBER")]
    pub kube_api_qps: f32,
    /// Accepted for compatibility, see --kube-api-qps.
    #[arg(long, default_value_t = 300, value_name = "NUMBER")]
    pub kube_api_burst: u32,
    /// Switches of features, as name=true|false separated by commas.
    #[arg(long, default_value = "", value_name = "GATES")]
    pub feature_gates: String,
    /// Leadership.
    #[command(flatten)]
    pub leader: LeaderFlags,
}

/// Flags of leader election.
#[derive(Args, Clone, Debug)]
pub struct LeaderFlags {
    /// Work only while holding the lease, so that replicas take over from one another.
    #[arg(long, default_value = "false", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub enable_leader_election: bool,
    /// Give the lease back on shutdown.
    #[arg(long, default_value = "true", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    pub leader_election_release_on_cancel: bool,
    /// Time after which others may take a lease that is not renewed.
    #[arg(long, default_value = "35s", value_parser = parse_duration, value_name = "DURATION")]
    pub leader_election_lease_duration: Duration,
    /// Time after which the leader gives up when it cannot renew.
    #[arg(long, default_value = "30s", value_parser = parse_duration, value_name = "DURATION")]
    pub leader_election_renew_deadline: Duration,
    /// Time between tries.
    #[arg(long, default_value = "5s", value_parser = parse_duration, value_name = "DURATION")]
    pub leader_election_retry_period: Duration,
}

/// Flags of what is kept of tokens that clouds give.
#[derive(Args, Clone, Copy, Debug)]
pub struct TokenCacheFlags {
    /// How many tokens of cloud identities are kept; 0 keeps none.
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    pub token_cache_max_size: usize,
    /// How long tokens of cloud identities are kept.
    #[arg(long, default_value = "1h", value_parser = parse_duration, value_name = "DURATION")]
    pub token_cache_max_duration: Duration,
}

impl TokenCacheFlags {
    /// A place for such tokens.
    pub fn tokens(&self) -> sluice_cloud::Tokens {
        sluice_cloud::Tokens::new(self.token_cache_max_size, self.token_cache_max_duration)
    }
}

impl CommonFlags {
    /// The delays after failures.
    pub fn backoff(&self) -> Backoff {
        Backoff { min: self.min_retry_delay, max: self.max_retry_delay }
    }

    /// The watch of a controller's own kinds: those of its shard.
    pub fn watch_config(&self) -> watcher::Config {
        labelled(&self.watch_label_selector)
    }

    /// The watch of ConfigMaps and Secrets that objects refer to.
    pub fn configs_watch_config(&self) -> watcher::Config {
        labelled(&self.watch_configs_label_selector)
    }

    /// An interval changed at random by the configured percentage, so that objects do not come all at once. At least
    /// [`SHORTEST_INTERVAL`].
    pub fn jitter(&self, interval: Duration) -> Duration {
        let percentage = f64::from(self.interval_jitter_percentage) / 100.0;
        interval.mul_f64(1.0 + percentage * (fastrand::f64() * 2.0 - 1.0)).max(SHORTEST_INTERVAL)
    }
}

fn labelled(selector: &str) -> watcher::Config {
    if selector.is_empty() { watcher::Config::default() } else { watcher::Config::default().labels(selector) }
}

/// A boolean as Go's flags read it.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A duration as Go's flags read it, such as `1m30s`; not below zero.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = sluice_duration::parse(text).map_err(|error| error.to_string())?;
    sluice_duration::to_std(nanoseconds).ok_or_else(|| "must not be negative".to_owned())
}

/// A duration as Go prints it, such as `1m30s`.
pub fn format_duration(duration: Duration) -> String {
    sluice_duration::format_std(duration)
}

/// Switches of features.
#[derive(Clone, Debug, Default)]
pub struct FeatureGates(BTreeMap<&'static str, bool>);

impl FeatureGates {
    /// Reads `--feature-gates`. `known`: each gate with its default; others are an error.
    pub fn parse(text: &str, known: &[(&'static str, bool)]) -> Result<Self, String> {
        let mut gates: BTreeMap<_, _> = known.iter().copied().collect();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (name, value) =
                entry.split_once('=').ok_or_else(|| format!("missing bool value for {entry}"))?;
            let gate = gates
                .get_mut(name.trim())
                .ok_or_else(|| format!("feature-gate '{}' not supported", name.trim()))?;
            *gate = parse_bool(value.trim())
                .map_err(|error| format!("invalid value of {}: {error}", name.trim()))?;
        }
        Ok(Self(gates))
    }

    /// Whether a gate is on. Gates that were not named in [`FeatureGates::parse`] are off.
    pub fn enabled(&self, name: &str) -> bool {
        self.0.get(name).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        common: CommonFlags,
    }

    #[test]
    fn nobody_keeps_a_controller_busy_with_an_interval_of_nothing() {
        let flags = Flags::parse_from(["x", "--interval-jitter-percentage=10"]).common;
        assert_eq!(flags.jitter(Duration::from_millis(1)), SHORTEST_INTERVAL);
        assert!(flags.jitter(Duration::from_secs(10)) > Duration::from_secs(5));
    }

    #[test]
    fn arguments_of_the_standard_install_are_read() {
        let flags = Flags::parse_from([
            "x",
            "--events-addr=http://notification-controller.flux-system.svc.cluster.local./",
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--min-retry-delay=1m30s",
        ])
        .common;
        assert!(flags.watch_all_namespaces && flags.leader.enable_leader_election);
        assert_eq!(flags.min_retry_delay.as_secs(), 90);
        assert!(Flags::try_parse_from(["x", "--interval-jitter-percentage=100"]).is_err());
    }

    #[test]
    fn unknown_gates_are_refused() {
        let known = [("A", false), ("B", true)];
        let gates = FeatureGates::parse("A=true, B=false", &known).unwrap();
        assert!(gates.enabled("A") && !gates.enabled("B") && !gates.enabled("C"));
        assert_eq!(FeatureGates::parse("C=true", &known).unwrap_err(), "feature-gate 'C' not supported");
        assert!(FeatureGates::parse("A", &known).is_err() && FeatureGates::parse("A=maybe", &known).is_err());
    }

    #[test]
    fn jitter_stays_within_its_percentage() {
        let flags = Flags::parse_from(["x", "--interval-jitter-percentage=10"]).common;
        for _ in 0..1000 {
            let interval = flags.jitter(Duration::from_secs(100)).as_secs_f64();
            assert!((90.0..=110.0).contains(&interval), "{interval}");
        }
    }
}

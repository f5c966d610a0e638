//! notification-controller: tells people and systems what the other controllers did ([`event`], [`provider`]), and has
//! objects reconciled when a webhook comes in ([`receiver`]).

mod alert;
mod commit_status_id;
mod courier;
mod event;
mod figures;
mod group;
mod jose;
mod kinds;
mod measured;
mod memo;
mod outbox;
mod provider;
mod receiver;
mod statics;
mod template;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use sluice_access::{Identities, OBJECT_LEVEL_WORKLOAD_IDENTITY};
use sluice_api::notification::{Alert, Provider, Receiver};
use sluice_runtime::flags::{CommonFlags, FeatureGates, TokenCacheFlags, parse_bool, parse_duration};
use sluice_runtime::manager::StartError;
use sluice_runtime::{Cache, Controller, Manager, ObjectKey};

const NAME: &str = "notification-controller";
const GATES: &[(&str, bool)] = &[
    ("CacheSecretsAndConfigMaps", false),
    ("DisableConfigWatchers", false),
    (OBJECT_LEVEL_WORKLOAD_IDENTITY, false),
];

/// Dispatches events to chats, trackers and other systems, and turns webhooks into reconciles.
#[derive(Parser)]
#[command(args_override_self = true, name = NAME, version, mut_arg("events_addr", |arg| arg.default_value(":9090").help("Address that events are taken at")))]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
    /// Address that webhooks are taken at.
    #[arg(long = "receiverAddr", default_value = ":9292", value_name = "ADDRESS")]
    receiver_addr: String,
    /// Equal events are sent once in this time.
    #[arg(long, default_value = "5m", value_parser = parse_duration, value_name = "DURATION")]
    rate_limit_interval: Duration,
    /// Receivers that are reconciled at the same time.
    #[arg(long, default_value_t = 4, value_name = "NUMBER")]
    concurrent: usize,
    /// Tell paths apart in the metrics of the HTTP servers. Paths of webhooks are secrets.
    #[arg(long, default_value = "false", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    export_http_path_metrics: bool,
    /// Refuse references to objects of other namespaces.
    #[arg(long, default_value = "false", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = parse_bool, value_name = "BOOL")]
    no_cross_namespace_refs: bool,
    /// Hosts that Providers must not send to: names, *.domains, addresses, ranges, and the words metadata (where clouds tell
    /// credentials) and cluster (services of the cluster and all private addresses).
    #[arg(long, default_value = "metadata", value_delimiter = ',', value_name = "HOSTS")]
    deny_provider_hosts: Vec<String>,
    /// Exceptions from --deny-provider-hosts.
    #[arg(long, value_delimiter = ',', value_name = "HOSTS")]
    allow_provider_hosts: Vec<String>,
    /// ServiceAccount for cloud identities where a Provider names none.
    #[arg(long, default_value = "", value_name = "NAME")]
    default_service_account: String,
    /// Tokens of cloud identities.
    #[command(flatten)]
    token_cache: TokenCacheFlags,
}

impl Flags {
    fn policy(&self) -> Result<provider::AddressPolicy, StartError> {
        let denied = ("deny-provider-hosts", self.deny_provider_hosts.as_slice());
        provider::AddressPolicy::of_flags(denied, ("allow-provider-hosts", &self.allow_provider_hosts))
            .map_err(StartError::Flag)
    }
}

fn main() -> ExitCode {
    let mut flags = Flags::parse();
    // Here the flag is the address to listen on; this controller posts no events itself.
    let events_addr = std::mem::take(&mut flags.common.events_addr);
    sluice_runtime::manager::run_replica(NAME, flags.common.clone(), |manager| {
        start(manager, flags, events_addr)
    })
}

async fn start(manager: Arc<Manager>, flags: Flags, events_addr: String) -> Result<(), StartError> {
    let gates = FeatureGates::parse(&flags.common.feature_gates, GATES).map_err(StartError::Flag)?;
    let tokens = flags.token_cache.tokens();
    let gate = gates.enabled(OBJECT_LEVEL_WORKLOAD_IDENTITY);
    let account = flags.default_service_account.clone();
    let identities = Identities::new(manager.client.clone(), tokens, gate, account);
    let identities = identities.map_err(StartError::Flag)?;
    let figures = Arc::new(figures::Figures::new(&manager.metrics));
    let alerts = statics::watch::<Alert>(&manager, |_| {});
    let counted = figures.clone();
    let providers = statics::watch::<Provider>(&manager, move |change| {
        counted.changed(&change.key, change.new.is_some());
    });
    // Every replica serves webhooks, so each has the Receivers; the leader's controller follows them by itself.
    let receivers = sluice_runtime::mirror::<Receiver>(&manager, manager.flags.watch_config(), |_| {});
    let synced = async {
        alerts.synced().await;
        providers.synced().await;
        receivers.synced().await;
    };
    if manager.stop.run_until_cancelled(synced).await.is_none() {
        return Ok(());
    }
    let policy = flags.policy()?;
    let logins = provider::Logins { identities, http: sluice_http::Clients::default() };
    let dispatcher = courier::Dispatcher::new(manager.clone(), policy.clone(), logins, figures);
    let outbox = outbox::Outbox::new(dispatcher, manager.tasks.clone(), manager.stop.clone());
    let pipeline = Arc::new(event::Pipeline {
        manager: manager.clone(),
        alerts,
        providers,
        limiter: event::Limiter::new(flags.rate_limit_interval),
        bodies: event::Bodies::default(),
        groups: group::Groups::new(outbox, manager.tasks.clone(), manager.stop.clone()),
        no_cross_namespace_refs: flags.no_cross_namespace_refs,
        patterns: alert::Patterns::default(),
        expressions: commit_status_id::Expressions::default(),
        labels: event::Labels::default(),
    });
    let paths = flags.export_http_path_metrics;
    let routes = measured::measured(&manager.metrics, "event", "/", paths, event::routes(pipeline));
    manager.serve("events", &events_addr, routes).await?;
    let webhooks = Arc::new(receiver::Webhooks {
        manager: manager.clone(),
        receivers,
        no_cross_namespace_refs: flags.no_cross_namespace_refs,
        issuers: receiver::Issuers::new(policy),
        compiled: receiver::Compiled::default(),
        bodies: event::Bodies::default(),
    });
    let routes = receiver::routes(webhooks);
    let routes = measured::measured(&manager.metrics, "receiver", "/hook/", paths, routes);
    manager.serve("webhooks", &flags.receiver_addr, routes).await?;
    manager.lead(reconcile(&manager, flags.concurrent, !gates.enabled("DisableConfigWatchers"))).await?;
    manager.stop.cancelled().await;
    Ok(())
}

/// What only the leader does.
async fn reconcile(manager: &Arc<Manager>, concurrent: usize, watches_secrets: bool) {
    let mut receivers = Controller::<Receiver>::new(manager, concurrent);
    let cache = receivers.cache();
    if watches_secrets {
        watch_secrets(&mut receivers, manager);
    }
    receivers.run(receiver::ReceiverReconciler::new(manager.clone(), cache)).await;
}

/// Wakes Receivers when the Secret with their token changes.
fn watch_secrets(receivers: &mut Controller<Receiver>, manager: &Manager) {
    let cache: Arc<Cache<Receiver>> = receivers.cache();
    receivers.watch_metadata::<Secret>(
        manager.watched(),
        manager.flags.configs_watch_config(),
        move |change| {
            let uses = |receiver: &Receiver| {
                let named =
                    receiver.spec.secret_ref.as_ref().is_some_and(|secret| secret.name == change.key.name);
                named && receiver.namespace().as_deref() == Some(&change.key.namespace)
            };
            cache.filter(uses).iter().map(|receiver| ObjectKey::of(&**receiver)).collect()
        },
    );
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

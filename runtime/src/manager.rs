//! The life of a controller process: logs, client, endpoints, leadership, controllers, shutdown.

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use kube::api::Api;
use kube::core::NamespaceResourceScope;
use kube::{Client, Config, Resource};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::Recorder;
use crate::flags::CommonFlags;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::term::TERM;
use crate::{allocator, client, errors, logging, server};

/// How long a shutdown waits for reconciles that are under way.
const GRACE: Duration = Duration::from_secs(30);

/// What the controllers of one process share.
pub struct Manager {
    /// Name of the process, such as `source-controller`.
    pub name: &'static str,
    /// The client for the API server.
    pub client: Client,
    /// The common flags.
    pub flags: CommonFlags,
    /// The namespace that the process runs in.
    pub runtime_namespace: String,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Events.
    pub recorder: Recorder,
    /// Cancelled when the process is to end: no new work, and long work is to be cut short.
    pub stop: CancellationToken,
    /// Background tasks that a shutdown waits for.
    pub tasks: TaskTracker,
    /// Cancelled when this replica does what every replica does, such as serving.
    ready: CancellationToken,
}

/// Why a process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No usable kubeconfig or service account.
    #[error("cannot configure the Kubernetes client: {0}")]
    Client(String),
    /// An address is in use or malformed.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address as given by the flag.
        address: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A flag does not make sense.
    #[error("{0}")]
    Flag(String),
    /// Another replica may lead by now.
    #[error("leadership lost")]
    LeadershipLost,
    /// Something of the controller itself.
    #[error("{0}")]
    Other(String),
}

/// Runs a controller process all of whose work is the leader's, until it is told to end, and returns its exit code.
///
/// `controllers` is called once this process leads (at once without leader election), and runs until
/// [`Manager::stop`] is cancelled.
pub fn run<F, Fut>(name: &'static str, flags: CommonFlags, controllers: F) -> ExitCode
where
    F: FnOnce(Arc<Manager>) -> Fut,
    Fut: Future<Output = Result<(), StartError>>,
{
    run_replica(name, flags, |manager| async move {
        let work = controllers(manager.clone());
        manager.lead(work).await?.unwrap_or(Ok(()))
    })
}

/// Like [`run`], for a process that has work on every replica: `work` is called at once, and calls [`Manager::lead`] for
/// what only the leader may do.
pub fn run_replica<F, Fut>(name: &'static str, flags: CommonFlags, work: F) -> ExitCode
where
    F: FnOnce(Arc<Manager>) -> Fut,
    Fut: Future<Output = Result<(), StartError>>,
{
    logging::init(flags.log_level, flags.log_encoding);
    allocator::configure();
    // A second provider in the process would be a mistake of ours; the first one stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::Other(format!("cannot start the async runtime: {error}")))
        .and_then(|runtime| runtime.block_on(run_async(name, flags, work)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = errors::chain(&error), "{name} cannot run");
            ExitCode::FAILURE
        }
    }
}

async fn run_async<F, Fut>(name: &'static str, flags: CommonFlags, work: F) -> Result<(), StartError>
where
    F: FnOnce(Arc<Manager>) -> Fut,
    Fut: Future<Output = Result<(), StartError>>,
{
    let (client, default_namespace) = connect().await?;
    let namespace = std::env::var("RUNTIME_NAMESPACE").ok().filter(|namespace| !namespace.is_empty());
    if !flags.watch_all_namespaces && namespace.is_none() {
        let hint = "--watch-all-namespaces=false needs the environment variable RUNTIME_NAMESPACE";
        return Err(StartError::Flag(hint.to_owned()));
    }
    let events_address = match flags.events_addr.as_str() {
        "" => None,
        address => {
            let invalid = |error| StartError::Flag(format!("--events-addr {address}: {error}"));
            Some(reqwest::Url::parse(address).map_err(invalid)?)
        }
    };

    let stop = CancellationToken::new();
    let drain = CancellationToken::new();
    let background = TaskTracker::new();
    let metrics = Arc::new(Metrics::default());
    listen("metrics", &flags.metrics_addr, server::metrics(metrics.clone()), &background, &drain).await?;
    let ready = CancellationToken::new();
    listen("health", &flags.health_addr, server::health(ready.clone()), &background, &drain).await?;
    stop_on_signal(stop.clone())?;
    let recorder = Recorder::new(client.clone(), name, events_address, metrics.events(), &background, &drain);
    let manager = Arc::new(Manager {
        name,
        client: client.clone(),
        runtime_namespace: namespace.unwrap_or(default_namespace),
        flags,
        metrics: metrics.clone(),
        recorder,
        stop: stop.clone(),
        tasks: TaskTracker::new(),
        ready,
    });

    let ended = work(manager.clone()).await;
    manager.stop.cancel();
    manager.tasks.close();
    if tokio::time::timeout(GRACE, manager.tasks.wait()).await.is_err() {
        tracing::error!("some work did not end in time");
    }
    drain.cancel();
    background.close();
    let _ = tokio::time::timeout(Duration::from_secs(5), background.wait()).await;
    tracing::info!("{name} ended");
    ended
}

impl Manager {
    /// Waits until this process leads (not at all without leader election), does the work, and gives the leadership back.
    /// From now on the replica is ready: what it serves without leading must be up before. `None` when the process is told to end before it leads.
    ///
    /// # Errors
    ///
    /// [`StartError::LeadershipLost`], with the work dropped and [`Manager::stop`] cancelled: another replica may lead by
    /// now.
    pub async fn lead<T>(&self, work: impl Future<Output = T>) -> Result<Option<T>, StartError> {
        self.ready.cancel();
        let lease = lease_name(self.name, &self.flags.watch_label_selector);
        if !self.flags.leader.enable_leader_election {
            self.metrics.lead(&lease, true);
            tracing::info!("starting {}", self.name);
            return Ok(Some(work.await));
        }
        self.metrics.lead(&lease, false);
        let flags = self.flags.leader.clone();
        let mut leadership = Leadership::new(self.client.clone(), &self.runtime_namespace, &lease, flags);
        if !leadership.acquire(&self.stop).await {
            return Ok(None);
        }
        self.metrics.lead(&lease, true);
        tracing::info!(lease, "starting {} as leader", self.name);
        let mut work = std::pin::pin!(work);
        let ended = tokio::select! {
            ended = &mut work => Some(ended),
            () = leadership.hold(&self.stop) => None,
        };
        self.metrics.lead(&lease, false);
        if ended.is_none() && !self.stop.is_cancelled() {
            return Err(self.leadership_lost());
        }
        // What is under way comes to its end as long as the lease is ours.
        let never = CancellationToken::new();
        let ended = match ended {
            Some(ended) => Some(ended),
            None => tokio::select! {
                ended = tokio::time::timeout(GRACE, work) => ended.ok(),
                () = leadership.hold(&never) => return Err(self.leadership_lost()),
            },
        };
        self.stop.cancel();
        TERM.end();
        leadership.release().await;
        Ok(ended)
    }

    /// Nothing more is written from now on.
    fn leadership_lost(&self) -> StartError {
        TERM.end();
        self.stop.cancel();
        StartError::LeadershipLost
    }

    /// The objects of a kind that this process watches: of all namespaces, or of its own.
    pub fn watched<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        if self.flags.watch_all_namespaces {
            Api::all(self.client.clone())
        } else {
            Api::namespaced(self.client.clone(), &self.runtime_namespace)
        }
    }

    /// Starts an HTTP server of the controller's own, such as the one for artifacts, until the process ends.
    pub async fn serve(&self, what: &str, address: &str, routes: axum::Router) -> Result<(), StartError> {
        listen(what, address, routes, &self.tasks, &self.stop).await
    }
}

/// The client for the cluster that the process runs in, or that KUBECONFIG names, and the default namespace there.
async fn connect() -> Result<(Client, String), StartError> {
    let mut config = Config::infer().await.map_err(|error| StartError::Client(errors::chain(&error)))?;
    // Waits are ours to bound; this only ends requests whose server went away.
    config.read_timeout = Some(Duration::from_mins(6));
    let namespace = config.default_namespace.clone();
    let client = client::connect(config).map_err(|error| StartError::Client(errors::describe(&error)))?;
    Ok((client, namespace))
}

async fn listen(
    what: &str,
    address: &str,
    routes: axum::Router,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), StartError> {
    if address == "0" || address.is_empty() {
        return Ok(());
    }
    let failed = |source| StartError::Listen { address: address.to_owned(), source };
    let listener = server::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    tracing::info!(server = what, address = %bound, "listening");
    server::serve(listener, routes, tasks, stop.clone());
    Ok(())
}

/// The name of the lease; each shard has its own.
fn lease_name(name: &str, selector: &str) -> String {
    if selector.is_empty() {
        return format!("{name}-leader-election");
    }
    let digest = Sha256::digest(selector.as_bytes());
    let suffix = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("{name}-leader-election-{suffix:08x}")
}

fn stop_on_signal(stop: CancellationToken) -> Result<(), StartError> {
    let failed = |error| StartError::Other(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
        stop.cancel();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_shard_has_its_own_lease() {
        assert_eq!(super::lease_name("source-controller", ""), "source-controller-leader-election");
        let shard = super::lease_name("source-controller", "sharding.fluxcd.io/key=shard1");
        assert_eq!(shard, "source-controller-leader-election-73fdc1be");
    }
}

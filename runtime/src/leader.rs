//! Leadership by a coordination/v1 Lease, with the rules of client-go: a lease counts as abandoned when it was not seen to
//! change for its whole duration by our own clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::errors;
use crate::flags::LeaderFlags;
use crate::term::TERM;

/// How often a lease is given back, when that collides with a renewal.
const RELEASES: u32 = 5;

/// A contender for one lease.
pub struct Leadership {
    api: Api<Lease>,
    name: String,
    identity: String,
    flags: LeaderFlags,
    /// The lease as it was last seen to change, and when.
    seen: Option<(Lease, Instant)>,
}

impl Leadership {
    /// A contender under a name that no other process has.
    pub fn new(client: Client, namespace: &str, name: &str, flags: LeaderFlags) -> Self {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned());
        let identity = format!("{host}_{:016x}", fastrand::u64(..));
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), identity, flags, seen: None }
    }

    /// Waits for the leadership. False when `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            let begin = Instant::now();
            match self.attempt().await {
                Ok(true) => {
                    self.begin_term(begin);
                    return true;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(error = %errors::describe(&error), lease = self.name, "cannot take the lease");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(self.flags.leader_election_retry_period)) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Keeps the leadership until `stop`, and then gives it back if so configured. Returns early when it is lost.
    pub async fn hold(&mut self, stop: &CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.flags.leader_election_retry_period) => {}
                () = stop.cancelled() => return,
            }
            let begin = Instant::now();
            let left = self.flags.leader_election_renew_deadline.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.attempt()).await {
                Ok(Ok(true)) => {
                    self.begin_term(begin);
                    renewed = Instant::now();
                }
                Ok(Ok(false)) => return,
                Ok(Err(error)) => {
                    tracing::error!(error = %errors::describe(&error), lease = self.name, "cannot renew the lease");
                }
                Err(_) => {}
            }
            if renewed.elapsed() >= self.flags.leader_election_renew_deadline {
                return;
            }
        }
    }

    /// Others may not take the lease before its duration is over, which they count from later than `begin`.
    fn begin_term(&self, begin: Instant) {
        TERM.renewed(begin.into_std(), self.flags.leader_election_renew_deadline);
    }

    /// Gives the lease back so that another replica takes over at once.
    pub async fn release(&self) {
        if !self.flags.leader_election_release_on_cancel {
            return;
        }
        for _ in 0..RELEASES {
            match self.try_release().await {
                // A renewal that was under way when it was broken off came in between.
                Err(kube::Error::Api(error)) if error.code == 409 => {}
                Err(error) => {
                    tracing::debug!(error = %errors::describe(&error), "could not release the lease");
                    return;
                }
                Ok(()) => return,
            }
        }
    }

    async fn try_release(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let ours = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity));
        let Some(spec) = ours else { return Ok(()) };
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        self.api.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
    }

    /// One try to take or renew. False while another holds it.
    async fn attempt(&mut self) -> kube::Result<bool> {
        let now = MicroTime(Timestamp::now());
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.claim(None, now)),
            };
            let created = self.api.create(&PostParams::default(), &lease).await;
            return self.written(created);
        };
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        let ours = holder == self.identity;
        if !ours && !holder.is_empty() {
            let changed = self.seen.as_ref().is_none_or(|(seen, _)| seen.spec != lease.spec);
            if changed {
                self.seen = Some((lease, Instant::now()));
                return Ok(false);
            }
            let duration =
                lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
            let duration = Duration::from_secs(u64::try_from(duration).unwrap_or_default());
            if self.seen.as_ref().is_some_and(|(_, since)| since.elapsed() < duration) {
                return Ok(false);
            }
        }
        let spec = self.claim(lease.spec.as_ref(), now);
        let replaced =
            self.api.replace(&self.name, &PostParams::default(), &Lease { spec: Some(spec), ..lease }).await;
        self.written(replaced)
    }

    /// The lease's content as ours.
    fn claim(&self, before: Option<&LeaseSpec>, now: MicroTime) -> LeaseSpec {
        let ours = before.and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.identity);
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.flags.leader_election_lease_duration.as_secs()).ok(),
            acquire_time: before.filter(|_| ours).map_or(Some(now.clone()), |spec| spec.acquire_time.clone()),
            renew_time: Some(now),
            lease_transitions: Some(if ours || before.is_none() { transitions } else { transitions + 1 }),
            ..LeaseSpec::default()
        }
    }

    /// A conflict means that another contender was faster.
    fn written(&mut self, result: kube::Result<Lease>) -> kube::Result<bool> {
        match result {
            Ok(lease) => {
                self.seen = Some((lease, Instant::now()));
                Ok(true)
            }
            Err(kube::Error::Api(error)) if error.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Up to a fifth more, so that contenders do not come at the same moment.
fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 + 0.2 * fastrand::f64())
}

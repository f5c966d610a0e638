//! Clients of registries. Objects with the same registry and the same settings share one: its connections, its tokens,
//! and the wait that the registry asks for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sluice_oci::{Client, ClientOptions, Error, Registry};

/// How long a client that nobody uses is kept.
const IDLE: Duration = Duration::from_mins(15);
/// The longest wait that a registry can ask for.
const MAX_WAIT: Duration = Duration::from_hours(1);

/// A client that several objects may use.
pub(crate) struct SharedClient {
    pub(crate) client: Client,
    /// When the registry wants to be asked again.
    not_before: Mutex<Option<Instant>>,
}

impl SharedClient {
    /// How long the registry wants to be left alone.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let until = (*self.not_before.lock().unwrap_or_else(PoisonError::into_inner))?;
        until.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// Heeds a wait that the registry asks for, and returns it.
    pub(crate) fn heed(&self, error: &Error) -> Option<Duration> {
        let Error::Status { retry_after: Some(wait), status: 429 | 503, .. } = error else { return None };
        let wait = (*wait).min(MAX_WAIT);
        let until = Instant::now() + wait;
        let mut known = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *known = (*known).max(Some(until));
        Some(wait)
    }
}

/// All clients by what they were made of.
#[derive(Default)]
pub(crate) struct Registries {
    clients: Mutex<HashMap<Key, (Arc<SharedClient>, Instant)>>,
}

/// A registry, and everything that decides what a client may see there. Passwords are kept as they are: a hash alone
/// could be another one's.
type Key = (Registry, ClientOptions);

impl Registries {
    /// The client for a registry with these options.
    pub(crate) fn client(
        &self,
        registry: &Registry,
        options: ClientOptions,
    ) -> Result<Arc<SharedClient>, Error> {
        let key = (registry.clone(), options.clone());
        let now = Instant::now();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((client, used)) = clients.get_mut(&key) {
            *used = now;
            return Ok(client.clone());
        }
        clients.retain(|_, (_, used)| now.duration_since(*used) < IDLE);
        let client =
            Arc::new(SharedClient { client: Client::new(registry, options)?, not_before: Mutex::default() });
        clients.insert(key, (client.clone(), now));
        Ok(client)
    }
}

//! Clients for registries, kept so that tokens and connections are used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_oci::{Client, ClientOptions, Error, Registry};

/// So many clients are kept.
const MAX_CLIENTS: usize = 256;

/// Clients by registry and by all that gives access: who has other credentials has another client.
#[derive(Default)]
pub(crate) struct Registries(Mutex<HashMap<(Registry, ClientOptions), Arc<Client>>>);

impl Registries {
    /// The client for a registry.
    pub(crate) fn get(
        &self,
        http: &sluice_http::Clients,
        registry: &Registry,
        options: ClientOptions,
    ) -> Result<Arc<Client>, Error> {
        let key = (registry.clone(), options);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let connection = http.get(&key.1.http());
        let connection = connection.map_err(|error| Error::Options(sluice_runtime::errors::chain(&error)))?;
        let client = Arc::new(Client::with_http(registry, key.1.clone(), connection));
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client.clone());
        Ok(client)
    }
}

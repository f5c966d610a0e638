//! Tokens that are still good.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;

use crate::{App, Error, Token};

/// Tokens by the App and the installation that they are of. Whoever has the App's key gets the same token.
#[derive(Debug)]
pub struct Tokens {
    capacity: usize,
    longest: Duration,
    entries: Mutex<HashMap<[u8; 32], Entry>>,
}

#[derive(Debug)]
struct Entry {
    /// Held by whoever asks; the others wait for the same token.
    token: Arc<tokio::sync::Mutex<Option<(Token, Instant)>>>,
    used: Instant,
}

impl Tokens {
    /// Keeps so many (none with 0), each for four fifths of its life and at most `longest`.
    pub fn new(capacity: usize, longest: Duration) -> Self {
        Tokens { capacity, longest, entries: Mutex::default() }
    }

    /// A token of the App: one that is kept, or a new one.
    pub async fn get(&self, app: &App, http: &Client) -> Result<String, Error> {
        if self.capacity == 0 {
            return app.token(http).await.map(|token| token.value);
        }
        let slot = self.slot(app.identity());
        let mut slot = slot.lock().await;
        if let Some((token, until)) = &*slot
            && *until > Instant::now()
        {
            return Ok(token.value.clone());
        }
        let token = app.token(http).await?;
        let until = Instant::now() + (token.life.saturating_mul(4) / 5).min(self.longest);
        let value = token.value.clone();
        *slot = Some((token, until));
        Ok(value)
    }

    /// Forgets a token that was refused.
    pub fn forget(&self, app: &App) {
        self.entries().remove(&app.identity());
    }

    fn slot(&self, key: [u8; 32]) -> Arc<tokio::sync::Mutex<Option<(Token, Instant)>>> {
        let mut entries = self.entries();
        if !entries.contains_key(&key)
            && entries.len() >= self.capacity
            && let Some(oldest) = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key)
        {
            entries.remove(&oldest);
        }
        let entry =
            entries.entry(key).or_insert_with(|| Entry { token: Arc::default(), used: Instant::now() });
        entry.used = Instant::now();
        Arc::clone(&entry.token)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

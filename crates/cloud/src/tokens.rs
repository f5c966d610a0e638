//! Temporary credentials, kept for as long as they last.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::Error;

/// Tokens by what they were got with. Those of one tenant are never those of another: everything that gives access is
/// part of the key.
#[derive(Debug)]
pub struct Tokens {
    capacity: usize,
    longest: Duration,
    entries: Mutex<HashMap<[u8; 32], Entry>>,
}

struct Entry {
    value: String,
    until: Instant,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry(…)")
    }
}

/// A token and how long it is good.
pub struct Token {
    /// The token.
    pub value: String,
    /// How long it is good.
    pub life: Duration,
}

impl Tokens {
    /// Keeps so many (none with 0), each for four fifths of its life and at most `longest`.
    pub fn new(capacity: usize, longest: Duration) -> Self {
        Tokens { capacity, longest, entries: Mutex::default() }
    }

    /// The token for `key`, from `get` if there is none.
    pub async fn get(
        &self,
        key: &[&str],
        get: impl Future<Output = Result<Token, Error>>,
    ) -> Result<String, Error> {
        let mut hash = Sha256::new();
        for part in key {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let now = Instant::now();
        {
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = entries.get(&hash).filter(|entry| entry.until > now) {
                return Ok(entry.value.clone());
            }
        }
        let Token { value, life } = get.await?;
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| entry.until > now);
        if entries.len() >= self.capacity
            && let Some(first) = entries.iter().min_by_key(|(_, entry)| entry.until).map(|(key, _)| *key)
        {
            entries.remove(&first);
        }
        if self.capacity > 0 {
            // A service may say what it likes.
            let until = now + (life.saturating_mul(4) / 5).min(self.longest);
            entries.insert(hash, Entry { value: value.clone(), until });
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tokens_are_kept_by_all_that_gives_access() {
        let tokens = Tokens::new(2, Duration::from_hours(1));
        let ask = async |key: &[&str], value: &str, life: u64| {
            let token = Token { value: value.to_owned(), life: Duration::from_secs(life) };
            tokens.get(key, std::future::ready(Ok(token))).await.unwrap()
        };
        assert_eq!(ask(&["a", "bc"], "1", 100).await, "1");
        assert_eq!(ask(&["a", "bc"], "2", 100).await, "1");
        assert_eq!(ask(&["ab", "c"], "3", 100).await, "3");
        assert_eq!(ask(&["d"], "4", 200).await, "4");
        assert_eq!(ask(&["a", "bc"], "5", 100).await, "5", "the first to end made room");
        assert_eq!(ask(&["short"], "6", 0).await, "6");
        assert_eq!(ask(&["short"], "7", 0).await, "7");
        assert_eq!(ask(&["endless"], "8", u64::MAX).await, "8", "whatever the service says of its life");
    }
}

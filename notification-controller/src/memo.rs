//! What takes time to make and is needed for every event: kept under what it was made of.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// So many are kept; then all are forgotten, and those in use come back with their next use.
const MAX: usize = 2048;

/// Values by key.
pub(crate) struct Memo<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V> Memo<K, V> {
    /// The value of a key, if it is known.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
    {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Keeps a value.
    pub(crate) fn insert(&self, key: K, value: V) -> Arc<V> {
        let value = Arc::new(value);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX {
            known.clear();
        }
        known.insert(key, value.clone());
        value
    }

    /// The value of a key, made where it is not known. It is made without the lock: at worst twice.
    pub(crate) fn get_or_insert<Q: Hash + Eq + ToOwned<Owned = K> + ?Sized>(
        &self,
        key: &Q,
        make: impl FnOnce() -> V,
    ) -> Arc<V>
    where
        K: Borrow<Q>,
    {
        self.get(key).unwrap_or_else(|| self.insert(key.to_owned(), make()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_and_memory_is_bounded() {
        let memo = Memo::<String, usize>::default();
        assert_eq!(*memo.get_or_insert("a", || 1), 1);
        assert_eq!(*memo.get_or_insert("a", || panic!("known")), 1);
        for n in 0..MAX * 2 {
            memo.insert(n.to_string(), n);
        }
        assert!(memo.0.lock().unwrap().len() <= MAX);
    }
}

//! Objects that wait for others of their kind, so that they can be woken.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use crate::ObjectKey;

/// Who waits for which dependency of this process.
#[derive(Default)]
pub struct Waiting(Mutex<HashMap<ObjectKey, HashSet<ObjectKey>>>);

impl Waiting {
    /// Notes that `dependent` is to be woken when `dependency` has been reconciled.
    pub fn add(&self, dependency: ObjectKey, dependent: &ObjectKey) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(dependency).or_default().insert(dependent.clone());
    }

    /// The dependency is as `dependent` wants it: it need not be woken.
    pub fn remove(&self, dependency: &ObjectKey, dependent: &ObjectKey) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dependents) = waiting.get_mut(dependency) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                waiting.remove(dependency);
            }
        }
    }

    /// Those who wait for a dependency; they are forgotten.
    pub fn take(&self, dependency: &ObjectKey) -> HashSet<ObjectKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(dependency).unwrap_or_default()
    }
}

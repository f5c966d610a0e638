//! Ending work on another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::PackError;

/// A flag that long work looks at.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Sets the flag when the guard is dropped.
    pub fn guard(&self) -> InterruptGuard {
        InterruptGuard(self.clone())
    }

    /// Fails if the flag is set.
    pub(crate) fn check(&self) -> Result<(), PackError> {
        if self.0.load(Ordering::Relaxed) { Err(PackError::Interrupted) } else { Ok(()) }
    }
}

/// Interrupts when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct InterruptGuard(Interrupt);

impl Drop for InterruptGuard {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

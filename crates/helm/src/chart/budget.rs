//! How much a chart may hold, so that a hostile one cannot fill memory.

/// Most bytes of all files of a chart together, unpacked.
pub(crate) const MAX_CHART_BYTES: u64 = 100 * 1024 * 1024;

/// Most files of a chart.
pub(crate) const MAX_FILES: usize = 100_000;

/// Most charts within charts within charts.
pub(crate) const MAX_DEPTH: usize = 64;

/// Bytes that may still be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    remaining: u64,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Budget { remaining: MAX_CHART_BYTES }
    }

    /// How many bytes are left.
    pub(crate) fn remaining(self) -> u64 {
        self.remaining
    }

    /// Takes `bytes`, or tells that they are too many.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        match self.remaining.checked_sub(bytes) {
            Some(remaining) => {
                self.remaining = remaining;
                true
            }
            None => false,
        }
    }
}

//! Losses of one Provider that its Alerts have not been told of yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_api::notification::Alert;
use sluice_runtime::ObjectKey;
use tokio::time::Instant;

/// An Alert is told at most once in this time; what is lost meanwhile is told together.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// By Alert.
#[derive(Default)]
pub(super) struct Losses {
    untold: HashMap<ObjectKey, Untold>,
    told: HashMap<ObjectKey, Instant>,
}

struct Untold {
    alert: Arc<Alert>,
    count: u64,
    last: String,
}

impl Losses {
    /// One more of an Alert.
    pub(super) fn add(&mut self, alert: &Arc<Alert>, message: String) {
        let untold = self.untold.entry(ObjectKey::of(&**alert)).or_insert_with(|| Untold {
            alert: alert.clone(),
            count: 0,
            last: String::new(),
        });
        untold.count += 1;
        untold.last = message;
    }

    /// Whether there is anything to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.untold.is_empty()
    }

    /// When the next one is to be told.
    pub(super) fn due(&self) -> Option<Instant> {
        self.untold.keys().map(|key| self.told.get(key).map_or_else(Instant::now, |told| *told + PAUSE)).min()
    }

    /// What is to be told now, or all of it: whom, and what.
    pub(super) fn take(&mut self, all: bool) -> Vec<(Arc<Alert>, String)> {
        let now = Instant::now();
        self.told.retain(|_, told| now < *told + PAUSE);
        let due: Vec<_> =
            self.untold.keys().filter(|key| all || !self.told.contains_key(key)).cloned().collect();
        let mut texts = Vec::with_capacity(due.len());
        for key in due {
            let Some(Untold { alert, count, last }) = self.untold.remove(&key) else { continue };
            let message = match count {
                1 => last,
                _ => format!("{count} notifications were lost; the last one: {last}"),
            };
            texts.push((alert, message));
            self.told.insert(key, now);
        }
        texts
    }
}

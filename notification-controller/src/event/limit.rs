//! One delivery of equal events per interval.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::Event;

/// Keys that are remembered at most. Beyond that the oldest go first: then an event may be delivered twice, none is lost.
const MAX_KEYS: usize = 100_000;

/// Remembers which events were let through lately.
pub(crate) struct Limiter {
    interval: Duration,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    until: HashMap<[u8; 32], Instant>,
    order: std::collections::VecDeque<([u8; 32], Instant)>,
}

impl Limiter {
    /// A limiter that lets equal events through once per interval.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, seen: Mutex::default() }
    }

    /// Lets an event through, or tells how long it has to wait.
    pub(crate) fn admit(&self, event: &Event, now: Instant) -> Result<(), Duration> {
        let key = key(event);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((oldest, until)) = seen.order.front().copied()
            && (until <= now || seen.order.len() >= MAX_KEYS)
        {
            seen.order.pop_front();
            if seen.until.get(&oldest) == Some(&until) {
                seen.until.remove(&oldest);
            }
        }
        if let Some(until) = seen.until.get(&key) {
            return Err(until.saturating_duration_since(now));
        }
        let until = now + self.interval;
        seen.until.insert(key, until);
        seen.order.push_back((key, until));
        Ok(())
    }
}

/// What makes two events equal: the object, the message and the revision, not the severity or the reason.
fn key(event: &Event) -> [u8; 32] {
    let mut parts = vec![
        "event".to_owned(),
        format!("name={}", event.name()),
        format!("namespace={}", event.namespace()),
        format!("kind={}", event.kind()),
        format!("message={}", event.message),
    ];
    for part in ["originRevision", "revision", "token"] {
        if let Some(value) = event.group_metadata(part) {
            parts.push(format!("{part}={value}"));
        }
    }
    Sha256::digest(parts.join("/")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;

    #[test]
    fn equal_events_pass_once_per_interval() {
        let limiter = Limiter::new(Duration::from_mins(5));
        let start = Instant::now();
        let revision = |revision| event("info", &[("kustomize.toolkit.fluxcd.io/revision", revision)]);
        assert!(limiter.admit(&revision("1"), start).is_ok());
        assert_eq!(
            limiter.admit(&revision("1"), start + Duration::from_mins(1)),
            Err(Duration::from_mins(4))
        );
        assert!(limiter.admit(&revision("2"), start).is_ok(), "another revision is another event");
        assert!(limiter.admit(&event("error", &[]), start).is_ok());
        assert!(limiter.admit(&event("info", &[]), start).is_err(), "the severity does not count");
        assert!(limiter.admit(&revision("1"), start + Duration::from_mins(5)).is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let limiter = Limiter::new(Duration::from_mins(5));
        let now = Instant::now();
        let mut event = event("info", &[]);
        for n in 0..MAX_KEYS + 10 {
            event.message = n.to_string();
            limiter.admit(&event, now).unwrap();
        }
        assert!(limiter.seen.lock().unwrap().until.len() <= MAX_KEYS);
    }
}

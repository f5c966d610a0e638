//! The last outcomes of an object, by what was applied.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use sluice_api::meta::{Snapshot, Time};

/// How many outcomes are kept.
const KEPT: usize = 5;

/// Notes an outcome: the same content with the same outcome counts on, and moves to the front.
pub(crate) fn note(
    history: &mut Vec<Snapshot>,
    digest: &str,
    outcome: &str,
    took: Duration,
    metadata: BTreeMap<String, String>,
) {
    let now: Time = Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default());
    let known =
        history.iter().position(|entry| entry.digest == digest && entry.last_reconciled_status == outcome);
    let mut entry = match known {
        Some(at) => history.remove(at),
        None => Snapshot {
            digest: digest.to_owned(),
            first_reconciled: now.clone(),
            last_reconciled: now.clone(),
            last_reconciled_duration: sluice_api::meta::Duration::default(),
            last_reconciled_status: outcome.to_owned(),
            metadata: BTreeMap::new(),
            total_reconciliations: 0,
        },
    };
    entry.last_reconciled = now;
    entry.last_reconciled_duration = took.into();
    entry.metadata = metadata;
    entry.total_reconciliations += 1;
    history.insert(0, entry);
    history.truncate(KEPT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_outcomes_are_counted_and_the_list_is_short() {
        let mut history = Vec::new();
        for (digest, outcome) in
            [("a", "Ok"), ("b", "Ok"), ("a", "Ok"), ("a", "Bad"), ("c", "Ok"), ("d", "Ok"), ("e", "Ok")]
        {
            note(&mut history, digest, outcome, Duration::from_secs(1), BTreeMap::new());
        }
        let entries: Vec<_> = history.iter().map(|e| (e.digest.as_str(), e.total_reconciliations)).collect();
        assert_eq!(entries, [("e", 1), ("d", 1), ("c", 1), ("a", 1), ("a", 2)]);
    }
}

//! Rules of conditions, as Flux's `pkg/runtime/conditions` has them. All functions are pure but for the clock.

use std::cmp::Ordering;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use sluice_api::meta::{
    Condition, ConditionStatus, READY_CONDITION as READY, RECONCILING_CONDITION as RECONCILING,
    STALLED_CONDITION as STALLED,
};

/// Longest message of a condition, in bytes.
pub const MAX_MESSAGE: usize = 32_768;

/// The condition of a type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition of a type is there with this status.
pub fn is(conditions: &[Condition], type_: &str, status: ConditionStatus) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == status)
}

/// Whether the condition of a type is there and `True`.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    is(conditions, type_, ConditionStatus::True)
}

/// Removes the condition of a type.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// Sets a condition. Its time changes only when status, reason or message do; its generation always does. Keeps the
/// order that Flux stores.
pub fn set(
    conditions: &mut Vec<Condition>,
    generation: i64,
    type_: &str,
    status: ConditionStatus,
    reason: &str,
    message: impl Into<String>,
) {
    let message = truncate(message.into());
    let now = Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default());
    match conditions.iter_mut().find(|condition| condition.type_ == type_) {
        Some(known) => {
            if known.status != status || known.reason != reason || known.message != message {
                known.last_transition_time = now;
                known.status = status;
                reason.clone_into(&mut known.reason);
                known.message = message;
            }
            known.observed_generation = Some(generation);
        }
        None => conditions.push(Condition {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message,
            observed_generation: Some(generation),
            last_transition_time: now,
        }),
    }
    sort(conditions);
}

/// A condition that is again as it was `before` has not changed, whatever it was in between: it keeps its time.
pub fn keep_times(before: &[Condition], now: &mut [Condition]) {
    for before in before {
        let again = now.iter_mut().find(|now| {
            now.type_ == before.type_
                && now.status == before.status
                && now.reason == before.reason
                && now.message == before.message
        });
        if let Some(again) = again {
            again.last_transition_time = before.last_transition_time.clone();
        }
    }
}

/// Marks the object as being worked on, and so not stalled.
pub fn mark_reconciling(
    conditions: &mut Vec<Condition>,
    generation: i64,
    reason: &str,
    message: impl Into<String>,
) {
    remove(conditions, STALLED);
    set(conditions, generation, RECONCILING, ConditionStatus::True, reason, message);
}

/// Marks the object as stalled, and so not worked on.
pub fn mark_stalled(
    conditions: &mut Vec<Condition>,
    generation: i64,
    reason: &str,
    message: impl Into<String>,
) {
    remove(conditions, RECONCILING);
    set(conditions, generation, STALLED, ConditionStatus::True, reason, message);
}

/// The order that Flux stores: Stalled, Reconciling, Ready, then the latest generation first, then by type.
pub fn sort(conditions: &mut [Condition]) {
    fn rank(condition: &Condition) -> usize {
        [STALLED, RECONCILING, READY].iter().position(|type_| *type_ == condition.type_).unwrap_or(3)
    }
    conditions.sort_by(|a, b| match rank(a).cmp(&rank(b)) {
        Ordering::Equal => {
            b.observed_generation.cmp(&a.observed_generation).then_with(|| a.type_.cmp(&b.type_))
        }
        unequal => unequal,
    });
}

/// How the conditions of a kind make up `Ready`.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// The conditions that count, those whose reason and message tell most first.
    pub order: &'a [&'a str],
    /// Those of `order` that are bad news when `True`.
    pub negative: &'a [&'a str],
}

/// Sets `Ready` from the others: bad news first, then good news, then what is unknown. Within the worst group the first
/// of the summary's order gives reason and message. Leaves `Ready` alone when none of them is there.
pub fn summarize(conditions: &mut Vec<Condition>, generation: i64, summary: Summary<'_>) {
    let group = |condition: &Condition| {
        let negative = summary.negative.contains(&condition.type_.as_str());
        match (condition.status, negative) {
            (ConditionStatus::True, true) => 0,
            (ConditionStatus::False, false) => 1,
            (ConditionStatus::True, false) => 2,
            (ConditionStatus::False, true) => 3,
            (ConditionStatus::Unknown, _) => 4,
        }
    };
    let top = summary
        .order
        .iter()
        .filter_map(|type_| find(conditions, type_))
        .min_by_key(|condition| group(condition))
        .map(|condition| (group(condition), condition.reason.clone(), condition.message.clone()));
    if let Some((group, reason, message)) = top {
        let status = match group {
            0 | 1 => ConditionStatus::False,
            2 | 3 => ConditionStatus::True,
            _ => ConditionStatus::Unknown,
        };
        set(conditions, generation, READY, status, &reason, message);
    }
}

/// Cuts a message at the limit of the API, at a character's edge.
fn truncate(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let cut = message.floor_char_boundary(MAX_MESSAGE - 3);
        message.truncate(cut);
        message.push_str("...");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConditionStatus::{False, True, Unknown};

    fn types(conditions: &[Condition]) -> Vec<&str> {
        conditions.iter().map(|condition| condition.type_.as_str()).collect()
    }

    #[test]
    fn the_time_stays_while_nothing_changes_but_the_generation_moves() {
        let mut conditions = Vec::new();
        set(&mut conditions, 1, READY, True, "Succeeded", "done");
        conditions[0].last_transition_time = Time(Timestamp::UNIX_EPOCH);
        set(&mut conditions, 2, READY, True, "Succeeded", "done");
        assert_eq!(conditions[0].last_transition_time.0, Timestamp::UNIX_EPOCH);
        assert_eq!(conditions[0].observed_generation, Some(2));
        set(&mut conditions, 2, READY, True, "Succeeded", "done again");
        assert_ne!(conditions[0].last_transition_time.0, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn stored_order_is_that_of_flux() {
        let mut conditions = Vec::new();
        for (type_, generation) in
            [("Healthy", 1), ("B", 2), ("A", 2), (READY, 1), (RECONCILING, 1), (STALLED, 1)]
        {
            set(&mut conditions, generation, type_, True, "R", "");
        }
        assert_eq!(types(&conditions), [STALLED, RECONCILING, READY, "A", "B", "Healthy"]);
    }

    #[test]
    fn reconciling_and_stalled_exclude_each_other() {
        let mut conditions = Vec::new();
        mark_reconciling(&mut conditions, 1, "Progressing", "");
        mark_stalled(&mut conditions, 1, "URLInvalid", "");
        assert_eq!(types(&conditions), [STALLED]);
        mark_reconciling(&mut conditions, 1, "Progressing", "");
        assert_eq!(types(&conditions), [RECONCILING]);
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let mut conditions = Vec::new();
        set(&mut conditions, 1, READY, False, "R", "é".repeat(20_000));
        assert!(conditions[0].message.len() <= MAX_MESSAGE && conditions[0].message.ends_with("é..."));
    }

    #[test]
    fn ready_follows_the_worst_group_and_its_first_condition() {
        let summary = Summary {
            order: &[
                "StorageOperationFailed",
                "FetchFailed",
                "ArtifactOutdated",
                "ArtifactInStorage",
                "SourceVerified",
            ],
            negative: &["StorageOperationFailed", "FetchFailed", "ArtifactOutdated"],
        };
        let ready = |given: &[(&str, ConditionStatus)]| {
            let mut conditions = Vec::new();
            for (type_, status) in given {
                set(&mut conditions, 3, type_, *status, &format!("{type_}Reason"), "m");
            }
            summarize(&mut conditions, 3, summary);
            find(&conditions, READY).map(|ready| (ready.status, ready.reason.clone()))
        };
        let expect = |status, type_: &str| Some((status, format!("{type_}Reason")));
        assert_eq!(
            ready(&[("ArtifactInStorage", True), ("SourceVerified", True)]),
            expect(True, "ArtifactInStorage")
        );
        assert_eq!(
            ready(&[("ArtifactInStorage", True), ("FetchFailed", True)]),
            expect(False, "FetchFailed")
        );
        assert_eq!(
            ready(&[("ArtifactInStorage", True), ("SourceVerified", False)]),
            expect(False, "SourceVerified")
        );
        assert_eq!(ready(&[("ArtifactInStorage", Unknown)]), expect(Unknown, "ArtifactInStorage"));
        assert_eq!(ready(&[("Other", True)]), None);
    }
}

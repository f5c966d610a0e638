//! A number that stands for everything that an apply could have set.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Numbers are good in this process only: nobody outside can make two objects that have the same.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A number, good in this process only, that changes when anything but the status changes.
///
/// The server notes each change of a field beside the status in the entry of its manager (also a scale). Where it keeps
/// no generation or no such notes, the resource version counts.
pub(super) fn fingerprint(metadata: &ObjectMeta) -> u64 {
    with_notes(metadata, Notes::of(metadata.managed_fields.as_deref().unwrap_or_default()))
}

/// The same for metadata whose managed fields were read as notes.
pub(super) fn with_notes(metadata: &ObjectMeta, notes: Notes) -> u64 {
    let version = notes.0.is_none() || metadata.generation.is_none();
    KEYS.hash_one((
        &metadata.uid,
        metadata.generation,
        metadata.deletion_timestamp.is_some(),
        notes.0,
        metadata.resource_version.as_ref().filter(|_| version),
    ))
}

/// What stands for managed fields, but for those of the status; nothing where there are none.
///
/// They are most of many objects. Read as notes, they are never in memory as a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes(Option<u64>);

impl Notes {
    fn of(entries: &[ManagedFieldsEntry]) -> Self {
        let mut notes = Self::default();
        for entry in entries {
            let fields = entry.fields_v1.as_ref().map(|fields| Tree::deserialize(&fields.0));
            notes.add(Entry {
                manager: entry.manager.clone(),
                operation: entry.operation.clone(),
                api_version: entry.api_version.clone(),
                subresource: entry.subresource.clone(),
                time: entry.time.clone(),
                // JSON that is there already decodes.
                fields_v1: fields.and_then(Result::ok),
            });
        }
        notes
    }

    fn add(&mut self, entry: Entry) {
        if entry.subresource.as_deref() == Some("status") {
            return;
        }
        let Entry { manager, operation, api_version, subresource, time, fields_v1 } = entry;
        let time = time.map(|time| time.0.as_second());
        let fields = fields_v1.map(|Tree(number)| number);
        self.0 = Some(KEYS.hash_one((self.0, manager, operation, api_version, subresource, time, fields)));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    manager: Option<String>,
    operation: Option<String>,
    api_version: Option<String>,
    subresource: Option<String>,
    time: Option<Time>,
    fields_v1: Option<Tree>,
}

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Notes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of managed fields")
            }

            fn visit_unit<E>(self) -> Result<Notes, E> {
                Ok(Notes::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Notes, A::Error> {
                let mut notes = Notes::default();
                while let Some(entry) = entries.next_element()? {
                    notes.add(entry);
                }
                Ok(notes)
            }
        }

        deserializer.deserialize_any(Entries)
    }
}

/// A number that stands for JSON, whatever the order of its keys.
struct Tree(u64);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Branch).map(Tree)
    }
}

struct Branch;

impl<'de> Visitor<'de> for Branch {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_bool<E>(self, value: bool) -> Result<u64, E> {
        Ok(KEYS.hash_one(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<u64, E> {
        Ok(KEYS.hash_one(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(KEYS.hash_one(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<u64, E> {
        Ok(KEYS.hash_one(value.to_bits()))
    }

    fn visit_str<E>(self, value: &str) -> Result<u64, E> {
        Ok(KEYS.hash_one(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut all = KEYS.hash_one("[");
        while let Some(Tree(item)) = items.next_element()? {
            all = KEYS.hash_one((all, item));
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<u64, A::Error> {
        let mut all = KEYS.hash_one("{");
        while let Some((Key(key), Tree(value))) = fields.next_entry()? {
            all = all.wrapping_add(KEYS.hash_one((key, value)));
        }
        Ok(all)
    }
}

/// A number that stands for a key.
struct Key(u64);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Branch).map(Key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(metadata: &Value) -> u64 {
        fingerprint(&ObjectMeta::deserialize(metadata).unwrap())
    }

    fn metadata(generation: Option<i64>, version: &str, entries: &[(&str, &str, &str)]) -> Value {
        let entries: Vec<_> = entries
            .iter()
            .map(|(manager, subresource, field)| {
                json!({"manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": {*field: {}},
                       "time": "2026-01-01T00:00:00Z"})
            })
            .collect();
        let mut metadata =
            json!({"name": "a", "uid": "u", "resourceVersion": version, "managedFields": entries});
        if let Some(generation) = generation {
            metadata["generation"] = generation.into();
        }
        metadata
    }

    #[test]
    fn status_writes_do_not_count_but_everything_else_does() {
        let ours = ("kustomize-controller", "", "f:spec");
        let base = of(&metadata(Some(1), "1", &[ours]));
        assert_eq!(base, of(&metadata(Some(1), "2", &[ours, ("kcm", "status", "f:status")])));
        assert_ne!(base, of(&metadata(Some(2), "2", &[ours])));
        assert_ne!(base, of(&metadata(Some(1), "2", &[("kustomize-controller", "", "f:data")])));
        assert_ne!(base, of(&metadata(Some(1), "2", &[ours, ("kubectl-label", "", "f:metadata")])));
        assert_ne!(base, of(&metadata(Some(1), "2", &[ours, ("hpa", "scale", "f:spec")])));
    }

    #[test]
    fn without_a_generation_or_notes_each_version_counts() {
        let ours = ("kustomize-controller", "", "f:data");
        assert_ne!(of(&metadata(None, "1", &[ours])), of(&metadata(None, "2", &[ours])));
        assert_ne!(of(&metadata(Some(1), "1", &[])), of(&metadata(Some(1), "2", &[])));
    }

    #[test]
    fn fields_are_told_apart_by_their_place_and_not_by_the_order_of_keys() {
        let tree = |text: &str| serde_json::from_str::<Tree>(text).unwrap().0;
        assert_eq!(
            tree(r#"{"f:a":{"f:b":{}},"k:{\"x\":1}":{}}"#),
            tree(r#"{"k:{\"x\":1}":{},"f:a":{"f:b":{}}}"#)
        );
        let different = [
            r#"{"a":{"b":{}}}"#,
            r#"{"b":{"a":{}}}"#,
            r#"{"a":{},"b":{}}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":"1"}"#,
            r#"{"a":1}"#,
            r#"{"a":null}"#,
            "{}",
            "[]",
            "null",
        ];
        for (at, one) in different.iter().enumerate() {
            for other in different.iter().skip(at + 1) {
                assert_ne!(tree(one), tree(other), "{one} {other}");
            }
        }
    }
}

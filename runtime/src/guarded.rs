//! Objects that may not decode, so that one of them does not end the watch of all.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// An object, or why it does not decode.
///
/// kube's `DeserializeGuard` does the same by way of a copy of each object; this is on the way of every watch event.
/// Managed fields, which nobody reads and which are most of many objects, are passed over.
#[derive(Clone, Debug)]
pub(crate) struct Guarded<K>(pub(crate) Result<K, Invalid>);

/// An object that does not decode.
#[derive(Clone, Debug)]
pub(crate) struct Invalid {
    /// Why.
    pub(crate) error: String,
    /// Its metadata.
    pub(crate) metadata: ObjectMeta,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Part::Object.deserialize(deserializer)?;
        match K::deserialize(&object) {
            Ok(object) => Ok(Self(Ok(object))),
            Err(error) => {
                let metadata = ObjectMeta::deserialize(&object["metadata"]).map_err(D::Error::custom)?;
                Ok(Self(Err(Invalid { error: error.to_string(), metadata })))
            }
        }
    }
}

/// What is read as a tree, without managed fields.
#[derive(Clone, Copy)]
enum Part {
    Object,
    Metadata,
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Object => "an object",
            Self::Metadata => "metadata",
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut tree = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = match (self, name.as_str()) {
                (Self::Object, "metadata") => fields.next_value_seed(Self::Metadata)?,
                (Self::Metadata, "managedFields") => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => fields.next_value()?,
            };
            tree.insert(name, value);
        }
        Ok(Value::Object(tree))
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|invalid| &invalid.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|invalid| &mut invalid.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::WatchEvent;
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_come_without_managed_fields_and_what_does_not_decode_with_its_metadata() {
        let object = |data: Value| {
            let metadata = json!({
                "name": "a", "namespace": "b", "finalizers": ["x"], "deletionTimestamp": "2026-01-01T00:00:00Z",
                "managedFields": [{"manager": "m", "operation": "Apply", "time": "2026-01-01T00:00:00Z"}],
            });
            let event = json!({"type": "ADDED", "object": {"metadata": metadata, "data": data}});
            match serde_json::from_str(&event.to_string()).unwrap() {
                WatchEvent::Added(Guarded::<ConfigMap>(object)) => object,
                other => panic!("{other:?}"),
            }
        };
        let good = object(json!({"key": "value"})).unwrap();
        assert_eq!(good.data.unwrap()["key"], "value");
        assert_eq!((good.metadata.managed_fields, good.metadata.name.as_deref()), (None, Some("a")));
        let bad = object(json!("text")).unwrap_err();
        assert!(bad.error.contains("invalid type: string \"text\", expected a map"), "{}", bad.error);
        assert_eq!(bad.metadata.finalizers, Some(vec!["x".to_owned()]));
        assert!(bad.metadata.deletion_timestamp.is_some());
    }
}

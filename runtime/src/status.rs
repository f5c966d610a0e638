//! The one place that writes the status of objects.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Map, Value, json};
use sluice_api::meta::{Reconcilable, Status as _};

use crate::{Cache, conditions, errors};

/// How often a write is tried when somebody else changed the object meanwhile.
const ATTEMPTS: u32 = 8;

/// Writes the difference between two statuses as one merge patch.
///
/// A change of conditions is written under the object's resource version. When another writer was faster, the
/// conditions that are not `owned` are taken from his version and ours are set upon it.
pub struct StatusWriter<K> {
    client: Client,
    cache: Arc<Cache<K>>,
    field_manager: &'static str,
    owned: &'static [&'static str],
}

impl<K> StatusWriter<K>
where
    K: Reconcilable,
{
    /// A writer for one kind. `field_manager` is Flux's name for it; `owned` are the condition types of this controller.
    pub fn new(
        client: Client,
        cache: Arc<Cache<K>>,
        field_manager: &'static str,
        owned: &'static [&'static str],
    ) -> Self {
        Self { client, cache, field_manager, owned }
    }

    /// Writes `status` if it differs from that of `object`, which then is as it was written. An error is logged: the next
    /// write tells all of it.
    pub async fn save(&self, object: &mut Arc<K>, status: &mut K::Status) {
        conditions::keep_times(object.conditions(), status.conditions_mut());
        match self.write(object, status).await {
            Ok(Some(written)) => *object = written,
            Ok(None) => {}
            Err(error) => tracing::error!(error = errors::describe(&error), "failed to update status"),
        }
    }

    /// Writes `status` if it differs from that of `object`, and returns the object as it then is. `None` when the object
    /// is gone.
    pub async fn write(&self, object: &Arc<K>, status: &K::Status) -> kube::Result<Option<Arc<K>>> {
        let wanted = to_map(serde_json::to_value(status).map_err(kube::Error::SerdeError)?);
        let mut before = to_map(serde_json::to_value(object.status()).map_err(kube::Error::SerdeError)?);
        let mut current = object.clone();
        let mut delay = Duration::from_millis(10);
        let mut attempt = 1;
        let changes = merge_patch(&before, &wanted);
        loop {
            let mut patch = changes.clone();
            if patch.contains_key("conditions") {
                patch.insert("conditions".to_owned(), self.merged_conditions(&before, &wanted));
            }
            if patch.is_empty() {
                return Ok(Some(current));
            }
            match self.patch(&current, patch).await {
                Ok(mut written) => {
                    // It is kept, and an answer is read into lists with room for more.
                    if let Some(status) = written.status_mut() {
                        status.conditions_mut().shrink_to_fit();
                    }
                    return Ok(Some(self.cache.observe_write(written)));
                }
                Err(kube::Error::Api(error)) if error.code == 404 => return Ok(None),
                Err(kube::Error::Api(error)) if error.code == 409 && attempt < ATTEMPTS => {
                    tokio::time::sleep(delay).await;
                    attempt += 1;
                    delay *= 2;
                    let Some(fresh) = self.api(&current).get_opt(&current.name_any()).await? else {
                        return Ok(None);
                    };
                    if fresh.meta().uid != object.meta().uid {
                        return Ok(None);
                    }
                    before = to_map(serde_json::to_value(fresh.status()).map_err(kube::Error::SerdeError)?);
                    current = Arc::new(fresh);
                }
                Err(error) => {
                    // Whatever it is, the work is not done before it is told.
                    crate::retry::note_failure();
                    return Err(error);
                }
            }
        }
    }

    fn api(&self, object: &K) -> Api<K> {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn patch(&self, current: &K, status: Map<String, Value>) -> kube::Result<K> {
        let mut body = json!({ "status": status });
        if body["status"].get("conditions").is_some() {
            body["metadata"] = json!({ "resourceVersion": current.resource_version() });
        }
        let params =
            PatchParams { field_manager: Some(self.field_manager.to_owned()), ..PatchParams::default() };
        #[expect(clippy::disallowed_methods, reason = "this is the status writer")]
        self.api(current).patch_status(&current.name_any(), &params, &Patch::Merge(body)).await
    }

    /// Our conditions as wanted, and those of others as they are now. Others come after ours.
    fn merged_conditions(&self, now: &Map<String, Value>, wanted: &Map<String, Value>) -> Value {
        let list = |status: &Map<String, Value>, ours: bool| {
            let conditions = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
            conditions
                .into_iter()
                .filter(move |c| c["type"].as_str().is_some_and(|type_| self.owned.contains(&type_)) == ours)
        };
        list(wanted, true).chain(list(now, false)).collect()
    }
}

fn to_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The JSON merge patch (RFC 7386) that turns `before` into `after`.
fn merge_patch(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, wanted) in after {
        match (before.get(key), wanted) {
            (Some(known), wanted) if known == wanted => {}
            (Some(Value::Object(known)), Value::Object(wanted)) => {
                patch.insert(key.clone(), Value::Object(merge_patch(known, wanted)));
            }
            _ => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_patched_and_removals_are_null() {
        let before = json!({"a": 1, "b": {"x": 1, "y": 2}, "c": [1], "d": true});
        let after = json!({"a": 1, "b": {"x": 1, "z": 3}, "c": [1, 2]});
        assert_eq!(
            Value::Object(merge_patch(&to_map(before.clone()), &to_map(after))),
            json!({"b": {"y": null, "z": 3}, "c": [1, 2], "d": null})
        );
        assert!(merge_patch(&to_map(before.clone()), &to_map(before)).is_empty());
    }
}

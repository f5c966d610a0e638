//! The labels of the objects that events are about.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use kube::api::{Api, DynamicObject};

use super::Event;
use crate::memo::Memo;

/// Labels by kind, UID and resource version: a burst of events of one state of an object costs one request.
#[derive(Default)]
pub(crate) struct Labels(Memo<String, BTreeMap<String, String>>);

impl Labels {
    /// The labels of the event's object. Asked for where the event does not tell a version or a new one.
    pub(super) async fn of(
        &self,
        client: &Client,
        event: &Event,
    ) -> kube::Result<Arc<BTreeMap<String, String>>> {
        let object = &event.involved_object;
        let key = match (&object.uid, &object.resource_version) {
            (Some(uid), Some(version)) => Some(format!("{}/{uid}/{version}", event.kind())),
            _ => None,
        };
        if let Some(known) = key.as_deref().and_then(|key| self.0.get(key)) {
            return Ok(known);
        }
        let resource =
            crate::kinds::resource(object.api_version.as_deref().unwrap_or_default(), event.kind());
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), event.namespace(), &resource);
        let labels = api.get_metadata(event.name()).await?.metadata.labels.unwrap_or_default();
        Ok(match key {
            Some(key) => self.0.insert(key, labels),
            None => Arc::new(labels),
        })
    }
}

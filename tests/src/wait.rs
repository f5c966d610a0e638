//! Waiting for a state of the world.
//!
//! Each function watches the object, so a state that lasts but a moment is seen, and has a deadline, after which the error
//! shows the object as it was seen last. Nothing sleeps and hopes.

use anyhow::{Result, bail};
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use std::fmt::Write as _;
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;

/// For what a controller does by itself. Long, since the machine may be busy; a test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `good` holds of the object `name`, and returns it.
pub async fn until(
    api: &Api<DynamicObject>,
    name: &str,
    what: &str,
    good: impl FnMut(&DynamicObject) -> bool,
) -> Result<DynamicObject> {
    until_within(api, name, what, PATIENCE, good).await
}

/// Like [`until`], with another deadline.
pub async fn until_within(
    api: &Api<DynamicObject>,
    name: &str,
    what: &str,
    patience: Duration,
    mut good: impl FnMut(&DynamicObject) -> bool,
) -> Result<DynamicObject> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut objects = pin!(watcher(api.clone(), config).default_backoff().applied_objects());
    let mut last = None;
    let found = timeout(patience, async {
        while let Some(object) = objects.next().await {
            // A watch that fails is tried again, up to the deadline.
            let Ok(object) = object else { continue };
            if good(&object) {
                return Some(object);
            }
            last = Some(object);
        }
        None
    })
    .await;
    match found {
        Ok(Some(object)) => Ok(object),
        _ => bail!("{name}: not {what} after {patience:?}; {}", describe(last.as_ref())),
    }
}

/// Waits until the object is not there.
pub async fn gone(api: &Api<DynamicObject>, name: &str) -> Result<()> {
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = pin!(watcher(api.clone(), config).default_backoff());
    let mut last = None;
    let outcome = timeout(PATIENCE, async {
        let mut listed = false;
        while let Some(event) = events.next().await {
            // A watch that fails is tried again, up to the deadline.
            let Ok(event) = event else { continue };
            match event {
                watcher::Event::Delete(_) => return,
                watcher::Event::Init => listed = false,
                watcher::Event::InitApply(object) => {
                    listed = true;
                    last = Some(object);
                }
                watcher::Event::Apply(object) => last = Some(object),
                watcher::Event::InitDone if !listed => return,
                watcher::Event::InitDone => {}
            }
        }
    })
    .await;
    if outcome.is_err() {
        bail!("{name}: still there after {PATIENCE:?}; {}", describe(last.as_ref()));
    }
    Ok(())
}

/// Waits until an Event about the object `kind` `name` is there whose type, reason and message are `good`, and returns its
/// message. Controllers record events beside their work, so an event may come after the status that it tells of.
pub async fn told(
    events: &Api<DynamicObject>,
    kind: &str,
    name: &str,
    what: &str,
    good: impl Fn(&str, &str, &str) -> bool,
) -> Result<String> {
    let fields = format!("involvedObject.kind={kind},involvedObject.name={name}");
    let mut stream = pin!(
        watcher(events.clone(), watcher::Config::default().fields(&fields))
            .default_backoff()
            .applied_objects()
    );
    let mut seen = Vec::new();
    let found = timeout(PATIENCE, async {
        while let Some(event) = stream.next().await {
            // A watch that fails is tried again, up to the deadline.
            let Ok(event) = event else { continue };
            let text = |field: &str| event.data[field].as_str().unwrap_or_default().to_owned();
            let (type_, reason, message) = (text("type"), text("reason"), text("message"));
            if good(&type_, &reason, &message) {
                return Some(message);
            }
            seen.push(format!("{type_} {reason}: {message}"));
        }
        None
    })
    .await;
    match found {
        Ok(Some(message)) => Ok(message),
        _ => bail!("{kind}/{name}: no event {what} after {PATIENCE:?}; there were {seen:#?}"),
    }
}

/// What a person wants to see of an object that is not as expected.
fn describe(object: Option<&DynamicObject>) -> String {
    let Some(object) = object else { return "it was never seen".into() };
    let mut text = format!("seen last: generation {}", object.metadata.generation.unwrap_or_default());
    if let Some(deletion) = &object.metadata.deletion_timestamp {
        let _ = write!(text, ", to be deleted since {}", deletion.0);
        let _ = write!(text, ", finalizers {:?}", object.metadata.finalizers.clone().unwrap_or_default());
    }
    let mut data = object.data.clone();
    if let Value::Object(fields) = &mut data {
        fields.remove("spec");
    }
    let _ = write!(text, "\n{}", serde_json::to_string_pretty(&data).unwrap_or_default());
    text
}

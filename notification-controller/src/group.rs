//! One outage, one message: what an Alert with `sluice.dev/group-window` wants told within that time is told together.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use sluice_api::notification::Alert;
use sluice_runtime::ObjectKey;
use sluice_runtime::flags::parse_duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::event::Event;
use crate::outbox::{Courier, Delivery, Outbox};

/// The annotation of an Alert.
pub(crate) const ANNOTATION: &str = "sluice.dev/group-window";
/// Events of a group that are told by name; of the others there is the number.
const NAMED: usize = 50;
const MAX_WINDOW: Duration = Duration::from_hours(1);
/// The reason of a group whose events have several.
const REASON: &str = "MultipleEvents";
/// How much of each message a group shows, in bytes.
const MAX_LINE: usize = 300;

/// What people read, as opposed to what machines keep for each object.
const CHATS: [&str; 11] = [
    "slack",
    "discord",
    "rocket",
    "msteams",
    "googlechat",
    "webex",
    "telegram",
    "lark",
    "matrix",
    "zulip",
    "zoom",
];

/// The groups that are being collected.
pub(crate) struct Groups<C> {
    outbox: Outbox<C>,
    tasks: TaskTracker,
    stop: CancellationToken,
    open: Arc<Mutex<HashMap<ObjectKey, Group>>>,
}

/// What was collected for one Alert.
struct Group {
    /// The first, and the worst where one is worse.
    lead: Delivery,
    named: Vec<(bool, String)>,
    more: u64,
    metadata: BTreeMap<String, String>,
    one_reason: bool,
}

/// The window of an Alert; none when there is no grouping.
pub(crate) fn window(alert: &Alert) -> Result<Option<Duration>, String> {
    let Some(text) = alert.annotations().get(ANNOTATION) else { return Ok(None) };
    match parse_duration(text) {
        Ok(window) if window <= MAX_WINDOW => Ok(Some(window).filter(|window| !window.is_zero())),
        Ok(_) => Err(format!("the annotation {ANNOTATION} is not used: '{text}' is longer than an hour")),
        Err(error) => Err(format!("the annotation {ANNOTATION} is not used: {error}")),
    }
}

impl<C: Courier> Groups<C> {
    /// Groups go to the outbox when their time is over, or when `stop` comes.
    pub(crate) fn new(outbox: Outbox<C>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { outbox, tasks, stop, open: Arc::default() }
    }

    /// Queues a delivery: at once, or with its group. An error tells that the annotation cannot be used; it was queued
    /// all the same.
    pub(crate) fn push(&self, delivery: Delivery) -> Result<(), String> {
        let window = window(&delivery.alert);
        let groups = CHATS.contains(&delivery.provider.spec.type_.as_str());
        let (Ok(Some(window)), true) = (&window, groups) else {
            self.outbox.push(delivery);
            return window.map(|_| ());
        };
        let key = ObjectKey::of(&*delivery.alert);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = open.get_mut(&key) {
            group.add(delivery);
            return Ok(());
        }
        open.insert(key.clone(), Group::new(delivery));
        let (all, outbox, stop, window) =
            (self.open.clone(), self.outbox.clone(), self.stop.clone(), *window);
        self.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(tokio::time::sleep(window)).await;
            let group = all.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            if let Some(group) = group {
                outbox.push(group.close());
            }
        });
        Ok(())
    }
}

/// An event as one line.
fn line(event: &Event) -> String {
    let message = event.message.lines().next().unwrap_or_default();
    let mut line = format!("{}: {message}", event.subject());
    if line.len() > MAX_LINE {
        line.truncate(line.floor_char_boundary(MAX_LINE));
        line.push('…');
    }
    line
}

impl Group {
    fn new(lead: Delivery) -> Self {
        let event = &lead.notification.event;
        let named = vec![(event.is_error(), line(event))];
        Self { named, more: 0, metadata: event.metadata.clone(), one_reason: true, lead }
    }

    fn add(&mut self, delivery: Delivery) {
        let event = &delivery.notification.event;
        self.metadata.retain(|key, value| event.metadata.get(key) == Some(value));
        self.one_reason &= event.reason == self.lead.notification.event.reason;
        if self.named.len() < NAMED {
            self.named.push((event.is_error(), line(event)));
        } else {
            self.more += 1;
        }
        if event.is_error() && !self.lead.notification.event.is_error() {
            self.lead = delivery;
        }
    }

    /// One message for all. A single event stays as it is.
    fn close(self) -> Delivery {
        let Self { mut lead, mut named, more, metadata, one_reason } = self;
        let count = named.len() as u64 + more;
        if count == 1 {
            return lead;
        }
        // Failures first, each group in the order in which it came.
        named.sort_by_key(|(error, _)| !error);
        let failures = named.iter().filter(|(error, _)| *error).count();
        let mut message = match failures {
            0 => format!("{count} events:\n"),
            _ => format!("{count} events, at least {failures} of them failures:\n"),
        };
        for (_, line) in &named {
            let _ = writeln!(message, "- {line}");
        }
        if more > 0 {
            let _ = writeln!(message, "- and {more} more");
        }
        let event = &mut lead.notification.event;
        message.truncate(message.trim_end().len());
        event.message = message;
        event.metadata = metadata;
        if !one_reason {
            REASON.clone_into(&mut event.reason);
        }
        lead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use crate::outbox::{Loss, Undelivered};
    use crate::provider::{AlertIdentity, Notification};

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<Event>>>);

    impl Courier for Seen {
        type Line = ();

        async fn deliver(&self, _line: &mut Option<()>, delivery: &Delivery) -> Result<(), Undelivered> {
            self.0.lock().unwrap().push(delivery.notification.event.clone());
            Ok(())
        }

        fn queued(&self, _provider: &ObjectKey) {}

        fn lost(&self, provider: &ObjectKey, loss: Loss) {
            panic!("{provider}: {loss:?}");
        }

        fn tell(&self, _alert: &Alert, message: String) {
            panic!("{message}");
        }
    }

    fn delivery(type_: &str, window: &str, name: &str, severity: &str) -> Delivery {
        let alert = serde_json::from_value(serde_json::json!({
            "apiVersion": "a", "kind": "b", "spec": {"providerRef": {"name": "p"}, "eventSources": []},
            "metadata": {"name": "a", "namespace": "n", "annotations": {ANNOTATION: window}},
        }));
        let provider = serde_json::from_value(serde_json::json!({
            "apiVersion": "a", "kind": "b", "metadata": {"name": "p", "namespace": "n"}, "spec": {"type": type_},
        }));
        let mut event = event(severity, &[("cluster", "one"), ("revision", name)]);
        event.involved_object.name = Some(name.to_owned());
        let notification = Notification { event, status_id: String::new(), alert: AlertIdentity::default() };
        Delivery { alert: Arc::new(alert.unwrap()), provider: Arc::new(provider.unwrap()), notification }
    }

    fn groups() -> (Seen, Groups<Seen>, CancellationToken) {
        let (seen, tasks, stop) = (Seen::default(), TaskTracker::new(), CancellationToken::new());
        let outbox = Outbox::new(seen.clone(), tasks.clone(), stop.clone());
        (seen, Groups::new(outbox, tasks, stop.clone()), stop)
    }

    #[tokio::test(start_paused = true)]
    async fn one_outage_is_one_message() {
        let (seen, groups, _stop) = groups();
        groups.push(delivery("slack", "30s", "first", "info")).unwrap();
        for n in 0..99 {
            groups.push(delivery("slack", "30s", &format!("app-{n}"), "error")).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(29)).await;
        assert!(seen.0.lock().unwrap().is_empty());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let told = seen.0.lock().unwrap().clone();
        assert_eq!(told.len(), 1);
        let message = &told[0].message;
        assert!(
            message.starts_with(
                "100 events, at least 49 of them failures:\n- Kustomization/gitops-system/app-0: "
            ),
            "{message}"
        );
        assert!(message.ends_with("- and 50 more"), "{message}");
        assert!(told[0].is_error());
        assert_eq!(
            told[0].metadata,
            [("cluster".to_owned(), "one".to_owned())].into(),
            "what all have in common"
        );
        groups.push(delivery("slack", "30s", "later", "error")).unwrap();
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert_eq!(
            seen.0.lock().unwrap()[1].message,
            "Health check passed\nin 2s",
            "a single one stays as it is"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn machines_get_each_event_and_a_shutdown_keeps_none_back() {
        let (seen, groups, stop) = groups();
        groups.push(delivery("pagerduty", "30s", "a", "error")).unwrap();
        assert!(groups.push(delivery("slack", "soon", "b", "error")).unwrap_err().contains(ANNOTATION));
        assert!(groups.push(delivery("slack", "2h", "c", "error")).is_err());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(seen.0.lock().unwrap().len(), 3);
        groups.push(delivery("slack", "1h", "d", "error")).unwrap();
        stop.cancel();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(seen.0.lock().unwrap().len(), 4);
    }
}

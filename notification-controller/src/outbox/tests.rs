use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sender::{IDLE, MAX_AGE};
use super::shelves::{ALL, EACH};
use super::*;
use crate::event::tests::event;
use crate::provider::AlertIdentity;

/// Never delivers to `stuck…`, puts `busy` off once per notification and `away` for an hour, and refuses what is named `bad`.
#[derive(Default)]
struct Fake {
    sent: Mutex<Vec<(String, String)>>,
    asked: AtomicU64,
    puts_off: Mutex<HashMap<String, u32>>,
    lost: Mutex<HashMap<(String, Loss), u64>>,
    told: Mutex<Vec<(String, String)>>,
}

impl Courier for Arc<Fake> {
    type Line = ();

    async fn deliver(&self, _line: &mut Option<()>, delivery: &Delivery) -> Result<(), Undelivered> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let message = delivery.notification.event.message.clone();
        let name = ObjectKey::of(&*delivery.provider).name;
        let later = |seconds| Err(Undelivered::Later(Duration::from_secs(seconds), "429".to_owned()));
        match name.as_str() {
            stuck if stuck.starts_with("stuck") => std::future::pending().await,
            "bad" => return Err(Undelivered::Failed("404".to_owned())),
            "busy" => {
                let mut puts_off = self.puts_off.lock().unwrap();
                let times = puts_off.entry(message.clone()).or_default();
                *times += 1;
                if *times == 1 {
                    return later(30);
                }
            }
            "never" => return later(30),
            "away" if delivery.provider.metadata.resource_version.is_none() => return later(3620),
            _ => {}
        }
        self.sent.lock().unwrap().push((name, message));
        Ok(())
    }

    fn queued(&self, _provider: &ObjectKey) {}

    fn lost(&self, provider: &ObjectKey, loss: Loss) {
        *self.lost.lock().unwrap().entry((provider.name.clone(), loss)).or_default() += 1;
    }

    fn tell(&self, alert: &Alert, message: String) {
        self.told.lock().unwrap().push((ObjectKey::of(alert).name, message));
    }
}

impl Fake {
    fn sent_to(&self, provider: &str) -> usize {
        self.sent.lock().unwrap().iter().filter(|(to, _)| to == provider).count()
    }

    fn lost_by(&self, provider: &str, loss: Loss) -> u64 {
        self.lost.lock().unwrap().get(&(provider.to_owned(), loss)).copied().unwrap_or_default()
    }
}

fn delivery(provider: &str, message: &str) -> Delivery {
    let metadata = serde_json::json!({"name": provider, "namespace": "a"});
    let alert = serde_json::json!({"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert",
        "metadata": metadata, "spec": {"providerRef": {"name": provider}, "eventSources": []}});
    let provider = serde_json::json!({"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider",
        "metadata": metadata, "spec": {"type": "generic"}});
    let mut event = event("error", &[]);
    event.message = message.to_owned();
    Delivery {
        alert: Arc::new(serde_json::from_value(alert).unwrap()),
        provider: Arc::new(serde_json::from_value(provider).unwrap()),
        notification: Notification { event, status_id: String::new(), alert: AlertIdentity::default() },
    }
}

struct Setting {
    fake: Arc<Fake>,
    outbox: Outbox<Arc<Fake>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

fn setting() -> Setting {
    let (fake, tasks, stop) = (Arc::<Fake>::default(), TaskTracker::new(), CancellationToken::new());
    Setting { fake: fake.clone(), outbox: Outbox::new(fake, tasks.clone(), stop.clone()), stop, tasks }
}

impl Setting {
    async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        assert_eq!((self.outbox.shared.shelves.used(), self.outbox.shared.shelves.queues()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_provider_costs_nobody_else_a_notification_and_each_loss_is_counted() {
    let set = setting();
    let pushed = 10_000;
    for n in 0..pushed {
        for provider in ["stuck", "fine"] {
            set.outbox.push(delivery(provider, &n.to_string()));
        }
    }
    tokio::time::sleep(IDLE * 2).await;
    let order: Vec<String> = (0..pushed).map(|n| n.to_string()).collect();
    let sent: Vec<String> =
        set.fake.sent.lock().unwrap().iter().map(|(_, message)| message.clone()).collect();
    assert!(sent == order, "all of them, in their order");
    assert_eq!(set.outbox.shared.shelves.queues(), 1, "the idle sender is gone");
    assert!(set.fake.told.lock().unwrap().is_empty());
    set.end().await;
    assert_eq!(set.fake.lost_by("stuck", Loss::Shutdown), pushed, "each is accounted for");
    let told = set.fake.told.lock().unwrap();
    let [(alert, message)] = &told[..] else { panic!("{told:?}") };
    assert!(
        alert == "stuck" && message.starts_with("10000 notifications were lost; the last one: "),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn room_is_bounded_and_whoever_has_most_gives_way() {
    let set = setting();
    let large = "x".repeat(1024 * 1024);
    for _ in 0..100 {
        for provider in ["stuck", "stuck-too", "stuck-as-well"] {
            set.outbox.push(delivery(provider, &large));
        }
    }
    let used = set.outbox.shared.shelves.used();
    assert!(used <= ALL && used > ALL - 2 * 1024 * 1024, "{used}");
    for n in 0..100 {
        set.outbox.push(delivery("fine", &format!("{n}{large}")));
        tokio::task::yield_now().await;
        assert!(set.outbox.shared.shelves.used() <= ALL);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(set.fake.sent_to("fine"), 100, "its own is not what has to go");
    set.end().await;
    let lost: u64 = set.fake.lost.lock().unwrap().values().sum();
    assert_eq!(lost, 300);

    // One alone has not all of the room.
    let set = setting();
    for _ in 0..100 {
        set.outbox.push(delivery("stuck", &large));
    }
    assert!(set.outbox.shared.shelves.used() <= EACH);
    assert_eq!(set.fake.lost_by("stuck", Loss::Overflow), 100 - (EACH / (1024 * 1024) as usize - 1) as u64);
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_comes_later_and_in_order_and_not_for_ever() {
    let set = setting();
    for n in 0..3 {
        set.outbox.push(delivery("busy", &n.to_string()));
    }
    set.outbox.push(delivery("never", "x"));
    set.outbox.push(delivery("bad", "x"));
    tokio::time::sleep(Duration::from_mins(4)).await;
    assert_eq!(set.fake.sent_to("busy"), 3);
    let expected = [(("bad".to_owned(), Loss::Failed), 1), (("never".to_owned(), Loss::Failed), 1)];
    assert_eq!(*set.fake.lost.lock().unwrap(), expected.into());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_away_for_long_is_left_alone_until_its_provider_changes() {
    let set = setting();
    for n in 0..1000 {
        set.outbox.push(delivery("away", &n.to_string()));
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(set.fake.asked.load(Ordering::Relaxed), 1, "one answer is enough for all");
    assert_eq!(set.fake.lost_by("away", Loss::Failed), 1000);
    let texts = set.fake.told.lock().unwrap().clone();
    assert!(texts.len() <= 2 && texts[0].1.contains("429"), "{texts:?}");
    // What comes now may yet be heard.
    set.outbox.push(delivery("away", "later"));
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(set.fake.lost_by("away", Loss::Failed), 1000);
    let mut changed = delivery("away", "changed");
    Arc::make_mut(&mut changed.provider).metadata.resource_version = Some("2".to_owned());
    set.outbox.push(changed);
    tokio::time::sleep(MAX_AGE + Duration::from_secs(1)).await;
    assert_eq!(set.fake.sent_to("away"), 2, "another address, perhaps, for what waits too");
}

#[tokio::test(start_paused = true)]
async fn many_refusals_are_few_events() {
    let set = setting();
    for n in 0..1000 {
        set.outbox.push(delivery("bad", &n.to_string()));
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(set.fake.lost_by("bad", Loss::Failed), 1000);
    let told = set.fake.told.lock().unwrap();
    assert!((2..=3).contains(&told.len()), "{told:?}");
    assert!(told[0].1.ends_with(": 404") && !told[0].1.contains("were lost"), "the first is told at once");
}

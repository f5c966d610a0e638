//! Metrics of deliveries by Provider. Those of a Provider go with it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use sluice_runtime::ObjectKey;
use sluice_runtime::metrics::Metrics;

use crate::outbox::Loss;

/// So many deleted Providers are remembered.
const MAX_GONE: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    namespace: String,
    provider: String,
    reason: &'static str,
}

impl LossLabels {
    fn of(key: &ObjectKey, loss: Loss) -> Self {
        let reason = match loss {
            Loss::Failed => "failed",
            Loss::Overflow => "overflow",
            Loss::Expired => "expired",
            Loss::Shutdown => "shutdown",
        };
        Self { namespace: key.namespace.clone(), provider: key.name.clone(), reason }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    namespace: String,
    provider: String,
}

impl Labels {
    fn of(key: &ObjectKey) -> Self {
        Self { namespace: key.namespace.clone(), provider: key.name.clone() }
    }
}

/// The figures of all Providers.
#[derive(Default)]
pub(crate) struct Figures {
    waiting: Family<Labels, Gauge>,
    sent: Family<Labels, Counter>,
    lost: Family<LossLabels, Counter>,
    /// Providers that were deleted. What still waits for one is counted to its end.
    gone: Mutex<HashSet<ObjectKey>>,
}

impl Figures {
    /// Figures that are shown among the metrics.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let figures = Self::default();
        metrics.register(|registry| {
            registry.register(
                "sluice_notifications_waiting",
                "Notifications that wait for a Provider or are under way to it",
                Family::clone(&figures.waiting),
            );
            registry.register(
                "sluice_notifications_sent",
                "Notifications that a Provider took",
                Family::clone(&figures.sent),
            );
            registry.register(
                "sluice_notifications_lost",
                "Notifications that no Provider took",
                Family::clone(&figures.lost),
            );
        });
        figures
    }

    /// A notification waits from now on, until it is sent or lost.
    pub(crate) fn queued(&self, provider: &ObjectKey) {
        self.waiting.get_or_create(&Labels::of(provider)).inc();
    }

    /// One was sent.
    pub(crate) fn sent(&self, provider: &ObjectKey) {
        let labels = Labels::of(provider);
        self.waiting.get_or_create(&labels).dec();
        self.sent.get_or_create(&labels).inc();
        self.forget_if_gone(provider);
    }

    /// One was lost.
    pub(crate) fn lost(&self, provider: &ObjectKey, loss: Loss) {
        self.waiting.get_or_create(&Labels::of(provider)).dec();
        self.lost.get_or_create(&LossLabels::of(provider, loss)).inc();
        self.forget_if_gone(provider);
    }

    /// A Provider is there, or is there no more.
    pub(crate) fn changed(&self, provider: &ObjectKey, is_there: bool) {
        {
            let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            if is_there {
                gone.remove(provider);
                return;
            }
            if gone.len() >= MAX_GONE {
                gone.clear();
            }
            gone.insert(provider.clone());
        }
        self.forget_if_gone(provider);
    }

    /// Takes the series of a Provider away when it is deleted and nothing waits for it.
    fn forget_if_gone(&self, provider: &ObjectKey) {
        if !self.gone.lock().unwrap_or_else(PoisonError::into_inner).contains(provider) {
            return;
        }
        let labels = Labels::of(provider);
        if self.waiting.get_or_create(&labels).get() > 0 {
            return;
        }
        self.waiting.remove(&labels);
        self.sent.remove(&labels);
        for loss in [Loss::Failed, Loss::Overflow, Loss::Expired, Loss::Shutdown] {
            self.lost.remove(&LossLabels::of(provider, loss));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_provider_go_with_it_once_nothing_waits() {
        let metrics = Metrics::default();
        let figures = Figures::new(&metrics);
        let [one, other] = ["one", "other"].map(|name| ObjectKey::new("apps", name));
        for key in [&one, &other] {
            figures.changed(key, true);
            figures.queued(key);
            figures.queued(key);
            figures.sent(key);
        }
        figures.changed(&one, false);
        let of = |name: &str| {
            let text = metrics.render().unwrap();
            text.lines().filter(|line| line.contains(&format!("provider=\"{name}\""))).count()
        };
        assert_eq!((of("one"), of("other")), (2, 2), "one still waits");
        figures.lost(&one, Loss::Failed);
        assert_eq!((of("one"), of("other")), (0, 2));
        // What comes late goes as well, and a Provider that is made anew begins from nothing.
        figures.queued(&one);
        figures.lost(&one, Loss::Expired);
        assert_eq!(of("one"), 0);
        figures.changed(&one, true);
        figures.queued(&one);
        figures.sent(&one);
        assert_eq!(of("one"), 2);
    }
}

//! How long the reconciles of each object took. There is one series for each object of a process, so it is kept small.

use std::collections::HashMap;
use std::fmt::Error;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::histogram::exponential_buckets_range;

use crate::ObjectKey;

/// How many buckets there are beside the last one, which has no limit.
const LIMITED: usize = 10;

/// The limits of the buckets, in seconds: Flux's.
static LIMITS: LazyLock<Vec<f64>> =
    LazyLock::new(|| exponential_buckets_range(0.01, 1800.0, LIMITED as u16).collect());

/// The durations of all objects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations(Arc<Mutex<Kinds>>);

/// The objects of each kind.
type Kinds = HashMap<String, HashMap<ObjectKey, Box<Series>>>;

/// The durations of one object.
#[derive(Clone, Copy, Debug, Default)]
struct Series {
    /// In seconds.
    sum: f64,
    /// How many there were in each bucket.
    counts: [u32; LIMITED + 1],
}

impl Durations {
    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn observe(&self, kind: &str, key: &ObjectKey, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = LIMITS.partition_point(|limit| *limit < seconds);
        let mut kinds = self.kinds();
        if !kinds.contains_key(kind) {
            kinds.insert(kind.to_owned(), HashMap::new());
        }
        let Some(objects) = kinds.get_mut(kind) else { return };
        if !objects.contains_key(key) {
            objects.insert(key.clone(), Box::default());
        }
        if let Some(series) = objects.get_mut(key) {
            series.sum += seconds;
            series.counts[bucket] = series.counts[bucket].saturating_add(1);
        }
    }

    pub(crate) fn forget(&self, kind: &str, key: &ObjectKey) {
        if let Some(objects) = self.kinds().get_mut(kind) {
            objects.remove(key);
        }
    }
}

impl Collector for Durations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "The duration in seconds of a reconcile";
        let kind = MetricType::Histogram;
        let mut encoder = encoder.encode_descriptor("gotk_reconcile_duration_seconds", help, None, kind)?;
        let limits = LIMITS.iter().copied().chain([f64::INFINITY]);
        for (kind, objects) in &*self.kinds() {
            for (key, series) in objects {
                let counts = series.counts.map(u64::from);
                let buckets: Vec<(f64, u64)> = limits.clone().zip(counts).collect();
                let labels = [
                    ("kind", kind.as_str()),
                    ("name", key.name.as_str()),
                    ("namespace", key.namespace.as_str()),
                ];
                let mut encoder = encoder.encode_family(&labels)?;
                encoder.encode_histogram::<NoLabelSet>(series.sum, counts.iter().sum(), &buckets, None)?;
            }
        }
        Ok(())
    }
}

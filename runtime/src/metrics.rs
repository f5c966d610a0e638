//! Metrics under the names that dashboards for Flux use.

use std::fmt::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text::encode};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::ObjectKey;
use crate::durations::Durations;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    controller: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabel {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: &'static str,
}

/// How a reconcile ended, as controller-runtime counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileResult {
    /// Nothing more to do.
    Success,
    /// To be done again at once.
    Requeue,
    /// To be done again later.
    RequeueAfter,
    /// Failed.
    Error,
}

impl ReconcileResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Requeue => "requeue",
            Self::RequeueAfter => "requeue_after",
            Self::Error => "error",
        }
    }
}

/// The metrics of one process.
pub struct Metrics {
    registry: Mutex<Registry>,
    durations: Durations,
    reconciles: Family<ResultLabels, Counter>,
    depth: Family<NameLabel, Gauge>,
    adds: Family<NameLabel, Counter>,
    retries: Family<NameLabel, Counter>,
    waited: Family<NameLabel, Histogram>,
    worked: Family<NameLabel, Histogram>,
    leader: Family<NameLabel, Gauge>,
    events: std::sync::Arc<EventMetrics>,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = || Histogram::new(exponential_buckets(10e-9, 10.0, 12));
        let metrics = Self {
            registry: Mutex::new(Registry::default()),
            durations: Durations::default(),
            reconciles: Family::default(),
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            waited: Family::new_with_constructor(buckets),
            worked: Family::new_with_constructor(buckets),
            leader: Family::default(),
            events: std::sync::Arc::default(),
        };
        metrics.register(|registry| {
            registry.register_collector(Box::new(metrics.durations.clone()));
            let reconciles = metrics.reconciles.clone();
            registry.register(
                "controller_runtime_reconcile",
                "Total number of reconciles per controller",
                reconciles,
            );
            registry.register("workqueue_depth", "Current depth of the work queue", metrics.depth.clone());
            registry.register(
                "workqueue_adds",
                "Total number of adds to the work queue",
                metrics.adds.clone(),
            );
            registry.register(
                "workqueue_retries",
                "Total number of retries after failures",
                metrics.retries.clone(),
            );
            let help = "How long an object waits in the work queue";
            registry.register("workqueue_queue_duration_seconds", help, metrics.waited.clone());
            let help = "How long a reconcile holds a worker";
            registry.register("workqueue_work_duration_seconds", help, metrics.worked.clone());
            let help = "Whether this process leads (1) or waits (0)";
            registry.register("leader_election_master_status", help, metrics.leader.clone());
            let help = "Events that were lost because their receiver was away or too slow";
            registry.register("sluice_events_dropped", help, metrics.events.dropped.clone());
            registry.register_collector(Box::new(ProcessCollector));
        });
        metrics
    }
}

impl Metrics {
    /// Registers more metrics.
    pub fn register(&self, registrations: impl FnOnce(&mut Registry)) {
        registrations(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All metrics as text, in the OpenMetrics format.
    pub fn render(&self) -> Result<String, Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }

    /// Records how long the reconcile of an object took.
    pub fn reconciled(&self, kind: &str, key: &ObjectKey, duration: Duration) {
        self.durations.observe(kind, key, duration);
    }

    /// Counts a reconcile of a controller and the time that it held a worker.
    pub(crate) fn worked(&self, controller: &str, result: ReconcileResult, duration: Duration) {
        let labels = ResultLabels { controller: controller.to_owned(), result: result.as_str() };
        self.reconciles.get_or_create(&labels).inc();
        let name = NameLabel { name: controller.to_owned() };
        self.worked.get_or_create(&name).observe(duration.as_secs_f64());
    }

    /// Removes the series of an object that is gone.
    pub fn forget(&self, kind: &str, key: &ObjectKey) {
        self.durations.forget(kind, key);
    }

    pub(crate) fn lead(&self, name: &str, leads: bool) {
        self.leader.get_or_create(&NameLabel { name: name.to_owned() }).set(i64::from(leads));
    }

    pub(crate) fn events(&self) -> std::sync::Arc<EventMetrics> {
        self.events.clone()
    }

    pub(crate) fn queue(&self, name: &str) -> QueueMetrics {
        let label = NameLabel { name: name.to_owned() };
        QueueMetrics {
            depth: self.depth.get_or_create(&label).clone(),
            adds: self.adds.get_or_create(&label).clone(),
            retries: self.retries.get_or_create(&label).clone(),
            waited: self.waited.get_or_create(&label).clone(),
        }
    }
}

/// The metrics of one work queue.
pub(crate) struct QueueMetrics {
    pub(crate) depth: Gauge,
    pub(crate) adds: Counter,
    pub(crate) retries: Counter,
    pub(crate) waited: Histogram,
}

impl Default for QueueMetrics {
    fn default() -> Self {
        Metrics::default().queue("")
    }
}

/// Counts events that were lost.
#[derive(Default)]
pub struct EventMetrics {
    dropped: Family<SinkLabel, Counter>,
}

impl EventMetrics {
    pub(crate) fn dropped(&self, sink: &'static str) {
        self.dropped.get_or_create(&SinkLabel { sink }).inc();
    }
}

/// CPU time and memory of this process, read from the kernel when somebody asks.
#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let usage = ProcessUsage::read();
        let help = "Total user and system CPU time spent in seconds";
        let cpu = ConstCounter::new(usage.cpu_seconds);
        let descriptor =
            encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), cpu.metric_type())?;
        cpu.encode(descriptor)?;
        let help = "Resident memory size in bytes";
        let memory = ConstGauge::new(usage.resident_bytes);
        let descriptor = encoder.encode_descriptor(
            "process_resident_memory",
            help,
            Some(&Unit::Bytes),
            memory.metric_type(),
        )?;
        memory.encode(descriptor)?;
        let help = "Largest resident memory size in bytes since the start";
        let memory = ConstGauge::new(usage.peak_resident_bytes);
        let name = "process_resident_memory_peak";
        let descriptor = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), memory.metric_type())?;
        memory.encode(descriptor)
    }
}

/// What the kernel says of this process.
#[derive(Clone, Copy, Debug, Default)]
struct ProcessUsage {
    cpu_seconds: f64,
    resident_bytes: i64,
    peak_resident_bytes: i64,
}

impl ProcessUsage {
    /// Zeros where there is no `/proc`.
    fn read() -> Self {
        /// Linux reports CPU time to user space in hundredths of a second on every architecture.
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // Fields count from behind the parenthesised program name: utime and stime are the 12th and 13th there.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let ticks =
            |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse::<i64>().ok()).unwrap_or_default()
        };
        Self {
            cpu_seconds: (ticks(11) + ticks(12)) / TICKS_PER_SECOND,
            resident_bytes: kilobytes("VmRSS") * 1024,
            peak_resident_bytes: kilobytes("VmHWM") * 1024,
        }
    }
}

/// The media type of [`Metrics::render`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_flux_and_series_of_gone_objects_vanish() {
        let metrics = Metrics::default();
        let key = ObjectKey::new("ns", "app");
        metrics.reconciled("Kustomization", &key, Duration::from_millis(20));
        metrics.worked("kustomization", ReconcileResult::RequeueAfter, Duration::from_millis(20));
        let text = metrics.render().unwrap();
        let series =
            r#"gotk_reconcile_duration_seconds_count{kind="Kustomization",name="app",namespace="ns"} 1"#;
        assert!(text.contains(series), "{text}");
        let labels = r#"kind="Kustomization",name="app",namespace="ns""#;
        for (limit, count) in [("0.01", 0), ("0.03836", 1), ("+Inf", 1)] {
            let bucket = |line: &str| line.contains(&format!("le=\"{limit}")) && line.contains(labels);
            let line = text.lines().find(|line| bucket(line)).unwrap_or_else(|| panic!("{limit} in {text}"));
            assert!(line.starts_with("gotk_reconcile_duration_seconds_bucket{"), "{line}");
            assert!(line.ends_with(&format!(" {count}")), "{line}");
        }
        let series =
            r#"controller_runtime_reconcile_total{controller="kustomization",result="requeue_after"} 1"#;
        assert!(text.contains(series), "{text}");
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        metrics.forget("Kustomization", &key);
        assert!(!metrics.render().unwrap().contains("app"));
    }
}

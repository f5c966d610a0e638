//! ImageRepository: the tags of an image are looked for and kept.

mod options;
mod scan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_api::image::{ImageRepository, ImageRepositorySpec, ImageRepositoryStatus, ScanResult};
use sluice_runtime::controller::{Next, Reconciler};
use sluice_runtime::{Cache, Controller, ObjectKey, StatusWriter, errors, finalizer};

use crate::progress::{self, Failure, OWNED, Progress, Retry};
use crate::{Links, Shared, image_name, tag_store};

pub(crate) use options::client;

/// How many tags the status shows.
const SHOWN_TAGS: usize = 10;
/// The exclusions of an object that names none: signatures.
const DEFAULT_EXCLUSION: &str = r"^.*\.sig$";

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>, controller: Controller<ImageRepository>, links: Links) {
    let status = StatusWriter::new(
        shared.manager.client.clone(),
        controller.cache(),
        "image-reflector-controller",
        &OWNED,
    );
    if shared.flags.gc_interval > 0 {
        let collect = collect_garbage(shared.clone(), controller.cache());
        shared.manager.tasks.spawn(shared.manager.stop.clone().run_until_cancelled_owned(collect));
    }
    controller.run(ImageRepositories { shared, links, status }).await;
}

/// Removes the tags of objects that went while nobody looked.
async fn collect_garbage(shared: Arc<Shared>, objects: Arc<Cache<ImageRepository>>) {
    let mut rounds = tokio::time::interval(Duration::from_mins(shared.flags.gc_interval));
    loop {
        rounds.tick().await;
        objects.synced().await;
        let (tags, objects) = (shared.tags.clone(), objects.clone());
        let collected =
            tokio::task::spawn_blocking(move || tags.collect_garbage(|key| objects.get(key).is_some())).await;
        match collected {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(removed)) => tracing::info!(removed, "removed the tags of objects that are gone"),
            Ok(Err(error)) => tracing::error!(%error, "cannot remove the tags of objects that are gone"),
        }
    }
}

/// The reconciler and what it works with.
struct ImageRepositories {
    shared: Arc<Shared>,
    links: Links,
    status: StatusWriter<ImageRepository>,
}

/// What a run came to.
struct Outcome {
    message: String,
    detail: String,
    /// When to look again.
    next: Duration,
}

impl Reconciler for ImageRepositories {
    type Kind = ImageRepository;

    async fn reconcile(&self, object: Arc<ImageRepository>) -> Next {
        match self.run(object).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = errors::describe(&error), "cannot write the object");
                Next::Backoff
            }
        }
    }

    fn forget(&self, key: &ObjectKey) {
        if let Err(error) = self.shared.tags.remove(key) {
            tracing::error!(%error, object = %key, "cannot remove the tags of a deleted object");
        }
        self.wake_policies(key);
    }
}

impl ImageRepositories {
    async fn run(&self, object: Arc<ImageRepository>) -> kube::Result<Next> {
        if object.metadata.deletion_timestamp.is_some() {
            // There is nothing to hold an object back for; only Flux's controller adds a finalizer.
            finalizer::remove(&self.shared.manager.client, &self.links.repositories, &object).await?;
            return Ok(Next::AwaitChange);
        }
        if object.spec.suspend {
            self.status.write(&object, &progress::suspended(&*object)).await?;
            return Ok(Next::AwaitChange);
        }
        let mut progress = Progress::begin(&*object);
        let before = progress.status.last_scan_result.clone().map(|scan| scan.revision);
        let stop = &self.shared.manager.stop;
        let Some(attempt) = stop.run_until_cancelled(self.attempt(&object, &mut progress)).await else {
            // A shutdown is no failure of the object.
            return Ok(Next::AwaitChange);
        };
        let (status, event, next) = match attempt? {
            Ok(Outcome { message, detail, next }) => {
                let (status, event) = progress.succeed(&message, &detail);
                (status, event, Next::After(next))
            }
            Err(failure) => {
                let (status, event) = progress.fail(&failure);
                let next = match failure.retry {
                    Retry::Backoff => Next::Backoff,
                    Retry::After(delay) => Next::After(delay),
                    Retry::Never => Next::AwaitChange,
                };
                (status, event, next)
            }
        };
        let after = status.last_scan_result.clone().map(|scan| scan.revision);
        let key = ObjectKey::of(&*object);
        let current = self.links.repositories.get(&key).unwrap_or_else(|| object.clone());
        self.status.write(&current, &status).await?;
        if let Some(event) = event {
            let recorder = &self.shared.reflector;
            recorder.emit(&*object, event.severity, &event.reason, event.message, BTreeMap::new());
        }
        if after != before {
            self.wake_policies(&key);
        }
        Ok(next)
    }

    async fn attempt(
        &self,
        object: &Arc<ImageRepository>,
        progress: &mut Progress<ImageRepositoryStatus>,
    ) -> kube::Result<Result<Outcome, Failure>> {
        let image = match image_name::parse(&object.spec.image) {
            Ok(image) => image,
            Err(message) => return Ok(Err(Failure::stalled("ImageURLInvalid", message))),
        };
        let canonical = image.context();
        let key = ObjectKey::of(&**object);
        let stored = {
            let (tags, key) = (self.shared.tags.clone(), key.clone());
            tokio::task::spawn_blocking(move || tags.read(&key).map(|tags| tags.is_empty())).await
        };
        let empty = match stored {
            Ok(Ok(empty)) => empty,
            Ok(Err(error)) => {
                let message = format!("failed to determine if it's scan time: {error}");
                return Ok(Err(Failure::new("Failure", message)));
            }
            Err(error) => return Ok(Err(Failure::new("Failure", error.to_string()))),
        };
        let tolerance = f64::from(self.shared.manager.flags.interval_jitter_percentage) / 100.0;
        let now = Timestamp::now();
        let due =
            due(&object.spec, &progress.status, progress.is_requested(), &canonical, empty, now, tolerance);
        let reason = match due {
            Due::Now(reason) => reason,
            Due::In(next) => {
                let scan = progress.status.last_scan_result.clone().unwrap_or_default();
                let wait = sluice_duration::format_std(Duration::from_secs(next.as_secs()));
                let detail =
                    format!("no change in repository configuration since last scan, next scan in {wait}");
                return Ok(Ok(Outcome { message: success(&scan), detail, next }));
            }
        };
        progress.doing(format!("scanning: {reason}"));
        if empty && progress.status.last_scan_result.is_some() {
            progress.lost(&format!("scanning: {reason}"));
        }
        if progress.is_news() {
            self.status.write(object, &progress.status).await?;
        }
        let exclusions = exclusions(&object.spec);
        let tags = match scan::scan(&self.shared, object, &image, &exclusions).await {
            Ok(tags) => tags,
            Err(failure) => return Ok(Err(failure)),
        };
        let revision = tag_store::revision(&tags);
        let known = progress.status.last_scan_result.as_ref().is_some_and(|scan| scan.revision == revision);
        let scan = ScanResult {
            latest_tags: tags.iter().take(SHOWN_TAGS).cloned().collect(),
            tag_count: tags.len() as i64,
            revision,
            scan_time: Some(now_in_seconds()),
        };
        if !known || empty {
            let (store, key) = (self.shared.tags.clone(), key.clone());
            let written = tokio::task::spawn_blocking(move || store.write(&key, &tags)).await;
            let problem = match written {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                let message = format!("scan failed: failed to set tags for '{canonical}': {problem}");
                return Ok(Err(Failure::new("ReadOperationFailed", message)));
            }
        }
        let message = success(&scan);
        let status = &mut progress.status;
        status.canonical_image_name = canonical;
        status.observed_exclusion_list = exclusions;
        status.last_scan_result = Some(scan);
        let next = self.shared.manager.flags.jitter(object.spec.interval.to_std());
        let wait = sluice_duration::format_std(object.spec.interval.to_std());
        let found = if known { "tags did not change" } else { "successful scan" };
        Ok(Ok(Outcome { message, detail: format!("{found}, next scan in {wait}"), next }))
    }

    /// Lets the policies of an object look again.
    fn wake_policies(&self, repository: &ObjectKey) {
        let concerned = self.links.policies.filter(|policy| {
            let reference = &policy.spec.image_repository_ref;
            let own = policy.metadata.namespace.as_deref().unwrap_or_default();
            reference.name == repository.name && reference.namespace_or(own) == repository.namespace
        });
        for policy in concerned {
            self.links.wake_policy.wake(&ObjectKey::of(&*policy));
        }
    }
}

fn success(scan: &ScanResult) -> String {
    format!("successful scan: found {} tags with checksum {}", scan.tag_count, scan.revision)
}

fn now_in_seconds() -> Time {
    Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default())
}

/// The exclusions of an object, with the default applied.
fn exclusions(spec: &ImageRepositorySpec) -> Vec<String> {
    if spec.exclusion_list.is_empty() {
        vec![DEFAULT_EXCLUSION.to_owned()]
    } else {
        spec.exclusion_list.clone()
    }
}

/// When to scan.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// At once, for this reason.
    Now(&'static str),
    /// After this time.
    In(Duration),
}

/// Whether it is time to scan. `tolerance`: the part of the interval by which a scan may be early.
fn due(
    spec: &ImageRepositorySpec,
    status: &ImageRepositoryStatus,
    requested: bool,
    canonical: &str,
    empty: bool,
    now: Timestamp,
    tolerance: f64,
) -> Due {
    let Some(scan) = &status.last_scan_result else { return Due::Now("first scan") };
    if requested {
        return Due::Now("reconcile requested");
    }
    if status.canonical_image_name != canonical {
        return Due::Now("new image name");
    }
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list.dedup();
        list
    };
    if sorted(&exclusions(spec)) != sorted(&status.observed_exclusion_list) {
        return Due::Now("updated exclusion list");
    }
    if empty && scan.tag_count > 0 {
        return Due::Now("no tags in database");
    }
    let interval = spec.interval.to_std();
    let elapsed = scan
        .scan_time
        .as_ref()
        .map_or(interval, |time| Duration::try_from(now.duration_since(time.0)).unwrap_or_default());
    let left = interval.saturating_sub(elapsed);
    if left < Duration::from_secs(1).max(interval.mul_f64(tolerance)) {
        Due::Now("triggered by interval")
    } else {
        Due::In(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(spec: serde_json::Value, status: serde_json::Value, requested: bool, empty: bool) -> Due {
        let mut full = serde_json::json!({"image": "ghcr.io/org/app", "interval": "1m"});
        full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let now = "2026-01-01T00:00:30Z".parse().unwrap();
        let spec = serde_json::from_value(full).unwrap();
        due(&spec, &serde_json::from_value(status).unwrap(), requested, "ghcr.io/org/app", empty, now, 0.05)
    }

    fn scanned(at: &str) -> serde_json::Value {
        serde_json::json!({
            "canonicalImageName": "ghcr.io/org/app", "observedExclusionList": ["^.*\\.sig$"],
            "lastScanResult": {"tagCount": 1, "scanTime": at},
        })
    }

    #[test]
    fn a_scan_has_a_reason() {
        let none = serde_json::json!({});
        let fresh = || scanned("2026-01-01T00:00:00Z");
        assert_eq!(judged(none.clone(), none.clone(), true, true), Due::Now("first scan"));
        assert_eq!(judged(none.clone(), fresh(), true, false), Due::Now("reconcile requested"));
        assert_eq!(judged(none.clone(), fresh(), false, true), Due::Now("no tags in database"));
        assert_eq!(judged(none.clone(), fresh(), false, false), Due::In(Duration::from_secs(30)));
        let other = serde_json::json!({"exclusionList": ["x"]});
        assert_eq!(judged(other, fresh(), false, false), Due::Now("updated exclusion list"));
        assert_eq!(
            judged(none.clone(), scanned("2025-12-31T23:59:32Z"), false, false),
            Due::Now("triggered by interval")
        );
        let mut renamed = fresh();
        renamed["canonicalImageName"] = "ghcr.io/org/old".into();
        assert_eq!(judged(none, renamed, false, false), Due::Now("new image name"));
    }
}

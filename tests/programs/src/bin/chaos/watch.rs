//! Eyes that are open all the time: nothing that is held is deleted, what is served matches its digest, events arrive.

use crate::changes::{Changes, Held, lock};
use crate::fleet::{Fleet, KUSTOMIZE, LABEL, SOURCE};
use crate::parts::{NOTIFICATION, Parts};
use crate::say;
use anyhow::Result;
use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::runtime::{WatchStreamExt as _, watcher};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// An event that is under way when somebody ends may be lost without a trace in this time before and after.
const BEFORE: Duration = Duration::from_secs(10);
const AFTER: Duration = Duration::from_secs(75);
/// How long the last events may take.
const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Default)]
struct Seen {
    problems: Vec<String>,
    /// Processes that ended, and when.
    ends: Vec<(Instant, &'static str)>,
    /// URL and digest of the artifacts that sources have at present.
    artifacts: BTreeMap<String, (String, String)>,
    fetched: usize,
    unreachable: usize,
    /// Which revisions were applied, of what, and when that was seen.
    applied: Vec<(Instant, String, String)>,
    /// Losses that were counted, by process: in all, and of its present life.
    lost: HashMap<String, (u64, u64)>,
}

pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    /// They end with this value.
    tasks: Mutex<JoinSet<()>>,
}

impl Watch {
    pub(crate) async fn start(fleet: &Fleet, changes: &Changes) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        for (version, kind) in [("v1", "ConfigMap"), ("apps/v1", "Deployment")] {
            let api = fleet.cluster.api(version, kind).await?;
            tasks.spawn(deletions(api, kind, changes.held.clone(), seen.clone()));
        }
        for kind in ["GitRepository", "OCIRepository", "Bucket", "HelmRepository", "HelmChart"] {
            tasks.spawn(sources(fleet.cluster.api(SOURCE, kind).await?, kind, seen.clone()));
        }
        tasks.spawn(artifacts(seen.clone()));
        tasks.spawn(applied(fleet.cluster.api(KUSTOMIZE, "Kustomization").await?, seen.clone()));
        Ok(Self { seen, tasks: Mutex::new(tasks) })
    }

    /// Counts losses from now on, too.
    pub(crate) fn count(&self, parts: &Parts) {
        for part in [&parts.all[1], &parts.all[NOTIFICATION]] {
            for replica in &part.replicas {
                lock(&self.tasks).spawn(losses(replica.metrics_url(), self.seen.clone()));
            }
        }
    }

    /// A process ends: what it has in hand may be lost.
    pub(crate) fn ended(&self, name: &'static str) {
        lock(&self.seen).ends.push((Instant::now(), name));
    }

    /// What was seen that must not be. `last` are the commits after which nothing changed.
    pub(crate) async fn end(&self, fleet: &Fleet, last: &BTreeMap<String, String>) -> Result<Vec<String>> {
        let wanted: BTreeSet<_> = Fleet::kustomizations()
            .into_iter()
            .filter_map(|(name, source)| Some((name, format!("main@sha1:{}", last.get(&source)?))))
            .collect();
        let begin = Instant::now();
        let mut delivered = deliveries(fleet);
        while !wanted.is_subset(&delivered) && begin.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(300)).await;
            delivered = deliveries(fleet);
        }
        let seen = lock(&self.seen);
        let mut problems = seen.problems.clone();
        for (name, revision) in wanted.difference(&delivered) {
            problems.push(format!("nobody was told of the last {revision} of {name}"));
        }
        let missing: Vec<_> = seen
            .applied
            .iter()
            .filter(|(_, name, revision)| !delivered.contains(&(name.clone(), revision.clone())))
            .collect();
        let excused = |at: &Instant| {
            seen.ends.iter().any(|(end, name)| {
                ["kustomize-controller", "notification-controller"].contains(name)
                    && *end + BEFORE >= *at
                    && *end <= *at + AFTER
            })
        };
        let unexplained: Vec<_> = missing.iter().filter(|(at, ..)| !excused(at)).collect();
        let counted: u64 = seen.lost.values().map(|(before, now)| before + now).sum();
        if unexplained.len() as u64 > counted {
            problems.push(format!(
                "{} events are lost, but {counted} counted: {unexplained:?}",
                unexplained.len()
            ));
        }
        say(&format!(
            "{} artifacts fetched and checked ({} were not to be had); {} of {} events told, {} lost with a process, \
             {} otherwise, {counted} counted as lost",
            seen.fetched,
            seen.unreachable,
            seen.applied.len() - missing.len(),
            seen.applied.len(),
            missing.len() - unexplained.len(),
            unexplained.len(),
        ));
        Ok(problems)
    }
}

/// Of which revisions of what the sink was told.
fn deliveries(fleet: &Fleet) -> BTreeSet<(String, String)> {
    let told = fleet.sink.deliveries();
    let told = told
        .iter()
        .map(|delivery| delivery.json())
        .filter(|event| event["involvedObject"]["kind"] == "Kustomization");
    told.filter_map(|event| {
        let revision = event["metadata"]["revision"].as_str()?;
        Some((event["involvedObject"]["name"].as_str()?.to_owned(), revision.to_owned()))
    })
    .collect()
}

fn name_of(object: &DynamicObject) -> String {
    object.metadata.name.clone().unwrap_or_default()
}

/// Watches objects that Git holds.
async fn deletions(api: Api<DynamicObject>, kind: &'static str, held: Held, seen: Arc<Mutex<Seen>>) {
    let config = watcher::Config::default().labels(LABEL);
    let mut events = pin!(watcher(api, config).default_backoff());
    let mut known: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut listed = BTreeSet::new();
    let is_held = |name: &str| kind != "ConfigMap" || lock(&held).contains_key(name);
    let problem = |text: String| {
        say(&format!("      PROBLEM: {text}"));
        lock(&seen).problems.push(text);
    };
    let arrived = |known: &mut BTreeMap<_, Option<String>>, object: &DynamicObject| {
        let (name, uid) = (name_of(object), object.metadata.uid.clone());
        if object.metadata.deletion_timestamp.is_some() && is_held(&name) {
            problem(format!("{kind} {name} is being deleted, and Git holds it"));
        }
        if let Some(before) = known.insert(name.clone(), uid.clone())
            && before != uid
            && is_held(&name)
        {
            problem(format!("{kind} {name} was deleted and made anew, and Git held it"));
        }
    };
    while let Some(event) = events.next().await {
        match event {
            Err(_) => {}
            Ok(watcher::Event::Apply(object)) => arrived(&mut known, &object),
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(name_of(&object));
                arrived(&mut known, &object);
            }
            Ok(watcher::Event::InitDone) => {
                let gone: Vec<String> =
                    known.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                for name in gone {
                    known.remove(&name);
                    if is_held(&name) {
                        problem(format!("{kind} {name} was deleted unseen, and Git holds it"));
                    }
                }
            }
            Ok(watcher::Event::Delete(object)) => {
                let name = name_of(&object);
                known.remove(&name);
                if is_held(&name) {
                    problem(format!("{kind} {name} was deleted, and Git holds it"));
                }
            }
        }
    }
}

/// Keeps the list of artifacts.
async fn sources(api: Api<DynamicObject>, kind: &'static str, seen: Arc<Mutex<Seen>>) {
    let mut objects = pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
    while let Some(object) = objects.next().await {
        let Ok(object) = object else { continue };
        let artifact = &object.data["status"]["artifact"];
        if let (Some(url), Some(digest)) = (artifact["url"].as_str(), artifact["digest"].as_str()) {
            let key = format!("{kind}/{}", name_of(&object));
            lock(&seen).artifacts.insert(key, (url.to_owned(), digest.to_owned()));
        }
    }
}

/// Fetches one artifact after the other.
async fn artifacts(seen: Arc<Mutex<Seen>>) {
    let client =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap_or_default();
    let fetch = async |url: &str| {
        let answer = client.get(url).send().await.ok()?.error_for_status().ok()?;
        Some(sluice_oci::digest(&answer.bytes().await.ok()?))
    };
    let mut last = String::new();
    loop {
        let next = {
            let seen = lock(&seen);
            let after = seen.artifacts.range(last.clone()..).find(|(key, _)| **key != last);
            after.or_else(|| seen.artifacts.iter().next()).map(|(key, value)| (key.clone(), value.clone()))
        };
        if let Some((key, (url, digest))) = next {
            let mut found = fetch(&url).await;
            if found.as_ref().is_some_and(|found| *found != digest) {
                // It may have been damaged under the reader's hands: once more.
                found = fetch(&url).await;
            }
            let mut seen = lock(&seen);
            match found {
                None => seen.unreachable += 1,
                Some(found) => {
                    seen.fetched += 1;
                    let is = seen
                        .artifacts
                        .get(&key)
                        .is_some_and(|(now, expected)| *now == url && *expected != found);
                    if is {
                        let text = format!("{key}: {url} is served as {found}, and its digest is {digest}");
                        if !seen.problems.contains(&text) {
                            say(&format!("      PROBLEM: {text}"));
                            seen.problems.push(text);
                        }
                    }
                }
            }
            last = key;
        }
        // The pace of the checks: the machine is for the fleet.
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Writes down which revisions are applied.
async fn applied(api: Api<DynamicObject>, seen: Arc<Mutex<Seen>>) {
    let mut objects = pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
    let mut known: HashMap<String, String> = HashMap::new();
    while let Some(object) = objects.next().await {
        let Ok(object) = object else { continue };
        let Some(revision) = object.data["status"]["lastAppliedRevision"].as_str() else { continue };
        let name = name_of(&object);
        if let Some(before) = known.insert(name.clone(), revision.to_owned())
            && before != revision
        {
            lock(&seen).applied.push((Instant::now(), name, revision.to_owned()));
        }
    }
}

/// Adds up what a process says of losses, over all its lives.
async fn losses(url: String, seen: Arc<Mutex<Seen>>) {
    let client =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap_or_default();
    loop {
        if let Ok(answer) = client.get(&url).send().await
            && let Ok(text) = answer.text().await
        {
            let lines = text.lines().filter(|line| {
                line.starts_with("sluice_events_dropped_total")
                    || line.starts_with("sluice_notifications_lost_total")
            });
            let now =
                lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64;
            let mut seen = lock(&seen);
            let (before, last) = seen.lost.entry(url.clone()).or_default();
            if now < *last {
                *before += *last;
            }
            *last = now;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

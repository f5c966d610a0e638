//! ImageUpdateAutomation: what policies have chosen is committed to Git.

mod message;
mod policies;
mod pull_request;
mod push;
mod signing;
mod source;
mod update;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sluice_api::image::{ImageRef, ImageUpdateAutomation, ImageUpdateAutomationStatus};
use sluice_api::source::GitRepository;
use sluice_git::ObjectId;
use sluice_git::tree::View;
use sluice_runtime::controller::{Next, Reconciler};
use sluice_runtime::{Cache, Change, Controller, ObjectKey, Severity, StatusWriter, errors, finalizer};

use crate::progress::{self, Event, Failure, OWNED, Progress, Retry};
use crate::{Links, Shared};

/// What `Ready` says of every automation that works.
const UP_TO_DATE: &str = "repository up-to-date";
/// How often a run begins anew because the remote moved under it.
const ATTEMPTS: usize = 4;
/// The longest wait that a host may ask for.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_hours(1);
/// How many problems with markers one event names.
const MAX_PROBLEMS: usize = 20;

/// Runs the controller until the manager stops.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut controller: Controller<ImageUpdateAutomation>,
    links: Links,
) {
    let cache = controller.cache();
    let automations = cache.clone();
    let affected = move |change: &Change<GitRepository>| {
        let generation = |object: &Option<Arc<GitRepository>>| {
            object.as_ref().and_then(|object| object.metadata.generation)
        };
        // A new artifact is no reason to look; another spec is.
        if change.initial || generation(&change.old) == generation(&change.new) {
            return Vec::new();
        }
        let concerned = automations.filter(|automation| source::key(automation) == change.key);
        concerned.iter().map(|automation| ObjectKey::of(&**automation)).collect()
    };
    let watched = shared.manager.watched::<GitRepository>();
    let repositories = controller.watch(watched, kube::runtime::watcher::Config::default(), affected);
    let status = StatusWriter::new(
        shared.manager.client.clone(),
        cache.clone(),
        "image-automation-controller",
        &OWNED,
    );
    let ssh = sluice_git::SshAlgorithms {
        key_exchange: shared.flags.ssh_kex_algos.clone(),
        host_key: shared.flags.ssh_hostkey_algos.clone(),
    };
    let git = sluice_git::Client::default().with_ssh(ssh);
    controller.begin_after(&links.policies);
    let seen = Mutex::default();
    let recorder = shared.manager.recorder.named("image-automation-controller");
    controller.run(Automations { shared, links, git, cache, repositories, status, recorder, seen }).await;
}

/// The reconciler and what it works with.
struct Automations {
    shared: Arc<Shared>,
    links: Links,
    git: sluice_git::Client,
    cache: Arc<Cache<ImageUpdateAutomation>>,
    repositories: Arc<Cache<GitRepository>>,
    status: StatusWriter<ImageUpdateAutomation>,
    recorder: sluice_runtime::Recorder,
    /// What the last good run of an object saw.
    seen: Mutex<HashMap<ObjectKey, Seen>>,
}

/// What a run saw. With the same again there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    generation: Option<i64>,
    policies: BTreeMap<String, ImageRef>,
    checkout: ObjectId,
    push: Option<ObjectId>,
}

/// What a run came to.
#[derive(Debug, Default)]
struct Outcome {
    /// The source as it was, or as it is after the push.
    revision: String,
    policies: BTreeMap<String, ImageRef>,
    pushed: Option<Pushed>,
    /// Markers that nothing comes of, by file and line.
    problems: Vec<String>,
    /// What became of the pull request.
    pull_request: Option<Event>,
    /// Why there is none, though it is wanted.
    failure: Option<Failure>,
}

/// A commit that was pushed.
#[derive(Debug)]
struct Pushed {
    commit: String,
    /// What to tell of it.
    summary: String,
}

impl Reconciler for Automations {
    type Kind = ImageUpdateAutomation;

    async fn reconcile(&self, object: Arc<ImageUpdateAutomation>) -> Next {
        match Box::pin(self.run(object)).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = errors::describe(&error), "cannot write the object");
                Next::Backoff
            }
        }
    }

    fn forget(&self, key: &ObjectKey) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Automations {
    async fn run(&self, object: Arc<ImageUpdateAutomation>) -> kube::Result<Next> {
        if object.metadata.deletion_timestamp.is_some() {
            // There is nothing to hold an object back for; only Flux's controller adds a finalizer.
            finalizer::remove(&self.shared.manager.client, &self.cache, &object).await?;
            return Ok(Next::AwaitChange);
        }
        if object.spec.suspend {
            self.status.write(&object, &progress::suspended(&*object)).await?;
            return Ok(Next::AwaitChange);
        }
        let mut progress = Progress::begin(&*object);
        if progress.is_news() {
            self.status.write(&object, &progress.status).await?;
        }
        progress.status.last_automation_run_time = Some(now());
        let stop = &self.shared.manager.stop;
        let Some(attempt) = stop.run_until_cancelled(Box::pin(self.attempt(&object, &progress))).await else {
            // A shutdown is no failure of the object.
            return Ok(Next::AwaitChange);
        };
        let mut events = Vec::new();
        let (status, next) = match attempt {
            Ok(outcome) => {
                let failure = outcome.failure.clone();
                let status = conclude(progress, outcome, &mut events);
                let interval = object.spec.interval.to_std();
                let again = Next::After(self.shared.manager.flags.jitter(interval));
                (status, failure.map_or(again, |failure| next(&failure)))
            }
            Err(failure) => {
                let (status, event) = progress.fail(&failure);
                events.extend(event);
                (status, next(&failure))
            }
        };
        let current = self.cache.get(&ObjectKey::of(&*object)).unwrap_or_else(|| object.clone());
        self.status.write(&current, &status).await?;
        for event in events {
            self.recorder.emit(&*object, event.severity, &event.reason, event.message, BTreeMap::new());
        }
        Ok(next)
    }

    async fn attempt(
        &self,
        object: &ImageUpdateAutomation,
        progress: &Progress<ImageUpdateAutomationStatus>,
    ) -> Result<Outcome, Failure> {
        let policies = policies::chosen(&self.links.policies, object)?;
        let source = source::read(&self.shared, &self.repositories, object).await?;
        let mut tries = 0;
        loop {
            match self.once(object, progress, &policies, &source).await {
                Err(push::RunError::Moved) if tries + 1 < ATTEMPTS => tries += 1,
                Err(push::RunError::Moved) => {
                    let message = format!(
                        "failed to update source: the branch '{}' moved at the remote during each of {ATTEMPTS} tries",
                        source.push_branch
                    );
                    return Err(Failure::new("GitOperationFailed", message));
                }
                Err(push::RunError::Failed(failure)) => {
                    self.forget_token(&source);
                    return Err(failure);
                }
                Ok(outcome) => {
                    if outcome.failure.is_some() {
                        self.forget_token(&source);
                    }
                    return Ok(outcome);
                }
            }
        }
    }

    /// Should it be the token of an App that failed, the next run asks for another.
    fn forget_token(&self, source: &source::Source) {
        source.app.iter().for_each(|app| self.shared.apps.forget(app));
    }

    /// Checks out, updates, commits and pushes.
    async fn once(
        &self,
        object: &ImageUpdateAutomation,
        progress: &Progress<ImageUpdateAutomationStatus>,
        policies: &BTreeMap<String, ImageRef>,
        source: &source::Source,
    ) -> Result<Outcome, push::RunError> {
        let status = &progress.status;
        let wanted = pull_request::wanted(&self.shared, object, source).await?;
        let (checkout, session) = push::list(&self.git, source).await?;
        let unchanged =
            Outcome { revision: checkout.revision.clone(), policies: policies.clone(), ..Outcome::default() };
        let known = status.observed_policies == *policies;
        let new_spec = object.metadata.generation.unwrap_or_default() != status.observed_generation;
        let same = known && !new_spec && checkout.revision == status.observed_source_revision;
        if same && !source.switches() && source.refspec.is_none() {
            return Ok(unchanged);
        }
        let key = ObjectKey::of(object);
        let saw = Seen {
            generation: object.metadata.generation,
            policies: policies.clone(),
            checkout: checkout.commit,
            push: checkout.push_head,
        };
        let again = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&key) == Some(&saw);
        if again && !progress.is_requested() {
            return Ok(unchanged);
        }
        let [view, target] = match &wanted {
            Some(_) => push::fetch(session, [checkout.base, checkout.commit], source).await?,
            None => {
                let [view] = push::fetch(session, [checkout.base], source).await?;
                [view.clone(), view]
            }
        };
        let updated = update::apply(object, policies, view.clone()).await?;
        let problems = updated.problems.clone();
        if updated.files.is_empty() {
            // One that people closed is not opened again, unless somebody asks or what was wanted has never been had.
            let open = !(same && progress.was_ready()) || progress.is_requested();
            let pull_request = match wanted.filter(|_| checkout.push_head.is_some()) {
                Some(wanted) => self.propose(object, policies, source, &wanted, target, open).await?,
                None => Ok(None),
            };
            let outcome = Outcome { problems, ..unchanged }.with(pull_request);
            if outcome.failure.is_none() {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key, saw);
            }
            return Ok(outcome);
        }
        let message = message::render(object, &updated).await?;
        let signing = signing::key(&self.shared, object).await?;
        let made = push::commit(object, view, &checkout, updated, &message, signing).await?;
        push::push(&self.git, source, &checkout, &made).await?;
        let commit = made.id.to_string();
        let revision = if source.switches() {
            checkout.revision.clone()
        } else {
            format!("{}@sha1:{commit}", source.push_branch)
        };
        let refspecs = source.refspec.as_ref().map(|refspec| format!(" and refspecs '{refspec}'"));
        let summary = format!(
            "pushed commit '{}' to branch '{}'{}\n{}",
            &commit[..7],
            source.push_branch,
            refspecs.unwrap_or_default(),
            message.trim_end()
        );
        let pull_request = match wanted {
            Some(wanted) => match self.propose(object, policies, source, &wanted, target, true).await {
                // What is pushed is pushed: it must be told.
                Err(push::RunError::Failed(failure)) => Err(failure),
                other => other?,
            },
            None => Ok(None),
        };
        let pushed = Some(Pushed { commit, summary });
        let outcome =
            Outcome { revision, policies: policies.clone(), pushed, problems, ..Outcome::default() };
        let outcome = outcome.with(pull_request);
        if source.switches() && outcome.failure.is_none() {
            let after = Seen { push: Some(made.id), ..saw };
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key, after);
        }
        Ok(outcome)
    }

    /// Asks for the pull request, with all that the target branch would get. Where that is nothing there is none.
    async fn propose(
        &self,
        object: &ImageUpdateAutomation,
        policies: &BTreeMap<String, ImageRef>,
        source: &source::Source,
        wanted: &pull_request::Wanted,
        target: View,
        open: bool,
    ) -> Result<Result<Option<Event>, Failure>, push::RunError> {
        let proposed = update::apply(object, policies, target).await?;
        if proposed.files.is_empty() {
            return Ok(Ok(None));
        }
        let message = message::render(object, &proposed).await?;
        Ok(wanted.ensure(object, source, &proposed, &message, open).await)
    }
}

impl Outcome {
    /// With what became of the pull request.
    fn with(self, pull_request: Result<Option<Event>, Failure>) -> Self {
        match pull_request {
            Ok(pull_request) => Self { pull_request, ..self },
            Err(failure) => Self { failure: Some(failure), ..self },
        }
    }
}

/// When to try again.
fn next(failure: &Failure) -> Next {
    match failure.retry {
        Retry::Backoff => Next::Backoff,
        Retry::After(delay) => Next::After(delay),
        Retry::Never => Next::AwaitChange,
    }
}

/// The status and the events of a run that came to its end.
fn conclude(
    mut progress: Progress<ImageUpdateAutomationStatus>,
    outcome: Outcome,
    events: &mut Vec<Event>,
) -> ImageUpdateAutomationStatus {
    if !outcome.problems.is_empty() {
        let more = outcome.problems.len().saturating_sub(MAX_PROBLEMS);
        let mut message = outcome.problems[..outcome.problems.len() - more].join("\n");
        if more > 0 {
            message.push_str(&format!("\nand {more} more"));
        }
        events.push(Event { severity: Severity::Warning, reason: "UnresolvedMarkers".into(), message });
    }
    let status = &mut progress.status;
    status.observed_policies = outcome.policies;
    status.observed_source_revision = outcome.revision;
    let pushed = outcome.pushed.map(|pushed| {
        status.last_push_commit = pushed.commit;
        status.last_push_time = Some(now());
        let reason = sluice_api::meta::SUCCEEDED_REASON.to_owned();
        Event { severity: Severity::Info, reason, message: pushed.summary }
    });
    if let Some(failure) = outcome.failure {
        let (status, event) = progress.fail(&failure);
        events.extend(pushed.into_iter().chain(event));
        return status;
    }
    let (status, event) = progress.succeed(UP_TO_DATE, "no change since last reconciliation");
    events.extend(pushed.or(event).into_iter().chain(outcome.pull_request));
    status
}

fn now() -> Time {
    Time(Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default())
}

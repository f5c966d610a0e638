//! ImagePolicy: one of the tags of an image is chosen.

mod access;
mod choose;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use sluice_api::image::{DigestReflectionPolicy, ImagePolicy, ImagePolicyStatus, ImageRef, ImageRepository};
use sluice_api::meta::DEPENDENCY_NOT_READY_REASON;
use sluice_runtime::controller::{Next, Reconciler};
use sluice_runtime::errors::chain;
use sluice_runtime::{Controller, ObjectKey, StatusWriter, errors, finalizer};

use crate::progress::{self, Failure, OWNED, Progress, Retry};
use crate::{Links, Shared, image_name, image_repository};

/// How often a digest is looked up where the interval is zero.
const DEFAULT_INTERVAL: Duration = Duration::from_mins(10);

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>, mut controller: Controller<ImagePolicy>, links: Links) {
    let status = StatusWriter::new(
        shared.manager.client.clone(),
        controller.cache(),
        "image-reflector-controller",
        &OWNED,
    );
    // A policy that is looked at before its repository is known would be told to be broken.
    controller.begin_after(&links.repositories);
    controller.run(ImagePolicies { shared, links, status }).await;
}

/// The reconciler and what it works with.
struct ImagePolicies {
    shared: Arc<Shared>,
    links: Links,
    status: StatusWriter<ImagePolicy>,
}

impl Reconciler for ImagePolicies {
    type Kind = ImagePolicy;

    async fn reconcile(&self, object: Arc<ImagePolicy>) -> Next {
        match self.run(object).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = errors::describe(&error), "cannot write the object");
                Next::Backoff
            }
        }
    }
}

impl ImagePolicies {
    async fn run(&self, object: Arc<ImagePolicy>) -> kube::Result<Next> {
        if object.metadata.deletion_timestamp.is_some() {
            // There is nothing to hold an object back for; only Flux's controller adds a finalizer.
            finalizer::remove(&self.shared.manager.client, &self.links.policies, &object).await?;
            return Ok(Next::AwaitChange);
        }
        if object.spec.suspend {
            self.status.write(&object, &progress::suspended(&*object)).await?;
            return Ok(Next::AwaitChange);
        }
        let mut progress = Progress::begin(&*object);
        let stop = &self.shared.manager.stop;
        let Some(attempt) = stop.run_until_cancelled(self.attempt(&object, &mut progress.status)).await
        else {
            return Ok(Next::AwaitChange);
        };
        let (status, event, next) = match attempt {
            Ok(message) => {
                let (status, event) = progress.succeed(&message, &message);
                (status, event, self.next(&object))
            }
            Err(failure) => {
                let (status, event) = progress.fail(&failure);
                let (event, next) = match failure.retry {
                    Retry::Backoff => (event, Next::Backoff),
                    // Tags that are not there yet are nothing to tell people about.
                    Retry::After(delay) => (None, Next::After(delay)),
                    Retry::Never => (event, Next::AwaitChange),
                };
                (status, event, next)
            }
        };
        let chosen = |status: Option<&ImagePolicyStatus>| status.and_then(|status| status.latest_ref.clone());
        let news = chosen(Some(&status)) != chosen(object.status.as_ref());
        self.status.write(&object, &status).await?;
        if news {
            self.wake_automations(&object);
        }
        if let Some(event) = event {
            let recorder = &self.shared.reflector;
            recorder.emit(&*object, event.severity, &event.reason, event.message, BTreeMap::new());
        }
        Ok(next)
    }

    /// Lets the automations of a policy's namespace look again.
    fn wake_automations(&self, policy: &ImagePolicy) {
        let concerned = self
            .links
            .automations
            .filter(|automation| automation.metadata.namespace == policy.metadata.namespace);
        for automation in concerned {
            self.links.wake_automation.wake(&ObjectKey::of(&*automation));
        }
    }

    fn next(&self, object: &ImagePolicy) -> Next {
        if object.spec.digest_reflection_policy() != DigestReflectionPolicy::Always {
            return Next::AwaitChange;
        }
        let interval = object.spec.interval.map(|interval| interval.to_std()).unwrap_or_default();
        let interval = if interval.is_zero() { DEFAULT_INTERVAL } else { interval };
        Next::After(self.shared.manager.flags.jitter(interval))
    }

    /// Chooses, and returns what to say of it.
    async fn attempt(&self, object: &ImagePolicy, status: &mut ImagePolicyStatus) -> Result<String, Failure> {
        if object.spec.digest_reflection_policy() == DigestReflectionPolicy::Always
            && object.spec.interval.is_none()
        {
            let message = "spec.interval must be set when spec.digestReflectionPolicy is set to 'Always'";
            return Err(Failure::stalled("IntervalNotConfigured", message));
        }
        let repository = access::repository(&self.shared, &self.links, object).await?;
        let image = image_name::parse(&repository.spec.image)
            .map_err(|message| Failure::stalled("ImageURLInvalid", message))?;
        let policy = choose::policy(&object.spec)?;
        let tags = self.tags(&repository, &image.context()).await?;
        let tag = choose::choose(&object.spec, &policy, &tags)?;
        let mut chosen =
            ImageRef { name: repository.spec.image.clone(), tag: tag.to_owned(), digest: String::new() };
        let known =
            status.latest_ref.as_ref().filter(|known| known.name == chosen.name && known.tag == chosen.tag);
        let known_digest = known.map(|known| known.digest.clone()).filter(|digest| !digest.is_empty());
        chosen.digest = match (object.spec.digest_reflection_policy(), known_digest) {
            (DigestReflectionPolicy::Never, _) => String::new(),
            (DigestReflectionPolicy::IfNotPresent, Some(digest)) => digest,
            (DigestReflectionPolicy::IfNotPresent | DigestReflectionPolicy::Always, _) => {
                self.digest(&repository, &image.with_tag(tag)).await?
            }
        };
        if status.latest_ref.as_ref() != Some(&chosen) {
            status.observed_previous_ref = status.latest_ref.replace(chosen);
        }
        Ok(message(status))
    }

    /// The tags that the last scan of this image has found.
    async fn tags(&self, repository: &ImageRepository, canonical: &str) -> Result<Vec<String>, Failure> {
        let none = || {
            let delay = self.shared.flags.requeue_dependency;
            let wait = sluice_duration::format_std(delay);
            let message = format!("retrying in {wait} error: no tags in database");
            Failure::new(DEPENDENCY_NOT_READY_REASON, message).after(delay)
        };
        let status = repository.status.as_ref();
        // The tags of another image that the object named before are not to be chosen from.
        if status.is_none_or(|status| status.canonical_image_name != canonical) {
            return Err(none());
        }
        let (store, key) = (self.shared.tags.clone(), ObjectKey::of(repository));
        let read = tokio::task::spawn_blocking(move || store.read(&key)).await;
        let problem = match read {
            Ok(Ok(tags)) if tags.is_empty() => return Err(none()),
            Ok(Ok(tags)) => return Ok(tags),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Err(Failure::new("Failure", format!("failed to read the tags of '{canonical}': {problem}")))
    }

    async fn digest(
        &self,
        repository: &ImageRepository,
        image: &sluice_oci::Reference,
    ) -> Result<String, Failure> {
        let failed =
            |error: &str| Failure::new("Failed", format!("failed fetching digest of {image}: {error}"));
        let namespace = repository.namespace().unwrap_or_default();
        let timeout = repository.spec.timeout().to_std();
        let work = async {
            let client = image_repository::client(&self.shared, &namespace, &repository.spec, image).await?;
            if let Some(wait) = client.wait() {
                let wait_text = sluice_duration::format_std(Duration::from_secs(wait.as_secs().max(1)));
                let message = format!("the registry asks to be left alone for {wait_text}");
                return Err(failed(&message).after(wait));
            }
            client.client.digest(image).await.map_err(|error| {
                let failure = failed(&chain(&error));
                match client.heed(&error) {
                    Some(wait) => failure.after(wait),
                    None => failure,
                }
            })
        };
        tokio::time::timeout(timeout, work)
            .await
            .unwrap_or_else(|_| Err(failed("the registry did not answer in time")))
    }
}

/// What is said of a choice.
fn message(status: &ImagePolicyStatus) -> String {
    let with_digest = |reference: &ImageRef, separator: &str| {
        if reference.digest.is_empty() { String::new() } else { format!("{separator}{}", reference.digest) }
    };
    let latest = status.latest_ref.clone().unwrap_or_default();
    let digest = with_digest(&latest, " with digest ");
    let previous = status.observed_previous_ref.as_ref().filter(|previous| **previous != latest);
    let previous = previous.map(|previous| {
        format!(" (previously {}:{}{})", previous.name, previous.tag, with_digest(previous, "@"))
    });
    format!(
        "Latest image tag for {} resolved to {}{digest}{}",
        latest.name,
        latest.tag,
        previous.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_what_was_there_before() {
        let reference = |tag: &str, digest: &str| {
            Some(ImageRef { name: "ghcr.io/org/app".into(), tag: tag.into(), digest: digest.into() })
        };
        let mut status = ImagePolicyStatus { latest_ref: reference("1.1.0", ""), ..Default::default() };
        assert_eq!(message(&status), "Latest image tag for ghcr.io/org/app resolved to 1.1.0");
        status.observed_previous_ref = reference("1.0.0", "sha256:1");
        status.latest_ref = reference("1.1.0", "sha256:2");
        assert_eq!(
            message(&status),
            "Latest image tag for ghcr.io/org/app resolved to 1.1.0 with digest sha256:2 (previously \
             ghcr.io/org/app:1.0.0@sha256:1)"
        );
    }
}

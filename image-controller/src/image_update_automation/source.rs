//! From spec and Secrets to a remote, and to what is checked out and pushed.

use std::time::Duration;

use kube::ResourceExt as _;
use sluice_access::git::{self, Access, RemoteError};
use sluice_api::image::ImageUpdateAutomation;
use sluice_api::meta::{ACCESS_DENIED_REASON, FEATURE_GATE_DISABLED_REASON};
use sluice_api::source::{GitRepository, GitRepositoryReference};
use sluice_git::{Reference, Remote};
use sluice_github::App;
use sluice_runtime::errors::chain;
use sluice_runtime::{Cache, ObjectKey};

use crate::Shared;
use crate::flags::{GIT_ALL_BRANCH_REFERENCES, GIT_FORCE_PUSH_BRANCH};
use crate::progress::Failure;

/// A repository, and what to check out of it and push to it.
pub(super) struct Source {
    /// The URL of the repository as it is written. It may hold a password.
    pub(super) url: String,
    pub(super) remote: Remote,
    /// The GitHub App that logs in there, if it is one.
    pub(super) app: Option<App>,
    pub(super) timeout: Duration,
    pub(super) reference: Reference,
    /// The branch that is checked out, if it is one.
    pub(super) checkout_branch: Option<String>,
    pub(super) push_branch: String,
    pub(super) refspec: Option<String>,
    /// Push options, as `key=value`.
    pub(super) options: Vec<String>,
    /// Whether commits build on the push branch as it is.
    pub(super) builds_on_push_branch: bool,
    /// Whether the push branch may be rebuilt.
    pub(super) force: bool,
}

impl Source {
    /// Whether another branch is pushed than is checked out.
    pub(super) fn switches(&self) -> bool {
        self.checkout_branch.as_deref() != Some(&self.push_branch)
    }
}

/// The GitRepository of an automation.
pub(super) fn key(object: &ImageUpdateAutomation) -> ObjectKey {
    let own = object.metadata.namespace.clone().unwrap_or_default();
    let reference = &object.spec.source_ref;
    ObjectKey::new(reference.namespace_or(&own), &reference.name)
}

/// Reads all that a run needs to know of the repository.
pub(super) async fn read(
    shared: &Shared,
    repositories: &Cache<GitRepository>,
    object: &ImageUpdateAutomation,
) -> Result<Source, Failure> {
    let kind = object.spec.source_ref.kind.as_str();
    if !matches!(kind, "" | "GitRepository") {
        return Err(configuration(format!(
            "source kind '{kind}' not supported: invalid source configuration"
        )));
    }
    let settings = object.spec.git.as_ref().ok_or_else(|| {
        configuration(
            "source kind 'GitRepository' necessitates field .spec.git: invalid source configuration"
                .to_owned(),
        )
    })?;
    let key = key(object);
    if shared.flags.no_cross_namespace_refs && Some(&key.namespace) != object.namespace().as_ref() {
        let message =
            format!("can't access 'GitRepository/{key}', cross-namespace references have been blocked");
        return Err(Failure::stalled(ACCESS_DENIED_REASON, message));
    }
    let repository = repositories
        .get(&key)
        .ok_or_else(|| failed(&format!("failed to get git repository '{key}': it does not exist")))?;
    let none = GitRepositoryReference::default();
    let reference = settings.checkout.as_ref().map(|checkout| &checkout.reference);
    let reference = reference.or(repository.spec.reference.as_ref()).unwrap_or(&none);
    let (reference, checkout_branch) = checkout(reference);
    let push = settings.push.as_ref();
    let push_branch = push.map(|push| push.branch.clone()).filter(|branch| !branch.is_empty());
    let push_branch = push_branch.or_else(|| checkout_branch.clone()).ok_or_else(|| {
        failed("push spec not provided, and cannot be inferred from .spec.git.checkout.ref or GitRepository .spec.ref")
    })?;
    let (remote, app) = remote(shared, &repository).await?;
    let options = push.map(|push| &push.options).into_iter().flatten();
    Ok(Source {
        url: repository.spec.url.clone(),
        remote,
        app,
        timeout: repository.spec.timeout().to_std(),
        reference,
        checkout_branch,
        push_branch,
        refspec: push.map(|push| push.refspec.clone()).filter(|refspec| !refspec.is_empty()),
        options: options.map(|(key, value)| format!("{key}={value}")).collect(),
        builds_on_push_branch: shared.gates.enabled(GIT_ALL_BRANCH_REFERENCES),
        force: shared.gates.enabled(GIT_FORCE_PUSH_BRANCH),
    })
}

/// What is checked out, and the branch if it is one. The commit goes before the name, the name before the tag, the tag
/// before the range.
fn checkout(reference: &GitRepositoryReference) -> (Reference, Option<String>) {
    let set = |text: &String| (!text.is_empty()).then(|| text.clone());
    let branch = set(&reference.branch);
    if let Some(id) = set(&reference.commit) {
        return (Reference::Commit { id, branch: branch.clone() }, branch);
    }
    if let Some(name) = set(&reference.name) {
        let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
        return (Reference::Name(name), branch);
    }
    if let Some(tag) = set(&reference.tag) {
        return (Reference::Tag(tag), None);
    }
    if let Some(range) = set(&reference.semver) {
        return (Reference::Semver(range), None);
    }
    let branch = branch.unwrap_or_else(|| "master".to_owned());
    (Reference::Branch(branch.clone()), Some(branch))
}

fn configuration(message: String) -> Failure {
    Failure::stalled("InvalidSourceConfiguration", message)
}

fn failed(message: &str) -> Failure {
    Failure::new("SourceManagerFailed", format!("failed configuring source manager: {message}"))
}

/// The remote of a GitRepository, and the GitHub App as which it logs in there.
async fn remote(shared: &Shared, repository: &GitRepository) -> Result<(Remote, Option<App>), Failure> {
    let access = Access {
        client: &shared.manager.client,
        http: &shared.http,
        tokens: &shared.apps,
        identities: &shared.identities,
    };
    git::remote(&access, repository).await.map_err(|error| match error {
        RemoteError::Gate => {
            let message = "to use spec.serviceAccountName in the GitRepository provider authentication please enable \
                           the ObjectLevelWorkloadIdentity feature gate in the controller";
            Failure::stalled(FEATURE_GATE_DISABLED_REASON, message)
        }
        RemoteError::Provider { message, .. } => {
            configuration(format!("{message}: invalid source configuration"))
        }
        error => failed(&chain(&error)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_to_push_comes_from_what_is_checked_out() {
        let of = |json| checkout(&serde_json::from_value(json).unwrap());
        assert_eq!(of(serde_json::json!({})).1.as_deref(), Some("master"));
        assert_eq!(of(serde_json::json!({"branch": "main"})).1.as_deref(), Some("main"));
        assert_eq!(of(serde_json::json!({"branch": "main", "tag": "v1"})).1, None);
        assert_eq!(of(serde_json::json!({"name": "refs/heads/x"})).1.as_deref(), Some("x"));
        let commit = serde_json::json!({"branch": "main", "commit": "0123"});
        assert_eq!(of(commit).0, Reference::Commit { id: "0123".into(), branch: Some("main".into()) });
    }
}

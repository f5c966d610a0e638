//! Looking at included sources and at the remote.

use std::time::Duration;

use sluice_api::source::{GitRepository, GitRepositoryReference, GitRepositorySpec};
use sluice_git::{Listing, RefFilter, Reference, Remote, Resolved, Session};
use sluice_github::App;
use tokio::time::Instant;

use super::include::{self, Included};
use super::{GitRepositories, failure, remote};
use crate::source::{Context, Failure};

/// What upstream looks like.
pub(super) struct Inputs {
    pub(super) remote: Remote,
    /// The GitHub App as which one logs in there.
    pub(super) app: Option<App>,
    /// The commits that the reference may stand for, best first.
    pub(super) candidates: Vec<Resolved>,
    /// The connection on which references were listed, if they were.
    pub(super) session: Option<Session>,
    pub(super) includes: Vec<Included>,
    /// When Git work must have ended.
    pub(super) deadline: Instant,
}

/// Reads Secrets, includes and the remote's references. `fresh`: what others have just listed will not do.
pub(super) async fn upstream(
    repositories: &GitRepositories,
    context: &Context<GitRepository>,
    object: &GitRepository,
    fresh: bool,
) -> Result<Inputs, Failure> {
    let (remote, app) = remote::remote(&context.shared, &repositories.apps, object).await?;
    let deadline = Instant::now() + object.spec.timeout().to_std();
    let reference = reference(&object.spec);
    let filter = reference.filter().map_err(|error| failure::reference(&error))?;
    let includes = include::collect(&context.cache, object);
    let (candidates, session) = match filter {
        // A commit is what it is: nothing needs to be listed.
        None => {
            let resolved = reference.resolve(&Listing { refs: Vec::new() });
            (resolved.map_err(|error| failure::reference(&error))?, None)
        }
        Some(filter) => {
            let age = if fresh { Duration::ZERO } else { object.spec.interval.to_std() / 2 };
            let work = list(&repositories.git, &remote, &reference, &filter, age);
            let listed =
                tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(sluice_git::Error::Deadline));
            let listed = listed.inspect_err(|error| repositories.refused(app.as_ref(), error));
            listed.map_err(|error| failure::git("unable to list remote for", object, &remote.url, &error))?
        }
    };
    Ok(Inputs { remote, app, candidates, session, includes: includes?, deadline })
}

async fn list(
    git: &sluice_git::Listings,
    remote: &Remote,
    reference: &Reference,
    filter: &RefFilter,
    age: Duration,
) -> Result<(Vec<Resolved>, Option<Session>), sluice_git::Error> {
    let (listing, session) = git.list(remote, filter, age).await?;
    let unresolved = match reference.resolve(&listing) {
        Ok(candidates) => return Ok((candidates, session)),
        Err(error) => error,
    };
    let Some(mut session) = session else {
        // It may have come since the others looked.
        return Box::pin(list(git, remote, reference, filter, Duration::ZERO)).await;
    };
    // An empty repository is told from one that only lacks the branch.
    if matches!(reference, Reference::Branch(_)) && session.is_empty().await? {
        return Err(sluice_git::Error::Empty);
    }
    Err(unresolved)
}

/// What the spec asks for. The commit goes before the name, the name before the tag, the tag before the range.
pub(super) fn reference(spec: &GitRepositorySpec) -> Reference {
    let none = GitRepositoryReference::default();
    let reference = spec.reference.as_ref().unwrap_or(&none);
    let set = |text: &String| (!text.is_empty()).then(|| text.clone());
    if let Some(id) = set(&reference.commit) {
        Reference::Commit { id, branch: set(&reference.branch) }
    } else if let Some(name) = set(&reference.name) {
        Reference::Name(name)
    } else if let Some(tag) = set(&reference.tag) {
        Reference::Tag(tag)
    } else if let Some(range) = set(&reference.semver) {
        Reference::Semver(range)
    } else {
        Reference::Branch(set(&reference.branch).unwrap_or_else(|| "master".to_owned()))
    }
}

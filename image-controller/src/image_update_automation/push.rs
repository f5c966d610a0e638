//! Checkout, commit and push, without a working tree.

use std::time::Duration;

use jiff::Timestamp;
use sluice_api::image::ImageUpdateAutomation;
use sluice_git::tree::View;
use sluice_git::{
    Change, Client, Error, Identity, NewCommit, ObjectId, RefFilter, Reference, Session, SigningKey, Target,
};
use sluice_runtime::errors::chain;

use super::source::Source;
use super::update::Updated;
use crate::progress::Failure;

/// Why a run did not come to its end.
#[derive(Debug)]
pub(super) enum RunError {
    /// The remote moved meanwhile: the run begins anew.
    Moved,
    Failed(Failure),
}

impl From<Failure> for RunError {
    fn from(failure: Failure) -> Self {
        RunError::Failed(failure)
    }
}

/// What the remote has.
#[derive(Debug, Clone)]
pub(super) struct Checkout {
    /// What is checked out: `<name>@sha1:<commit>`.
    pub(super) revision: String,
    pub(super) commit: ObjectId,
    /// The head of the branch that is pushed, if it is there.
    pub(super) push_head: Option<ObjectId>,
    /// The commit that the new one builds on.
    pub(super) base: ObjectId,
}

/// Ends work that takes too long.
async fn in_time<T>(
    timeout: Duration,
    action: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, RunError> {
    let done = tokio::time::timeout(timeout, work).await.unwrap_or(Err(Error::Deadline));
    done.map_err(|error| match error {
        Error::Overtaken(_) => RunError::Moved,
        error => {
            let message = format!("failed to {action}: {}", chain(&error));
            Failure::new("GitOperationFailed", message).into()
        }
    })
}

/// Asks the remote what it has.
pub(super) async fn list(git: &Client, source: &Source) -> Result<(Checkout, Session), RunError> {
    in_time(source.timeout, "checkout source", async {
        let push_ref = format!("refs/heads/{}", source.push_branch);
        // Protocols before the second one list once: all that is needed is asked for at once.
        let filter = match source.reference.filter()? {
            Some(RefFilter::Names(mut names)) => {
                names.push(push_ref.clone());
                RefFilter::Names(names)
            }
            None => RefFilter::Names(vec![push_ref.clone()]),
            Some(_) => RefFilter::All,
        };
        let (listing, mut session) = git.list(&source.remote, &filter).await?;
        let resolved = match source.reference.resolve(&listing) {
            Ok(resolved) => resolved,
            Err(error) => {
                let empty = matches!(source.reference, Reference::Branch(_)) && session.is_empty().await?;
                return Err(if empty { Error::Empty } else { error });
            }
        };
        let resolved = resolved
            .into_iter()
            .next()
            .ok_or_else(|| Error::ReferenceNotFound(format!("{:?}", source.reference)))?;
        let push_head =
            listing.refs.iter().find(|reference| reference.name == push_ref).map(|reference| reference.id);
        let base = push_head.filter(|_| source.builds_on_push_branch || !source.switches());
        let base = base.unwrap_or(resolved.commit);
        let revision = resolved.revision();
        Ok((Checkout { revision, commit: resolved.commit, push_head, base }, session))
    })
    .await
}

/// Fetches the trees of commits: of the one that the new commit builds on, or also of one to compare with.
pub(super) async fn fetch<const N: usize>(
    mut session: Session,
    commits: [ObjectId; N],
    source: &Source,
) -> Result<[View; N], RunError> {
    in_time(source.timeout, "checkout source", async {
        let mut different = commits.to_vec();
        different.dedup();
        let repository = session.fetch(&different).await?;
        let trees = commits.map(|commit| repository.commit(commit).map(|commit| commit.tree));
        let mut views = Vec::with_capacity(N);
        for tree in trees {
            views.push(View::new(repository.clone(), tree?));
        }
        views.try_into().map_err(|_| Error::Empty)
    })
    .await
}

/// Makes a commit of changed files.
pub(super) async fn commit(
    object: &ImageUpdateAutomation,
    view: View,
    checkout: &Checkout,
    updated: Updated,
    message: &str,
    signing: Option<SigningKey>,
) -> Result<NewCommit, RunError> {
    let author = object.spec.git.as_ref().map(|git| git.commit.author.clone()).unwrap_or_default();
    let author = Identity { name: author.name, email: author.email, seconds: Timestamp::now().as_second() };
    let (base, message) = (checkout.base, message.to_owned());
    let made = tokio::task::spawn_blocking(move || {
        let changes: Vec<Change> = updated
            .files
            .into_iter()
            .map(|(path, content)| Change { path, content: Some(content), executable: false })
            .collect();
        let sign = |payload: &[u8]| match &signing {
            Some(key) => key.sign(payload),
            None => Ok(String::new()),
        };
        let signer: Option<sluice_git::Signer<'_>> = if signing.is_some() { Some(&sign) } else { None };
        sluice_git::commit(Some((&view.repository, base)), &changes, &author, &message, signer)
    });
    let made = made.await.map_err(|error| refused(&error.to_string()))?;
    made.map_err(|error| refused(&chain(&error)).into())
}

/// Pushes a commit to the branch, and where the refspec says.
pub(super) async fn push(
    git: &Client,
    source: &Source,
    checkout: &Checkout,
    made: &NewCommit,
) -> Result<(), RunError> {
    let rebuilt = checkout.push_head.is_some_and(|head| head != checkout.base);
    if rebuilt && !source.force {
        let message = format!(
            "the branch '{}' would have to be rebuilt, and the feature gate GitForcePushBranch is off",
            source.push_branch
        );
        return Err(refused(&message).into());
    }
    let reference = format!("refs/heads/{}", source.push_branch);
    // Also a forced push replaces only what was seen: what somebody else pushed meanwhile is not lost.
    let target =
        Target { reference: &reference, old: checkout.push_head, force: false, options: &source.options };
    in_time(source.timeout, "update source", git.push_to(&source.remote, &target, made)).await?;
    let Some(refspec) = &source.refspec else { return Ok(()) };
    let (forced, destination) = destination(refspec, source).map_err(|message| refused(&message))?;
    let force = forced || (source.switches() && source.force);
    in_time(source.timeout, "update source", async {
        let filter = RefFilter::Names(vec![destination.clone()]);
        let (listing, mut session) = git.list(&source.remote, &filter).await?;
        let old = listing.refs.iter().find(|known| known.name == destination).map(|known| known.id);
        if let Some(old) = old.filter(|old| !force && *old != checkout.base && *old != made.id) {
            // Only a commit that this one descends from may be replaced.
            let history = session.fetch_history(&[checkout.base]).await?;
            if !history.contains(old) {
                let reason = "non-fast-forward update".to_owned();
                return Err(Error::Rejected { reference: destination.clone(), reason });
            }
        }
        let target = Target { reference: &destination, old, force: false, options: &source.options };
        git.push_to(&source.remote, &target, made).await
    })
    .await
}

/// Whether a refspec forces, and the reference that it leads to. Its source must be the branch that is pushed.
fn destination(refspec: &str, source: &Source) -> Result<(bool, String), String> {
    let (forced, plain) = refspec.strip_prefix('+').map_or((false, refspec), |rest| (true, rest));
    let invalid = || format!("invalid refspec '{refspec}'");
    let (from, to) = plain.split_once(':').ok_or_else(invalid)?;
    let branch = format!("refs/heads/{}", source.push_branch);
    let to = match (from.split_once('*'), to.split_once('*')) {
        (Some((before, after)), Some((to_before, to_after))) => {
            let middle = branch.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            let middle =
                middle.ok_or_else(|| format!("the refspec '{refspec}' does not cover '{branch}'"))?;
            format!("{to_before}{middle}{to_after}")
        }
        (None, None) if from == branch || from == source.push_branch || from == "HEAD" => to.to_owned(),
        (None, None) => return Err(format!("the source of the refspec '{refspec}' is not '{branch}'")),
        _ => return Err(invalid()),
    };
    if !to.starts_with("refs/") || to.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(invalid());
    }
    Ok((forced, to))
}

fn refused(message: &str) -> Failure {
    Failure::new("GitOperationFailed", format!("failed to update source: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refspecs_lead_from_the_pushed_branch_elsewhere() {
        let source = Source {
            url: "https://h/r".into(),
            remote: sluice_git::Remote::anonymous(sluice_git::RemoteUrl::parse("https://h/r").unwrap()),
            app: None,
            timeout: Duration::from_secs(1),
            reference: Reference::Branch("main".into()),
            checkout_branch: Some("main".into()),
            push_branch: "auto".into(),
            refspec: None,
            options: Vec::new(),
            builds_on_push_branch: true,
            force: true,
        };
        let of = |refspec| destination(refspec, &source);
        assert_eq!(of("refs/heads/auto:refs/for/main").unwrap(), (false, "refs/for/main".to_owned()));
        assert_eq!(of("+refs/heads/*:refs/mirror/*").unwrap(), (true, "refs/mirror/auto".to_owned()));
        for bad in ["refs/heads/auto", "refs/heads/other:refs/x", "refs/heads/auto:x", "refs/heads/*:refs/x"]
        {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}

//! Fetching a commit and making an artifact of it.

use std::sync::Arc;
use std::time::Duration;

use sluice_api::meta::Artifact;
use sluice_api::source::{GitRepository, GitRepositorySpec};
use sluice_artifact::ignore::Patterns;
use sluice_artifact::storage::Published;
use sluice_artifact::{Rules, Storage};
use sluice_git::pack::PackError;
use sluice_git::tree::{self, Selection, View};
use sluice_git::{Commit, Error, Interrupt, RefFilter, Reference, Remote, Repository, Resolved, Session};

use super::include::{self, Included};
use super::observe::{self, Inputs};
use super::verify::{self, Verified};
use super::{GitRepositories, Outcome, failure, plan};
use crate::source::{Context, Draft, Failure, artifact, publish};

/// The spec's timeout is for the network. Making an archive may take longer, but not without end.
const BUILD_PATIENCE: Duration = Duration::from_mins(10);

/// A new artifact, and what it was made of.
pub(super) struct Stored {
    pub(super) artifact: Artifact,
    /// The subject of the commit.
    pub(super) subject: String,
    pub(super) includes: Vec<Included>,
    /// Files that are pointers of Git LFS.
    pub(super) lfs_pointers: u64,
    pub(super) verified: Option<Verified>,
}

impl GitRepositories {
    /// Carries out a fetch.
    pub(super) async fn act(
        &self,
        context: &Context<GitRepository>,
        object: &Arc<GitRepository>,
        draft: &mut Draft<GitRepository>,
        inputs: Box<Inputs>,
    ) -> kube::Result<Result<Outcome, Failure>> {
        let Inputs { remote, app, candidates, session, includes, deadline } = *inputs;
        let reference = observe::reference(&object.spec);
        let work = self.fetch(&remote, session, &reference, &candidates);
        let fetched = tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(Error::Deadline));
        let (resolved, commit, repository) = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                self.refused(app.as_ref(), &error);
                if matches!(error, Error::Pack(PackError::Store(_))) {
                    // What is kept may be what fills the disk.
                    self.objects.clear();
                }
                return Ok(Err(failure::git("unable to clone", object, &remote.url, &error)));
            }
        };
        let verified = verify::verify(&context.shared, object, &repository, &resolved, &commit).await;
        let verified = match verified {
            Ok(verified) => verified,
            Err(failure) => {
                draft.reached();
                return Ok(Err(failure));
            }
        };
        let revision = resolved.revision();
        let includes_changed = plan::includes_changed(&object.spec, &draft.status, &includes);
        let mut news = draft.fetched(&revision);
        if includes_changed && !news && draft.status.artifact.is_some() {
            draft.outdated("IncludeChange", "included artifacts differ from last observed includes");
            news = true;
        }
        if news {
            context.write(object, &draft.status).await?;
        }
        let mut view = View::new(repository, commit.tree);
        if object.spec.recurse_submodules {
            let selection = selection(&object.spec);
            let work = sluice_git::attach_submodules(self.git.client(), &remote, &mut view, &selection);
            let attached = tokio::time::timeout_at(deadline, work).await.unwrap_or(Err(Error::Deadline));
            if let Err(error) = attached {
                return Ok(Err(failure::git("unable to clone", object, &remote.url, &error)));
            }
        }
        let subject = commit.subject().to_owned();
        let patience = object.spec.timeout().to_std().max(BUILD_PATIENCE);
        let work = build(&context.shared.storage, object, view, &resolved, includes);
        let built = tokio::time::timeout(patience, work).await;
        let built = built.unwrap_or_else(|_| Err(failure::archive(&Error::Deadline)));
        if built.is_err() {
            // Were it because of what was kept, then the next attempt does without.
            self.objects.forget(&remote);
        }
        Ok(built.map(|(published, report, includes)| {
            let artifact = artifact(published, revision);
            let lfs_pointers = report.lfs_pointers;
            Outcome::Stored(Box::new(Stored { artifact, subject, includes, lfs_pointers, verified }))
        }))
    }

    async fn fetch(
        &self,
        remote: &Remote,
        session: Option<Session>,
        reference: &Reference,
        candidates: &[Resolved],
    ) -> Result<(Resolved, Commit, Repository), Error> {
        let client = self.git.client();
        let filter = history_filter(reference);
        let wanted: Vec<_> =
            candidates.iter().map(|candidate| candidate.tag.unwrap_or(candidate.commit)).collect();
        let repository = match reference {
            // The remote has not said that it has the commit, so what others have fetched is not taken for an answer.
            Reference::Commit { .. } => {
                let mut session = client.connect(remote, &filter).await?;
                fetch_commit(&mut session, reference, candidates[0].commit).await?
            }
            _ => self.objects.fetch(client, remote, &filter, session, &wanted).await?,
        };
        let commits = candidates.iter().map(|candidate| {
            let commit = repository.commit(repository.peel(candidate.tag.unwrap_or(candidate.commit))?)?;
            Ok((candidate.clone(), commit))
        });
        let commits = commits.collect::<Result<Vec<_>, Error>>()?;
        // Of equal versions the newest commit wins, and the first of those of the same time.
        let newest = commits.into_iter().rev().max_by_key(|(_, commit)| commit.time);
        let (resolved, commit) = newest.ok_or(Error::Empty)?;
        Ok((Resolved { commit: commit.id, ..resolved }, commit, repository))
    }
}

async fn build(
    storage: &Arc<Storage>,
    object: &GitRepository,
    view: View,
    resolved: &Resolved,
    includes: Vec<Included>,
) -> Result<(Published, tree::Report, Vec<Included>), Failure> {
    let spec = object.spec.clone();
    let interrupt = Interrupt::default();
    // Ends the work below when this future is dropped.
    let _guard = interrupt.guard();
    let file = format!("{}.tar.gz", resolved.commit);
    let (reporter, report) = tokio::sync::oneshot::channel();
    let own = storage.clone();
    let (published, _) = publish(storage, object, &file, None, move |out| {
        let report = write(&own, &spec, &view, &includes, out, &interrupt)?;
        let _ = reporter.send((report, includes));
        Ok(())
    })
    .await?;
    let (report, includes) = report.await.unwrap_or_default();
    Ok((published, report, includes))
}

fn selection(spec: &GitRepositorySpec) -> Selection {
    Selection::directories(spec.sparse_checkout.iter().map(String::as_str))
}

/// The references to list for a commit whose server does not serve commits by name.
fn history_filter(reference: &Reference) -> RefFilter {
    match reference {
        Reference::Commit { branch: Some(branch), .. } => {
            RefFilter::Names(vec![format!("refs/heads/{branch}")])
        }
        _ => RefFilter::Prefix("refs/heads/".to_owned()),
    }
}

/// A commit by its name; from servers that do not give that, with the history of the branches.
async fn fetch_commit(
    session: &mut Session,
    reference: &Reference,
    commit: sluice_git::ObjectId,
) -> Result<Repository, Error> {
    if session.serves_any_commit() {
        match session.fetch(&[commit]).await {
            Err(Error::Remote(_)) => {}
            result => return result,
        }
    }
    let heads = session.list(&history_filter(reference)).await?;
    let ids: Vec<_> = heads.refs.iter().map(|head| head.id).collect();
    if ids.is_empty() {
        return Err(Error::ObjectNotFound(commit));
    }
    let repository = session.fetch_history(&ids).await?;
    if repository.contains(commit) { Ok(repository) } else { Err(Error::ObjectNotFound(commit)) }
}

/// Writes the archive: straight from the objects or, where other content is to be put in between, from a checkout.
fn write(
    storage: &Storage,
    spec: &GitRepositorySpec,
    view: &View,
    includes: &[Included],
    out: &mut dyn std::io::Write,
    interrupt: &Interrupt,
) -> Result<tree::Report, Failure> {
    let selection = selection(spec);
    selection.check(view).map_err(|error| failure::archive(&error))?;
    let rules = |mut patterns: Patterns| {
        if let Some(ignore) = &spec.ignore {
            patterns.read(b"", ignore.as_bytes());
        }
        Rules::for_source(patterns)
    };
    if includes.is_empty() {
        let patterns =
            tree::patterns(view, &selection, interrupt).map_err(|error| failure::archive(&error))?;
        return tree::archive(view, &selection, &rules(patterns), out, interrupt)
            .map_err(|error| failure::archive(&error));
    }
    let io = |error: std::io::Error| failure::archive(&Error::Io(error));
    let scratch = tempfile::tempdir().map_err(io)?;
    let root = scratch.path().join("root");
    std::fs::create_dir(&root).map_err(io)?;
    tree::checkout(view, &selection, &root, interrupt).map_err(|error| failure::archive(&error))?;
    for included in includes {
        include::copy(storage, included, &root, scratch.path())?;
    }
    let patterns = Patterns::load(&root).map_err(io)?;
    sluice_artifact::archive::write_directory(&root, &rules(patterns), out).map_err(io)?;
    Ok(tree::Report::default())
}

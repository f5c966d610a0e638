//! GitRepository: a commit becomes an artifact.

mod act;
mod failure;
mod include;
mod observe;
mod plan;
mod remote;
mod succeed;
mod verify;

use std::sync::Arc;

use sluice_api::source::{GitRepository, GitRepositoryStatus};
use sluice_runtime::Controller;

use crate::Shared;
use crate::source::{Context, Draft, Failure, Fetch, Sources, Success, impl_source};
use plan::Plan;

impl_source!(GitRepository, GitRepositoryStatus);

/// Runs the controller until the manager stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let controller = Controller::<GitRepository>::new(&shared.manager, shared.flags.concurrent);
    let ssh = sluice_git::SshAlgorithms {
        key_exchange: shared.flags.ssh_kex_algos.clone(),
        host_key: shared.flags.ssh_hostkey_algos.clone(),
    };
    let git = sluice_git::Listings::new(sluice_git::Client::default().with_ssh(ssh));
    let objects = sluice_git::ObjectCache::new(shared.flags.git_cache_max_size);
    let kept = shared.flags.token_cache;
    let apps = sluice_github::Tokens::new(kept.token_cache_max_size, kept.token_cache_max_duration);
    let sources = Sources::new(shared, &controller, GitRepositories { git, objects, apps });
    controller.run(sources).await;
}

/// What the kind works with.
struct GitRepositories {
    git: sluice_git::Listings,
    objects: sluice_git::ObjectCache,
    apps: sluice_github::Tokens,
}

impl GitRepositories {
    /// Forgets the token of an App that its server does not want any more; the next attempt asks for another one.
    fn refused(&self, app: Option<&sluice_github::App>, error: &sluice_git::Error) {
        use sluice_git::Error;
        let refused = matches!(error, Error::Unauthenticated(_) | Error::Forbidden(_) | Error::NotFound(_));
        if let Some(app) = app.filter(|_| refused) {
            self.apps.forget(app);
        }
    }
}

/// What a run came to.
enum Outcome {
    /// Nothing to do: the artifact is of this revision.
    Kept(String),
    /// A new artifact.
    Stored(Box<act::Stored>),
}

impl Fetch for GitRepositories {
    type Object = GitRepository;
    type Outcome = Outcome;

    async fn attempt(
        &self,
        context: &Context<GitRepository>,
        object: &Arc<GitRepository>,
        draft: &mut Draft<GitRepository>,
    ) -> kube::Result<Result<Outcome, Failure>> {
        let inputs = match observe::upstream(self, context, object, draft.is_news()).await {
            Ok(inputs) => inputs,
            Err(failure) => return Ok(Err(failure)),
        };
        match plan::plan(&object.spec, &draft.status, inputs) {
            Plan::Keep(revision) => Ok(Ok(Outcome::Kept(revision))),
            Plan::Fetch(fetch) => self.act(context, object, draft, fetch).await,
        }
    }

    fn succeed(object: &GitRepository, success: &mut Success<'_, GitRepository>, outcome: Outcome) {
        succeed::succeed(object, success, outcome);
    }
}

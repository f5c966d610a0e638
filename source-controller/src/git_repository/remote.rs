//! The remote of an object, and what it means for the object that there is none.

use sluice_access::git::{self, Access, RemoteError};
use sluice_api::source::GitRepository;
use sluice_git::Remote;
use sluice_github::{App, Tokens};

use super::failure;
use crate::Shared;
use crate::source::{Failure, Retry};

/// The remote of an object, and the GitHub App as which it logs in there.
pub(super) async fn remote(
    shared: &Shared,
    tokens: &Tokens,
    object: &GitRepository,
) -> Result<(Remote, Option<App>), Failure> {
    let access =
        Access { client: &shared.manager.client, http: &shared.http, tokens, identities: &shared.identities };
    git::remote(&access, object).await.map_err(|error| match error {
        RemoteError::Url(error) => failure::url(&error),
        RemoteError::Secret { purpose, problem } => failure::authentication(purpose.as_str(), &problem),
        RemoteError::Gate => Failure::gate(),
        RemoteError::Provider { mendable, message } => {
            failure::provider(if mendable { Retry::Backoff } else { Retry::Never }, message)
        }
    })
}

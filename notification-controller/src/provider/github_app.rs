//! Tokens for GitHub's API: those of Secrets, and those of GitHub Apps.

use std::sync::LazyLock;
use std::time::Duration;

use sluice_github::{App, Tokens};

use super::http::Client;
use super::secret::Data;
use super::{Error, Target};

/// Tokens of Apps by their keys: whoever has the key may have the token.
static TOKENS: LazyLock<Tokens> = LazyLock::new(|| Tokens::new(100, Duration::from_hours(1)));

/// Reads the keys of a GitHub App. None when the App or its key is not there.
pub(crate) fn read(data: &Data) -> Result<Option<App>, String> {
    let get = |key: &str| data.get(key).map(Vec::as_slice);
    if get("githubAppID").is_none() || get("githubAppPrivateKey").is_none() {
        return Ok(None);
    }
    App::read(get).map(Some).map_err(|error| error.to_string())
}

/// The token for GitHub's API: of the Secret, or of the App.
pub(crate) async fn token(http: &Client, target: &Target) -> Result<String, Error> {
    let Some(app) = &target.credentials.app else {
        let token = target.credentials.token_or_password();
        return token.map(str::to_owned).ok_or_else(|| {
            Error::Config(format!("provider type '{}' needs a Secret with the key 'token'", target.type_))
        });
    };
    let mut attempt = 1;
    loop {
        match TOKENS.get(app, http.for_library(app.base())?).await {
            Ok(token) => return Ok(token),
            Err(error) if error.is_transient() && http.pause(attempt).await => attempt += 1,
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// The name under which a GitHub App comments.
pub(crate) async fn bot(http: &Client, target: &Target) -> Result<Option<String>, Error> {
    let Some(app) = &target.credentials.app else { return Ok(None) };
    let slug = app.slug(http.for_library(app.base())?).await.map_err(|error| failed(&error))?;
    Ok(Some(format!("{slug}[bot]")))
}

fn failed(error: &sluice_github::Error) -> Error {
    Error::Config(format!("the GitHub App cannot log in: {}", sluice_runtime::errors::chain(error)))
}

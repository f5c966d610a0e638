//! Statuses on the commit that an event is about.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::http::{Client, Error as HttpError, Request};
use super::{Error, Notification, Target, chat, text};
use crate::event::Event;

/// Statuses that are looked at before one is posted.
const PAGE: &str = "50";

/// Where a repository lives: read from a Git URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// Scheme and host, such as `https://github.com`.
    pub(crate) host: Url,
    /// Path without the leading slash and `.git`.
    pub(crate) path: String,
}

impl Repository {
    /// Reads an https, ssh or scp-like address.
    pub(crate) fn parse(address: &str) -> Result<Self, Error> {
        let problem =
            || Error::Config("the address of the provider is not the URL of a Git repository".to_owned());
        let scp = || {
            let (host, path) = address.split_once(':').filter(|_| !address.contains("://"))?;
            Some(format!("ssh://{host}/{path}"))
        };
        let url = scp().unwrap_or_else(|| address.to_owned());
        let url = Url::parse(&url).map_err(|_| problem())?;
        let scheme = if url.scheme() == "http" { "http" } else { "https" };
        let port =
            url.port().filter(|_| url.scheme() != "ssh").map(|port| format!(":{port}")).unwrap_or_default();
        let host = url.host_str().ok_or_else(problem)?;
        let host = Url::parse(&format!("{scheme}://{host}{port}")).map_err(|_| problem())?;
        let path = url.path().trim_start_matches('/').trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).to_owned();
        if path.is_empty() {
            return Err(problem());
        }
        Ok(Self { host, path })
    }

    /// A URL of the host's own.
    pub(crate) fn at(&self, path: &str) -> Result<Url, Error> {
        self.host
            .join(path)
            .map_err(|error| Error::Config(format!("the address of the provider is invalid: {error}")))
    }

    /// A URL of GitHub's API, which has a host of its own for github.com only.
    pub(crate) fn github_api(&self, path: &str) -> Result<Url, Error> {
        if self.host.host_str() == Some("github.com") {
            return Url::parse(&format!("https://api.github.com/{path}"))
                .map_err(|error| Error::Config(error.to_string()));
        }
        self.at(&format!("/api/v3/{path}"))
    }
}

/// A status to be posted.
struct Status<'a> {
    hash: String,
    failed: bool,
    progressing: bool,
    id: &'a str,
    /// `kind/name` in lower case.
    name: String,
    description: String,
}

impl<'a> Status<'a> {
    fn of(notification: &'a Notification) -> Result<Self, Error> {
        let event = &notification.event;
        if !matches!(event.severity.as_str(), "info" | "error") {
            return Err(Error::Event(format!(
                "cannot tell the state of a commit from severity '{}'",
                event.severity
            )));
        }
        Ok(Self {
            hash: commit_hash(event)?,
            failed: event.is_error(),
            progressing: event.reason == "Progressing",
            id: &notification.status_id,
            name: format!("{}/{}", event.kind(), event.name()).to_lowercase(),
            description: text::words(&event.reason),
        })
    }

    fn key(&self) -> String {
        crate::hex(&Sha1::digest(self.id))
    }

    fn state<'t>(&self, good: &'t str, bad: &'t str) -> &'t str {
        if self.failed { bad } else { good }
    }
}

/// The commit that an event is about.
fn commit_hash(event: &Event) -> Result<String, Error> {
    let revision =
        ["commit", "originRevision", "revision"].into_iter().find_map(|key| event.metadata.get(key));
    let revision = revision.ok_or_else(|| Error::Event("missing revision metadata".to_owned()))?;
    let hash = revision
        .rsplit_once(':')
        .or_else(|| revision.rsplit_once('/'))
        .map_or(revision.as_str(), |(_, hash)| hash);
    // Whoever may post an event has written it, and it becomes part of a path.
    if hash.len() != 40 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::Event(format!("failed to extract commit hash from '{revision}' revision")));
    }
    Ok(hash.to_owned())
}

/// Posts the status of a commit, unless it stands there already.
pub(crate) async fn post(http: &Client, target: &Target, notification: &Notification) -> Result<(), Error> {
    let status = Status::of(notification)?;
    if status.progressing && target.type_ != "gitea" {
        return Ok(());
    }
    match target.type_.as_str() {
        "github" => github(http, target, &status).await,
        "gitlab" => gitlab(http, target, &status).await,
        "gitea" => gitea(http, target, &status).await,
        "bitbucket" => bitbucket(http, target, &status).await,
        "bitbucketserver" => bitbucket_server(http, target, &status).await,
        _ => azure_devops(http, target, &status, &notification.event).await,
    }
}

async fn list(http: &Client, request: Request) -> Result<Value, Error> {
    let answer = http.fetch(request).await?;
    let parsed = serde_json::from_slice(&answer);
    parsed.map_err(|error| HttpError::Refused(format!("the answer is not JSON: {error}")).into())
}

/// Whether the newest status of this context in a list says the same. `state`: the key of the state.
fn stands(listed: &Value, status: &Status<'_>, state_key: &str, state: &str) -> bool {
    let newest = listed.as_array().into_iter().flatten().find(|known| known["context"] == status.id);
    newest
        .is_some_and(|known| known[state_key] == state && known["description"] == status.description.as_str())
}

fn token_or_password(target: &Target) -> Result<&str, Error> {
    let token = target.credentials.token_or_password();
    token.ok_or_else(|| {
        Error::Config(format!("provider type '{}' needs a Secret with the key 'token'", target.type_))
    })
}

async fn github(http: &Client, target: &Target, status: &Status<'_>) -> Result<(), Error> {
    let repository = Repository::parse(&target.address)?;
    let token = super::github_app::token(http, target).await?;
    let token = Some(token.as_str());
    let path = format!("repos/{}/commits/{}/statuses?per_page={PAGE}", repository.path, status.hash);
    let listed = list(http, Request::get(repository.github_api(&path)?).bearer(token)?).await?;
    let state = status.state("success", "failure");
    if stands(&listed, status, "state", state) {
        return Ok(());
    }
    let url = repository.github_api(&format!("repos/{}/statuses/{}", repository.path, status.hash))?;
    let body = json!({"state": state, "context": status.id, "description": status.description});
    Ok(http.send(Request::json(url, &body)?.bearer(token)?).await?)
}

async fn gitea(http: &Client, target: &Target, status: &Status<'_>) -> Result<(), Error> {
    let repository = Repository::parse(&target.address)?;
    let authorization = format!("token {}", token_or_password(target)?);
    let path = format!("/api/v1/repos/{}/commits/{}/statuses?limit={PAGE}", repository.path, status.hash);
    let request = Request::get(repository.at(&path)?).header("authorization", &authorization)?;
    let listed = list(http, request).await?;
    let state = if status.progressing { "pending" } else { status.state("success", "failure") };
    if stands(&listed, status, "status", state) {
        return Ok(());
    }
    let url = repository.at(&format!("/api/v1/repos/{}/statuses/{}", repository.path, status.hash))?;
    let body = json!({"state": state, "context": status.id, "description": status.description});
    Ok(http.send(Request::json(url, &body)?.header("authorization", &authorization)?).await?)
}

async fn gitlab(http: &Client, target: &Target, status: &Status<'_>) -> Result<(), Error> {
    let repository = Repository::parse(&target.address)?;
    let token = token_or_password(target)?;
    let project = repository.path.replace('/', "%2F");
    let mut url =
        repository.at(&format!("/api/v4/projects/{project}/repository/commits/{}/statuses", status.hash))?;
    url.query_pairs_mut().append_pair("name", status.id);
    let listed = list(http, Request::get(url).header("PRIVATE-TOKEN", token)?).await?;
    let state = status.state("success", "failed");
    let known = listed.as_array().into_iter().flatten().any(|known| {
        known["name"] == status.id
            && known["status"] == state
            && known["description"] == status.description.as_str()
    });
    if known {
        return Ok(());
    }
    let url = repository.at(&format!("/api/v4/projects/{project}/statuses/{}", status.hash))?;
    let body = json!({"state": state, "name": status.id, "description": status.description});
    Ok(http.send(Request::json(url, &body)?.header("PRIVATE-TOKEN", token)?).await?)
}

/// What is stored under a key, if anything.
async fn stored(http: &Client, request: Request) -> Result<Value, Error> {
    match list(http, request).await {
        Err(Error::Delivery(HttpError::Status { status: 404, .. })) => Ok(Value::Null),
        other => other,
    }
}

async fn bitbucket(http: &Client, target: &Target, status: &Status<'_>) -> Result<(), Error> {
    let repository = Repository::parse(&target.address)?;
    let token = target.token()?;
    if !token.contains(':') {
        return Err(Error::Config(
            "the token of a bitbucket provider must be <user>:<app password>".to_owned(),
        ));
    }
    let authorization = format!("Basic {}", STANDARD.encode(token));
    let base = format!(
        "https://api.bitbucket.org/2.0/repositories/{}/commit/{}/statuses/build",
        repository.path, status.hash
    );
    let at = |url: &str| Url::parse(url).map_err(|error| Error::Config(error.to_string()));
    let request =
        Request::get(at(&format!("{base}/{}", status.key()))?).header("authorization", &authorization)?;
    let known = stored(http, request).await?;
    let state = status.state("SUCCESSFUL", "FAILED");
    if known["state"] == state && known["description"] == status.description.as_str() {
        return Ok(());
    }
    let body = json!({
        "key": status.key(), "state": state, "name": status.id, "description": status.description,
        "url": "https://bitbucket.org",
    });
    Ok(http.send(Request::json(at(&base)?, &body)?.header("authorization", &authorization)?).await?)
}

async fn bitbucket_server(http: &Client, target: &Target, status: &Status<'_>) -> Result<(), Error> {
    let url = target.url()?;
    let (context, repository) =
        url.path().split_once("/scm/").filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(
            || Error::Config("the address must be an http(s) URL with '/scm/' in its path".to_owned()),
        )?;
    let repository = repository.strip_suffix(".git").unwrap_or(repository);
    let (project, name) = repository.split_once('/').ok_or_else(|| {
        Error::Config("the address must end in '/scm/<project>/<repository>.git'".to_owned())
    })?;
    let mut builds = url.clone();
    builds.set_query(None);
    builds.set_path(&format!(
        "{context}/rest/api/latest/projects/{project}/repos/{name}/commits/{}/builds",
        status.hash
    ));
    let authorized = |request: Request| {
        let request =
            request.header("x-atlassian-token", "no-check")?.header("x-requested-with", "XMLHttpRequest")?;
        match target.credentials.token.as_deref().filter(|token| !token.is_empty()) {
            Some(token) => request.bearer(Some(token)),
            None => request.header("authorization", &chat::basic(target)),
        }
    };
    let mut lookup = builds.clone();
    lookup.query_pairs_mut().append_pair("key", &status.key());
    let known = stored(http, authorized(Request::get(lookup))?).await?;
    let state = status.state("SUCCESSFUL", "FAILED");
    if known["state"] == state && known["description"] == status.description.as_str() {
        return Ok(());
    }
    let body = json!({
        "key": status.key(), "state": state, "url": target.address, "description": status.description,
        "name": format!("{} [{}]", status.name, status.description),
    });
    Ok(http.send(authorized(Request::json(builds, &body)?)?).await?)
}

async fn azure_devops(
    http: &Client,
    target: &Target,
    status: &Status<'_>,
    event: &Event,
) -> Result<(), Error> {
    let repository = Repository::parse(&target.address)?;
    let parts: Vec<&str> = repository.path.split('/').collect();
    let [organisation, project, _, name] = parts[..] else {
        let message =
            "the address must be of the form https://<host>/<organisation>/<project>/_git/<repository>";
        return Err(Error::Config(message.to_owned()));
    };
    let authorization = format!("Basic {}", STANDARD.encode(format!(":{}", target.access_token()?)));
    let path =
        format!("/{organisation}/{project}/_apis/git/repositories/{name}/commits/{}/statuses", status.hash);
    let genre = match event.metadata.get("summary") {
        Some(summary) => format!("fluxcd:{summary}"),
        None => "fluxcd".to_owned(),
    };
    let state = status.state("succeeded", "error");
    let mut url = repository.at(&path)?;
    url.query_pairs_mut().append_pair("api-version", "7.1");
    let listed = list(http, Request::get(url.clone()).header("authorization", &authorization)?).await?;
    let same =
        |known: &&Value| known["context"]["name"] == status.id && known["context"]["genre"] == genre.as_str();
    let newest = listed["value"].as_array().into_iter().flatten().find(same);
    if newest
        .is_some_and(|known| known["state"] == state && known["description"] == status.description.as_str())
    {
        return Ok(());
    }
    let body = json!({
        "state": state, "description": status.description, "context": {"name": status.id, "genre": genre},
    });
    Ok(http.send(Request::json(url, &body)?.header("authorization", &authorization)?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;

    #[test]
    fn repositories_are_read_from_all_forms_of_git_urls() {
        let parsed = |address: &str| {
            let repository = Repository::parse(address).unwrap();
            (repository.host.as_str().trim_end_matches('/').to_owned(), repository.path)
        };
        let expected = ("https://git.example.test".to_owned(), "org/sub/repo".to_owned());
        for address in [
            "https://git.example.test/org/sub/repo.git",
            "ssh://git@git.example.test:2222/org/sub/repo.git",
            "git@git.example.test:org/sub/repo",
        ] {
            assert_eq!(parsed(address), expected, "{address}");
        }
        assert_eq!(parsed("https://git.example.test:8443/org/sub/repo").0, "https://git.example.test:8443");
        assert!(
            Repository::parse("nonsense").is_err() && Repository::parse("https://git.example.test/").is_err()
        );
    }

    #[test]
    fn commits_are_found_in_all_forms_of_revisions() {
        let hash = "0123456789012345678901234567890123456789";
        for revision in
            [format!("main@sha1:{hash}"), format!("sha1:{hash}"), format!("main/{hash}"), hash.to_owned()]
        {
            assert_eq!(commit_hash(&event("info", &[("revision", &revision)])).unwrap(), hash, "{revision}");
        }
        let both = event("info", &[("revision", "x"), ("commit", hash)]);
        assert_eq!(commit_hash(&both).unwrap(), hash, "an explicit commit wins");
        let error = commit_hash(&event("info", &[("revision", "main@sha1:12")])).unwrap_err();
        assert_eq!(error.to_string(), "failed to extract commit hash from 'main@sha1:12' revision");
        let path = "../../../../../../../../../../user/keys/";
        assert_eq!(path.len(), 40);
        assert!(commit_hash(&event("info", &[("commit", path)])).is_err(), "a path is no hash");
        assert_eq!(commit_hash(&event("info", &[])).unwrap_err().to_string(), "missing revision metadata");
    }
}

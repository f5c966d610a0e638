//! A pull request for the branch that is pushed: `sluice.dev/pull-request` on the automation.

use kube::ResourceExt as _;
use sluice_access::SecretData;
use sluice_api::image::ImageUpdateAutomation;
use sluice_forge::{Api, Done, Ensured, Kind, Login, Place, PullRequest};
use sluice_git::Credentials;
use sluice_http::{Options, Tls};
use sluice_runtime::Severity;
use sluice_runtime::errors::chain;

use super::source::Source;
use super::update::{self, Updated};
use crate::Shared;
use crate::progress::{Event, Failure};

/// The host's kind, or `true` where its name tells.
const ANNOTATION: &str = "sluice.dev/pull-request";
/// The Secret with the token, where it is not that of the GitRepository.
const SECRET: &str = "sluice.dev/pull-request-secret";
/// The longest title.
const MAX_TITLE: usize = 200;

/// A pull request that is wanted, and how to ask for it.
#[derive(Debug)]
pub(super) struct Wanted {
    api: Api,
    place: Place,
    /// The branch that it is for.
    target: String,
}

/// What the annotations ask for, if they do. Told before anything is pushed.
pub(super) async fn wanted(
    shared: &Shared,
    object: &ImageUpdateAutomation,
    source: &Source,
) -> Result<Option<Wanted>, Failure> {
    let kind =
        match object.annotations().get(ANNOTATION).map(|text| text.trim()) {
            None | Some("" | "false") => return Ok(None),
            Some("true") => None,
            Some(name) => {
                let kind = name.parse::<Kind>();
                Some(kind.map_err(|problem| {
                    failed(&format!("annotation '{ANNOTATION}': {problem}, true, false"))
                })?)
            }
        };
    let Some(target) = source.checkout_branch.clone().filter(|target| *target != source.push_branch) else {
        return Err(failed(&format!(
            "annotation '{ANNOTATION}' needs a branch that is checked out and another one in .spec.git.push.branch"
        )));
    };
    let place = Place::of(&source.url, kind).map_err(|error| failed(&chain(&error)))?;
    let (login, tls) = login(shared, object, source).await?;
    let proxy = source.remote.proxy.clone();
    let options = Options { tls, proxy, redirects: false, ..Options::default() };
    let client = shared.http.get(&options).map_err(|error| failed(&chain(&error)))?;
    let api = Api::new(place.kind, &place.address, login, client);
    Ok(Some(Wanted { api, place, target }))
}

/// With what to log in at the API, and the certificates.
async fn login(
    shared: &Shared,
    object: &ImageUpdateAutomation,
    source: &Source,
) -> Result<(Login, Tls), Failure> {
    let Some(name) = object.annotations().get(SECRET).filter(|name| !name.is_empty()) else {
        let login = match &source.remote.credentials {
            Credentials::Bearer(token) => Login::Token(token.clone()),
            Credentials::Basic { username, password } => basic(username.clone(), password.clone()),
            _ => {
                let message = "the API wants a token, and the GitRepository has none: name a Secret with the key 'token'";
                return Err(failed(&format!("{message} in the annotation '{SECRET}'")));
            }
        };
        return Ok((login, source.remote.tls.clone()));
    };
    sluice_runtime::check_name("Secret", name).map_err(|problem| failed(&problem))?;
    let namespace = object.namespace().unwrap_or_default();
    let secret = SecretData::read(&shared.manager.client, &namespace, name).await;
    let secret = secret.map_err(|error| failed(&chain(&error)))?;
    let text = |key: &str| {
        let text = secret.text(key).map_err(|error| failed(&chain(&error)))?;
        Ok::<_, Failure>(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
    };
    let login = match (text("token")?, text("username")?, text("password")?) {
        (Some(token), ..) => Login::Token(token),
        (None, Some(username), Some(password)) => basic(username, password),
        _ => {
            let problem = "it has neither 'token' nor 'username' and 'password'";
            return Err(failed(&chain(&secret.invalid(problem))));
        }
    };
    let tls = Tls::read(|key| secret.bytes(&[key]));
    let tls = tls.map_err(|error| failed(&chain(&secret.invalid(error.to_string()))))?;
    Ok((login, if tls.is_empty() { source.remote.tls.clone() } else { tls }))
}

/// A user and a password. Bitbucket gives its access tokens a user of this name, which its API does not know.
fn basic(username: String, password: String) -> Login {
    if username == "x-token-auth" { Login::Token(password) } else { Login::Basic { username, password } }
}

impl Wanted {
    /// Opens the pull request or brings it up to date. `proposed` is what the target branch would get. With `open: false`
    /// none is opened.
    pub(super) async fn ensure(
        &self,
        object: &ImageUpdateAutomation,
        source: &Source,
        proposed: &Updated,
        message: &str,
        open: bool,
    ) -> Result<Option<Event>, Failure> {
        let owner = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
        let title = message.lines().map(str::trim).find(|line| !line.is_empty());
        let title: String = title.unwrap_or("Update images").chars().take(MAX_TITLE).collect();
        let head = format!("Image updates of the ImageUpdateAutomation {}:", code(&owner));
        let wanted = PullRequest {
            source: &source.push_branch,
            target: &self.target,
            title: &title,
            owner: &owner,
            head: &head,
            lines: &lines(object, proposed),
        };
        let asked = tokio::time::timeout(source.timeout, wanted.ensure(&self.api, &self.place, open)).await;
        let branch = &source.push_branch;
        let problem = match asked {
            Ok(Ok(ensured)) => return Ok(ensured.and_then(|ensured| event(&ensured, branch))),
            Ok(Err(error)) => {
                let failure =
                    failed(&format!("no pull request for the branch '{branch}': {}", chain(&error)));
                return Err(match error.retry_after() {
                    Some(wait) => failure.after(wait.min(super::LONGEST_WAIT)),
                    None => failure,
                });
            }
            Err(_) => format!("no pull request for the branch '{branch}': the host did not answer in time"),
        };
        Err(failed(&problem))
    }
}

fn event(ensured: &Ensured, branch: &str) -> Option<Event> {
    let (reason, what) = match ensured.done {
        Done::Opened => ("PullRequestOpened", "opened"),
        Done::Updated => ("PullRequestUpdated", "updated"),
        Done::Unchanged => return None,
    };
    let message = format!("{what} pull request {} for the branch '{branch}'", ensured.url);
    Some(Event { severity: Severity::Info, reason: reason.to_owned(), message })
}

/// Each change as an entry of a list.
fn lines(object: &ImageUpdateAutomation, proposed: &Updated) -> Vec<String> {
    let directory = update::clamp(object.spec.update.as_ref().map_or("", |update| &update.path));
    let mut lines = Vec::new();
    for (path, changes) in &proposed.changes {
        let path = if directory.is_empty() { path.clone() } else { format!("{directory}/{path}") };
        for change in changes {
            let object = &change.object;
            let namespace =
                if object.namespace.is_empty() { String::new() } else { format!("{}/", object.namespace) };
            let object = match object.kind.as_str() {
                "" => String::new(),
                kind => format!(" ({} {})", kind, code(&format!("{namespace}{}", object.name))),
            };
            let (old, new) = (code(&change.old), code(&change.new));
            lines.push(format!("- {}, line {}{object}: {old} → {new}", code(&path), change.line));
        }
    }
    lines
}

/// A text as it is, in Markdown.
fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() || c == '`' { ' ' } else { c }).collect();
    if text.trim().is_empty() { "(empty)".to_owned() } else { format!("`{text}`") }
}

fn failed(message: &str) -> Failure {
    Failure::new("PullRequestFailed", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_policy::setters::{Change, ObjectId};

    #[test]
    fn changes_are_told_as_they_are() {
        let object = ObjectId {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "web".into(),
            namespace: "shop".into(),
        };
        let change =
            Change { line: 7, object, old: "a`b\n".into(), new: "web:1.1".into(), setter: "shop:web".into() };
        let none = Change { object: ObjectId::default(), old: String::new(), ..change.clone() };
        let updated =
            Updated { changes: [("web.yaml".to_owned(), vec![change, none])].into(), ..Updated::default() };
        let automation = serde_json::json!({
            "metadata": {"name": "a"},
            "spec": {"interval": "1h", "sourceRef": {"kind": "GitRepository", "name": "a"}, "update": {"path": "./deploy"}},
        });
        assert_eq!(
            lines(&serde_json::from_value(automation).unwrap(), &updated),
            [
                "- `deploy/web.yaml`, line 7 (Deployment `shop/web`): `a b ` → `web:1.1`",
                "- `deploy/web.yaml`, line 7: (empty) → `web:1.1`",
            ]
        );
    }
}

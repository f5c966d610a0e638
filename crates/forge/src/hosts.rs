//! Pull requests as each host has them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Api, Error, Kind, Place, PullRequest, escaped};

/// Pages of a list that are read at most, where the host cannot look for branches itself.
const MAX_PAGES: usize = 40;
const PAGE: usize = 50;

/// A pull request that is open.
pub(crate) struct Known {
    /// Its number, or what the host calls it by.
    id: String,
    title: String,
    /// Its text.
    pub(crate) text: String,
    /// Its address for people.
    pub(crate) url: String,
    /// What an update has to give back as it was.
    kept: Value,
}

/// The pull request that is open between the two branches.
pub(crate) async fn find(api: &Api, place: &Place, wanted: &PullRequest<'_>) -> Result<Option<Known>, Error> {
    let (path, source, target) = (&place.path, escaped(wanted.source), escaped(wanted.target));
    let found = match api.kind() {
        Kind::GitHub => {
            let head = format!("{}:{source}", escaped(&place.owner));
            let listed = listed(api, &format!("{path}/pulls?state=open&head={head}&base={target}")).await?;
            first(&listed, |known| branches(known, ["/head/ref", "/base/ref"], wanted))
        }
        Kind::GitLab => {
            let query = format!("state=opened&source_branch={source}&target_branch={target}");
            let listed = listed(api, &format!("{path}/merge_requests?{query}")).await?;
            first(&listed, |known| {
                branches(known, ["/source_branch", "/target_branch"], wanted)
                    && known["source_project_id"] == known["target_project_id"]
            })
        }
        Kind::Gitea => gitea(api, path, wanted).await?,
        Kind::Bitbucket => {
            let text = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let query = format!(
                "source.branch.name=\"{}\" AND destination.branch.name=\"{}\" AND state=\"OPEN\"",
                text(wanted.source),
                text(wanted.target)
            );
            let listed = listed(api, &format!("{path}/pullrequests?q={}", escaped(&query))).await?;
            let names = ["/source/branch/name", "/destination/branch/name"];
            match first(&listed["values"], |known| branches(known, names, wanted)) {
                // A list does not tell the reviewers.
                Some(short) => api.get(&format!("{path}/pullrequests/{}", short["id"])).await?,
                None => None,
            }
        }
        Kind::BitbucketServer => {
            let at = escaped(&format!("refs/heads/{}", wanted.source));
            let query = format!("state=OPEN&direction=OUTGOING&at={at}&limit=100");
            let listed = listed(api, &format!("{path}/pull-requests?{query}")).await?;
            let names = ["/fromRef/id", "/toRef/id"];
            first(&listed["values"], |known| references(known, names, wanted))
        }
        Kind::AzureDevOps => {
            let query = format!(
                "searchCriteria.status=active&searchCriteria.sourceRefName=refs/heads/{source}&\
                 searchCriteria.targetRefName=refs/heads/{target}&api-version=7.1"
            );
            let listed = listed(api, &format!("{path}/pullrequests?{query}")).await?;
            let names = ["/sourceRefName", "/targetRefName"];
            match first(&listed["value"], |known| references(known, names, wanted)) {
                // A list has the beginning of the text only.
                Some(short) => {
                    let one = format!("{path}/pullrequests/{}?api-version=7.1", short["pullRequestId"]);
                    api.get(&one).await?
                }
                None => None,
            }
        }
    };
    Ok(found.map(|found| known(api, place, &found)))
}

/// Opens one; its address.
pub(crate) async fn open(
    api: &Api,
    place: &Place,
    wanted: &PullRequest<'_>,
    text: &str,
) -> Result<String, Error> {
    let (path, title) = (&place.path, wanted.title);
    let reference = |branch: &str| format!("refs/heads/{branch}");
    let (path, body) = match api.kind() {
        Kind::GitHub | Kind::Gitea => {
            let body = json!({"title": title, "head": wanted.source, "base": wanted.target, "body": text});
            (format!("{path}/pulls"), body)
        }
        Kind::GitLab => {
            let body = json!({
                "title": title, "source_branch": wanted.source, "target_branch": wanted.target, "description": text,
            });
            (format!("{path}/merge_requests"), body)
        }
        Kind::Bitbucket => {
            let branch = |name: &str| json!({"branch": {"name": name}});
            let body = json!({
                "title": title, "description": text, "source": branch(wanted.source),
                "destination": branch(wanted.target),
            });
            (format!("{path}/pullrequests"), body)
        }
        Kind::BitbucketServer => {
            let repository = json!({"slug": place.name, "project": {"key": place.owner}});
            let side = |branch: &str| json!({"id": reference(branch), "repository": repository});
            let body = json!({
                "title": title, "description": text, "fromRef": side(wanted.source), "toRef": side(wanted.target),
            });
            (format!("{path}/pull-requests"), body)
        }
        Kind::AzureDevOps => {
            let body = json!({
                "title": title, "description": text, "sourceRefName": reference(wanted.source),
                "targetRefName": reference(wanted.target),
            });
            (format!("{path}/pullrequests?api-version=7.1"), body)
        }
    };
    let made = api.send(Method::POST, &path, body).await?;
    Ok(known(api, place, &made).url)
}

/// Gives an open one another text.
pub(crate) async fn update(api: &Api, place: &Place, known: &Known, text: &str) -> Result<(), Error> {
    let (path, id) = (&place.path, &known.id);
    let (method, path, body) = match api.kind() {
        Kind::GitHub | Kind::Gitea => (Method::PATCH, format!("{path}/pulls/{id}"), json!({"body": text})),
        Kind::GitLab => (Method::PUT, format!("{path}/merge_requests/{id}"), json!({"description": text})),
        Kind::Bitbucket => {
            let body =
                json!({"title": known.title, "description": text, "reviewers": known.kept["reviewers"]});
            (Method::PUT, format!("{path}/pullrequests/{id}"), body)
        }
        Kind::BitbucketServer => {
            // Reviewers that are not named are no reviewers any more, and the version tells of changes in between.
            let body = json!({
                "version": known.kept["version"], "title": known.title, "description": text,
                "reviewers": known.kept["reviewers"],
            });
            (Method::PUT, format!("{path}/pull-requests/{id}"), body)
        }
        Kind::AzureDevOps => {
            let path = format!("{path}/pullrequests/{id}?api-version=7.1");
            (Method::PATCH, path, json!({"description": text}))
        }
    };
    api.send(method, &path, body).await.map(drop)
}

async fn listed(api: &Api, path: &str) -> Result<Value, Error> {
    let listed = api.get(path).await?;
    listed.ok_or_else(|| Error::Answer {
        url: format!("{}{}", api.base(), path.split('?').next().unwrap_or_default()),
        problem: "is not there, or the token may not see it".to_owned(),
    })
}

fn first(list: &Value, good: impl Fn(&Value) -> bool) -> Option<Value> {
    list.as_array()?.iter().find(|known| good(known)).cloned()
}

/// Whether a pull request leads from the one branch to the other; where the host tells the branches by name.
fn branches(known: &Value, [source, target]: [&str; 2], wanted: &PullRequest<'_>) -> bool {
    let is = |place: &str, name: &str| known.pointer(place).is_some_and(|found| found == name);
    is(source, wanted.source) && is(target, wanted.target)
}

/// The same, where the host tells them by reference.
fn references(known: &Value, [source, target]: [&str; 2], wanted: &PullRequest<'_>) -> bool {
    let is = |place: &str, name: &str| {
        let found = known.pointer(place).and_then(Value::as_str);
        found.and_then(|found| found.strip_prefix("refs/heads/")) == Some(name)
    };
    is(source, wanted.source) && is(target, wanted.target)
}

/// Gitea lists all that are open.
async fn gitea(api: &Api, path: &str, wanted: &PullRequest<'_>) -> Result<Option<Value>, Error> {
    for page in 1..=MAX_PAGES {
        let listed = listed(api, &format!("{path}/pulls?state=open&limit={PAGE}&page={page}")).await?;
        let own = |known: &Value| {
            let forked = known.pointer("/head/repo_id") != known.pointer("/base/repo_id");
            !forked && branches(known, ["/head/ref", "/base/ref"], wanted)
        };
        let found = first(&listed, own);
        // Servers may have smaller pages than were asked for: only an empty one is the last for certain.
        if found.is_some() || listed.as_array().is_none_or(Vec::is_empty) {
            return Ok(found);
        }
    }
    Ok(None)
}

fn known(api: &Api, place: &Place, found: &Value) -> Known {
    let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = |name: &str| found[name].to_string();
    let (id, description, url) = match api.kind() {
        Kind::GitHub | Kind::Gitea => (id("number"), text("/body"), text("/html_url")),
        Kind::GitLab => (id("iid"), text("/description"), text("/web_url")),
        Kind::Bitbucket => (id("id"), text("/description"), text("/links/html/href")),
        Kind::BitbucketServer => (id("id"), text("/description"), text("/links/self/0/href")),
        Kind::AzureDevOps => {
            let id = id("pullRequestId");
            let web = text("/repository/webUrl");
            let project = escaped(&place.owner);
            let web = if web.is_empty() {
                format!("{}/{project}/_git/{}", place.address, escaped(&place.name))
            } else {
                web
            };
            let url = format!("{web}/pullrequest/{id}");
            (id, text("/description"), url)
        }
    };
    let reviewers = found["reviewers"].as_array().into_iter().flatten();
    let named = |reviewer: &Value| match api.kind() {
        Kind::Bitbucket => json!({"uuid": reviewer["uuid"]}),
        _ => json!({"user": {"name": reviewer["user"]["name"]}}),
    };
    let reviewers: Vec<Value> = reviewers.map(named).collect();
    let kept = json!({"version": found["version"], "reviewers": reviewers});
    Known { id, title: text("/title"), text: description, url, kept }
}

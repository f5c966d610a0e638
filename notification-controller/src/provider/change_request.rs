//! Comments on pull and merge requests: one for each object, edited in place.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::commit_status::Repository;
use super::http::{Client, Error as HttpError, Request};
use super::{Error, Target, text};
use crate::event::Event;

/// A service's names for the same things.
struct Dialect {
    /// The list of comments, oldest first.
    list: Url,
    /// Where a new comment is posted.
    create: Url,
    /// Where a comment is changed, without its identity.
    edit: Url,
    edit_method: Method,
    /// Who we are.
    user: Url,
    /// The key of the name in the answer to `user`, and of the author in a comment.
    login: &'static str,
    author: &'static str,
    marker: &'static str,
    header: (&'static str, String),
}

/// Posts the event as a comment, or changes the one that is there already.
pub(crate) async fn comment(http: &Client, target: &Target, event: &Event) -> Result<(), Error> {
    let number = change_request(event)?;
    let token = match target.type_.as_str() {
        "githubpullrequestcomment" => super::github_app::token(http, target).await?,
        _ => target.credentials.token_or_password().unwrap_or_default().to_owned(),
    };
    if token.is_empty() {
        return Err(Error::Config(format!(
            "provider type '{}' needs a Secret with the key 'token'",
            target.type_
        )));
    }
    let dialect = dialect(target, &token, number)?;
    let marker = format!("<!-- {}:{}/{} -->", dialect.marker, target.uid, event.subject());
    let body = json!({"body": format!("{marker}\n\n{}", text::markdown(event))});
    let authorized = |request: Request| request.header(dialect.header.0, &dialect.header.1);

    // An App has no user of its own.
    let user = match super::github_app::bot(http, target).await? {
        Some(name) => Value::String(name),
        None => fetch(http, authorized(Request::get(dialect.user.clone()))?).await?[dialect.login].take(),
    };
    let comments = fetch(http, authorized(Request::get(dialect.list.clone()))?).await?;
    let ours = comments.as_array().into_iter().flatten().find(|comment| {
        comment[dialect.author][dialect.login] == user
            && comment["body"].as_str().is_some_and(|body| body.contains(&marker))
    });
    let request = match ours.and_then(|comment| comment["id"].as_u64()) {
        Some(id) => {
            let mut url = dialect.edit.clone();
            url.set_path(&format!("{}/{id}", dialect.edit.path()));
            Request::json(url, &body)?.method(dialect.edit_method.clone())
        }
        None => Request::json(dialect.create.clone(), &body)?,
    };
    Ok(http.send(authorized(request)?).await?)
}

/// The number of the change request that an event is about.
fn change_request(event: &Event) -> Result<u64, Error> {
    let number = event.metadata.get("change_request");
    let number = number.ok_or_else(|| Error::Event("missing \"change_request\" metadata key".to_owned()))?;
    number.parse().map_err(|_| {
        Error::Event(format!("invalid \"change_request\" metadata key: '{number}' is no number"))
    })
}

fn dialect(target: &Target, token: &str, number: u64) -> Result<Dialect, Error> {
    let repository = Repository::parse(&target.address)?;
    let path = &repository.path;
    if target.type_ == "gitlabmergerequestcomment" {
        let notes = format!("/api/v4/projects/{}/merge_requests/{number}/notes", path.replace('/', "%2F"));
        return Ok(Dialect {
            list: repository.at(&format!("{notes}?per_page=100&sort=asc&order_by=created_at"))?,
            create: repository.at(&notes)?,
            edit: repository.at(&notes)?,
            edit_method: Method::PUT,
            user: repository.at("/api/v4/user")?,
            login: "username",
            author: "author",
            marker: "flux-mr-comment-key",
            header: ("PRIVATE-TOKEN", token.to_owned()),
        });
    }
    let gitea = target.type_ == "giteapullrequestcomment";
    let at = |path: &str| {
        if gitea { repository.at(&format!("/api/v1/{path}")) } else { repository.github_api(path) }
    };
    let scheme = if gitea { "token" } else { "Bearer" };
    Ok(Dialect {
        list: at(&format!("repos/{path}/issues/{number}/comments?per_page=100"))?,
        create: at(&format!("repos/{path}/issues/{number}/comments"))?,
        edit: at(&format!("repos/{path}/issues/comments"))?,
        edit_method: Method::PATCH,
        user: at("user")?,
        login: "login",
        author: "user",
        marker: "flux-pr-comment-key",
        header: ("authorization", format!("{scheme} {token}")),
    })
}

async fn fetch(http: &Client, request: Request) -> Result<Value, Error> {
    let answer = http.fetch(request).await?;
    let parsed = serde_json::from_slice(&answer);
    parsed.map_err(|error| HttpError::Refused(format!("the answer is not JSON: {error}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::event;
    use crate::provider::tests::target;

    #[test]
    fn each_service_has_its_addresses() {
        let urls = |type_: &str| {
            let dialect = dialect(&target(type_, "https://git.example.test/org/repo"), "s3cr3t", 7).unwrap();
            (dialect.create.to_string(), dialect.edit_method)
        };
        let (create, edit) = urls("githubpullrequestcomment");
        assert_eq!(
            (create.as_str(), edit),
            ("https://git.example.test/api/v3/repos/org/repo/issues/7/comments", Method::PATCH)
        );
        let (create, edit) = urls("gitlabmergerequestcomment");
        assert_eq!(
            (create.as_str(), edit),
            ("https://git.example.test/api/v4/projects/org%2Frepo/merge_requests/7/notes", Method::PUT)
        );
        assert_eq!(
            urls("giteapullrequestcomment").0,
            "https://git.example.test/api/v1/repos/org/repo/issues/7/comments"
        );
    }

    #[test]
    fn the_number_must_be_one() {
        assert_eq!(change_request(&event("info", &[("change_request", "12")])).unwrap(), 12);
        assert!(change_request(&event("info", &[("change_request", "x")])).is_err());
        assert!(change_request(&event("info", &[])).is_err());
    }
}

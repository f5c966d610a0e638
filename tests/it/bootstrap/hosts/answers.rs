//! What the hosts answer, by their published APIs: GitHub's REST API (2022-11-28), GitLab's v4, Gitea's v1 and
//! Bitbucket Data Center's REST API.

use super::{DEPLOY, Host, Kind, lock};
use http::StatusCode;
use serde_json::{Value, json};

type Answer = (StatusCode, Value);

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;
const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;

/// An error as the host words it.
pub(super) fn refused(kind: Kind, status: StatusCode, message: &str) -> Answer {
    let body = match kind {
        Kind::Bitbucket => json!({"errors": [{"context": null, "message": message, "exceptionName": null}]}),
        _ => json!({"message": message}),
    };
    (status, body)
}

/// A request with a login that is good.
pub(super) fn answer(host: &Host, method: &str, path: &str, query: &str, body: &Value) -> Answer {
    let answered = match host.kind {
        Kind::GitHub => github(host, method, path, body),
        Kind::GitLab => gitlab(host, method, path, body),
        Kind::Gitea => gitea(host, method, path, query, body),
        Kind::Bitbucket => bitbucket(host, method, path, query, body),
    };
    match answered {
        Ok(Some(answer)) => answer,
        Ok(None) => refused(host.kind, StatusCode::NOT_FOUND, "Not Found"),
        Err(wrong) => refused(host.kind, StatusCode::UNPROCESSABLE_ENTITY, &wrong),
    }
}

/// Checks the parameters of a request: these must be there, and none besides but those that may be.
fn parameters(body: &Value, needed: &[&str], allowed: &[&str]) -> Result<(), String> {
    let map = body.as_object().ok_or("the body is no object")?;
    if let Some(missing) = needed.iter().find(|name| !map.contains_key(**name)) {
        return Err(format!("{missing} is missing"));
    }
    match map.keys().find(|name| !needed.contains(&name.as_str()) && !allowed.contains(&name.as_str())) {
        Some(unknown) => Err(format!("{unknown} is no parameter")),
        None => Ok(()),
    }
}

/// Lets a key in at the SSH server.
fn admit(host: &Host, key: &Value) -> Result<(), String> {
    let places = host.places.get().ok_or("not started")?;
    let text = key.as_str().ok_or("the key is no text")?;
    std::fs::write(&places.authorized, text).map_err(|error| error.to_string())
}

fn github(host: &Host, method: &str, path: &str, body: &Value) -> Result<Option<Answer>, String> {
    let places = host.places.get().ok_or("not started")?;
    let mut known = lock(&host.state);
    let repository = json!({
        "id": 1, "name": "fleet", "full_name": "org/fleet", "private": true, "default_branch": "main",
        "clone_url": places.http, "ssh_url": places.ssh,
    });
    Ok(Some(match (method, path) {
        ("POST", "/api/v3/orgs/org/repos") => {
            parameters(body, &["name", "private"], &["auto_init", "description", "visibility"])?;
            known.repository = true;
            (CREATED, repository)
        }
        _ if !known.repository => return Ok(None),
        ("GET", "/api/v3/repos/org/fleet") => (OK, repository),
        ("PUT", "/api/v3/orgs/org/teams/platform/repos/org/fleet") => {
            parameters(body, &[], &["permission"])?;
            if !["pull", "triage", "push", "maintain", "admin"]
                .iter()
                .any(|known| body["permission"] == *known)
            {
                return Err(format!("{} is no permission", body["permission"]));
            }
            (NO_CONTENT, Value::Null)
        }
        ("GET", "/api/v3/repos/org/fleet/keys") => (OK, known.keys.clone().into()),
        ("POST", "/api/v3/repos/org/fleet/keys") => {
            parameters(body, &["key"], &["title", "read_only"])?;
            admit(host, &body["key"])?;
            let mut key = body.clone();
            key["id"] = 1.into();
            known.keys.push(key.clone());
            (CREATED, key)
        }
        _ => return Ok(None),
    }))
}

fn gitlab(host: &Host, method: &str, path: &str, body: &Value) -> Result<Option<Answer>, String> {
    const PROJECT: &str = "/api/v4/projects/org%2Fsub%2Ffleet";
    let places = host.places.get().ok_or("not started")?;
    let mut known = lock(&host.state);
    let project = json!({
        "id": 5, "name": "fleet", "path": "fleet", "path_with_namespace": "org/sub/fleet", "visibility": "private",
        "default_branch": "main", "http_url_to_repo": places.http, "ssh_url_to_repo": places.ssh,
        "shared_with_groups": known.shared,
    });
    Ok(Some(match (method, path.strip_prefix(PROJECT).unwrap_or(path)) {
        ("GET", "/api/v4/namespaces/org%2Fsub") => {
            (OK, json!({"id": 11, "name": "sub", "path": "sub", "kind": "group", "full_path": "org/sub"}))
        }
        ("GET", "/api/v4/groups/platform") => (OK, json!({"id": 12, "name": "platform", "path": "platform"})),
        ("POST", "/api/v4/projects") => {
            parameters(
                body,
                &["name"],
                &["path", "namespace_id", "visibility", "initialize_with_readme", "default_branch"],
            )?;
            if body["namespace_id"] != 11 {
                return Err("namespace_id is not that of the group".into());
            }
            known.repository = true;
            (CREATED, project)
        }
        _ if !known.repository => return Ok(None),
        ("GET", "") => (OK, project),
        ("POST", "/share") => {
            parameters(body, &["group_id", "group_access"], &["expires_at"])?;
            if ![10, 15, 20, 30, 40, 50].iter().any(|level| body["group_access"] == *level) {
                return Err("group_access is no level".into());
            }
            let shared = json!({
                "group_id": body["group_id"], "group_name": "platform", "group_full_path": "platform",
                "group_access_level": body["group_access"],
            });
            known.shared.push(shared);
            (CREATED, json!({"id": 1, "project_id": 5, "group_id": 12, "group_access": body["group_access"]}))
        }
        ("GET", "/deploy_tokens") => (OK, known.tokens.clone().into()),
        ("POST", "/deploy_tokens") => {
            parameters(body, &["name", "scopes"], &["expires_at", "username"])?;
            if body["scopes"] != json!(["read_repository"]) {
                return Err("scopes does not have a valid value".into());
            }
            let mut token = json!({
                "id": 7, "name": body["name"], "username": DEPLOY.0, "expires_at": null, "revoked": false,
                "expired": false, "scopes": body["scopes"],
            });
            known.tokens.push(token.clone());
            token["token"] = DEPLOY.1.into();
            (CREATED, token)
        }
        _ => return Ok(None),
    }))
}

fn gitea(host: &Host, method: &str, path: &str, query: &str, body: &Value) -> Result<Option<Answer>, String> {
    let places = host.places.get().ok_or("not started")?;
    let mut known = lock(&host.state);
    let repository = json!({
        "id": 1, "name": "fleet", "full_name": "org/fleet", "private": true, "empty": false, "default_branch": "main",
        "clone_url": places.http, "ssh_url": places.ssh,
    });
    Ok(Some(match (method, path) {
        ("POST", "/api/v1/orgs/org/repos") => {
            parameters(body, &["name"], &["private", "auto_init", "default_branch", "description"])?;
            known.repository = true;
            (CREATED, repository)
        }
        _ if !known.repository => return Ok(None),
        ("GET", "/api/v1/repos/org/fleet") => (OK, repository),
        ("GET", "/api/v1/orgs/org/teams/search") if query.contains("q=platform") => {
            let team = |id: u8, name: &str| json!({"id": id, "name": name, "permission": "write"});
            (OK, json!({"ok": true, "data": [team(2, "platform-guests"), team(3, "platform")]}))
        }
        ("PUT", "/api/v1/teams/3/repos/org/fleet") => (NO_CONTENT, Value::Null),
        _ => return Ok(None),
    }))
}

fn bitbucket(
    host: &Host,
    method: &str,
    path: &str,
    query: &str,
    body: &Value,
) -> Result<Option<Answer>, String> {
    const REPOSITORY: &str = "/rest/api/1.0/projects/PRJ/repos/fleet";
    const KEYS: &str = "/rest/keys/1.0/projects/PRJ/repos/fleet/ssh";
    let places = host.places.get().ok_or("not started")?;
    let mut known = lock(&host.state);
    let repository = json!({
        "slug": "fleet", "id": 1, "name": "fleet", "scmId": "git", "state": "AVAILABLE", "public": false,
        "project": {"key": "PRJ"},
        "links": {"clone": [{"href": places.ssh, "name": "ssh"}, {"href": places.http, "name": "http"}]},
    });
    Ok(Some(match (method, path) {
        ("POST", "/rest/api/1.0/projects/PRJ/repos") => {
            parameters(body, &["name", "scmId"], &["forkable", "public", "defaultBranch", "description"])?;
            known.repository = true;
            (CREATED, repository)
        }
        _ if !known.repository => return Ok(None),
        ("GET", REPOSITORY) => (OK, repository),
        ("PUT", path) if path == format!("{REPOSITORY}/permissions/groups") => {
            let levels = ["REPO_READ", "REPO_WRITE", "REPO_ADMIN"];
            let level = levels.iter().any(|level| query.contains(&format!("permission={level}")));
            if !level || !query.contains("name=platform") {
                return Err(format!("{query:?} names no group and permission"));
            }
            (NO_CONTENT, Value::Null)
        }
        ("GET", KEYS) => {
            let values = known.keys.clone();
            (
                OK,
                json!({"size": values.len(), "limit": 100, "isLastPage": true, "start": 0, "values": values}),
            )
        }
        ("POST", KEYS) => {
            parameters(body, &["key", "permission"], &[])?;
            parameters(&body["key"], &["text"], &["label"])?;
            if body["permission"] != "REPO_WRITE" {
                return Err("the key was to write".into());
            }
            admit(host, &body["key"]["text"])?;
            let mut key = body.clone();
            key["key"]["id"] = 9.into();
            key["repository"] = repository;
            known.keys.push(key.clone());
            (CREATED, key)
        }
        _ => return Ok(None),
    }))
}

//! Hosts as far as pull requests go, by their published APIs: GitHub's (2022-11-28), GitLab's v4, Gitea's v1, Bitbucket
//! Cloud's 2.0, Bitbucket Data Center's 1.0 and Azure DevOps' 7.1. One server is all of them: the path tells which one is
//! asked. Parameters that an API does not have are refused, and so is a second pull request between two branches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

/// The token that is good at all of them. Bitbucket wants it as the password of `robot`.
pub(crate) const TOKEN: &str = "t0k3n";

/// A pull request.
#[derive(Clone, Debug)]
pub(crate) struct Pull {
    /// The host that has it.
    pub(crate) host: &'static str,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) open: bool,
    /// How often it was changed.
    pub(crate) version: u64,
}

#[derive(Default)]
struct Known {
    pulls: Vec<Pull>,
    writes: Vec<String>,
    refusal: Option<(StatusCode, Value)>,
}

/// All hosts.
#[derive(Clone, Default)]
pub(crate) struct Hosts(Arc<Mutex<Known>>);

type Answer = Result<(StatusCode, Value), (StatusCode, Value)>;

const BASIC: &str = "Basic cm9ib3Q6dDBrM24=";
const AZURE: &str = "Basic OnQwazNu";

impl Hosts {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The routes. Azure DevOps is below `/org`.
    pub(crate) fn routes(&self) -> Router {
        let mut routes = Router::new();
        for path in ["/api/{*path}", "/2.0/{*path}", "/rest/{*path}", "/org/prj/_apis/{*path}"] {
            routes = routes.route(path, any(answer));
        }
        routes.with_state(self.clone())
    }

    /// What a host has.
    pub(crate) fn pulls(&self, host: &str) -> Vec<Pull> {
        self.known().pulls.iter().filter(|pull| pull.host == host).cloned().collect()
    }

    /// What changed something since the last time.
    pub(crate) fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.known().writes)
    }

    /// Answers what would change something so from now on.
    pub(crate) fn refuse(&self, refusal: Option<(StatusCode, Value)>) {
        self.known().refusal = refusal;
    }

    /// Somebody changes what is there.
    pub(crate) fn edit(&self, change: impl Fn(&mut Pull)) {
        self.known().pulls.iter_mut().for_each(change);
    }
}

async fn answer(
    State(hosts): State<Hosts>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (status, answer) = match route(&hosts, &method, &uri, &headers, &body) {
        Ok(answer) | Err(answer) => answer,
    };
    let mut response = (status, answer.to_string()).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", http::HeaderValue::from_static("7"));
    }
    response
}

fn route(hosts: &Hosts, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Answer {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let login = header("authorization");
    let bearer = format!("Bearer {TOKEN}");
    let path = uri.path();
    let forms: [(&'static str, &str, bool); 6] = [
        (
            "github",
            "/api/v3/repos/org/github/pulls",
            login == bearer && header("x-github-api-version") == "2022-11-28",
        ),
        ("gitlab", "/api/v4/projects/org%2Fgitlab/merge_requests", header("private-token") == TOKEN),
        ("gitea", "/api/v1/repos/org/gitea/pulls", login == format!("token {TOKEN}")),
        ("bitbucket", "/2.0/repositories/org/bitbucket/pullrequests", login == BASIC),
        ("bitbucketserver", "/rest/api/1.0/projects/prj/repos/app/pull-requests", login == BASIC),
        ("azuredevops", "/org/prj/_apis/git/repositories/app/pullrequests", login == AZURE),
    ];
    let Some((host, base, admitted)) = forms.into_iter().find(|(_, base, _)| path.starts_with(base)) else {
        return Err((StatusCode::NOT_FOUND, json!({"message": "Not Found"})));
    };
    if !admitted {
        return Err((StatusCode::UNAUTHORIZED, json!({"message": "Bad credentials"})));
    }
    let one = path[base.len()..].strip_prefix('/').map(|number| number.parse::<u64>().unwrap_or_default());
    let query = Query::of(uri.query().unwrap_or_default());
    if host == "azuredevops" && query.get("api-version") != Some("7.1") {
        return Err((StatusCode::BAD_REQUEST, json!({"message": "No api-version was supplied"})));
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut known = hosts.known();
    if *method != Method::GET {
        known.writes.push(format!("{method} {path}"));
        if let Some(refusal) = &known.refusal {
            return Err(refusal.clone());
        }
    }
    match (method.as_str(), one) {
        ("GET", None) => list(host, &query, &known.pulls),
        ("GET", Some(number)) => {
            let found = known.pulls.iter().find(|pull| pull.host == host && pull.number == number);
            found.map(|pull| (StatusCode::OK, shown(pull))).ok_or((StatusCode::NOT_FOUND, json!({})))
        }
        ("POST", None) => make(host, &body, &mut known.pulls),
        (_, Some(number)) => change(host, method.as_str(), number, &body, &mut known.pulls),
        _ => Err((StatusCode::METHOD_NOT_ALLOWED, json!({}))),
    }
}

/// A query, decoded.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or_default());
                rest = after;
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn list(host: &'static str, query: &Query, pulls: &[Pull]) -> Answer {
    let wants = |name: &str, value: &str| {
        if query.get(name) == Some(value) {
            return Ok(());
        }
        Err((StatusCode::BAD_REQUEST, json!({"message": format!("{name} is not {value}")})))
    };
    let branch = |name: &str, prefix: &str| {
        let value = query.get(name).and_then(|value| value.strip_prefix(prefix)).map(str::to_owned);
        value.ok_or((
            StatusCode::BAD_REQUEST,
            json!({"message": format!("{name} does not begin with {prefix}")}),
        ))
    };
    // Which branches are asked for; those that the host cannot look for are any.
    let (source, target) = match host {
        "github" => {
            wants("state", "open")?;
            (Some(branch("head", "org:")?), Some(branch("base", "")?))
        }
        "gitlab" => {
            wants("state", "opened")?;
            (Some(branch("source_branch", "")?), Some(branch("target_branch", "")?))
        }
        "gitea" => {
            wants("state", "open")?;
            (None, None)
        }
        "bitbucket" => {
            let asked = query.get("q").unwrap_or_default().to_owned();
            let quoted: Vec<&str> = asked.split('"').skip(1).step_by(2).collect();
            let [source, target, "OPEN"] = quoted[..] else {
                return Err((StatusCode::BAD_REQUEST, json!({"error": {"message": asked}})));
            };
            (Some(source.to_owned()), Some(target.to_owned()))
        }
        "bitbucketserver" => {
            wants("state", "OPEN")?;
            wants("direction", "OUTGOING")?;
            (Some(branch("at", "refs/heads/")?), None)
        }
        _ => {
            wants("searchCriteria.status", "active")?;
            let from = branch("searchCriteria.sourceRefName", "refs/heads/")?;
            (Some(from), Some(branch("searchCriteria.targetRefName", "refs/heads/")?))
        }
    };
    let all = pulls.iter().filter(|pull| pull.host == host && pull.open);
    let asked = all.filter(|pull| {
        source.as_ref().is_none_or(|source| pull.source == *source)
            && target.as_ref().is_none_or(|target| pull.target == *target)
    });
    let number =
        |name: &str, default: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let listed: Vec<Value> = match host {
        // A server whose pages are as small as can be.
        "gitea" => asked.skip(number("page", 1) - 1).take(1).map(shown).collect(),
        "azuredevops" => asked
            .map(|pull| {
                let mut short = shown(pull);
                short["description"] = pull.text.chars().take(400).collect::<String>().into();
                short
            })
            .collect(),
        "bitbucket" => asked
            .map(|pull| {
                let mut short = shown(pull);
                short.as_object_mut().map(|short| short.remove("reviewers"));
                short
            })
            .collect(),
        _ => asked.map(shown).collect(),
    };
    Ok((
        StatusCode::OK,
        match host {
            "bitbucket" => json!({"pagelen": 10, "size": listed.len(), "page": 1, "values": listed}),
            "bitbucketserver" => {
                json!({"size": listed.len(), "limit": 100, "isLastPage": true, "start": 0, "values": listed})
            }
            "azuredevops" => json!({"count": listed.len(), "value": listed}),
            _ => listed.into(),
        },
    ))
}

/// Checks the parameters of a request: these must be there, and none besides but those that may be.
fn parameters(body: &Value, needed: &[&str], allowed: &[&str]) -> Result<(), (StatusCode, Value)> {
    let refused = |message: String| (StatusCode::BAD_REQUEST, json!({"message": message}));
    let map = body.as_object().ok_or_else(|| refused("the body is no object".to_owned()))?;
    if let Some(missing) = needed.iter().find(|name| !map.contains_key(**name)) {
        return Err(refused(format!("{missing} is missing")));
    }
    match map.keys().find(|name| !needed.contains(&name.as_str()) && !allowed.contains(&name.as_str())) {
        Some(unknown) => Err(refused(format!("{unknown} is no parameter"))),
        None => Ok(()),
    }
}

fn make(host: &'static str, body: &Value, pulls: &mut Vec<Pull>) -> Answer {
    let (needed, text): (&[&str], &str) = match host {
        "github" | "gitea" => (&["title", "head", "base", "body"], "body"),
        "gitlab" => (&["title", "source_branch", "target_branch", "description"], "description"),
        "bitbucket" => (&["title", "source", "destination", "description"], "description"),
        "bitbucketserver" => (&["title", "fromRef", "toRef", "description"], "description"),
        _ => (&["title", "sourceRefName", "targetRefName", "description"], "description"),
    };
    parameters(body, needed, &[])?;
    let (from, to, prefix) = match host {
        "github" | "gitea" => ("/head", "/base", ""),
        "gitlab" => ("/source_branch", "/target_branch", ""),
        "bitbucket" => ("/source/branch/name", "/destination/branch/name", ""),
        "bitbucketserver" => ("/fromRef/id", "/toRef/id", "refs/heads/"),
        _ => ("/sourceRefName", "/targetRefName", "refs/heads/"),
    };
    if host == "bitbucketserver" {
        for side in ["fromRef", "toRef"] {
            let repository = &body[side]["repository"];
            if repository["slug"] != "app" || repository["project"]["key"] != "prj" {
                return Err((StatusCode::BAD_REQUEST, json!({"errors": [{"message": "which repository?"}]})));
            }
        }
    }
    let branch = |place: &str| {
        let name = body.pointer(place).and_then(Value::as_str).and_then(|name| name.strip_prefix(prefix));
        name.map(str::to_owned).ok_or((StatusCode::BAD_REQUEST, json!({"message": format!("{place}?")})))
    };
    let (source, target) = (branch(from)?, branch(to)?);
    let own = |pull: &&Pull| pull.host == host && pull.open && pull.source == source && pull.target == target;
    if pulls.iter().any(|pull| own(&pull)) {
        return Err(match host {
            "github" => (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({"message": "Validation Failed", "errors": [{"message": "A pull request already exists"}]}),
            ),
            "gitlab" => {
                (StatusCode::CONFLICT, json!({"message": ["Another open merge request already exists"]}))
            }
            "bitbucket" => (StatusCode::BAD_REQUEST, json!({"error": {"message": "there is one"}})),
            "bitbucketserver" => {
                (StatusCode::CONFLICT, json!({"errors": [{"message": "Only one pull request may be open"}]}))
            }
            _ => (StatusCode::CONFLICT, json!({"message": "an active pull request already exists"})),
        });
    }
    let pull = Pull {
        host,
        number: 40 + pulls.len() as u64,
        title: body["title"].as_str().unwrap_or_default().to_owned(),
        text: body[text].as_str().unwrap_or_default().to_owned(),
        source,
        target,
        open: true,
        version: 0,
    };
    let answer = shown(&pull);
    pulls.push(pull);
    // Bitbucket Cloud and all others but Azure DevOps say that something was created.
    Ok((StatusCode::CREATED, answer))
}

fn change(host: &'static str, method: &str, number: u64, body: &Value, pulls: &mut [Pull]) -> Answer {
    let (verb, needed, text): (&str, &[&str], &str) = match host {
        "github" | "gitea" => ("PATCH", &["body"], "body"),
        "gitlab" => ("PUT", &["description"], "description"),
        "bitbucket" => ("PUT", &["title", "description", "reviewers"], "description"),
        "bitbucketserver" => ("PUT", &["version", "title", "description", "reviewers"], "description"),
        _ => ("PATCH", &["description"], "description"),
    };
    if method != verb {
        return Err((StatusCode::METHOD_NOT_ALLOWED, json!({})));
    }
    parameters(body, needed, &["title"])?;
    let found = pulls.iter_mut().find(|pull| pull.host == host && pull.number == number && pull.open);
    let Some(pull) = found else { return Err((StatusCode::NOT_FOUND, json!({}))) };
    let reviewers = match host {
        "bitbucket" => body["reviewers"] == json!([{"uuid": "{r}"}]),
        "bitbucketserver" => {
            body["version"] == pull.version && body["reviewers"] == json!([{"user": {"name": "reviewer"}}])
        }
        _ => true,
    };
    if !reviewers {
        return Err((StatusCode::CONFLICT, json!({"errors": [{"message": "version or reviewers"}]})));
    }
    if let Some(title) = body["title"].as_str() {
        title.clone_into(&mut pull.title);
    }
    body[text].as_str().unwrap_or_default().clone_into(&mut pull.text);
    pull.version += 1;
    Ok((StatusCode::OK, shown(pull)))
}

fn shown(pull: &Pull) -> Value {
    let Pull { number, title, text, source, target, version, .. } = pull;
    let web = format!("https://host.test/{}/{number}", pull.host);
    let reference = |branch: &str| format!("refs/heads/{branch}");
    match pull.host {
        "github" => json!({
            "number": number, "state": "open", "title": title, "body": text, "html_url": web,
            "head": {"ref": source, "label": format!("org:{source}")}, "base": {"ref": target},
        }),
        "gitlab" => json!({
            "id": 1000 + number, "iid": number, "state": "opened", "title": title, "description": text, "web_url": web,
            "source_branch": source, "target_branch": target, "source_project_id": 3, "target_project_id": 3,
        }),
        "gitea" => json!({
            "id": 1000 + number, "number": number, "state": "open", "title": title, "body": text, "html_url": web,
            "head": {"ref": source, "repo_id": 5}, "base": {"ref": target, "repo_id": 5},
        }),
        "bitbucket" => json!({
            "id": number, "state": "OPEN", "title": title, "description": text, "links": {"html": {"href": web}},
            "source": {"branch": {"name": source}}, "destination": {"branch": {"name": target}},
            "reviewers": [{"uuid": "{r}", "display_name": "R"}],
        }),
        "bitbucketserver" => json!({
            "id": number, "version": version, "state": "OPEN", "title": title, "description": text,
            "fromRef": {"id": reference(source), "displayId": source}, "toRef": {"id": reference(target)},
            "reviewers": [{"user": {"name": "reviewer", "id": 1}, "approved": false}],
            "links": {"self": [{"href": web}]},
        }),
        _ => json!({
            "pullRequestId": number, "status": "active", "title": title, "description": text,
            "sourceRefName": reference(source), "targetRefName": reference(target),
            "repository": {"name": "app", "webUrl": "https://host.test/org/prj/_git/app"},
        }),
    }
}

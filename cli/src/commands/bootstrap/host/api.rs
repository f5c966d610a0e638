//! The APIs of the hosts, as far as a bootstrap needs them: a repository, who has access, a deploy key.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};
use sluice_forge::{Api, Login, escaped};

use super::{Kind, Visibility};
use crate::web;

/// What is wanted at a host.
#[derive(Clone)]
pub(in crate::commands::bootstrap) struct Settings {
    pub(super) kind: Kind,
    pub(super) hostname: String,
    pub(super) token: String,
    pub(super) owner: String,
    pub(super) repository: String,
    pub(super) personal: bool,
    pub(super) visibility: Visibility,
    pub(super) teams: Vec<String>,
    pub(super) branch: String,
    pub(super) read_write_key: bool,
    pub(super) reconcile: bool,
}

/// A repository at a host.
pub(in crate::commands::bootstrap) struct Host {
    settings: Settings,
    api: Api,
    http_url: String,
    ssh_url: String,
}

impl Host {
    pub(super) fn new(settings: Settings, authority: Option<&[u8]>) -> Result<Self> {
        let hostname = settings.hostname.trim_end_matches('/');
        let address =
            if hostname.contains("://") { hostname.to_owned() } else { format!("https://{hostname}") };
        let kind = match settings.kind {
            Kind::GitHub => sluice_forge::Kind::GitHub,
            Kind::GitLab => sluice_forge::Kind::GitLab,
            Kind::Gitea => sluice_forge::Kind::Gitea,
            Kind::BitbucketServer => sluice_forge::Kind::BitbucketServer,
        };
        let login = Login::Token(settings.token.clone());
        let api = Api::new(kind, &address, login, web::client(authority)?);
        Ok(Self { settings, api, http_url: String::new(), ssh_url: String::new() })
    }

    /// Where the API is.
    pub(super) fn address(&self) -> &str {
        self.api.base()
    }

    /// The repository's address over HTTP(S).
    pub(super) fn http_url(&self) -> &str {
        &self.http_url
    }

    /// The repository's address over SSH, as the host writes it.
    pub(super) fn ssh_url(&self) -> &str {
        &self.ssh_url
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Option<Value>> {
        Ok(self.api.ask(method, path, body).await?)
    }

    async fn get(&self, path: &str) -> Result<Option<Value>> {
        Ok(self.api.get(path).await?)
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> Result<Value> {
        Ok(self.api.send(method, path, body).await?)
    }

    /// The path of the repository in the API.
    fn path(&self) -> String {
        let Settings { kind, owner, repository, .. } = &self.settings;
        match kind {
            Kind::GitHub | Kind::Gitea => format!("/repos/{owner}/{repository}"),
            Kind::GitLab => format!("/projects/{}", escaped(&format!("{owner}/{repository}"))),
            Kind::BitbucketServer => format!("/api/1.0/projects/{}/repos/{repository}", self.project()),
        }
    }

    /// The key of a project at Bitbucket; of a user's own one.
    fn project(&self) -> String {
        if self.settings.personal { format!("~{}", self.settings.owner) } else { self.settings.owner.clone() }
    }

    /// Makes the repository if it is not there; tells whether it did.
    pub(super) async fn ensure_repository(&mut self) -> Result<bool> {
        let found = self.get(&self.path()).await?;
        let made = found.is_none();
        let repository = match found {
            Some(found) if self.settings.reconcile => self.reconciled(found).await?,
            Some(found) => found,
            None => self.make_repository().await.context("failed to create the repository")?,
        };
        let text = |key: &str| repository[key].as_str().unwrap_or_default().to_owned();
        (self.http_url, self.ssh_url) = match self.settings.kind {
            Kind::GitHub | Kind::Gitea => (text("clone_url"), text("ssh_url")),
            Kind::GitLab => (text("http_url_to_repo"), text("ssh_url_to_repo")),
            Kind::BitbucketServer => {
                let links = repository["links"]["clone"].as_array().cloned().unwrap_or_default();
                let link = |name: &str| {
                    let found = links.iter().find(|link| link["name"] == name);
                    found.and_then(|link| link["href"].as_str()).unwrap_or_default().to_owned()
                };
                // Names of users stand in the links.
                let http = link("http");
                let scheme = http.split_once("://").map_or("https", |(scheme, _)| scheme).to_owned();
                (super::without_user(&http, &scheme).unwrap_or(http), link("ssh"))
            }
        };
        if self.http_url.is_empty() {
            bail!("the host does not tell the address of the repository");
        }
        Ok(made)
    }

    async fn make_repository(&self) -> Result<Value> {
        let Settings { kind, owner, repository, personal, visibility, branch, .. } = &self.settings;
        let private = *visibility != Visibility::Public;
        match kind {
            Kind::GitHub | Kind::Gitea => {
                let path = if *personal { "/user/repos".to_owned() } else { format!("/orgs/{owner}/repos") };
                let mut body = json!({"name": repository, "private": private, "auto_init": true});
                if *kind == Kind::Gitea {
                    body["default_branch"] = branch.as_str().into();
                }
                self.send(Method::POST, &path, body).await
            }
            Kind::GitLab => {
                let mut body = json!({
                    "name": repository, "path": repository, "visibility": visibility_name(*visibility),
                    "initialize_with_readme": true, "default_branch": branch,
                });
                if !personal {
                    let namespace = self.get(&format!("/namespaces/{}", escaped(owner))).await?;
                    let namespace = namespace.with_context(|| format!("there is no group {owner:?}"))?;
                    body["namespace_id"] = namespace["id"].clone();
                }
                self.send(Method::POST, "/projects", body).await
            }
            Kind::BitbucketServer => {
                let body = json!({"name": repository, "scmId": "git", "forkable": true, "public": !private, "defaultBranch": branch});
                self.send(Method::POST, &format!("/api/1.0/projects/{}/repos", self.project()), body).await
            }
        }
    }

    /// A repository that is there, with the visibility that is wanted.
    async fn reconciled(&self, found: Value) -> Result<Value> {
        let visibility = self.settings.visibility;
        let private = visibility != Visibility::Public;
        match self.settings.kind {
            Kind::GitHub | Kind::Gitea if found["private"] != private => {
                self.send(Method::PATCH, &self.path(), json!({"private": private})).await
            }
            Kind::GitLab if found["visibility"] != visibility_name(visibility) => {
                let body = json!({"visibility": visibility_name(visibility)});
                self.send(Method::PUT, &self.path(), body).await
            }
            Kind::BitbucketServer if found["public"] == private => {
                self.send(Method::PUT, &self.path(), json!({"public": !private})).await
            }
            _ => Ok(found),
        }
    }

    /// Gives teams access; returns what was done.
    pub(super) async fn ensure_teams(&self) -> Result<Vec<String>> {
        let Settings { kind, owner, repository, teams, personal, .. } = &self.settings;
        if *personal && !teams.is_empty() && *kind != Kind::BitbucketServer {
            bail!("--team needs an organization: leave --personal out");
        }
        let mut done = Vec::new();
        for team in teams {
            let default = if *kind == Kind::BitbucketServer { "push" } else { "maintain" };
            let (name, permission) = team.split_once(':').unwrap_or((team, default));
            match kind {
                Kind::GitHub => {
                    let path = format!("/orgs/{owner}/teams/{name}/repos/{owner}/{repository}");
                    self.send(Method::PUT, &path, json!({"permission": permission})).await?;
                }
                Kind::Gitea => {
                    let teams = self.get(&format!("/orgs/{owner}/teams/search?q={}", escaped(name))).await?;
                    let id = teams.as_ref().and_then(|teams| teams["data"].as_array()).and_then(|teams| {
                        teams.iter().find(|team| team["name"] == name).and_then(|team| team["id"].as_i64())
                    });
                    let id = id.with_context(|| format!("there is no team {name:?} in {owner}"))?;
                    self.ask(Method::PUT, &format!("/teams/{id}/repos/{owner}/{repository}"), None).await?;
                }
                Kind::GitLab => {
                    let group = self.get(&format!("/groups/{}", escaped(name))).await?;
                    let group = group.with_context(|| format!("there is no group {name:?}"))?;
                    let project = self.get(&self.path()).await?.unwrap_or_default();
                    let shared = project["shared_with_groups"].as_array().cloned().unwrap_or_default();
                    if shared.iter().any(|known| known["group_id"] == group["id"]) {
                        continue;
                    }
                    let access = match permission {
                        "pull" | "triage" => 20,
                        "push" => 30,
                        "admin" | "maintain" => 40,
                        other => bail!("unknown permission {other:?}: pull, triage, push, maintain or admin"),
                    };
                    let body = json!({"group_id": group["id"], "group_access": access});
                    self.send(Method::POST, &format!("{}/share", self.path()), body).await?;
                }
                Kind::BitbucketServer => {
                    let permission = match permission {
                        "pull" => "REPO_READ",
                        "push" | "maintain" => "REPO_WRITE",
                        "admin" => "REPO_ADMIN",
                        other => bail!("unknown permission {other:?}: pull, push or admin"),
                    };
                    let path = format!(
                        "{}/permissions/groups?permission={permission}&name={}",
                        self.path(),
                        escaped(name)
                    );
                    self.ask(Method::PUT, &path, None).await?;
                }
            }
            done.push(format!("{name} ({permission})"));
        }
        Ok(done)
    }

    /// Registers a deploy key under a title; an older one of this title goes. Tells whether something was done.
    pub(in crate::commands::bootstrap) async fn register_key(&self, title: &str, key: &str) -> Result<bool> {
        let key = key.trim();
        let read_only = !self.settings.read_write_key;
        let path = match self.settings.kind {
            Kind::GitHub | Kind::Gitea => format!("{}/keys", self.path()),
            Kind::GitLab => format!("{}/deploy_keys", self.path()),
            Kind::BitbucketServer => {
                format!("/keys/1.0/projects/{}/repos/{}/ssh", self.project(), self.settings.repository)
            }
        };
        let listed = self.get(&format!("{path}?per_page=100&limit=100")).await?.unwrap_or_default();
        let listed =
            if self.settings.kind == Kind::BitbucketServer { listed["values"].clone() } else { listed };
        for known in listed.as_array().cloned().unwrap_or_default() {
            let known = Known::read(self.settings.kind, &known);
            let same = words(&known.key) == words(key);
            if same && known.read_only == read_only {
                return Ok(false);
            }
            if same || known.title == title {
                self.ask(Method::DELETE, &format!("{path}/{}", known.id), None).await?;
            }
        }
        let body = match self.settings.kind {
            Kind::GitHub | Kind::Gitea => json!({"title": title, "key": key, "read_only": read_only}),
            Kind::GitLab => json!({"title": title, "key": key, "can_push": !read_only}),
            Kind::BitbucketServer => {
                let permission = if read_only { "REPO_READ" } else { "REPO_WRITE" };
                json!({"key": {"text": key, "label": title}, "permission": permission})
            }
        };
        self.send(Method::POST, &path, body).await.context("failed to register the deploy key")?;
        Ok(true)
    }

    /// A deploy token of GitLab under a name: whether it is new, its user and its password. A token that is `known` by
    /// its user and password is kept while it is valid.
    pub(super) async fn deploy_token(
        &self,
        name: &str,
        known: Option<(String, String)>,
    ) -> Result<(bool, String, String)> {
        if self.settings.kind != Kind::GitLab {
            bail!("--deploy-token-auth goes with GitLab only");
        }
        let path = format!("{}/deploy_tokens", self.path());
        let listed = self.get(&format!("{path}?active=true&per_page=100")).await?.unwrap_or_default();
        let own: Vec<Value> = listed.as_array().cloned().unwrap_or_default();
        let own = own.into_iter().filter(|token| token["name"] == name);
        let mut stale = Vec::new();
        for token in own {
            match &known {
                Some((username, password)) if token["username"] == username.as_str() => {
                    return Ok((false, username.clone(), password.clone()));
                }
                _ => stale.push(token["id"].clone()),
            }
        }
        let body = json!({"name": name, "scopes": ["read_repository"]});
        let token = self.send(Method::POST, &path, body).await.context("failed to make a deploy token")?;
        // Nobody knows the password of the older ones any more.
        for id in stale {
            self.ask(Method::DELETE, &format!("{path}/{id}"), None).await?;
        }
        let text = |key: &str| token[key].as_str().map(str::to_owned);
        let (username, password) =
            text("username").zip(text("token")).context("the host does not tell the deploy token")?;
        Ok((true, username, password))
    }
}

/// A deploy key that a host knows.
struct Known {
    id: String,
    title: String,
    key: String,
    read_only: bool,
}

impl Known {
    fn read(kind: Kind, value: &Value) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        match kind {
            Kind::BitbucketServer => Self {
                id: text(&value["key"]["id"]),
                title: text(&value["key"]["label"]),
                key: text(&value["key"]["text"]),
                read_only: value["permission"] == "REPO_READ",
            },
            _ => Self {
                id: text(&value["id"]),
                title: text(&value["title"]),
                key: text(&value["key"]),
                read_only: if kind == Kind::GitLab {
                    value["can_push"] != true
                } else {
                    value["read_only"] == true
                },
            },
        }
    }
}

/// A key without its comment.
fn words(key: &str) -> Vec<&str> {
    key.split_whitespace().take(2).collect()
}

fn visibility_name(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "public",
        Visibility::Internal => "internal",
        Visibility::Private => "private",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_without_their_comments() {
        assert_eq!(words("ssh-ed25519 AAAA me@host\n"), words("ssh-ed25519 AAAA"));
        assert_ne!(words("ssh-ed25519 AAAA"), words("ssh-ed25519 BBBB"));
    }
}

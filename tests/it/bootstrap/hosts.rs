//! Bootstrap at hosts with an API. Each host is one HTTPS server with a private authority that answers as the published
//! API does, as far as a bootstrap asks, and refuses parameters that the API does not have; the same server has the
//! repository, and an SSH server admits the keys that were registered.

mod answers;

use super::{fine, log, sluice};
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::any;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use sluice_tests::{Access, ControlPlane, Controller, GitServer, Repository, SshServer, binaries};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// The token of the person who bootstraps.
const TOKEN: &str = "t0ken";
/// The deploy token that GitLab makes: user and password.
const DEPLOY: (&str, &str) = ("gitlab+deploy-token-7", "gldt-5ecret");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    GitHub,
    GitLab,
    Gitea,
    Bitbucket,
}

/// What a host knows.
struct Host {
    kind: Kind,
    places: OnceLock<Places>,
    state: Mutex<Known>,
    /// Requests that change something.
    writes: Mutex<Vec<String>>,
}

struct Places {
    http: String,
    ssh: String,
    authorized: PathBuf,
}

#[derive(Default)]
struct Known {
    repository: bool,
    shared: Vec<Value>,
    keys: Vec<Value>,
    tokens: Vec<Value>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(host): State<Arc<Host>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> axum::response::Response {
    let login = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let admitted = match host.kind {
        Kind::GitHub | Kind::Bitbucket => login("authorization") == format!("Bearer {TOKEN}"),
        Kind::GitLab => login("private-token") == TOKEN,
        Kind::Gitea => login("authorization") == format!("token {TOKEN}"),
    };
    let (status, answer) = if admitted {
        if method != Method::GET {
            lock(&host.writes).push(format!("{method} {}", uri.path()));
        }
        let query = uri.query().unwrap_or_default();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        answers::answer(&host, method.as_str(), uri.path(), query, &body)
    } else {
        answers::refused(host.kind, StatusCode::UNAUTHORIZED, "Bad credentials")
    };
    if answer.is_null() { status.into_response() } else { (status, answer.to_string()).into_response() }
}

/// A host with its servers, and what one has to say to bootstrap from it.
struct Running {
    host: Arc<Host>,
    fleet: Repository,
    line: String,
    variable: &'static str,
    _server: GitServer,
    _ssh: SshServer,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn start(kind: Kind, command: &str) -> Result<Self> {
        let host = Arc::new(Host {
            kind,
            places: OnceLock::new(),
            state: Mutex::default(),
            writes: Mutex::default(),
        });
        let api = Router::new().route("/api/{*path}", any(answer)).route("/rest/{*path}", any(answer));
        let login = |user: &str, password: &str| Access::Basic(user.into(), password.into());
        let server = GitServer::builder()
            .tls()
            .access(Access::AnyOf(vec![login("git", TOKEN), login(DEPLOY.0, DEPLOY.1)]))
            .beside(api.with_state(host.clone()))
            .start()
            .await?;
        let ssh = SshServer::start()?;
        let fleet = server.repository("fleet")?;
        let places = Places {
            http: fleet.url().to_owned(),
            ssh: ssh.url(fleet.served()),
            authorized: ssh.authorized_keys(),
        };
        ensure!(host.places.set(places).is_ok());
        let folder = tempfile::tempdir()?;
        let authority = folder.path().join("ca.crt");
        std::fs::write(&authority, server.ca().context("no CA")?)?;
        let namespace = format!("{kind:?}").to_lowercase();
        let line = format!(
            "bootstrap {command} --namespace={namespace} --repository=fleet --hostname={} --ca-file={} --path=clusters/b --components=source-controller,kustomize-controller --timeout=3m",
            server.url(),
            authority.display()
        );
        let variable = match kind {
            Kind::GitHub => "GITHUB_TOKEN",
            Kind::GitLab => "GITLAB_TOKEN",
            Kind::Gitea => "GITEA_TOKEN",
            Kind::Bitbucket => "BITBUCKET_TOKEN",
        };
        Ok(Self { host, fleet, line, variable, _server: server, _ssh: ssh, _folder: folder })
    }

    fn writes(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.host.writes))
    }

    /// The first time: `writes` are what is asked of the host, `told` is said. The second time: nothing changes but what
    /// is `given_again`.
    async fn twice(
        &self,
        plane: &ControlPlane,
        told: &str,
        writes: &[&str],
        given_again: &[&str],
    ) -> Result<()> {
        let token = [(self.variable, TOKEN)];
        let ran = fine(plane, &self.line, &token).await?;
        ensure!(ran.talk.contains(told), "{told:?} is not in {}", ran.talk);
        ensure!(log(&self.fleet)?.len() == 2, "{:?}", log(&self.fleet)?);
        let made = self.writes();
        ensure!(made == writes, "{made:?}");
        let again = fine(plane, &self.line, &token).await?;
        for told in ["✔ component manifests are up to date", "✔ source secret up to date"] {
            ensure!(again.talk.contains(told), "{told:?} is not in {}", again.talk);
        }
        ensure!(log(&self.fleet)?.len() == 2, "{:?}", log(&self.fleet)?);
        let made = self.writes();
        ensure!(made == given_again, "{made:?}");
        Ok(())
    }

    /// A bootstrap that is killed once it has said so many lines; whether it had that many to say.
    async fn killed_after(&self, plane: &ControlPlane, count: usize) -> Result<bool> {
        let binaries = tokio::task::spawn_blocking(binaries).await??;
        let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
        command.args(self.line.split_whitespace()).env("KUBECONFIG", &plane.facts().kubeconfig);
        command.env(self.variable, TOKEN).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let mut talk = Vec::new();
        while let Some(line) = lines.next_line().await? {
            talk.push(line);
            if talk.len() == count {
                child.kill().await?;
                return Ok(true);
            }
        }
        ensure!(child.wait().await?.success(), "{}", talk.join("\n"));
        Ok(false)
    }
}

/// Each host in turn, in a namespace of its own; the controllers see to all.
pub(super) async fn all(plane: &ControlPlane, source: &Controller, kustomize: &Controller) -> Result<()> {
    each(plane).await.with_context(|| format!("{}\n---\n{}", source.log_tail(), kustomize.log_tail()))
}

async fn each(plane: &ControlPlane) -> Result<()> {
    // A deploy key over SSH.
    let github = Running::start(Kind::GitHub, "github --owner=org --team=platform").await?;
    let wrong = sluice(plane, &github.line, &[("GITHUB_TOKEN", "wrong")]).await?;
    ensure!(
        wrong.talk.contains("the token is not accepted") && wrong.talk.contains("Bad credentials"),
        "{wrong:?}"
    );
    let team = "PUT /api/v3/orgs/org/teams/platform/repos/org/fleet";
    github
        .twice(
            plane,
            "✔ configured deploy key \"github-main-github-./clusters/b\"",
            &["POST /api/v3/orgs/org/repos", team, "POST /api/v3/repos/org/fleet/keys"],
            &[team],
        )
        .await
        .context("GitHub")?;

    // A deploy token; the owner is a group within a group.
    let gitlab =
        Running::start(Kind::GitLab, "gitlab --owner=org/sub --team=platform:push --deploy-token-auth")
            .await?;
    let project = "/api/v4/projects/org%2Fsub%2Ffleet";
    gitlab
        .twice(
            plane,
            "✔ configured deploy token \"gitlab-main-gitlab-./clusters/b\"",
            &[
                "POST /api/v4/projects",
                &format!("POST {project}/share"),
                &format!("POST {project}/deploy_tokens"),
            ],
            &[],
        )
        .await
        .context("GitLab")?;

    // The token itself; and attempts break off, each a bit later than the one before.
    let gitea = Running::start(Kind::Gitea, "gitea --owner=org --team=platform --token-auth").await?;
    let mut broken_off = 0;
    while gitea.killed_after(plane, 2 + 6 * broken_off).await.context("Gitea")? {
        broken_off += 1;
    }
    ensure!(broken_off > 2, "it broke off {broken_off} times only");
    let team = "PUT /api/v1/teams/3/repos/org/fleet";
    let made = gitea.writes();
    ensure!(made.iter().filter(|write| *write != team).eq(["POST /api/v1/orgs/org/repos"]), "{made:?}");
    gitea
        .twice(plane, "✔ component manifests are up to date", &[team], &[team])
        .await
        .context("Gitea, after it broke off")?;

    // A key that may write, for the repository of a project.
    let bitbucket =
        Running::start(Kind::Bitbucket, "bitbucket-server --owner=PRJ --group=platform --read-write-key")
            .await?;
    let repository = "/rest/api/1.0/projects/PRJ/repos/fleet";
    let group = format!("PUT {repository}/permissions/groups");
    bitbucket
        .twice(
            plane,
            "✔ configured deploy key",
            &[
                "POST /rest/api/1.0/projects/PRJ/repos",
                &group,
                "POST /rest/keys/1.0/projects/PRJ/repos/fleet/ssh",
            ],
            &[&group],
        )
        .await
        .context("Bitbucket")
}

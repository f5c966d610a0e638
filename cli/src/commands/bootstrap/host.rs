//! Bootstrap at a Git host: its API makes the repository, gives groups access, and knows deploy keys.

mod api;

use std::io::BufRead;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use super::ground::Ground;
use super::run::{Bootstrap, Login};
use super::signing::TransportKey;
use super::{Common, layout, without_user};
use crate::app::App;
use crate::failure::misuse;
use crate::ssh;
pub(super) use api::Host;
use api::Settings;

/// Flags of the hosts.
#[derive(Args)]
pub(super) struct HostArgs {
    #[command(flatten)]
    common: Common,
    /// The user, organization, group (with its parents) or project that has the repository.
    #[arg(long)]
    owner: Option<String>,
    /// The name of the repository.
    #[arg(long)]
    repository: Option<String>,
    /// The owner is a user.
    #[arg(long)]
    personal: bool,
    /// The repository is private when it is made.
    #[arg(long, default_value_t = true)]
    private: bool,
    /// GitLab: who sees the project when it is made [default: by --private].
    #[arg(long, value_enum)]
    visibility: Option<Visibility>,
    /// Teams or groups with access, as name or name:permission.
    #[arg(long, alias = "group", value_delimiter = ',')]
    team: Vec<String>,
    /// The host [default: the public one]; a scheme and a port may be given.
    #[arg(long)]
    hostname: Option<String>,
    /// The deploy key may write, as image automation needs it.
    #[arg(long)]
    read_write_key: bool,
    /// GitLab: log in with a deploy token in place of a key.
    #[arg(long, conflicts_with = "token_auth")]
    deploy_token_auth: bool,
    /// Bring a repository that is there already to these settings.
    #[arg(long)]
    reconcile: bool,
    /// The user that tokens are sent with [default: git].
    #[arg(short, long, default_value = "git")]
    username: String,
}

/// Who sees a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Visibility {
    Public,
    Internal,
    Private,
}

/// The hosts that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    GitHub,
    GitLab,
    Gitea,
    BitbucketServer,
}

impl Kind {
    /// Its name, the variable with its token, its public host.
    fn facts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::GitHub => ("GitHub", "GITHUB_TOKEN", "github.com"),
            Self::GitLab => ("GitLab", "GITLAB_TOKEN", "gitlab.com"),
            Self::Gitea => ("Gitea", "GITEA_TOKEN", "gitea.com"),
            Self::BitbucketServer => ("Bitbucket", "BITBUCKET_TOKEN", ""),
        }
    }
}

/// Asks for a secret; it is read from stdin.
pub(super) fn asked(app: &App, question: &str) -> Result<String> {
    app.output.data(question)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("nothing can be read from stdin")?;
    app.output.data("\n")?;
    let answer = answer.trim().to_owned();
    if answer.is_empty() {
        bail!("no password or token is given");
    }
    Ok(answer)
}

pub(super) async fn run(app: &App, kind: Kind, args: HostArgs) -> Result<()> {
    args.common.check()?;
    let (name, variable, public) = kind.facts();
    let Some(owner) = args.owner.clone() else { return Err(misuse("--owner is required")) };
    let Some(repository) = args.repository.clone() else { return Err(misuse("--repository is required")) };
    let hostname = args.hostname.clone().unwrap_or_else(|| public.to_owned());
    if hostname.is_empty() {
        return Err(misuse("--hostname is required"));
    }
    if args.common.signing.reuses_private_key() && matches!(kind, Kind::GitHub | Kind::Gitea) {
        bail!(
            "--ssh-signing-reuse-private-key is not supported for {name}, whose repositories are pushed to with the token: use --ssh-signing-key-file"
        );
    }
    let transport = TransportKey { file: args.common.key.private_key_file.as_deref(), password: None };
    let signing = args.common.signing.key(&transport)?;
    let token = match std::env::var(variable).ok().filter(|token| !token.is_empty()) {
        Some(token) => token,
        None => asked(app, &format!("Please enter your {name} personal access token (PAT): "))?,
    };
    let authority = args.common.authority()?;
    let visibility =
        args.visibility.unwrap_or(if args.private { Visibility::Private } else { Visibility::Public });
    let settings = Settings {
        kind,
        hostname,
        token: token.clone(),
        owner: owner.clone(),
        repository,
        personal: args.personal,
        visibility,
        teams: args.team.clone(),
        branch: args.common.branch.clone(),
        read_write_key: args.read_write_key,
        reconcile: args.reconcile,
    };
    // Nothing is made at the host for a cluster that cannot follow it.
    let namespace = app.namespace()?;
    let ground = Ground { app, components: &args.common.components, namespace: &namespace };
    ground.check(&layout::sync_path(&args.common.follow.path)?).await?;
    let mut host = Host::new(settings, authority.as_deref())?;
    app.output.action(&format!("connecting to {}", host.address()));
    let made = app.bounded("asking for the repository", host.ensure_repository()).await?;
    if made {
        app.output.success(&format!("repository {:?} created", host.http_url()));
    }
    for team in app.bounded("giving access", host.ensure_teams()).await? {
        app.output.success(&format!("{team} has access"));
    }
    let username = if args.personal && kind == Kind::BitbucketServer { owner } else { args.username.clone() };
    let push_login = Login::Password { username: username.clone(), password: token.clone(), bearer: false };
    let push_url = host.http_url().to_owned();
    let (url, login) = if args.common.token_auth {
        let scheme = push_url.split_once("://").map_or("https", |(scheme, _)| scheme);
        (without_user(&push_url, scheme)?, Login::Password { username, password: token, bearer: false })
    } else if args.deploy_token_auth {
        let (username, password) = deploy_token(app, &args.common, &host).await?;
        (push_url.clone(), Login::Password { username, password, bearer: false })
    } else {
        let url = ssh_url(host.ssh_url(), args.common.ssh_hostname.as_deref())?;
        let login = match &args.common.key.private_key_file {
            Some(_) => Login::key(app, &args.common, &url, None).await?,
            None => Login::NewKey,
        };
        (url, login)
    };
    let work = Bootstrap {
        app,
        common: &args.common,
        namespace,
        url,
        login,
        push_url,
        push_login,
        host: Some(host),
        silent: true,
        signing,
    };
    work.run().await
}

/// User and password of a deploy token: those that the cluster has, or a new one's.
async fn deploy_token(app: &App, common: &Common, host: &Host) -> Result<(String, String)> {
    let namespace = app.namespace()?;
    let name = common.follow.secret(&namespace);
    let secrets: Api<Secret> = Api::namespaced(app.cluster().await?.client.clone(), &namespace);
    let asking = async { Ok(secrets.get_opt(name).await?) };
    let secret = app.bounded("asking for the source secret", asking).await?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    let text = |key: &str| data.get(key).and_then(|value| String::from_utf8(value.0.clone()).ok());
    let known = text("username").zip(text("password"));
    let title = layout::title(&namespace, &common.branch, name, &common.follow.path)?;
    let (made, username, password) =
        app.bounded("making a deploy token", host.deploy_token(&title, known)).await?;
    let what = if made { "configured deploy token" } else { "deploy token up to date" };
    app.output.success(&format!("{what} {title:?}"));
    Ok((username, password))
}

/// The address for SSH as a URL, at another host where one is given.
fn ssh_url(url: &str, host: Option<&str>) -> Result<String> {
    let url = if url.contains("://") {
        url.to_owned()
    } else {
        // user@host:path, as SSH's own programs take it.
        let (place, path) = url.split_once(':').with_context(|| format!("{url} is no address for SSH"))?;
        format!("ssh://{place}/{}", path.trim_start_matches('/'))
    };
    let Some(host) = host else { return Ok(url) };
    let (_, _, user) = ssh::address(&url)?;
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    Ok(format!("ssh://{}@{host}/{path}", user.as_deref().unwrap_or("git")))
}

#[cfg(test)]
mod tests {
    use super::ssh_url;

    #[test]
    fn addresses_for_ssh_become_urls() {
        assert_eq!(
            ssh_url("git@github.com:org/repo.git", None).unwrap(),
            "ssh://git@github.com/org/repo.git"
        );
        let own = ssh_url("ssh://git@host:7999/p/r.git", Some("ssh.host:443")).unwrap();
        assert_eq!(own, "ssh://git@ssh.host:443/p/r.git");
        assert!(ssh_url("nonsense", None).is_err());
    }
}

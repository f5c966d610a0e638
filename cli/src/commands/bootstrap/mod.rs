//! `bootstrap`: a cluster that manages itself from a repository, in Flux's layout. Running it again upgrades it.

mod ground;
mod host;
mod layout;
mod oci;
mod remote;
mod run;
mod signing;
mod tree;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::app::App;
use crate::arguments;
use crate::failure::misuse;
use crate::installation::Components;
use crate::ssh::KeyArgs;
use host::{HostArgs, Kind};
use signing::{SigningArgs, TransportKey};

/// What follows `bootstrap`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct BootstrapArgs {
    #[command(subcommand)]
    place: Place,
}

#[derive(Subcommand)]
enum Place {
    /// Any Git repository.
    Git(Box<GitArgs>),
    /// A repository at GitHub; the token is in GITHUB_TOKEN.
    Github(Box<HostArgs>),
    /// A project at GitLab; the token is in GITLAB_TOKEN.
    Gitlab(Box<HostArgs>),
    /// A repository at Gitea or Forgejo; the token is in GITEA_TOKEN.
    Gitea(Box<HostArgs>),
    /// An artifact in a registry, without any Git.
    Oci(Box<oci::OciArgs>),
    /// A repository of a Bitbucket Server; the token is in BITBUCKET_TOKEN.
    BitbucketServer(Box<HostArgs>),
}

/// What of the repository or artifact the cluster follows, and how.
#[derive(Args, Clone, Debug)]
struct Follow {
    /// The directory of this cluster in it, such as clusters/production.
    #[arg(long, default_value = "")]
    path: String,
    /// How often it is looked at.
    #[arg(long, default_value = "1m", value_parser = arguments::duration)]
    interval: Duration,
    /// The Secret with the cluster's credentials for it [default: the namespace's name].
    #[arg(long)]
    secret_name: Option<String>,
}

impl Follow {
    /// The name of the Secret with the credentials.
    fn secret<'a>(&'a self, namespace: &'a str) -> &'a str {
        self.secret_name.as_deref().unwrap_or(namespace)
    }
}

/// The flags of all that follow Git.
#[derive(Args, Clone, Debug)]
struct Common {
    #[command(flatten)]
    components: Components,
    /// The branch.
    #[arg(long, default_value = "main")]
    branch: String,
    #[command(flatten)]
    follow: Follow,
    /// The cluster logs in with the token, and no deploy key is made.
    #[arg(long)]
    token_auth: bool,
    #[command(flatten)]
    key: KeyArgs,
    /// The host for SSH, with its port where that is not 22, when it is another one.
    #[arg(long)]
    ssh_hostname: Option<String>,
    /// The kinds of keys that the SSH server may show.
    #[arg(long, value_delimiter = ',')]
    ssh_hostkey_algos: Vec<String>,
    /// A file with the authority of the server's certificate.
    #[arg(long)]
    ca_file: Option<String>,
    /// Fetch submodules.
    #[arg(long)]
    recurse_submodules: bool,
    /// Fetch only the directory of this cluster.
    #[arg(long)]
    sparse_checkout: bool,
    /// The author of the commits.
    #[arg(long, default_value = "Flux")]
    author_name: String,
    /// The address of the author.
    #[arg(long, default_value = "")]
    author_email: String,
    /// Text to end the messages of the commits with, such as [ci skip].
    #[arg(long)]
    commit_message_appendix: Option<String>,
    #[command(flatten)]
    signing: SigningArgs,
}

/// Flags of `bootstrap git`.
#[derive(Args)]
struct GitArgs {
    #[command(flatten)]
    common: Common,
    /// The address of the repository: ssh, http or https.
    #[arg(long)]
    url: Option<String>,
    /// The user name over HTTP(S).
    #[arg(short, long, default_value = "git")]
    username: String,
    /// The password [env: GIT_PASSWORD]; over SSH that of the private key.
    #[arg(short, long)]
    password: Option<String>,
    /// Do not ask whether the deploy key is set up.
    #[arg(short, long)]
    silent: bool,
    /// Allow http://.
    #[arg(long)]
    allow_insecure_http: bool,
    /// The password is a bearer token; implies --token-auth.
    #[arg(long)]
    with_bearer_token: bool,
}

pub(crate) async fn run(app: &App, args: BootstrapArgs) -> Result<()> {
    match args.place {
        Place::Git(args) => Box::pin(git(app, *args)).await,
        Place::Github(args) => Box::pin(host::run(app, Kind::GitHub, *args)).await,
        Place::Gitlab(args) => Box::pin(host::run(app, Kind::GitLab, *args)).await,
        Place::Gitea(args) => Box::pin(host::run(app, Kind::Gitea, *args)).await,
        Place::Oci(args) => Box::pin(oci::run(app, *args)).await,
        Place::BitbucketServer(args) => Box::pin(host::run(app, Kind::BitbucketServer, *args)).await,
    }
}

impl Common {
    /// What can be told without asking anybody.
    fn check(&self) -> Result<()> {
        check_components(&self.components)?;
        if self.branch.is_empty() {
            return Err(misuse("--branch is required"));
        }
        layout::directory(&self.follow.path).map(drop)
    }

    fn authority(&self) -> Result<Option<Vec<u8>>> {
        let Some(path) = &self.ca_file else { return Ok(None) };
        let read = std::fs::read(path);
        read.map(Some)
            .map_err(|error| anyhow::anyhow!("unable to read {path}: {}", crate::failure::io(&error)))
    }
}

/// A cluster that manages itself needs these.
fn check_components(components: &Components) -> Result<()> {
    let names = components.names()?;
    for needed in ["source-controller", "kustomize-controller"] {
        if !names.contains(&needed) {
            return Err(misuse(format!("component {needed} is required")));
        }
    }
    Ok(())
}

async fn git(app: &App, args: GitArgs) -> Result<()> {
    let common = &args.common;
    common.check()?;
    let Some(url) = args.url.clone() else { return Err(misuse("--url is required")) };
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme).to_owned();
    let password = args.password.clone().or_else(|| std::env::var("GIT_PASSWORD").ok());
    let token_auth = common.token_auth || args.with_bearer_token;
    let password = match password.filter(|password| !password.is_empty()) {
        None if token_auth => Some(host::asked(app, "Please enter your Git repository password: ")?),
        password => password,
    };
    let transport =
        TransportKey { file: common.key.private_key_file.as_deref(), password: password.as_deref() };
    let signing = common.signing.key(&transport)?;
    let login = match scheme.as_str() {
        "ssh" if !token_auth => run::Login::key(app, common, &url, password.as_deref()).await?,
        "ssh" | "https" | "http" => {
            if scheme == "http" && !args.allow_insecure_http {
                bail!("scheme http is insecure, pass --allow-insecure-http=true to allow it");
            }
            run::Login::Password {
                username: args.username.clone(),
                password: password.unwrap_or_default(),
                bearer: args.with_bearer_token,
            }
        }
        _ => bail!("scheme '{scheme}' is not supported, must be one of: ssh, https, http"),
    };
    let url = if token_auth { without_user(&url, &scheme)? } else { url };
    let work = run::Bootstrap {
        app,
        common,
        namespace: app.namespace()?,
        url: url.clone(),
        push_url: url,
        push_login: login.clone(),
        login,
        host: None,
        silent: args.silent,
        signing,
    };
    work.run().await
}

/// The address without its user; ssh becomes https.
fn without_user(url: &str, scheme: &str) -> Result<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.is_empty() {
        bail!("{url} names no host");
    }
    Ok(match scheme {
        "ssh" => format!("https://{}/{path}", host.split(':').next().unwrap_or(host)),
        scheme => format!("{scheme}://{host}/{path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::without_user;

    #[test]
    fn with_a_token_the_address_is_https_and_names_no_user() {
        assert_eq!(without_user("ssh://git@host:22/org/repo", "ssh").unwrap(), "https://host/org/repo");
        assert_eq!(without_user("https://me@host:8443/repo", "https").unwrap(), "https://host:8443/repo");
        assert!(without_user("https:///x", "https").is_err());
    }
}

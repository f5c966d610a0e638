//! The steps of a bootstrap, the same wherever the repository is. Each can be done again.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Secret;
use sluice_git::SigningKey;

use super::Common;
use super::ground::Ground;
use super::host::Host;
use super::layout::{self, Origin, Sync};
use super::remote::{Author, Clone, Remote};
use crate::app::App;
use crate::commands::delete::confirmed;
use crate::failure;
use crate::kinds::GIT_REPOSITORY;
use crate::ssh::{self, KeyPair};

/// How somebody logs in at a repository.
#[derive(Clone, Debug)]
pub(super) enum Login {
    /// User and password, or a bearer token; nothing where the password is empty.
    Password { username: String, password: String, bearer: bool },
    /// A key; `made` when it is new and nobody knows it yet.
    Key { pair: KeyPair, password: Option<String>, known_hosts: String, made: bool },
    /// A key that is made when the cluster has none.
    NewKey,
}

impl Login {
    /// The key of the flags for a server over SSH.
    pub(super) async fn key(app: &App, common: &Common, url: &str, password: Option<&str>) -> Result<Self> {
        let pair = common.key.pair(password)?;
        let (host, port, _) = ssh::address(url)?;
        let scan = ssh::scan(&host, port, &common.ssh_hostkey_algos);
        let known_hosts = app.bounded("asking for the server's key", scan).await?;
        let made = common.key.private_key_file.is_none();
        Ok(Self::Key { pair, password: password.map(str::to_owned), known_hosts, made })
    }

    /// What the controllers read.
    fn data(&self, authority: Option<&[u8]>) -> BTreeMap<String, String> {
        let mut data = BTreeMap::new();
        let mut put = |key: &str, value: &str| data.insert(key.to_owned(), value.to_owned());
        match self {
            Self::Password { password, bearer: true, .. } => {
                put("bearerToken", password);
            }
            Self::Password { username, password, bearer: false } if !password.is_empty() => {
                put("username", username);
                put("password", password);
            }
            Self::Key { pair, password, known_hosts, .. } => {
                put("identity", &pair.identity);
                put("identity.pub", &pair.public);
                put("known_hosts", known_hosts);
                if let Some(password) = password {
                    put("password", password);
                }
            }
            Self::Password { .. } | Self::NewKey => {}
        }
        if let Some(authority) = authority {
            put("ca.crt", &String::from_utf8_lossy(authority));
        }
        data
    }
}

/// A bootstrap that is under way.
pub(super) struct Bootstrap<'a> {
    pub(super) app: &'a App,
    pub(super) common: &'a Common,
    pub(super) namespace: String,
    /// What the cluster fetches from.
    pub(super) url: String,
    /// How it logs in.
    pub(super) login: Login,
    /// What is pushed to from here.
    pub(super) push_url: String,
    pub(super) push_login: Login,
    /// The host's API, where deploy keys are registered.
    pub(super) host: Option<Host>,
    /// Nobody is asked whether a new key is set up.
    pub(super) silent: bool,
    /// What signs the commits.
    pub(super) signing: Option<Arc<SigningKey>>,
}

/// How often a push is tried again after somebody else's.
pub(super) const ATTEMPTS: usize = 3;

impl Bootstrap<'_> {
    pub(super) async fn run(mut self) -> Result<()> {
        let path = layout::sync_path(&self.common.follow.path)?;
        self.ground().check(&path).await?;
        if self.host.is_none() {
            self.login = self.known_key(self.login.clone()).await?;
            self.push_login = self.login.clone();
            self.confirm_key()?;
        }
        let app = self.app;
        self.carry_out().await.map_err(|error| failure::resumable(error, app.known_cluster()))
    }

    /// What changes repository and cluster.
    async fn carry_out(mut self) -> Result<()> {
        let output = &self.app.output;
        let authority = self.common.authority()?;
        let remote =
            Remote::new(&self.push_url, &self.common.branch, &self.push_login, authority.as_deref())?;

        let directory = layout::own_directory(&self.common.follow.path, &self.namespace)?;
        let components = self.common.components.text(&self.namespace)?;
        let message = format!("Add Flux v{} component manifests", env!("CARGO_PKG_VERSION"));
        let clone = self
            .commit(&remote, &message, |_| {
                Ok(BTreeMap::from([(format!("{directory}/{}", layout::COMPONENTS), components.clone())]))
            })
            .await?;
        match &clone.pushed {
            Some(commit) => output
                .success(&format!("committed component manifests to {:?} ({commit:?})", self.common.branch)),
            None => output.success("component manifests are up to date"),
        }
        self.ground().install(&clone.tree, &directory).await?;
        self.reconcile_secret(authority.as_deref()).await?;

        let mut sync = self.sync(&self.url);
        let secret = self.secret_name();
        sync.secret = self.needs_secret().then_some(secret);
        let text = sync.text()?;
        let clone = self
            .commit(&remote, "Add Flux sync manifests", |clone| {
                let mut files = BTreeMap::from([(format!("{directory}/{}", layout::SYNC), text.clone())]);
                if let Some(kustomization) = clone.tree.missing_kustomization(&directory)? {
                    files.insert(format!("{directory}/{}", layout::KUSTOMIZATION), kustomization);
                }
                Ok(files)
            })
            .await?;
        match &clone.pushed {
            Some(commit) => {
                output.success(&format!("committed sync manifests to {:?} ({commit:?})", self.common.branch));
            }
            None => output.success("sync manifests are up to date"),
        }
        let revision = format!("{}@sha1:{}", self.common.branch, clone.head);
        self.ground().follow(&clone.tree, &directory, &GIT_REPOSITORY, &revision).await
    }

    fn ground(&self) -> Ground<'_> {
        Ground { app: self.app, components: &self.common.components, namespace: &self.namespace }
    }

    fn sync<'s>(&'s self, url: &'s str) -> Sync<'s> {
        Sync {
            namespace: &self.namespace,
            url,
            path: &self.common.follow.path,
            interval: self.common.follow.interval,
            secret: None,
            service_account: self.common.components.is_locked_down().then_some("kustomize-controller"),
            origin: Origin::Git {
                branch: &self.common.branch,
                recurse_submodules: self.common.recurse_submodules,
                sparse_checkout: self.common.sparse_checkout,
            },
        }
    }

    fn secret_name(&self) -> &str {
        self.common.follow.secret(&self.namespace)
    }

    fn needs_secret(&self) -> bool {
        let anonymous = matches!(&self.login, Login::Password { password, .. } if password.is_empty());
        !anonymous || self.common.ca_file.is_some()
    }

    /// Asks for a new key to be set up, and waits for that.
    fn confirm_key(&self) -> Result<()> {
        let Login::Key { pair, made: true, .. } = &self.login else { return Ok(()) };
        self.app.output.success(&format!("public key: {}", pair.public.trim_end()));
        if !self.silent && !confirmed(self.app, "Please give the key access to your repository. Continue") {
            bail!("bootstrap cancelled");
        }
        Ok(())
    }

    /// The key that the cluster has already stands for one that would be made.
    async fn known_key(&self, login: Login) -> Result<Login> {
        let Login::Key { made: true, known_hosts, .. } = &login else { return Ok(login) };
        let Some(secret) = self.ground().secret(self.secret_name()).await? else {
            return Ok(login);
        };
        Ok(key_of(&secret, known_hosts).unwrap_or(login))
    }

    /// Clones, writes the files that `files` wants, and pushes when something is new.
    async fn commit(
        &self,
        remote: &Remote,
        message: &str,
        files: impl Fn(&Clone) -> Result<BTreeMap<String, String>>,
    ) -> Result<Clone> {
        let message = match &self.common.commit_message_appendix {
            Some(appendix) => format!("{message}\n\n{appendix}"),
            None => message.to_owned(),
        };
        let author = Author {
            name: self.common.author_name.clone(),
            email: self.common.author_email.clone(),
            signing: self.signing.clone(),
        };
        let mut attempt = 1;
        loop {
            self.app.output.action(&format!(
                "cloning branch {:?} from Git repository {:?}",
                self.common.branch, self.push_url
            ));
            let cloned = self.app.bounded("cloning", remote.clone_branch()).await;
            let mut clone = cloned.map_err(|error| {
                failure::hinted(
                    error,
                    "address, branch, and password or key must be right, and the server within reach; \
                     then run the same command again",
                )
            })?;
            self.app.output.success("cloned repository");
            let changed = clone.tree.write(files(&clone)?)?;
            if changed.is_empty() {
                return Ok(clone);
            }
            let pushing = remote.push(&mut clone, &changed, &message, &author);
            match self.app.bounded("pushing", pushing).await {
                Ok(()) => return Ok(clone),
                Err(error) if attempt < ATTEMPTS && super::remote::was_overtaken(&error) => {
                    self.app.output.warning("somebody else has pushed meanwhile: starting again");
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The Secret that the cluster fetches with, and the key in it known to the host.
    async fn reconcile_secret(&mut self, authority: Option<&[u8]>) -> Result<()> {
        if !self.needs_secret() {
            return Ok(());
        }
        let name = self.secret_name().to_owned();
        let live = self.ground().secret(&name).await?;
        if matches!(self.login, Login::NewKey) {
            let kept = live.as_ref().and_then(|secret| key_of(secret, ""));
            let (host, port, _) = ssh::address(&self.url)?;
            self.login = match kept {
                Some(Login::Key { pair, password, known_hosts, .. }) if !known_hosts.is_empty() => {
                    Login::Key { pair, password, known_hosts, made: false }
                }
                _ => {
                    let scan = ssh::scan(&host, port, &self.common.ssh_hostkey_algos);
                    let known_hosts = self.app.bounded("asking for the server's key", scan).await?;
                    Login::Key { pair: self.common.key.pair(None)?, password: None, known_hosts, made: true }
                }
            };
        }
        let wanted = self.login.data(authority);
        self.ground().put_secret(&name, live.as_ref(), None, &wanted).await?;
        if let (Some(host), Login::Key { pair, .. }) = (&self.host, &self.login) {
            let title = layout::title(&self.namespace, &self.common.branch, &name, &self.common.follow.path)?;
            let registering = host.register_key(&title, &pair.public);
            let what = if self.app.bounded("registering the deploy key", registering).await? {
                "configured deploy key"
            } else {
                "deploy key up to date"
            };
            self.app.output.success(&format!("{what} {title:?} for {:?}", self.url));
        }
        Ok(())
    }
}

/// The key of a source Secret; `known_hosts` where it has none.
fn key_of(secret: &Secret, known_hosts: &str) -> Option<Login> {
    let data = secret.data.as_ref()?;
    let text = |key: &str| data.get(key).and_then(|value| String::from_utf8(value.0.clone()).ok());
    let pair = KeyPair { identity: text("identity")?, public: text("identity.pub")? };
    let known_hosts = text("known_hosts").unwrap_or_else(|| known_hosts.to_owned());
    Some(Login::Key { pair, password: text("password"), known_hosts, made: false })
}

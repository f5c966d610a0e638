//! The steps of a bootstrap, the same wherever the repository is. Each can be done again.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use sluice_git::SigningKey;
use sluice_kstatus::Status;
use sluice_kustomize::{DiskFileSystem, Options};

use super::Common;
use super::host::Host;
use super::layout::{self, Sync};
use super::remote::{Author, Clone, Remote};
use crate::app::App;
use crate::commands::delete::confirmed;
use crate::commands::version;
use crate::documents;
use crate::failure::{self, hinted};
use crate::installation;
use crate::kinds::{GIT_REPOSITORY, KUSTOMIZATION, Kind};
use crate::object::Object;
use crate::progress::Progress;
use crate::ssh::{self, KeyPair};
use crate::wait;

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
const ATTEMPTS: usize = 3;

impl Bootstrap<'_> {
    pub(super) async fn run(mut self) -> Result<()> {
        let output = &self.app.output;
        // What cannot be reached is told before anything is changed.
        let cluster = self.app.cluster().await?;
        self.app
            .bounded("asking the API server", async { Ok(cluster.client.apiserver_version().await?) })
            .await?;
        // Before anything is written: a wrong --path must not leave a directory behind.
        let path = self.sync(&self.url).sync_path()?;
        self.may_sync(&path).await?;
        if self.host.is_none() {
            self.login = self.known_key(self.login.clone()).await?;
            self.push_login = self.login.clone();
            self.confirm_key()?;
        }
        let authority = self.common.authority()?;
        let remote =
            Remote::new(&self.push_url, &self.common.branch, &self.push_login, authority.as_deref())?;

        let directory = layout::own_directory(&self.common.path, &self.namespace)?;
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
        self.install(&clone, &directory).await?;
        self.reconcile_secret(authority.as_deref()).await?;

        let mut sync = self.sync(&self.url);
        let secret = self.secret_name();
        sync.secret = self.needs_secret().then_some(secret.as_str());
        let text = sync.text()?;
        let clone = self
            .commit(&remote, "Add Flux sync manifests", |clone| {
                let mut files = BTreeMap::from([(format!("{directory}/{}", layout::SYNC), text.clone())]);
                if let Some(kustomization) = missing_kustomization(clone, &directory)? {
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
        let objects = built(&clone, &directory)?;
        if !names_our_files(&objects, &self.namespace) {
            output.warning(&format!(
                "{directory}/{} does not list {} and {}: the cluster will not manage itself",
                layout::KUSTOMIZATION,
                layout::COMPONENTS,
                layout::SYNC
            ));
        }
        let own: Vec<Value> = objects.iter().filter(|object| is_sync(object)).cloned().collect();
        installation::apply_all(self.app, own).await?;
        output.success("reconciled sync configuration");

        let revision = format!("{}@sha1:{}", self.common.branch, clone.head);
        let mut failures = Vec::new();
        for kind in [&GIT_REPOSITORY, &KUSTOMIZATION] {
            failures.extend(self.synced(kind, &revision).await);
        }
        output.action("confirming components are healthy");
        failures.extend(installation::rolled_out(self.app, &self.namespace, &objects).await);
        if failures.is_empty() {
            output.success("all components are healthy");
            return Ok(());
        }
        let error = anyhow!(
            "bootstrap failed with {} health check failure(s): {}",
            failures.len(),
            failures.join("; ")
        );
        Err(hinted(
            error,
            format!(
                "everything is committed: look with `sluice check -n {0}` and `sluice logs -n {0}`, then run bootstrap again",
                self.namespace
            ),
        ))
    }

    fn sync<'s>(&'s self, url: &'s str) -> Sync<'s> {
        Sync {
            namespace: &self.namespace,
            url,
            branch: &self.common.branch,
            path: &self.common.path,
            interval: self.common.interval,
            secret: None,
            recurse_submodules: self.common.recurse_submodules,
            sparse_checkout: self.common.sparse_checkout,
            service_account: self.common.components.is_locked_down().then_some("kustomize-controller"),
        }
    }

    fn secret_name(&self) -> String {
        self.common.secret_name.clone().unwrap_or_else(|| self.namespace.clone())
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

    async fn secrets(&self) -> Result<Api<Secret>> {
        Ok(Api::namespaced(self.app.cluster().await?.client.clone(), &self.namespace))
    }

    /// The key that the cluster has already stands for one that would be made.
    async fn known_key(&self, login: Login) -> Result<Login> {
        let Login::Key { made: true, known_hosts, .. } = &login else { return Ok(login) };
        let get = async { Ok(self.secrets().await?.get_opt(&self.secret_name()).await?) };
        let Some(secret) = self.app.bounded("asking for the source secret", get).await? else {
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
            let mut clone = self.app.bounded("cloning", remote.clone_branch()).await?;
            self.app.output.success("cloned repository");
            let changed = clone.write(files(&clone)?)?;
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

    /// Applies the components where the cluster does not do that itself yet.
    async fn install(&self, clone: &Clone, directory: &str) -> Result<()> {
        let app = self.app;
        let cluster = app.cluster().await?;
        if self.manages_itself().await? {
            return Ok(());
        }
        let manager =
            app.bounded("asking for what is installed", version::source_definition(&cluster.client)).await?;
        if let Some(definition) = manager {
            let labels = definition.metadata.labels.unwrap_or_default();
            let manager = labels.get("app.kubernetes.io/managed-by").map(String::as_str).unwrap_or_default();
            installation::may_take_over(app, manager, self.common.components.is_forced())?;
        }
        app.output.action(&format!("installing components in {:?} namespace", self.namespace));
        let mut objects = match clone.read(&format!("{directory}/{}", layout::KUSTOMIZATION))? {
            // Patches of the user count from the first start.
            Some(_) if clone.read(&format!("{directory}/{}", layout::SYNC))?.is_some() => {
                built(clone, directory)?.into_iter().filter(|object| !is_sync(object)).collect()
            }
            _ => self.common.components.objects(&self.namespace)?,
        };
        objects.extend(self.common.components.pull_secret(&self.namespace)?);
        let deployments = objects.clone();
        installation::apply_all(app, objects).await?;
        let failures = installation::rolled_out(app, &self.namespace, &deployments).await;
        if !failures.is_empty() {
            bail!("{}", failures.join("; "));
        }
        app.output.success("reconciled components");
        Ok(())
    }

    async fn manages_itself(&self) -> Result<bool> {
        let found = self.kustomization().await?;
        Ok(found.is_some_and(|object| !object.text("/status/lastAppliedRevision").is_empty()))
    }

    async fn kustomization(&self) -> Result<Option<Object>> {
        let cluster = self.app.cluster().await?;
        let api = cluster.api(&KUSTOMIZATION, Some(&self.namespace));
        let get = async {
            match api.get_opt(&self.namespace).await {
                Ok(found) => Ok(found.map(|object| Object::from_server(object, &KUSTOMIZATION))),
                Err(kube::Error::Api(status)) if failure::is_missing_resource(&status) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        self.app.bounded("asking for the Kustomization", get).await
    }

    /// Refuses to take the place of a Kustomization for another directory.
    async fn may_sync(&self, path: &str) -> Result<()> {
        let Some(object) = self.kustomization().await? else { return Ok(()) };
        let known = object.text("/spec/path");
        let same = |path: &str| layout::directory(path).unwrap_or_default();
        if !known.is_empty() && same(known) != same(path) {
            bail!(
                "sync path configuration ({path:?}) would overwrite path ({known:?}) of existing Kustomization"
            );
        }
        Ok(())
    }

    /// The Secret that the cluster fetches with, and the key in it known to the host.
    async fn reconcile_secret(&mut self, authority: Option<&[u8]>) -> Result<()> {
        if !self.needs_secret() {
            return Ok(());
        }
        let (api, name) = (self.secrets().await?, self.secret_name());
        let get = async { Ok(api.get_opt(&name).await?) };
        let live = self.app.bounded("asking for the source secret", get).await?;
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
        if live.as_ref().is_some_and(|secret| same_data(secret, &wanted)) {
            self.app.output.success("source secret up to date");
        } else {
            let mut secret: Secret = serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Secret", "stringData": wanted,
                "metadata": {"name": name, "namespace": self.namespace},
            }))?;
            let params =
                PostParams { field_manager: Some(installation::MANAGER.into()), ..PostParams::default() };
            let write = async {
                match live {
                    None => api.create(&params, &secret).await?,
                    Some(live) => {
                        secret.metadata.resource_version = live.metadata.resource_version;
                        api.replace(&name, &params, &secret).await?
                    }
                };
                Ok(())
            };
            self.app.bounded("writing the source secret", write).await?;
            self.app.output.success("reconciled source secret");
        }
        if let (Some(host), Login::Key { pair, .. }) = (&self.host, &self.login) {
            let title = layout::title(&self.namespace, &self.common.branch, &name, &self.common.path)?;
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

    /// Waits for an object of the sync; what goes wrong is returned as text.
    async fn synced(&self, kind: &'static Kind, revision: &str) -> Option<String> {
        let subject = format!("{}/{}", self.namespace, self.namespace);
        self.app.output.waiting(&format!("waiting for {} {subject:?} to be reconciled", kind.kind));
        match self.wait_for(kind, revision).await {
            Ok(()) => {
                self.app.output.success(&format!("{} reconciled successfully", kind.kind));
                None
            }
            Err(error) => {
                let text = format!("{} {subject:?}: {}", kind.kind, failure::text(&error));
                self.app.output.failure(&text);
                Some(text)
            }
        }
    }

    async fn wait_for(&self, kind: &'static Kind, revision: &str) -> Result<()> {
        let api = self.app.cluster().await?.api(kind, Some(&self.namespace));
        let progress = Progress::start(&self.app.output, "waiting for the controller");
        let pointer = if kind.kind == "Kustomization" {
            "/status/lastAttemptedRevision"
        } else {
            "/status/artifact/revision"
        };
        let seen = |object: Option<DynamicObject>| {
            let object = Object::from_server(object.context("it was deleted")?, kind);
            if object.is_suspended() {
                bail!("it is suspended");
            }
            let assessment = wait::assess(&object)?;
            let current = object.text(pointer) == revision && wait::was_observed(&object);
            Ok(match assessment.status {
                Status::Current if current => ControlFlow::Break(()),
                Status::Failed
                    if wait::was_observed(&object) && (current || kind.kind != "Kustomization") =>
                {
                    bail!("{}", assessment.message)
                }
                _ => ControlFlow::Continue(assessment.message),
            })
        };
        wait::watch(self.app, api, &self.namespace, seen, |state| progress.set(state)).await
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

fn same_data(secret: &Secret, wanted: &BTreeMap<String, String>) -> bool {
    let live = secret.data.clone().unwrap_or_default();
    live.len() == wanted.len()
        && wanted.iter().all(|(key, value)| live.get(key).is_some_and(|live| live.0 == value.as_bytes()))
}

/// A `kustomization.yaml` for a directory that has none.
fn missing_kustomization(clone: &Clone, directory: &str) -> Result<Option<String>> {
    for name in [layout::KUSTOMIZATION, "kustomization.yml", "Kustomization"] {
        if clone.read(&format!("{directory}/{name}"))?.is_some() {
            return Ok(None);
        }
    }
    Ok(Some(layout::kustomization(&clone.manifests(directory)?)))
}

/// What the directory's kustomization makes.
fn built(clone: &Clone, directory: &str) -> Result<Vec<Value>> {
    let folder = clone.folder().join(directory);
    let output =
        sluice_kustomize::build(&DiskFileSystem::new(), None, &folder.display().to_string(), &Options::cli())
            .with_context(|| format!("{directory}/{} cannot be built", layout::KUSTOMIZATION))?;
    documents::read_all(&output.to_yaml()?)
}

/// Whether an object is the source or the Kustomization that the cluster follows.
fn is_sync(object: &Value) -> bool {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    version.starts_with("source.toolkit.fluxcd.io/") || version.starts_with("kustomize.toolkit.fluxcd.io/")
}

fn names_our_files(objects: &[Value], namespace: &str) -> bool {
    let has = |kind: &str, name: &str| {
        objects.iter().any(|object| object["kind"] == kind && object["metadata"]["name"] == name)
    };
    has("Deployment", "kustomize-controller") && has("Kustomization", namespace)
}

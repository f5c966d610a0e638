//! The API server: which one, as whom, and the requests that several commands make.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use futures::TryStreamExt;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::config::{AuthInfo, Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use sluice_runtime::errors;

use crate::failure::{self, hinted};
use crate::kinds::Kind;
use crate::object::Object;

/// The flags of kubectl that choose a cluster and an identity.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Connection {
    /// Path of the kubeconfig [default: $KUBECONFIG, or ~/.kube/config].
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use.
    #[arg(long, global = true)]
    context: Option<String>,
    /// The cluster of the kubeconfig to use.
    #[arg(long, global = true, hide_short_help = true)]
    cluster: Option<String>,
    /// The user of the kubeconfig to use.
    #[arg(long, global = true, hide_short_help = true)]
    user: Option<String>,
    /// The user to impersonate.
    #[arg(long = "as", global = true, value_name = "USER", hide_short_help = true)]
    as_user: Option<String>,
    /// A group to impersonate; may be repeated.
    #[arg(long, global = true, value_name = "GROUP", action = clap::ArgAction::Append, hide_short_help = true)]
    as_group: Vec<String>,
    /// The UID to impersonate.
    #[arg(long, global = true, value_name = "UID", hide_short_help = true)]
    as_uid: Option<String>,
    /// An extra of the user to impersonate, as key=value; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", action = clap::ArgAction::Append, hide_short_help = true)]
    as_user_extra: Vec<String>,
    /// The bearer token for the API server.
    #[arg(long, global = true, hide_short_help = true)]
    token: Option<String>,
    /// The address of the API server.
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    server: Option<String>,
    /// A file with the client certificate.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    client_certificate: Option<String>,
    /// A file with the client key.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    client_key: Option<String>,
    /// A file with the certificates of authorities.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    certificate_authority: Option<PathBuf>,
    /// The name that the server's certificate must have.
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    tls_server_name: Option<String>,
    /// Do not check the server's certificate.
    #[arg(long, global = true, hide_short_help = true)]
    insecure_skip_tls_verify: bool,
    /// Ask for uncompressed answers.
    #[arg(long, global = true, hide_short_help = true)]
    disable_compression: bool,
    /// Accepted for compatibility: nothing is cached on disk.
    #[arg(long, global = true, value_name = "DIR", hide = true)]
    cache_dir: Option<PathBuf>,
    /// Accepted for compatibility: the API server limits requests itself.
    #[arg(long, global = true, default_value_t = 50.0, hide = true)]
    kube_api_qps: f32,
    /// Accepted for compatibility, see --kube-api-qps.
    #[arg(long, global = true, default_value_t = 300, hide = true)]
    kube_api_burst: u32,
}

const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

impl Connection {
    /// Whether a bearer token was given.
    #[cfg(test)]
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// For commands that have a flag of that name themselves.
    pub(crate) fn forget_token(&mut self) {
        self.token = None;
    }

    fn kubeconfig(&self) -> Result<Option<Kubeconfig>> {
        let read = match &self.kubeconfig {
            Some(path) => {
                return Kubeconfig::read_from(path).map(Some).map_err(|error| broken(error, &path.display()));
            }
            None => match Kubeconfig::from_env() {
                Ok(Some(config)) => return Ok(Some(config)),
                Ok(None) => Kubeconfig::read(),
                Err(error) => {
                    let files = std::env::var("KUBECONFIG").unwrap_or_default();
                    return Err(broken(error, &format_args!("{files} (of $KUBECONFIG)")));
                }
            },
        };
        match read {
            Ok(config) => Ok(Some(config)),
            Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(KubeconfigError::FindPath) => Ok(None),
            Err(error) => Err(broken(error, &"~/.kube/config")),
        }
    }

    /// The namespace of the context that is used, if it names one.
    pub(crate) fn context_namespace(&self) -> Result<Option<String>> {
        let Some(config) = self.kubeconfig()? else { return Ok(None) };
        let Some(name) = self.context.as_ref().or(config.current_context.as_ref()) else { return Ok(None) };
        let context = config.contexts.iter().find(|context| context.name == *name);
        Ok(context.and_then(|context| context.context.as_ref()).and_then(|context| context.namespace.clone()))
    }

    /// The names of the contexts.
    pub(crate) fn contexts(&self) -> Vec<String> {
        let config = self.kubeconfig().ok().flatten().unwrap_or_default();
        config.contexts.into_iter().map(|context| context.name).collect()
    }

    async fn config(&self) -> Result<Config> {
        let mut config = match self.kubeconfig()? {
            Some(file) => self.chosen(file).await?,
            None if self.server.is_some() => Config::new(http::Uri::from_static("https://localhost")),
            None => Config::incluster().map_err(|_| {
                hinted(
                    anyhow!("there is no kubeconfig: neither --kubeconfig nor $KUBECONFIG is given, and ~/.kube/config does not exist"),
                    "name the file of your cluster with --kubeconfig, or set KUBECONFIG",
                )
            })?,
        };
        if let Some(server) = &self.server {
            let hint = "give its whole address, such as https://10.0.0.1:6443";
            config.cluster_url = server
                .parse()
                .map_err(|error| hinted(anyhow!("--server {server:?} is no address: {error}"), hint))?;
        }
        if let Some(file) = &self.certificate_authority {
            if !file.is_file() {
                return Err(anyhow!("--certificate-authority {} is no file", file.display()));
            }
            config.root_cert_file = Some(file.clone());
        }
        if self.tls_server_name.is_some() {
            config.tls_server_name.clone_from(&self.tls_server_name);
        }
        config.accept_invalid_certs |= self.insecure_skip_tls_verify;
        config.disable_compression |= self.disable_compression;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let identity = &mut config.auth_info;
        if let Some(token) = &self.token {
            identity.token = Some(token.clone().into());
            identity.token_file = None;
            identity.exec = None;
            identity.auth_provider = None;
        }
        if self.client_certificate.is_some() {
            identity.client_certificate.clone_from(&self.client_certificate);
            identity.client_certificate_data = None;
        }
        if self.client_key.is_some() {
            identity.client_key.clone_from(&self.client_key);
            identity.client_key_data = None;
        }
        self.impersonate(identity)?;
        config.cluster_url = addressed(&config)?;
        Ok(config)
    }

    async fn chosen(&self, file: Kubeconfig) -> Result<Config> {
        let contexts: Vec<String> = file.contexts.iter().map(|context| context.name.clone()).collect();
        let clusters: Vec<String> = file.clusters.iter().map(|cluster| cluster.name.clone()).collect();
        self.check_user(&file)?;
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.clone(),
        };
        Config::from_custom_kubeconfig(file, &options).await.map_err(|error_of| {
            let text = match &error_of {
                KubeconfigError::LoadContext(name) => format!("context {name:?} is not in the kubeconfig"),
                KubeconfigError::LoadClusterOfContext(name) => {
                    format!("cluster {name:?} is not in the kubeconfig")
                }
                KubeconfigError::CurrentContextNotSet => "the kubeconfig has no current context".to_owned(),
                other => format!("the kubeconfig cannot be used: {}", errors::describe_kubeconfig(other)),
            };
            let error = anyhow!(text);
            if self.cluster.is_some() && matches!(error_of, KubeconfigError::LoadClusterOfContext(_)) {
                return hinted(error, format!("choose one with --cluster: {}", clusters.join(", ")));
            }
            if contexts.is_empty() {
                return hinted(error, "the kubeconfig has no contexts: is it the right file?");
            }
            hinted(error, format!("choose one with --context: {}", contexts.join(", ")))
        })
    }

    /// A user that is asked for, by flag or by the context, must be in the kubeconfig: without one the server would be
    /// asked as nobody.
    fn check_user(&self, file: &Kubeconfig) -> Result<()> {
        let users: Vec<_> = file.auth_infos.iter().map(|user| user.name.as_str()).collect();
        let named = |name: &str| name.is_empty() || users.contains(&name);
        if let Some(user) = &self.user {
            if !named(user) {
                let hint = format!("choose one with --user: {}", users.join(", "));
                return Err(hinted(anyhow!("user {user:?} is not in the kubeconfig"), hint));
            }
            return Ok(());
        }
        let current = self.context.as_ref().or(file.current_context.as_ref());
        let context = file.contexts.iter().find(|context| Some(&context.name) == current);
        match context.and_then(|context| context.context.as_ref()?.user.as_deref()) {
            Some(user) if !named(user) => {
                let context = current.map(String::as_str).unwrap_or_default();
                let hint = format!("choose one with --user: {}", users.join(", "));
                let text = format!("user {user:?} of context {context:?} is not in the kubeconfig");
                Err(hinted(anyhow!(text), hint))
            }
            _ => Ok(()),
        }
    }

    /// Whom the server is to take the requests for.
    fn impersonate(&self, identity: &mut AuthInfo) -> Result<()> {
        if self.as_user.is_some() {
            identity.impersonate.clone_from(&self.as_user);
        }
        if !self.as_group.is_empty() {
            identity.impersonate_groups = Some(self.as_group.clone());
        }
        if self.as_uid.is_some() {
            identity.impersonate_uid.clone_from(&self.as_uid);
        }
        for extra in &self.as_user_extra {
            let (key, value) =
                extra.split_once('=').with_context(|| format!("--as-user-extra {extra} is not key=value"))?;
            let extras = identity.impersonate_user_extra.get_or_insert_default();
            extras.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        let details = identity.impersonate_groups.is_some() || identity.impersonate_uid.is_some();
        if identity.impersonate.is_none() && (details || identity.impersonate_user_extra.is_some()) {
            return Err(anyhow!("--as-group, --as-uid and --as-user-extra need a user: --as"));
        }
        Ok(())
    }
}

/// The address of the server. One without a scheme is asked without TLS only if there is nothing that speaks of TLS and
/// nothing to be overheard.
fn addressed(config: &Config) -> Result<http::Uri> {
    let url = &config.cluster_url;
    let identity = &config.auth_info;
    match (url.scheme_str(), url.authority()) {
        (Some("http" | "https"), Some(_)) => Ok(url.clone()),
        (None, Some(authority)) => {
            let trusts = config.root_cert.is_some() || config.root_cert_file.is_some();
            let certified =
                identity.client_certificate.is_some() || identity.client_certificate_data.is_some();
            let secret = identity.token.is_some()
                || identity.token_file.is_some()
                || identity.password.is_some()
                || identity.exec.is_some();
            let tls = trusts || certified || secret || config.accept_invalid_certs;
            let scheme = if tls { "https" } else { "http" };
            Ok(format!("{scheme}://{authority}").parse()?)
        }
        _ => Err(hinted(
            anyhow!("{:?} is no address of an API server", url.to_string()),
            "it begins with https:// and has a host, such as https://10.0.0.1:6443",
        )),
    }
}

fn broken(error: KubeconfigError, place: &dyn std::fmt::Display) -> anyhow::Error {
    match error {
        KubeconfigError::ReadConfig(error, path) => hinted(
            anyhow!("cannot read the kubeconfig {}: {error}", path.display()),
            "name another file with --kubeconfig",
        ),
        error => hinted(
            anyhow!("the kubeconfig {place} cannot be used: {}", errors::describe_kubeconfig(&error)),
            "mend it, or name another file with --kubeconfig",
        ),
    }
}

/// A connection to an API server.
pub(crate) struct Cluster {
    pub(crate) client: kube::Client,
    /// Its address, for messages.
    pub(crate) server: String,
}

/// How many objects one answer to a list may hold.
const PAGE: u32 = 500;

impl Cluster {
    /// Reads the kubeconfig. Nothing is sent.
    pub(crate) async fn connect(connection: &Connection) -> Result<Self> {
        let config = connection.config().await?;
        let server = config.cluster_url.to_string();
        let client = kube::Client::try_from(config).map_err(|error| {
            anyhow!("the credentials of the kubeconfig cannot be used: {}", failure::of_kube(&error))
        })?;
        Ok(Self { client, server: server.trim_end_matches('/').to_owned() })
    }

    /// The objects of a kind in a namespace, or in all.
    pub(crate) fn api(&self, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        self.of(&kind.resource(), namespace)
    }

    /// The same for any resource.
    pub(crate) fn of(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    /// One object of a kind; none if it does not exist.
    pub(crate) async fn find(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Option<Object>> {
        match self.api(kind, Some(namespace)).get(name).await {
            Ok(object) => Ok(Some(Object::from_server(object, kind))),
            Err(kube::Error::Api(status)) if status.code == 404 && !failure::is_missing_resource(&status) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One object of a kind.
    pub(crate) async fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Object> {
        Ok(Object::from_server(self.api(kind, Some(namespace)).get(name).await?, kind))
    }

    /// All objects of a kind that match, page by page, in the server's order.
    pub(crate) async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        params: ListParams,
    ) -> Result<Vec<Object>> {
        let objects = self.pages(&self.api(kind, namespace), params).await?;
        Ok(objects.into_iter().map(|object| Object::from_server(object, kind)).collect())
    }

    /// All objects of an API that match.
    pub(crate) async fn pages(
        &self,
        api: &Api<DynamicObject>,
        params: ListParams,
    ) -> Result<Vec<DynamicObject>> {
        let first = params.limit(PAGE);
        let pages = futures::stream::try_unfold(Some(first), |params| async {
            let Some(params) = params else { return Ok(None) };
            let page = api.list(&params).await?;
            let more = page.metadata.continue_.filter(|token| !token.is_empty());
            let next = more.map(|token| params.continue_token(&token));
            Ok::<_, kube::Error>(Some((page.items, next)))
        });
        let mut objects = Vec::new();
        futures::pin_mut!(pages);
        while let Some(page) = pages.try_next().await? {
            objects.extend(page);
        }
        Ok(objects)
    }
}

/// A missing kind: the cluster has no such CRD.
pub(crate) fn is_not_installed(error: &anyhow::Error) -> bool {
    matches!(failure::kube_error(error), Some(kube::Error::Api(status)) if failure::is_missing_resource(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impersonation_needs_a_user() {
        let connection = Connection { as_group: vec!["a".into()], ..Connection::default() };
        assert!(connection.impersonate(&mut AuthInfo::default()).is_err());
        let connection = Connection {
            as_user: Some("me".into()),
            as_group: vec!["a".into(), "b".into()],
            as_user_extra: vec!["scope=x".into(), "scope=y".into()],
            ..Connection::default()
        };
        let mut identity = AuthInfo::default();
        connection.impersonate(&mut identity).unwrap();
        assert_eq!(identity.impersonate.as_deref(), Some("me"));
        assert_eq!(identity.impersonate_groups.unwrap(), ["a", "b"]);
        assert_eq!(identity.impersonate_user_extra.unwrap()["scope"], ["x", "y"]);
    }

    /// What becomes of a kubeconfig and flags: the address, or what is wrong and what to do.
    async fn outcome(text: &str, connection: Connection) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, text).unwrap();
        let connection = Connection { kubeconfig: Some(path), ..connection };
        let config = connection.config().await;
        config.map(|config| config.cluster_url.to_string()).map_err(|error| failure::text(&error))
    }

    #[tokio::test]
    async fn a_server_has_an_address_and_an_identity_is_one_of_the_kubeconfig() {
        let file = |server: &str, user: &str| {
            format!(
                "{{clusters: [{{name: c, cluster: {{server: {server:?}}}}}], users: [{{name: u, user: {{token: x}}}}, \
                 {{name: nobody, user: {{}}}}], contexts: [{{name: one, context: {{cluster: c, user: {user:?}}}}}], \
                 current-context: one}}"
            )
        };
        let plain = Connection::default;
        for (server, user, expected) in [
            ("https://host:6443/base", "u", "https://host:6443/base"),
            ("http://host", "u", "http://host/"),
            ("host:6443", "u", "https://host:6443/"),
            ("host:8080", "nobody", "http://host:8080/"),
            ("host", "", "http://host/"),
        ] {
            assert_eq!(outcome(&file(server, user), plain()).await.unwrap(), expected, "{server} {user}");
        }
        let error = outcome(&file("ftp://host", "u"), plain()).await.unwrap_err();
        assert!(error.contains("\"ftp://host/\" is no address"), "{error}");
        let error = outcome(&file("https://host", "lost"), plain()).await.unwrap_err();
        assert_eq!(error, "user \"lost\" of context \"one\" is not in the kubeconfig");
        let user = Connection { user: Some("nope".into()), ..plain() };
        let error = outcome(&file("https://host", "u"), user).await.unwrap_err();
        assert_eq!(error, "user \"nope\" is not in the kubeconfig");
        let error =
            outcome("users:\n- name: a\n  user: {token: Top-Secret, x: [}\n", plain()).await.unwrap_err();
        assert!(error.contains("line 3") && !error.contains("Secret"), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_context_names_the_known_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, "{apiVersion: v1, kind: Config, contexts: [{name: one, context: {cluster: c, user: u, namespace: apps}}], current-context: one}").unwrap();
        let connection =
            Connection { kubeconfig: Some(path), context: Some("two".into()), ..Connection::default() };
        let error = Cluster::connect(&connection).await.err().unwrap();
        assert!(failure::text(&error).contains("\"two\""), "{error}");
        let connection = Connection { context: None, ..connection };
        assert_eq!(connection.context_namespace().unwrap().as_deref(), Some("apps"));
    }
}

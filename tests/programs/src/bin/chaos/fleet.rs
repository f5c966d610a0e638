//! What the fleet consists of: servers, the links to them, and the objects that say what is to be.

use crate::parts::Parts;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{
    Cluster, ControlPlane, FileServer, GitServer, Link, ObjectStore, Options, Registry, Repository, Sink,
    install_crds,
};

pub(crate) const NAMESPACE: &str = "chaos";
pub(crate) const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
pub(crate) const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";
pub(crate) const HELM: &str = "helm.toolkit.fluxcd.io/v2";
pub(crate) const IMAGE: &str = "image.toolkit.fluxcd.io/v1";
const ALERTS: &str = "notification.toolkit.fluxcd.io/v1beta3";
/// What every object carries that Git holds, and nothing else.
pub(crate) const LABEL: &str = "chaos.test/held";
/// Git repositories with Kustomizations, and how many of these each has.
pub(crate) const TEAMS: usize = 3;
pub(crate) const APPS: usize = 3;
/// HelmReleases of each chart.
pub(crate) const RELEASES: usize = 2;

/// How many ways there are.
pub(crate) const LINKS: usize = 8;

pub(crate) struct Fleet {
    pub(crate) plane: ControlPlane,
    pub(crate) cluster: Cluster,
    _git: GitServer,
    pub(crate) teams: Vec<Repository>,
    /// The HelmReleases and a chart.
    pub(crate) releases: Repository,
    /// What the image automation pushes to.
    pub(crate) images: Repository,
    pub(crate) registry: Registry,
    pub(crate) charts: FileServer,
    pub(crate) store: ObjectStore,
    pub(crate) sink: Sink,
    pub(crate) links: Links,
}

/// The ways that may be cut and slowed down.
pub(crate) struct Links {
    pub(crate) git: Link,
    pub(crate) registry: Link,
    pub(crate) charts: Link,
    pub(crate) store: Link,
    pub(crate) sink: Link,
    pub(crate) events: Link,
    /// To the artifacts of each source-controller.
    pub(crate) artifacts: [Link; 2],
}

impl Links {
    pub(crate) fn all(&self) -> [(&'static str, &Link); LINKS] {
        [
            ("git", &self.git),
            ("registry", &self.registry),
            ("charts", &self.charts),
            ("store", &self.store),
            ("sink", &self.sink),
            ("events", &self.events),
            ("artifacts of the first", &self.artifacts[0]),
            ("artifacts of the second", &self.artifacts[1]),
        ]
    }
}

/// `host:port` of a URL.
fn host(url: &str) -> Result<&str> {
    url.split('/').nth(2).context("a URL without a host")
}

impl Fleet {
    pub(crate) async fn start() -> Result<Self> {
        let options = Options { audit: true, ..Options::default() };
        let plane = tokio::task::spawn_blocking(move || ControlPlane::start(options)).await??;
        let client = plane.client().await?;
        install_crds(&client).await?;
        let cluster = Cluster { client, namespace: NAMESPACE.into() };
        cluster
            .apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"))
            .await?;
        let git = GitServer::start().await?;
        let (registry, charts, sink) =
            (Registry::start().await?, FileServer::start().await?, Sink::start().await?);
        let store = ObjectStore::start().await?;
        // Nobody listens there: the controllers have no ports yet.
        let unknown = "127.0.0.1:1";
        let links = Links {
            git: Link::start(host(&git.url())?).await?,
            registry: Link::start(registry.address()).await?,
            charts: Link::start(host(charts.url())?).await?,
            store: Link::start(store.address()).await?,
            sink: Link::start(host(&sink.url(""))?).await?,
            events: Link::start(unknown).await?,
            artifacts: [Link::start(unknown).await?, Link::start(unknown).await?],
        };
        let teams =
            (0..TEAMS).map(|team| git.repository(&format!("team-{team}"))).collect::<Result<Vec<_>>>()?;
        let (releases, images) = (git.repository("releases")?, git.repository("images")?);
        Ok(Self { plane, cluster, _git: git, teams, releases, images, registry, charts, store, sink, links })
    }

    /// All GitRepositories: their names and repositories.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = (String, &Repository)> {
        let teams =
            self.teams.iter().enumerate().map(|(team, repository)| (format!("team-{team}"), repository));
        teams.chain([("releases".to_owned(), &self.releases), ("images".to_owned(), &self.images)])
    }

    /// All Kustomizations by the name of their source.
    pub(crate) fn kustomizations() -> Vec<(String, String)> {
        let teams = (0..TEAMS)
            .flat_map(|team| (0..APPS).map(move |app| (format!("app-{team}-{app}"), format!("team-{team}"))));
        teams
            .chain([("releases", "releases"), ("images", "images")].map(|(a, b)| (a.into(), b.into())))
            .collect()
    }

    pub(crate) fn releases() -> Vec<String> {
        (0..RELEASES).flat_map(|number| [format!("git-{number}"), format!("web-{number}")]).collect()
    }

    /// Applies the objects that are not in Git themselves.
    pub(crate) async fn begin(&self, parts: &Parts) -> Result<()> {
        ensure!(parts.all_run(), "a controller has ended");
        for (name, repository) in self.repositories() {
            let path = repository.url().rsplit('/').next().context("no path")?;
            let url = format!("http://{}/{path}", self.links.git.address());
            let spec = json!({"interval": "5s", "timeout": "10s", "url": url, "ref": {"branch": "main"}});
            self.create(SOURCE, "GitRepository", &name, spec).await?;
        }
        let registry = self.links.registry.address();
        let url = format!("oci://{registry}/maps");
        let spec = json!({"interval": "5s", "timeout": "10s", "url": url, "ref": {"semver": ">=1.0.0"}, "insecure": true});
        self.create(SOURCE, "OCIRepository", "maps", spec).await?;
        let url = format!("http://{}", self.links.charts.address());
        let spec = json!({"interval": "5s", "timeout": "10s", "url": url});
        self.create(SOURCE, "HelmRepository", "charts", spec).await?;

        let (access, secret) = ObjectStore::keys();
        let keys = json!({"accesskey": access, "secretkey": secret});
        let keys =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "store"}, "stringData": keys});
        self.cluster.apply(&keys.to_string()).await?;
        let spec = json!({
            "interval": "5s", "timeout": "10s", "bucketName": "app", "endpoint": self.links.store.address(),
            "insecure": true, "secretRef": {"name": "store"},
        });
        self.create(SOURCE, "Bucket", "store", spec).await?;

        for (name, source) in Self::kustomizations() {
            let path = match source.as_str() {
                "releases" => "./releases".to_owned(),
                "images" => "./".to_owned(),
                _ => format!("./{}", name.rsplit('-').next().unwrap_or_default()),
            };
            self.kustomization(&name, &path, json!({"kind": "GitRepository", "name": source})).await?;
        }
        self.kustomization("maps", "./", json!({"kind": "OCIRepository", "name": "maps"})).await?;
        self.kustomization("store", "./", json!({"kind": "Bucket", "name": "store"})).await?;

        let spec =
            json!({"image": format!("{registry}/app"), "interval": "5s", "timeout": "10s", "insecure": true});
        self.create(IMAGE, "ImageRepository", "app", spec).await?;
        let spec = json!({"imageRepositoryRef": {"name": "app"}, "policy": {"semver": {"range": ">=1.0.0"}}});
        self.create(IMAGE, "ImagePolicy", "app", spec).await?;
        let spec = json!({
            "interval": "5s", "sourceRef": {"kind": "GitRepository", "name": "images"},
            "git": {"commit": {"author": {"name": "Robot", "email": "robot@example.com"}}}, "update": {"path": "./"},
        });
        self.create(IMAGE, "ImageUpdateAutomation", "app", spec).await?;

        let spec = json!({"type": "generic", "address": format!("http://{}/", self.links.sink.address())});
        self.create(ALERTS, "Provider", "sink", spec).await?;
        let sources = json!([{"kind": "Kustomization", "name": "*"}, {"kind": "HelmRelease", "name": "*"}]);
        self.create(ALERTS, "Alert", "all", json!({"providerRef": {"name": "sink"}, "eventSources": sources}))
            .await
    }

    async fn kustomization(&self, name: &str, path: &str, source: Value) -> Result<()> {
        let spec = json!({
            "interval": "30s", "retryInterval": "3s", "timeout": "1m", "prune": true, "path": path,
            "targetNamespace": NAMESPACE, "sourceRef": source,
        });
        self.create(KUSTOMIZE, "Kustomization", name, spec).await
    }

    async fn create(&self, version: &str, kind: &str, name: &str, spec: Value) -> Result<()> {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec});
        self.cluster.apply(&object.to_string()).await.map(drop)
    }
}

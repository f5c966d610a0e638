//! What people do meanwhile: commits, charts, artifacts and images; and what the cluster must be by them.

use crate::fleet::{APPS, Fleet, HELM, LABEL, RELEASES, TEAMS};
use anyhow::Result;
use fastrand::Rng;
use serde_json::json;
use sluice_tests::{Repository, TestChart};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ConfigMaps that Git and the registries hold, by name, with their value.
pub(crate) type Held = Arc<Mutex<BTreeMap<String, String>>>;

pub(crate) fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Changes {
    pub(crate) held: Held,
    /// Counts everything that is made, so that nothing comes twice.
    serial: usize,
    /// Files that come and go, by their repository's number.
    extra: BTreeSet<(usize, usize, usize)>,
    /// The text that each HelmRelease has in Git.
    texts: BTreeMap<String, String>,
    /// The newest version of each: the chart in Git, the chart of the repository, the artifact, the image and the object.
    pub(crate) versions: [usize; 5],
    /// Versions of the chart repository.
    index: Vec<(String, String)>,
}

/// Files that come and go are at most so many: a fleet that grows is no measure of memory that must not.
const MOST_EXTRA: usize = 40;

fn map(name: &str, value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {LABEL: ""}}, "data": {"value": value}})
        .to_string()
}

/// A chart whose objects never change, but for what is in them.
fn chart(name: &str, minor: usize) -> TestChart {
    let template = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {{{{ .Release.Name }}}}-config, labels: {{{LABEL}: \"\"}}}}\n\
         data: {{value: \"{{{{ .Chart.Version }}}} {{{{ .Values.text }}}}\"}}\n"
    );
    TestChart::new(name, &format!("1.{minor}.0"))
        .file("values.yaml", "text: none\n")
        .file("templates/map.yaml", &template)
}

impl Changes {
    /// The first commits.
    pub(crate) async fn begin(fleet: &Fleet) -> Result<Self> {
        let mut changes = Self {
            held: Held::default(),
            serial: 0,
            extra: BTreeSet::new(),
            texts: BTreeMap::new(),
            versions: [0; 5],
            index: Vec::new(),
        };
        for team in 0..TEAMS {
            for app in 0..APPS {
                changes.value(fleet, team, app)?;
            }
            fleet.teams[team].commit("Begin")?;
        }
        changes.git_chart(fleet)?;
        for name in Fleet::releases() {
            changes.text(fleet, &name)?;
        }
        fleet.releases.commit("Begin")?;
        changes.web_chart(fleet)?;
        changes.artifact(fleet).await?;
        changes.image(fleet).await?;
        changes.object(fleet)?;
        let image = format!("{}/app:1.0.0", fleet.links.registry.address());
        let text = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\n  labels:\n    {LABEL}: \"\"\nspec:\n  selector:\n    \
             matchLabels: {{app: app}}\n  template:\n    metadata:\n      labels: {{app: app}}\n    spec:\n      containers:\n      \
             - name: app\n        image: {image} # {{\"$imagepolicy\": \"chaos:app\"}}\n"
        );
        fleet.images.write("app.yaml", text)?;
        fleet.images.commit("Begin")?;
        Ok(changes)
    }

    /// One change, chosen by chance, and what it was.
    pub(crate) async fn make(&mut self, random: &mut Rng, fleet: &Fleet) -> Result<String> {
        let (team, app) = (random.usize(..TEAMS), random.usize(..APPS));
        let what = match random.u8(..13) {
            0..4 => {
                self.value(fleet, team, app)?;
                commit(&fleet.teams[team], format!("value of app-{team}-{app}"))?
            }
            4 | 5 if self.extra.len() < MOST_EXTRA => {
                self.serial += 1;
                let (serial, name) = (self.serial, format!("extra-{}", self.serial));
                fleet.teams[team].write(&format!("{app}/{name}.yaml"), map(&name, "extra"))?;
                self.extra.insert((team, app, serial));
                // Held from the commit on; nobody can delete what is not there.
                lock(&self.held).insert(name.clone(), "extra".into());
                commit(&fleet.teams[team], format!("new map {name}"))?
            }
            4..=6 => match self.extra.pop_first() {
                Some((team, app, serial)) => {
                    let name = format!("extra-{serial}");
                    // No longer held before the commit: who sees the commit may delete it.
                    lock(&self.held).remove(&name);
                    fleet.teams[team].remove(&format!("{app}/{name}.yaml"))?;
                    commit(&fleet.teams[team], format!("no more map {name}"))?
                }
                None => String::new(),
            },
            7 => {
                let releases = Fleet::releases();
                let name = &releases[random.usize(..releases.len())];
                self.text(fleet, name)?;
                commit(&fleet.releases, format!("values of {name}"))?
            }
            8 => {
                self.git_chart(fleet)?;
                commit(&fleet.releases, "chart in Git".into())?
            }
            9 => {
                self.web_chart(fleet)?;
                "chart in its repository".into()
            }
            10 => {
                self.artifact(fleet).await?;
                "artifact".into()
            }
            11 => {
                self.object(fleet)?;
                "object in the store".into()
            }
            _ => {
                self.image(fleet).await?;
                "image".into()
            }
        };
        Ok(if what.is_empty() { what } else { format!("; {what}") })
    }

    /// The last change of everything, after which nothing changes. Returns the commits by the name of the source.
    pub(crate) async fn last(&mut self, fleet: &Fleet) -> Result<BTreeMap<String, String>> {
        let mut commits = BTreeMap::new();
        for team in 0..TEAMS {
            for app in 0..APPS {
                self.value(fleet, team, app)?;
            }
            commits.insert(format!("team-{team}"), fleet.teams[team].commit("Last")?);
        }
        self.git_chart(fleet)?;
        for name in Fleet::releases() {
            self.text(fleet, &name)?;
        }
        commits.insert("releases".into(), fleet.releases.commit("Last")?);
        self.web_chart(fleet)?;
        self.artifact(fleet).await?;
        self.image(fleet).await?;
        self.object(fleet)?;
        Ok(commits)
    }

    fn hold(&self, name: &str, value: &str) {
        lock(&self.held).insert(name.into(), value.into());
    }

    fn value(&mut self, fleet: &Fleet, team: usize, app: usize) -> Result<()> {
        self.serial += 1;
        let (name, value) = (format!("app-{team}-{app}"), self.serial.to_string());
        self.hold(&name, &value);
        fleet.teams[team].write(&format!("{app}/map.yaml"), map(&name, &value))
    }

    /// New values of a HelmRelease.
    fn text(&mut self, fleet: &Fleet, name: &str) -> Result<()> {
        self.serial += 1;
        let text = format!("text-{}", self.serial);
        let (chart, source) = if name.starts_with("git-") {
            ("./chart", json!({"kind": "GitRepository", "name": "releases"}))
        } else {
            ("app", json!({"kind": "HelmRepository", "name": "charts"}))
        };
        let mut chart = json!({"chart": chart, "sourceRef": source, "interval": "5s"});
        if !name.starts_with("git-") {
            chart["version"] = ">=1.0.0".into();
        }
        let retry = json!({"strategy": {"name": "RetryOnFailure", "retryInterval": "3s"}});
        let release = json!({
            "apiVersion": HELM, "kind": "HelmRelease", "metadata": {"name": name},
            "spec": {"interval": "30s", "timeout": "1m", "chart": {"spec": chart}, "values": {"text": text},
                     "install": retry, "upgrade": retry},
        });
        fleet.releases.write(&format!("releases/{name}.yaml"), release.to_string())?;
        self.texts.insert(name.into(), text);
        self.hold_releases();
        Ok(())
    }

    fn hold_releases(&self) {
        for (name, text) in &self.texts {
            let version = self.versions[usize::from(!name.starts_with("git-"))];
            self.hold(&format!("{name}-config"), &format!("1.{version}.0 {text}"));
        }
    }

    fn git_chart(&mut self, fleet: &Fleet) -> Result<()> {
        self.versions[0] += 1;
        for (path, content) in chart("app", self.versions[0]).files() {
            fleet.releases.write(&format!("chart/{path}"), content)?;
        }
        self.hold_releases();
        Ok(())
    }

    fn web_chart(&mut self, fleet: &Fleet) -> Result<()> {
        self.versions[1] += 1;
        let package = chart("app", self.versions[1]).package()?;
        let version = format!("1.{}.0", self.versions[1]);
        std::fs::write(fleet.charts.folder().join(format!("app-{version}.tgz")), &package)?;
        let digest = sluice_oci::digest(&package);
        self.index.push((version, digest.trim_start_matches("sha256:").into()));
        let mut text = String::from("apiVersion: v1\nentries:\n  app:\n");
        // Old ones go, or the index grows with the run.
        for (version, digest) in self.index.iter().rev().take(10) {
            let _ = writeln!(
                text,
                "  - {{apiVersion: v2, name: app, version: {version}, digest: {digest}, urls: [app-{version}.tgz]}}"
            );
        }
        let (file, next) =
            (fleet.charts.folder().join("index.yaml"), fleet.charts.folder().join("next.yaml"));
        std::fs::write(&next, text)?;
        std::fs::rename(next, file)?;
        self.hold_releases();
        Ok(())
    }

    async fn artifact(&mut self, fleet: &Fleet) -> Result<()> {
        self.versions[2] += 1;
        let tag = format!("1.{}.0", self.versions[2]);
        fleet.registry.push_files("maps", &tag, &[("map.yaml", &map("oci", &tag))]).await?;
        self.hold("oci", &tag);
        Ok(())
    }

    fn object(&mut self, fleet: &Fleet) -> Result<()> {
        self.versions[4] += 1;
        let value = self.versions[4].to_string();
        fleet.store.put("map.yaml", &map("store", &value))?;
        self.hold("store", &value);
        Ok(())
    }

    async fn image(&mut self, fleet: &Fleet) -> Result<()> {
        let tag = format!("1.{}.0", self.versions[3]);
        self.versions[3] += 1;
        fleet.registry.push("app", &[&tag]).await
    }

    /// The image that the Deployment must have.
    pub(crate) fn image_of(&self, fleet: &Fleet) -> String {
        format!("{}/app:1.{}.0", fleet.links.registry.address(), self.versions[3] - 1)
    }

    /// How many HelmReleases there are.
    pub(crate) fn releases(&self) -> usize {
        debug_assert_eq!(self.texts.len(), 2 * RELEASES);
        self.texts.len()
    }
}

fn commit(repository: &Repository, message: String) -> Result<String> {
    repository.commit(&message)?;
    Ok(message)
}

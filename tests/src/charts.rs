//! Charts that tests write, and a server that hands them out as a source-controller does its artifacts.

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use sluice_artifact::{Algorithm, Archive};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// A chart in the making.
#[derive(Clone, Debug)]
pub struct TestChart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    files: BTreeMap<String, String>,
}

impl TestChart {
    /// A chart with nothing in it but its name, its version, and the version of its application.
    pub fn new(name: &str, version: &str) -> Self {
        let metadata = format!("apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: \"1.0\"\n");
        let files = BTreeMap::from([("Chart.yaml".to_owned(), metadata)]);
        Self { name: name.to_owned(), version: version.to_owned(), files }
    }

    /// A chart from one text: each file behind a line `=== PATH`. What is below `sets/` is no part of it.
    pub fn folded(text: &str) -> Result<Self> {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let mut path = "";
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("=== ") {
                Some(name) => {
                    path = name.trim_end();
                    if !path.starts_with("sets/") {
                        files.insert(path.to_owned(), String::new());
                    }
                }
                None => {
                    if let Some(content) = files.get_mut(path) {
                        content.push_str(line);
                    }
                }
            }
        }
        let metadata = files.get("Chart.yaml").context("no Chart.yaml")?;
        let metadata = crate::documents(metadata)?.pop().context("an empty Chart.yaml")?;
        let text =
            |field: &str| metadata[field].as_str().map(str::to_owned).with_context(|| format!("no {field}"));
        Ok(Self { name: text("name")?, version: text("version")?, files })
    }

    /// The same chart by another name.
    pub fn renamed(mut self, name: &str) -> Self {
        if let Some(metadata) = self.files.get_mut("Chart.yaml") {
            *metadata = metadata.replace(&format!("name: {}\n", self.name), &format!("name: {name}\n"));
        }
        name.clone_into(&mut self.name);
        self
    }

    /// Its files: path and content.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_str()))
    }

    /// Whether it has a file.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// With a file.
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.to_owned(), content.to_owned());
        self
    }

    /// The package, as `helm package` makes it.
    pub fn package(&self) -> Result<Vec<u8>> {
        let mut archive = Archive::new(Vec::new());
        for (path, content) in &self.files {
            let path = format!("{}/{path}", self.name);
            archive.file(path.as_bytes(), false, content.len() as u64, content.as_bytes())?;
        }
        Ok(archive.finish()?)
    }
}

/// Where a chart is served.
#[derive(Clone, Debug)]
pub struct ServedChart {
    /// The address.
    pub url: String,
    /// The digest as `sha256:<hex>`.
    pub digest: String,
    /// The version.
    pub version: String,
}

type Packages = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A web server on loopback with packages by their digest. It ends with this value.
pub struct ChartServer {
    packages: Packages,
    address: String,
    task: tokio::task::JoinHandle<()>,
}

impl ChartServer {
    /// Starts it, with nothing to serve.
    pub async fn start() -> Result<Self> {
        let packages = Packages::default();
        let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let routes =
            Router::new().route("/{name}", axum::routing::get(hand_out)).with_state(packages.clone());
        let task = tokio::spawn(async move {
            // It ends with the task only.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { packages, address, task })
    }

    /// Serves a chart.
    pub fn serve(&self, chart: &TestChart) -> Result<ServedChart> {
        let package = chart.package()?;
        let digest = Algorithm::Sha256.digest(&package);
        let name = format!("{}.tgz", digest.hex());
        let url = format!("{}/{name}", self.address);
        self.packages.lock().unwrap_or_else(PoisonError::into_inner).insert(name, package);
        Ok(ServedChart { url, digest: digest.to_string(), version: chart.version.clone() })
    }
}

impl Drop for ChartServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hand_out(State(packages): State<Packages>, Path(name): Path<String>) -> Result<Vec<u8>, StatusCode> {
    let packages = packages.lock().unwrap_or_else(PoisonError::into_inner);
    packages.get(&name).cloned().ok_or(StatusCode::NOT_FOUND)
}

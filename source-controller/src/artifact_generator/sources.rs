//! The sources of a generator: where they are, and getting them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher;
use sluice_api::meta::{Artifact, OCI_REVISION_ANNOTATION};
use sluice_api::source::{
    ArtifactGenerator, ArtifactGeneratorSpec, Bucket, ExternalArtifact, GENERATOR_LABEL, GitRepository,
    HelmChart, OCIRepository, Source,
};
use sluice_artifact::extract::{Options, extract};
use sluice_artifact::storage::{Integrity, Location};
use sluice_artifact::{Algorithm, Digest, Fetcher, Storage};
use sluice_runtime::errors::chain;
use sluice_runtime::{Cache, Change, Controller, ObjectKey};

use super::failure::Failure;
use super::request::Request;
use crate::Shared;
use crate::source::blocking;

/// The watched kinds. Those of all shards are: a source may belong to another than the generator.
pub(super) struct Sources {
    buckets: Arc<Cache<Bucket>>,
    charts: Arc<Cache<HelmChart>>,
    git: Arc<Cache<GitRepository>>,
    oci: Arc<Cache<OCIRepository>>,
    pub(super) external: Arc<Cache<ExternalArtifact>>,
}

impl Sources {
    /// Starts the watches; each wakes the generators that take from a source when its artifact changes.
    pub(super) fn watch(shared: &Shared, controller: &mut Controller<ArtifactGenerator>) -> Self {
        let generators = controller.cache();
        let external = watch::<ExternalArtifact>(shared, controller, move |change| {
            // Somebody removed what a generator had made: it is to be made again.
            let gone = change.old.as_ref().filter(|_| change.new.is_none());
            let uid = gone.and_then(|gone| gone.metadata.labels.as_ref()?.get(GENERATOR_LABEL).cloned());
            let Some(uid) = uid else { return Vec::new() };
            let maker = |generator: &ArtifactGenerator| generator.metadata.uid.as_ref() == Some(&uid);
            generators.filter(maker).iter().map(|generator| ObjectKey::of(&**generator)).collect()
        });
        Sources {
            buckets: watch(shared, controller, |_| Vec::new()),
            charts: watch(shared, controller, |_| Vec::new()),
            git: watch(shared, controller, |_| Vec::new()),
            oci: watch(shared, controller, |_| Vec::new()),
            external,
        }
    }

    /// The artifacts of all sources.
    pub(super) fn observe(&self, spec: &ArtifactGeneratorSpec, namespace: &str) -> Result<Observed, Failure> {
        let mut artifacts = BTreeMap::new();
        for source in &spec.sources {
            let key = ObjectKey::new(source.namespace_or(namespace), &source.name);
            let failed = |problem| Failure::source(format!("source '{}/{key}' {problem}", source.kind));
            let found = match source.kind.as_str() {
                "Bucket" => find(&self.buckets, &key),
                "HelmChart" => find(&self.charts, &key),
                "GitRepository" => find(&self.git, &key),
                "OCIRepository" => find(&self.oci, &key),
                "ExternalArtifact" => find(&self.external, &key),
                kind => {
                    let message = format!("source `{}` kind '{kind}' not supported", source.name);
                    return Err(Failure::invalid(message));
                }
            };
            artifacts.insert(source.alias.clone(), found.map_err(failed)?);
        }
        Ok(Observed(artifacts))
    }
}

/// The artifact of a source, or what is wrong with the source.
fn find<K: Source>(cache: &Cache<K>, key: &ObjectKey) -> Result<Artifact, &'static str> {
    let source = cache.get(key).ok_or("not found")?;
    source.artifact().cloned().ok_or("is not ready: it has no artifact")
}

fn watch<K: Source + Resource<Scope = NamespaceResourceScope>>(
    shared: &Shared,
    controller: &mut Controller<ArtifactGenerator>,
    others: impl Fn(&Change<K>) -> Vec<ObjectKey> + Send + Sync + 'static,
) -> Arc<Cache<K>> {
    let generators = controller.cache();
    controller.watch(shared.manager.watched::<K>(), watcher::Config::default(), move |change: &Change<K>| {
        if change.initial {
            return Vec::new();
        }
        let content = |object: &Option<Arc<K>>| {
            let artifact = object.as_ref()?.artifact()?;
            Some((artifact.revision.clone(), artifact.digest.clone()))
        };
        let mut keys = others(change);
        let new = content(&change.new);
        if new.is_some() && new != content(&change.old) {
            let concerned = |generator: &ArtifactGenerator| {
                let own = generator.metadata.namespace.as_deref().unwrap_or_default();
                generator.spec.sources.iter().any(|source| {
                    source.kind == K::kind(&())
                        && source.name == change.key.name
                        && source.namespace_or(own) == change.key.namespace
                })
            };
            keys.extend(generators.filter(concerned).iter().map(|found| ObjectKey::of(&**found)));
        }
        keys
    })
}

/// The artifacts of a generator's sources, by alias.
pub(super) struct Observed(BTreeMap<String, Artifact>);

impl Observed {
    /// What changes when a source does, as Flux computes it.
    pub(super) fn digest(&self) -> String {
        let mut parts: Vec<String> = self.0.iter().map(|(alias, artifact)| part(alias, artifact)).collect();
        parts.sort();
        Algorithm::Sha256.digest(parts.join("|").as_bytes()).to_string()
    }

    /// The sources that something is taken from.
    pub(super) fn used<'a>(
        &'a self,
        spec: &ArtifactGeneratorSpec,
    ) -> impl Iterator<Item = (&'a str, &'a Artifact)> {
        let copies = spec.artifacts.iter().flat_map(|artifact| &artifact.copy).map(|copy| copy.from.as_str());
        let alias = |text: &str| Some(text.strip_prefix('@')?.split('/').next()?.to_owned());
        let used: BTreeSet<String> = copies.chain([spec.path_pattern.as_str()]).filter_map(alias).collect();
        self.0
            .iter()
            .filter(move |(alias, _)| used.contains(*alias))
            .map(|(alias, artifact)| (alias.as_str(), artifact))
    }

    /// An artifact with the revision, and the note of its origin, that were asked for.
    pub(super) fn revised(&self, request: &Request, mut artifact: Artifact) -> Artifact {
        artifact.revision = match self.0.get(&request.revision) {
            Some(source) => source.revision.clone(),
            None => format!("latest@{}", artifact.digest),
        };
        artifact.metadata.clear();
        if let Some(source) = self.0.get(&request.origin) {
            let origin = source.metadata.get(OCI_REVISION_ANNOTATION).unwrap_or(&source.revision);
            artifact.metadata.insert(OCI_REVISION_ANNOTATION.to_owned(), origin.clone());
        }
        artifact
    }
}

fn part(alias: &str, artifact: &Artifact) -> String {
    let Artifact { digest, revision, url, .. } = artifact;
    format!("{alias}=[digest={digest},revision={revision},url={url}]")
}

/// For sources that others serve. A worker waits for it, so that it does not try long.
pub(super) fn fetcher() -> Result<Fetcher, reqwest::Error> {
    let mut options = sluice_artifact::fetch::Options::default();
    options.retries = 2;
    options.min_wait = Duration::from_secs(1);
    Fetcher::new(options)
}

/// Unpacks an artifact into an empty directory: from this process's storage where it is there.
pub(super) async fn unpack(
    storage: &Arc<Storage>,
    fetcher: &Fetcher,
    alias: &str,
    artifact: &Artifact,
    directory: &Path,
) -> Result<(), Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::source(format!("source '{alias}': {}", chain(error)))
    };
    let stored = {
        let (storage, artifact) = (storage.clone(), artifact.clone());
        blocking(move || open(&storage, &artifact)).await
    };
    let Some(file) = stored else {
        let fetched = fetcher.fetch(&artifact.url, &artifact.digest, directory).await;
        return fetched.map(|_| ()).map_err(|error| failed(&error));
    };
    let directory = directory.to_owned();
    let unpacked = blocking(move || extract(BufReader::new(file), &directory, &Options::artifact())).await;
    unpacked.map(|_| ()).map_err(|error| failed(&error))
}

/// The file of an artifact, if it is one of ours and what it should be.
fn open(storage: &Storage, artifact: &Artifact) -> Option<File> {
    if storage.url(&artifact.path) != artifact.url {
        return None;
    }
    let location = Location::parse(&artifact.path).ok()?;
    let digest: Digest = artifact.digest.parse().ok()?;
    let intact = matches!(storage.verify(&location, &digest), Ok(Integrity::Intact));
    intact.then(|| File::open(storage.path(&location)).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_sources_is_that_of_flux() {
        let artifact = |name: &str| Artifact {
            digest: format!("sha256:{name}"),
            revision: format!("{name}@1"),
            url: format!("http://{name}"),
            ..serde_json::from_value(serde_json::json!({
                "digest": "", "lastUpdateTime": "2026-01-01T00:00:00Z", "path": "", "revision": "", "url": "",
            }))
            .unwrap()
        };
        let observed = Observed([("b".to_owned(), artifact("y")), ("a".to_owned(), artifact("x"))].into());
        let text =
            "a=[digest=sha256:x,revision=x@1,url=http://x]|b=[digest=sha256:y,revision=y@1,url=http://y]";
        assert_eq!(observed.digest(), Algorithm::Sha256.digest(text.as_bytes()).to_string());
        assert!(observed.digest().starts_with("sha256:"));
    }
}

//! Release records in Secrets, as helm keeps them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::core::{PartialObjectMeta, Request};
use sluice_helm::Values;
use sluice_helm::release::{
    Moment, Packed, Release, SECRET_TYPE, Status, decode, label_selector, record_labels, record_name,
};
use sluice_runtime::Repeatable;
use sluice_runtime::errors::{describe, is_not_found};

use super::Error;

/// The records of releases in one namespace. Requests are boxed, so that actions, which wait long, stay small.
#[derive(Clone)]
pub(crate) struct Storage {
    api: Api<Secret>,
}

/// What the labels of a record tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    /// The revision.
    pub(crate) version: i64,
    /// Where it stands.
    pub(crate) status: Status,
    /// The resource version of the Secret.
    pub(crate) resource_version: String,
    name: String,
}

impl Revision {
    /// The revision of a record that was written.
    fn of(release: &Release, written: ObjectMeta) -> Self {
        Self {
            version: release.version,
            status: release.info.status,
            resource_version: written.resource_version.unwrap_or_default(),
            name: written.name.unwrap_or_default(),
        }
    }
}

/// The key under which a record lies.
const KEY: &str = "release";
/// How many bytes the data of a Secret may have.
const MAX_SECRET: usize = 1 << 20;

impl Storage {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace) }
    }

    /// All revisions of a release, oldest first. Only metadata is read.
    pub(crate) async fn revisions(&self, release: &str) -> Result<Vec<Revision>, Error> {
        let parameters = ListParams::default().labels(&label_selector(release, None));
        let list =
            Box::pin(self.api.list_metadata(&parameters)).await.map_err(|error| Error::storage(&error))?;
        let mut revisions: Vec<_> = list
            .into_iter()
            .filter_map(|secret| {
                let label = |key: &str| secret.metadata.labels.as_ref().and_then(|labels| labels.get(key));
                Some(Revision {
                    version: label("version")?.parse().ok()?,
                    status: Status::parse(label("status").map_or("", String::as_str)),
                    resource_version: secret.metadata.resource_version.clone().unwrap_or_default(),
                    name: secret.metadata.name.clone().unwrap_or_default(),
                })
            })
            .collect();
        revisions.sort_by_key(|revision| revision.version);
        Ok(revisions)
    }

    /// One revision; nothing where it is not there or cannot be read as a release.
    pub(crate) async fn get(&self, release: &str, version: i64) -> Result<Option<Release>, Error> {
        self.read(&record_name(release, version)).await
    }

    /// The latest revision that can be read.
    pub(crate) async fn last(&self, release: &str) -> Result<Option<Release>, Error> {
        self.last_of(&self.revisions(release).await?).await
    }

    /// The latest of some revisions that can be read.
    pub(crate) async fn last_of(&self, revisions: &[Revision]) -> Result<Option<Release>, Error> {
        for revision in revisions.iter().rev() {
            if let Some(found) = self.read(&revision.name).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn read(&self, name: &str) -> Result<Option<Release>, Error> {
        let Some(secret) = Box::pin(self.api.get_opt(name)).await.map_err(|error| Error::storage(&error))?
        else {
            return Ok(None);
        };
        let data = secret.data.unwrap_or_default();
        let Some(text) = data.get(KEY).and_then(|bytes| std::str::from_utf8(&bytes.0).ok()) else {
            return Ok(None);
        };
        match decode(text) {
            Ok(mut release) => {
                release.labels = user_labels(secret.metadata.labels.unwrap_or_default());
                Ok(Some(release))
            }
            Err(error) => {
                tracing::warn!(secret = name, %error, "a release record cannot be read; it is passed over");
                Ok(None)
            }
        }
    }

    /// Records a new revision. Gives what was recorded.
    pub(crate) async fn create(&self, release: &Release) -> Result<(Packed, Revision), Error> {
        let packed = Packed::recorded(release)?;
        let name = record_name(&release.name, release.version);
        let request = body(&secret(release, &packed, true)).and_then(|body| {
            Request::new(self.api.resource_url())
                .create(&PostParams::default(), body)
                .map_err(kube::Error::BuildRequest)
        });
        match Box::pin(self.send(request)).await {
            Ok(written) => Ok((packed, Revision::of(release, written))),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                // A request whose answer was lost is sent again: then what is there is what was sent.
                if let Some(written) = self.written(&name, &packed).await? {
                    return Ok((packed, Revision::of(release, written)));
                }
                Err(Error::Storage(format!(
                    "release: already exists: the Secret {name} is there, and cannot be read as a record of this release"
                )))
            }
            Err(error) => Err(refused(release, &packed, &error)),
        }
    }

    /// Records a change of a revision. Gives what was recorded.
    pub(crate) async fn update(&self, release: &Release) -> Result<(Packed, Revision), Error> {
        let packed = Packed::recorded(release)?;
        let name = record_name(&release.name, release.version);
        let request = body(&secret(release, &packed, false)).and_then(|body| {
            Request::new(self.api.resource_url())
                .replace(&name, &PostParams::default(), body)
                .map_err(kube::Error::BuildRequest)
        });
        match Box::pin(self.send(request)).await {
            Ok(written) => Ok((packed, Revision::of(release, written))),
            Err(error) => Err(refused(release, &packed, &error)),
        }
    }

    /// The metadata of a record, if it is this one to the last byte.
    async fn written(&self, name: &str, packed: &Packed) -> Result<Option<ObjectMeta>, Error> {
        let found = Box::pin(self.api.get_opt(name)).await.map_err(|error| Error::storage(&error))?;
        let wanted = packed.text();
        let is_same = |secret: &Secret| {
            let text = secret.data.as_ref().and_then(|data| data.get(KEY));
            text.is_some_and(|text| text.0 == wanted.as_bytes())
        };
        Ok(found.filter(is_same).map(|secret| secret.metadata))
    }

    /// Writes a record, which changes nothing more the second time. Of the answer, which holds the record once more, only metadata is read.
    async fn send(&self, request: kube::Result<http::Request<Vec<u8>>>) -> kube::Result<ObjectMeta> {
        let mut request = request?;
        request.extensions_mut().insert(Repeatable);
        let answer: PartialObjectMeta<Secret> = self.api.clone().into_client().request(request).await?;
        Ok(answer.metadata)
    }

    /// Forgets a revision.
    pub(crate) async fn delete(&self, release: &str, version: i64) -> Result<(), Error> {
        match Box::pin(self.api.delete(&record_name(release, version), &DeleteParams::default())).await {
            Err(error) if !is_not_found(&error) => Err(Error::storage(&error)),
            _ => Ok(()),
        }
    }

    /// Deletes the oldest of all revisions until fewer than `max` are left, never the last that is deployed. 0 keeps all.
    pub(crate) async fn trim(&self, release: &str, revisions: &[Revision], max: i64) -> Result<(), Error> {
        if max <= 0 {
            return Ok(());
        }
        let deployed = revisions.iter().rev().find(|revision| revision.status == Status::Deployed);
        let deployed = deployed.map(|revision| revision.version);
        let mut excess = revisions.len() as i64 - (max - 1);
        for revision in revisions {
            if excess <= 0 {
                break;
            }
            if Some(revision.version) == deployed {
                continue;
            }
            self.delete(release, revision.version).await?;
            excess -= 1;
        }
        Ok(())
    }
}

fn user_labels(mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for key in sluice_helm::release::SYSTEM_LABELS {
        labels.remove(key);
    }
    labels
}

fn body(secret: &Secret) -> kube::Result<Vec<u8>> {
    serde_json::to_vec(secret).map_err(kube::Error::SerdeError)
}

/// Why a record cannot be written. One that is too large is named with its size, which the server does not tell.
fn refused(release: &Release, packed: &Packed, error: &kube::Error) -> Error {
    let size = packed.text().len();
    if size <= MAX_SECRET {
        return Error::storage(error);
    }
    let Release { name, version, .. } = release;
    let largest = largest(release);
    Error::Storage(format!(
        "the record of release {name:?} revision {version} is too large: it takes {size} bytes, compressed, and a Secret holds \
         at most {MAX_SECRET}; largest in it: {largest}. List files that no template needs in .helmignore, keep large values in ConfigMaps \
         of their own, or split the chart (the API server said: {})",
        describe(error)
    ))
}

/// The three largest parts of a record, by their length before compression.
fn largest(release: &Release) -> String {
    let chart = &release.chart;
    let files = chart.templates.iter().chain(&chart.files).chain(&chart.schema);
    let mut parts: Vec<(String, usize)> =
        files.map(|file| (format!("{} of the chart", file.name), file.data.len())).collect();
    parts.push(("the rendered manifest".to_owned(), release.manifest.len()));
    parts.push(("hooks".to_owned(), release.hooks.iter().map(|hook| hook.manifest.len()).sum()));
    parts.push(("notes".to_owned(), release.info.notes.len()));
    parts.push(("values".to_owned(), length(&release.config)));
    parts.push(("values.yaml of the chart".to_owned(), chart.values.as_deref().map_or(0, length)));
    parts.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let shown: Vec<_> = parts.iter().take(3).map(|(name, size)| format!("{name} ({size} bytes)")).collect();
    shown.join(", ")
}

fn length(values: &Values) -> usize {
    serde_json::to_vec(values).map_or(0, |text| text.len())
}

fn secret(release: &Release, packed: &Packed, is_new: bool) -> Secret {
    let now = Moment::from(jiff::Timestamp::now());
    Secret {
        metadata: ObjectMeta {
            name: Some(record_name(&release.name, release.version)),
            labels: Some(record_labels(release, &now, is_new)),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
        data: Some([(KEY.to_owned(), ByteString(packed.text().into_bytes()))].into()),
        ..Secret::default()
    }
}

impl Error {
    /// What the server said about a record.
    pub(crate) fn storage(error: &kube::Error) -> Self {
        let is_away = match error {
            kube::Error::Api(status) => matches!(status.code, 429 | 502 | 503 | 504),
            kube::Error::Service(_) | kube::Error::HyperError(_) => true,
            _ => false,
        };
        let text = describe(error);
        if is_away { Self::Away(text) } else { Self::Storage(text) }
    }
}

//! Release records in Secrets, as helm keeps them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use sluice_helm::release::{
    Moment, Packed, Release, SECRET_TYPE, Status, decode, label_selector, record_labels, record_name,
};
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

/// The key under which a record lies.
const KEY: &str = "release";

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
    pub(crate) async fn create(&self, release: &Release) -> Result<Packed, Error> {
        let packed = Packed::recorded(release)?;
        let secret = secret(release, packed.text(), true);
        match Box::pin(self.api.create(&PostParams::default(), &secret)).await {
            Ok(_) => Ok(packed),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let name = record_name(&release.name, release.version);
                Err(Error::Storage(format!(
                    "release: already exists: the Secret {name} is there, and cannot be read as a record of this release"
                )))
            }
            Err(error) => Err(Error::storage(&error)),
        }
    }

    /// Records a change of a revision. Gives what was recorded.
    pub(crate) async fn update(&self, release: &Release) -> Result<Packed, Error> {
        let packed = Packed::recorded(release)?;
        let secret = secret(release, packed.text(), false);
        let name = record_name(&release.name, release.version);
        let replaced = Box::pin(self.api.replace(&name, &PostParams::default(), &secret)).await;
        replaced.map(|_| packed).map_err(|error| Error::storage(&error))
    }

    /// Forgets a revision.
    pub(crate) async fn delete(&self, release: &str, version: i64) -> Result<(), Error> {
        match Box::pin(self.api.delete(&record_name(release, version), &DeleteParams::default())).await {
            Err(error) if !is_not_found(&error) => Err(Error::storage(&error)),
            _ => Ok(()),
        }
    }

    /// Deletes the oldest revisions until fewer than `max` are left, never the last that is deployed. 0 keeps all.
    pub(crate) async fn trim(&self, release: &str, max: i64) -> Result<(), Error> {
        if max <= 0 {
            return Ok(());
        }
        let revisions = self.revisions(release).await?;
        let deployed = revisions.iter().rev().find(|revision| revision.status == Status::Deployed);
        let deployed = deployed.map(|revision| revision.version);
        let mut excess = revisions.len() as i64 - (max - 1);
        for revision in &revisions {
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

fn secret(release: &Release, text: &str, is_new: bool) -> Secret {
    let now = Moment::from(jiff::Timestamp::now());
    Secret {
        metadata: ObjectMeta {
            name: Some(record_name(&release.name, release.version)),
            labels: Some(record_labels(release, &now, is_new)),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
        data: Some([(KEY.to_owned(), ByteString(text.as_bytes().to_vec()))].into()),
        ..Secret::default()
    }
}

impl Error {
    /// What the server said about a record.
    pub(crate) fn storage(error: &kube::Error) -> Self {
        Self::Storage(describe(error))
    }
}

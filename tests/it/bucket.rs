//! Buckets at a real S3 server.

use crate::gitops::{SOURCE, is_ready};
use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{Controller, ObjectStore, condition, reason, wait};
use std::collections::BTreeMap;
use std::process::Command;

struct Buckets {
    source: Controller,
    store: ObjectStore,
    setting: Setting,
}

impl Buckets {
    async fn start(prefix: &str) -> Result<Self> {
        let setting = Setting::new(prefix).await?;
        let plane = setting.plane;
        let source =
            tokio::task::spawn_blocking(move || Controller::builder(plane, "source-controller")).await??;
        let source = source.namespace(&setting.namespace).start().await?;
        let store = ObjectStore::start().await?;
        let buckets = Self { source, store, setting };
        let (access, secret) = ObjectStore::keys();
        buckets.secret("keys", &json!({"accesskey": access, "secretkey": secret})).await?;
        Ok(buckets)
    }

    async fn secret(&self, name: &str, data: &Value) -> Result<()> {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        self.setting.apply(&secret.to_string()).await.map(drop)
    }

    async fn bucket(&self, name: &str, spec: Value) -> Result<()> {
        let mut whole = json!({
            "interval": "1h", "bucketName": "app", "endpoint": self.store.address(), "insecure": true,
            "secretRef": {"name": "keys"},
        });
        for (key, value) in spec.as_object().context("no object")? {
            whole[key] = value.clone();
        }
        // A null takes a field away.
        if let Some(fields) = whole.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        let object =
            json!({"apiVersion": SOURCE, "kind": "Bucket", "metadata": {"name": name}, "spec": whole});
        self.setting.apply(&object.to_string()).await.map(drop)
    }

    /// Waits until an artifact with another revision than `before` is there.
    async fn stored(&self, name: &str, before: &str) -> Result<(DynamicObject, String)> {
        let api = self.setting.api(SOURCE, "Bucket").await?;
        let object = wait::until(&api, name, "ready at another revision", |object| {
            let revision = object.data["status"]["artifact"]["revision"].as_str();
            is_ready(object) && revision.is_some_and(|revision| revision != before)
        })
        .await?;
        let revision = object.data["status"]["artifact"]["revision"].as_str().unwrap_or_default().to_owned();
        Ok((object, revision))
    }

    async fn fails(&self, name: &str, why: &str) -> Result<(DynamicObject, String)> {
        let api = self.setting.api(SOURCE, "Bucket").await?;
        let object = wait::until(&api, name, &format!("failed with reason {why}"), |object| {
            condition(object, "Ready") == Some("False") && reason(object, "Ready") == Some(why)
        })
        .await?;
        let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
        let message = ready.and_then(|ready| ready["message"].as_str()).unwrap_or_default().to_owned();
        Ok((object, message))
    }

    /// The files of an artifact.
    fn files(&self, object: &DynamicObject) -> Result<BTreeMap<String, String>> {
        let path = object.data["status"]["artifact"]["path"].as_str().context("no artifact")?;
        let folder = tempfile::tempdir()?;
        let archive = self.source.storage().join(path);
        let output = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).output()?;
        ensure!(output.status.success(), "{output:?}");
        let mut files = BTreeMap::new();
        let mut folders = vec![folder.path().to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(folder.path())?.display().to_string();
                    files.insert(name, std::fs::read_to_string(path)?);
                }
            }
        }
        Ok(files)
    }

    fn explain(&self, outcome: Result<()>) -> Result<()> {
        outcome
            .map_err(|error| error.context(format!("--- source-controller\n{}\n---", self.source.log_tail())))
    }
}

fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_s_objects_become_an_artifact_that_follows_them() -> Result<()> {
    let buckets = Buckets::start("bucket").await?;
    let outcome = follow(&buckets).await;
    buckets.explain(outcome)
}

async fn follow(buckets: &Buckets) -> Result<()> {
    let store = &buckets.store;
    for (key, content) in [("a.yaml", "a: 1"), ("dir/b.yaml", "b: 1"), ("docs/c.md", "c"), ("d.jpg", "d")] {
        store.put(key, content)?;
    }
    buckets.bucket("app", json!({"ignore": "/docs\n"})).await?;
    buckets.bucket("part", json!({"prefix": "dir/"})).await?;
    let (object, first) = buckets.stored("app", "").await?;
    ensure!(first.starts_with("sha256:"), "{first}");
    let expected = files(&[("a.yaml", "a: 1"), ("dir/b.yaml", "b: 1"), ("d.jpg", "d")]);
    ensure!(buckets.files(&object)? == expected, "{:?}", buckets.files(&object)?);
    let status = &object.data["status"];
    ensure!(status["observedIgnore"] == "/docs\n", "{status}");
    ensure!(status["url"].as_str().is_some_and(|url| url.ends_with("/app/latest.tar.gz")), "{status}");
    let (object, _) = buckets.stored("part", "").await?;
    ensure!(buckets.files(&object)? == files(&[("dir/b.yaml", "b: 1")]));

    // Nothing changed: the artifact is the very same.
    let before = buckets.stored("app", "").await?.0.data["status"]["artifact"].clone();
    let token = buckets.setting.request_reconcile(SOURCE, "Bucket", "app").await?;
    let api = buckets.setting.api(SOURCE, "Bucket").await?;
    let again = wait::until(&api, "app", "looked at again", |object| {
        object.data["status"]["lastHandledReconcileAt"] == token.as_str() && is_ready(object)
    })
    .await?;
    ensure!(again.data["status"]["artifact"] == before, "{:?}", again.data);

    // One object changes, one goes, one is new, and patterns come with the bucket.
    store.put("a.yaml", "a: 2")?;
    store.put("new.yaml", "n: 1")?;
    store.delete("dir/b.yaml")?;
    store.put(".sourceignore", "*.jpg\n")?;
    buckets.setting.request_reconcile(SOURCE, "Bucket", "app").await?;
    let (object, second) = buckets.stored("app", &first).await?;
    let expected = files(&[(".sourceignore", "*.jpg\n"), ("a.yaml", "a: 2"), ("new.yaml", "n: 1")]);
    ensure!(buckets.files(&object)? == expected, "{:?}", buckets.files(&object)?);

    // The server refuses: that is told, and the last artifact stays.
    buckets.secret("keys", &json!({"accesskey": "tester", "secretkey": "wr0ng-wr0ng"})).await?;
    buckets.setting.request_reconcile(SOURCE, "Bucket", "app").await?;
    let (object, message) = buckets.fails("app", "BucketOperationFailed").await?;
    ensure!(message.contains("status 403: SignatureDoesNotMatch") && !message.contains("wr0ng"), "{message}");
    ensure!(object.data["status"]["artifact"]["revision"] == second.as_str(), "{:?}", object.data);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_bucket_is_told() -> Result<()> {
    let buckets = Buckets::start("bad-bucket").await?;
    let outcome = bad(&buckets).await;
    buckets.explain(outcome)
}

async fn bad(buckets: &Buckets) -> Result<()> {
    buckets.secret("half", &json!({"accesskey": "tester", "password": "s3cr3t"})).await?;
    buckets.secret("gcp", &json!({"serviceaccount": "s3cr3t"})).await?;
    buckets.secret("azure", &json!({"password": "s3cr3t"})).await?;
    let cases: [(&str, Value, &str, &str); 9] = [
        ("missing", json!({"bucketName": "none"}), "BucketOperationFailed", "bucket 'none' not found"),
        (
            "no-secret",
            json!({"secretRef": {"name": "none"}}),
            "AuthenticationFailed",
            "secrets \"none\" not found",
        ),
        (
            "half",
            json!({"secretRef": {"name": "half"}}),
            "AuthenticationFailed",
            "'accesskey' and 'secretkey'",
        ),
        ("away", json!({"endpoint": "127.0.0.1:1"}), "BucketOperationFailed", "http://127.0.0.1:1/app/"),
        ("tls", json!({"insecure": false}), "BucketOperationFailed", "https://127.0.0.1:"),
        ("url", json!({"endpoint": "http://x/y"}), "BucketOperationFailed", "endpoint 'http://x/y' must be"),
        (
            "gcp",
            json!({"provider": "gcp", "secretRef": {"name": "gcp"}}),
            "AuthenticationFailed",
            "the service account's key is no JSON",
        ),
        (
            "azure",
            json!({"provider": "azure", "secretRef": {"name": "azure"}, "endpoint": "https://a.b.c"}),
            "AuthenticationFailed",
            "requires a 'clientId'",
        ),
        (
            "gate",
            json!({"provider": "aws", "secretRef": null, "serviceAccountName": "sa"}),
            "FeatureGateDisabled",
            "please enable the ObjectLevelWorkloadIdentity feature gate",
        ),
    ];
    for (name, spec, _, _) in &cases {
        buckets.bucket(name, spec.clone()).await.with_context(|| (*name).to_owned())?;
    }
    for (name, _, why, part) in &cases {
        let (object, message) = buckets.fails(name, why).await?;
        ensure!(message.contains(part) && !message.contains("s3cr3t"), "{name}: {message}");
        ensure!(condition(&object, "FetchFailed") == Some("True"), "{name}: {:?}", object.data);
        ensure!(object.data["status"]["artifact"].is_null(), "{name}");
    }
    let sts = json!({"provider": "azure", "sts": {"provider": "aws", "endpoint": "https://sts"}});
    let error = format!("{:#}", buckets.bucket("sts", sts).await.err().context("accepted")?);
    ensure!(error.contains("STS configuration is only supported for the 'aws' and 'generic'"), "{error}");
    Ok(())
}

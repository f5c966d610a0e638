//! A helm-controller and charts from loopback, in a namespace of their own.

use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{ChartServer, Controller, ServedChart, TestChart, condition, reason, wait};
use std::ops::Deref;

pub(crate) const HELM: &str = "helm.toolkit.fluxcd.io/v2";
pub(crate) const SOURCE: &str = "source.toolkit.fluxcd.io/v1";

/// A template with a Deployment whose Pods are of the fate that the values say.
pub(crate) const FATED: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}, annotations: {test.sluice.dev/pod: {{ .Values.pods }}}}
    spec: {containers: [{name: app, image: example.com/app}]}
";

/// A template with a hook for each event that the values name, of the fate that they say.
pub(crate) const HOOKS: &str = "{{- range $event, $fate := .Values.hooks }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ $.Release.Name }}-{{ $event }}
  annotations: {helm.sh/hook: {{ $event }}, helm.sh/hook-delete-policy: before-hook-creation, test.sluice.dev/pod: {{ $fate }}}
spec: {restartPolicy: Never, containers: [{name: hook, image: example.com/hook}]}
{{- end }}
";

/// What such a case works with. Nothing reconciles by the clock: intervals are an hour.
pub(crate) struct HelmOps {
    // In the order in which they are dropped: first those who use the rest.
    pub(crate) helm: Controller,
    pub(crate) charts: ChartServer,
    pub(crate) setting: Setting,
}

impl Deref for HelmOps {
    type Target = Setting;

    fn deref(&self) -> &Setting {
        &self.setting
    }
}

/// Runs a case. When it fails, the error has the end of the controller's log.
pub(crate) async fn helm_ops(
    prefix: &str,
    arguments: &[&str],
    case: impl AsyncFnOnce(&mut HelmOps) -> Result<()>,
) -> Result<()> {
    let mut ops = HelmOps::start(prefix, arguments).await?;
    let outcome = case(&mut ops).await;
    outcome.map_err(|error| error.context(format!("--- helm-controller\n{}\n---", ops.helm.log_tail())))
}

impl HelmOps {
    async fn start(prefix: &str, arguments: &[&str]) -> Result<Self> {
        let setting = Setting::new(prefix).await?;
        let charts = ChartServer::start().await?;
        let plane = setting.plane;
        // Builds the binaries, the first time.
        let mut helm =
            tokio::task::spawn_blocking(move || Controller::builder(plane, "helm-controller")).await??;
        for argument in arguments {
            helm = helm.argument(*argument);
        }
        let helm = helm.namespace(&setting.namespace).start().await?;
        Ok(Self { helm, charts, setting })
    }

    /// Serves a chart and writes an OCIRepository that holds it, as a source-controller would.
    pub(crate) async fn chart(&self, source: &str, chart: &TestChart) -> Result<ServedChart> {
        let object = json!({"apiVersion": SOURCE, "kind": "OCIRepository", "metadata": {"name": source},
                            "spec": {"interval": "1h", "url": "oci://example.com/charts"}});
        self.apply(&object.to_string()).await?;
        let served = self.charts.serve(chart)?;
        let revision = format!("{}@{}", served.version, served.digest);
        self.hold(SOURCE, "OCIRepository", source, &served, &revision).await?;
        Ok(served)
    }

    /// Writes the status of a source: it is ready and holds this chart.
    pub(crate) async fn hold(
        &self,
        version: &str,
        kind: &str,
        name: &str,
        served: &ServedChart,
        revision: &str,
    ) -> Result<()> {
        let api = self.api(version, kind).await?;
        let generation = api.get(name).await?.metadata.generation.unwrap_or_default();
        let now = "2026-11-27T00:00:00Z";
        let status = json!({"status": {
            "observedGeneration": generation,
            "artifact": {"url": served.url, "digest": served.digest, "path": "chart.tgz", "revision": revision, "lastUpdateTime": now},
            "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored",
                            "lastTransitionTime": now, "observedGeneration": generation}],
        }});
        #[expect(clippy::disallowed_methods, reason = "in the place of a source-controller")]
        api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    /// Applies a HelmRelease of the OCIRepository `app`, with these fields of its spec changed.
    pub(crate) async fn release(&self, name: &str, spec: Value) -> Result<()> {
        let mut base = json!({
            "interval": "1h", "timeout": "1m", "chartRef": {"kind": "OCIRepository", "name": "app"},
        });
        if let (Value::Object(base), Value::Object(spec)) = (&mut base, spec) {
            for (key, value) in spec {
                if value.is_null() {
                    base.remove(&key)
                } else {
                    base.insert(key, value)
                };
            }
        }
        let object =
            json!({"apiVersion": HELM, "kind": "HelmRelease", "metadata": {"name": name}, "spec": base});
        self.apply(&object.to_string()).await.map(drop)
    }

    /// Suspends a HelmRelease, or resumes it.
    pub(crate) async fn patch_suspend(&self, name: &str, suspend: bool) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
        let api = self.api(HELM, "HelmRelease").await?;
        let patched = api.patch(name, &PatchParams::default(), &patch).await?;
        if suspend {
            wait::until(&api, name, "suspended", |object| {
                object.data["status"]["observedGeneration"].as_i64() == patched.metadata.generation
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until a HelmRelease is ready at its generation with a number of revisions made.
    pub(crate) async fn ready(&self, name: &str, version: i64) -> Result<DynamicObject> {
        let api = self.api(HELM, "HelmRelease").await?;
        let what = format!("ready with revision {version}");
        wait::until(&api, name, &what, |object| {
            let status = &object.data["status"];
            condition(object, "Ready") == Some("True")
                && condition(object, "Reconciling").is_none()
                && status["observedGeneration"].as_i64() == object.metadata.generation
                && status["history"][0]["version"] == version
        })
        .await
    }

    /// Waits until a condition of a HelmRelease has a status and a reason.
    pub(crate) async fn until(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        why: &str,
    ) -> Result<DynamicObject> {
        let api = self.api(HELM, "HelmRelease").await?;
        wait::until(&api, name, &format!("{type_}={status} with reason {why}"), |object| {
            condition(object, type_) == Some(status) && reason(object, type_) == Some(why)
        })
        .await
    }

    /// Asks for a reconciliation with these annotations, and waits until it was seen to.
    pub(crate) async fn request(&self, name: &str, also: &[&str]) -> Result<DynamicObject> {
        let token = format!("{:x}", fastrand::u64(..));
        let mut annotations = json!({"reconcile.fluxcd.io/requestedAt": token});
        for annotation in also {
            annotations[*annotation] = token.as_str().into();
        }
        let api = self.api(HELM, "HelmRelease").await?;
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        api.patch(name, &PatchParams::default(), &patch).await?;
        wait::until(&api, name, "handled", |object| {
            object.data["status"]["lastHandledReconcileAt"] == token.as_str()
        })
        .await
    }

    /// Waits for an event of a HelmRelease whose message has a text.
    pub(crate) async fn told(&self, name: &str, why: &str, text: &str) -> Result<String> {
        let events = self.api("v1", "Event").await?;
        wait::told(
            &events,
            "HelmRelease",
            name,
            &format!("{why} that says {text:?}"),
            |_, reason, message| reason == why && message.contains(text),
        )
        .await
    }

    /// Revision and status of each record of a release.
    pub(crate) async fn records(&self, release: &str) -> Result<Vec<(i64, String)>> {
        let selector = ListParams::default().labels(&format!("owner=helm,name={release}"));
        let list = self.api("v1", "Secret").await?.list(&selector).await?;
        let mut records = Vec::new();
        for secret in list {
            let labels = secret.metadata.labels.clone().unwrap_or_default();
            let label = |key: &str| labels.get(key).cloned().with_context(|| format!("no label {key}"));
            ensure!(secret.data["type"] == "helm.sh/release.v1", "{:?}", secret.data["type"]);
            records.push((label("version")?.parse()?, label("status")?));
        }
        records.sort();
        Ok(records)
    }
}

/// The message of a condition.
pub(crate) fn message(object: &DynamicObject, type_: &str) -> String {
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == type_);
    found.and_then(|condition| condition["message"].as_str()).unwrap_or_default().to_owned()
}

/// Records as [`HelmOps::records`] gives them.
pub(crate) fn of(list: &[(i64, &str)]) -> Vec<(i64, String)> {
    list.iter().map(|(version, status)| (*version, (*status).to_owned())).collect()
}

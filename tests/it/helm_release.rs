//! HelmReleases: installed, upgraded, healed and uninstalled.

use crate::helm::{FATED, HELM, HelmOps, SOURCE, helm_ops, message, of};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{Controller, FileServer, Registry, TestChart, condition, wait};

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: app, image: \"example.com/app:{{ .Values.tag }}\"}]}
";

const CONFIG: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
data:
  revision: {{ .Release.Revision | quote }}
  text: {{ .Values.text | quote }}
";

fn shop(version: &str) -> TestChart {
    TestChart::new("shop", version)
        .file("values.yaml", "replicas: 1\ntag: \"1.0\"\ntext: plain\n")
        .file("templates/deployment.yaml", DEPLOYMENT)
        .file("templates/config.yaml", CONFIG)
        .file("templates/NOTES.txt", "Welcome to {{ .Release.Name }}.\n")
}

fn history(object: &kube::api::DynamicObject) -> Vec<(i64, String)> {
    let list = object.data["status"]["history"].as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|item| {
            (item["version"].as_i64().unwrap_or_default(), item["status"].as_str().unwrap_or_default().into())
        })
        .collect()
}

pub(crate) async fn config(ops: &HelmOps, release: &str) -> Result<Value> {
    Ok(ops.get("v1", "ConfigMap", &format!("{release}-config")).await?.data["data"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_upgraded_and_goes_with_its_object() -> Result<()> {
    helm_ops("helm-life", &[], async |ops| {
        ops.chart("app", &shop("1.0.0")).await?;
        ops.apply(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: values}\nstringData: {values.yaml: 'text: from the secret', count: '2'}\n",
        )
        .await?;
        ops.release(
            "shop",
            json!({
                "values": {"tag": "1.1"},
                "valuesFrom": [{"kind": "Secret", "name": "values"},
                               {"kind": "Secret", "name": "values", "valuesKey": "count", "targetPath": "replicas"}],
            }),
        )
        .await?;
        let shop_release = ops.ready("shop", 1).await?;
        let status = &shop_release.data["status"];
        ensure!(status["lastAttemptedReleaseAction"] == "install", "{status}");
        ensure!(status["history"][0]["chartVersion"].as_str().is_some_and(|v| v.starts_with("1.0.0+")), "{status}");
        ensure!(status["history"][0]["ociDigest"].as_str().is_some_and(|d| d.starts_with("sha256:")), "{status}");
        ensure!(status["storageNamespace"] == ops.namespace.as_str(), "{status}");
        let inventory = status["inventory"]["entries"].to_string();
        ensure!(inventory.contains(&format!("{}_shop_apps_Deployment", ops.namespace)), "{inventory}");
        ensure!(ops.records("shop").await? == of(&[(1, "deployed")]));
        let deployment = ops.get("apps/v1", "Deployment", "shop").await?;
        ensure!(deployment.data["status"]["availableReplicas"] == 2, "{}", deployment.data["status"]);
        ensure!(config(ops, "shop").await? == json!({"revision": "1", "text": "from the secret"}));
        let labels = deployment.metadata.labels.clone().unwrap_or_default();
        ensure!(labels["helm.toolkit.fluxcd.io/name"] == "shop" && labels["app.kubernetes.io/managed-by"] == "Helm");
        let annotations = deployment.metadata.annotations.clone().unwrap_or_default();
        ensure!(annotations["meta.helm.sh/release-name"] == "shop", "{annotations:?}");
        let text = format!("Helm install succeeded for release {}/shop.v1 with chart shop@1.0.0+", ops.namespace);
        ops.told("shop", "InstallSucceeded", &text).await?;

        // The same again does nothing.
        ops.request("shop", &[]).await?;
        ensure!(ops.records("shop").await?.len() == 1, "a look made a revision");

        // Other values, then another chart.
        ops.release("shop", json!({"values": {"text": "new"}})).await?;
        ops.ready("shop", 2).await?;
        ensure!(config(ops, "shop").await? == json!({"revision": "2", "text": "new"}));
        ops.chart("app", &shop("1.1.0").file("templates/config.yaml", "")).await?;
        let upgraded = ops.ready("shop", 3).await?;
        ensure!(history(&upgraded) == of(&[(3, "deployed"), (2, "superseded")]), "{:?}", history(&upgraded));
        ensure!(ops.find("v1", "ConfigMap", "shop-config").await?.is_none(), "what the chart has no more was to go");
        ensure!(ops.records("shop").await? == of(&[(1, "superseded"), (2, "superseded"), (3, "deployed")]));

        // A force upgrades although nothing has changed.
        ops.request("shop", &["reconcile.fluxcd.io/forceAt"]).await?;
        ops.ready("shop", 4).await?;

        ops.delete(HELM, "HelmRelease", "shop").await?;
        wait::gone(&ops.api(HELM, "HelmRelease").await?, "shop").await?;
        ensure!(ops.records("shop").await?.is_empty(), "records are left");
        ensure!(ops.find("apps/v1", "Deployment", "shop").await?.is_none(), "the Deployment is left");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_makes_a_helm_chart_and_takes_it_away() -> Result<()> {
    helm_ops("helm-template", &[], async |ops| {
        let chart = json!({"spec": {"chart": "shop", "version": "1.x", "sourceRef": {"kind": "HelmRepository", "name": "repo"}}});
        ops.release("shop", json!({"chart": chart, "chartRef": null})).await?;
        let waits = ops.until("shop", "Ready", "False", "SourceNotReady").await?;
        let name = format!("{}-shop", ops.namespace);
        ensure!(waits.data["status"]["helmChart"] == format!("{}/{name}", ops.namespace), "{}", waits.data["status"]);
        let made = ops.get(SOURCE, "HelmChart", &name).await?;
        ensure!(made.data["spec"]["version"] == "1.x" && made.data["spec"]["interval"] == "1h0m0s", "{}", made.data["spec"]);

        let served = ops.charts.serve(&shop("1.2.3"))?;
        ops.hold(SOURCE, "HelmChart", &name, &served, "1.2.3").await?;
        let ready = ops.ready("shop", 1).await?;
        ensure!(ready.data["status"]["history"][0]["chartVersion"] == "1.2.3", "{}", ready.data["status"]);

        ops.delete(HELM, "HelmRelease", "shop").await?;
        wait::gone(&ops.api(HELM, "HelmRelease").await?, "shop").await?;
        ensure!(ops.find(SOURCE, "HelmChart", &name).await?.is_none(), "the HelmChart is left");
        ensure!(condition(&ready, "Released") == Some("True"));
        ops.find("apps/v1", "Deployment", "shop").await?.map_or(Ok(()), |_| Err(())).ok().context("the Deployment is left")
    })
    .await
}

/// A chart whose Pods, Job hooks and tests have the fate that its values say.
fn fateful(version: &str) -> TestChart {
    let hook = |name: &str, events: &str, weight: &str| {
        format!(
            "apiVersion: batch/v1
kind: Job
metadata:
  name: {{{{ .Release.Name }}}}-{name}
  annotations:
    helm.sh/hook: {events}
    helm.sh/hook-weight: \"{weight}\"
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  backoffLimit: 0
  template:
    metadata: {{annotations: {{test.sluice.dev/pod: {{{{ .Values.{name} }}}}}}}}
    spec: {{restartPolicy: Never, containers: [{{name: hook, image: example.com/hook}}]}}
"
        )
    };
    TestChart::new("fateful", version)
        .file("values.yaml", "pods: run\nbefore: complete\ncheck: complete\npassword: \"\"\n")
        .file(
            "values.schema.json",
            r#"{"properties": {"password": {"type": "string", "pattern": "^[a-z0-9]*$"}}}"#,
        )
        .file("templates/before.yaml", &hook("before", "pre-install,pre-upgrade", "-5"))
        .file("templates/check.yaml", &hook("check", "test", "0"))
        .file("templates/deployment.yaml", FATED)
        .file(
            "templates/password.yaml",
            "apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-password}
stringData: {password: {{ .Values.password | quote }}}
",
        )
}

async fn pods_of(ops: &HelmOps, release: &str) -> Result<Value> {
    let deployment = ops.get("apps/v1", "Deployment", release).await?;
    Ok(deployment.data["spec"]["template"]["metadata"]["annotations"]["test.sluice.dev/pod"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_retried_undone_and_end_as_the_spec_says() -> Result<()> {
    helm_ops("helm-failures", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &fateful("1.0.0")).await?;
        let remedied = |values: Value, retries: i64| {
            json!({
                "timeout": "4s", "values": values, "test": {"enable": true},
                "install": {"remediation": {"retries": retries}}, "upgrade": {"remediation": {"retries": retries}},
            })
        };

        // A hook that fails: uninstalled, tried again, and then left as it is.
        ops.release("hook", remedied(json!({"before": "fail"}), 1)).await?;
        let stalled = ops.until("hook", "Stalled", "True", "RetriesExceeded").await?;
        let status = &stalled.data["status"];
        ensure!(status["installFailures"] == 2 && status["failures"] == 2, "{status}");
        ensure!(message(&stalled, "Stalled") == "Failed to install after 2 attempt(s)", "{status}");
        ensure!(message(&stalled, "Ready").contains("failed pre-install: "), "{status}");
        ensure!(condition(&stalled, "Ready") == Some("False"), "{status}");
        ensure!(ops.records("hook").await? == of(&[(1, "failed")]));
        ops.told("hook", "InstallFailed", "failed pre-install: ").await?;
        ops.told("hook", "UninstallSucceeded", "Helm uninstall remediation for release").await?;
        // Other values are another try.
        ops.release("hook", remedied(json!({}), 1)).await?;
        ops.ready("hook", 2).await?;
        ensure!(ops.records("hook").await? == of(&[(1, "failed"), (2, "deployed")]));

        // Pods that never get ready, in an upgrade: rolled back each time, the last time too.
        ops.release("pods", remedied(json!({}), 1)).await?;
        let tested = ops.ready("pods", 1).await?;
        ensure!(condition(&tested, "TestSuccess") == Some("True"), "{}", tested.data["status"]);
        ensure!(tested.data["status"]["history"][0]["testHooks"]["pods-check"]["phase"] == "Succeeded");
        ops.release("pods", remedied(json!({"pods": "unready"}), 1)).await?;
        let stalled = ops.until("pods", "Stalled", "True", "RetriesExceeded").await?;
        let status = &stalled.data["status"];
        ensure!(status["upgradeFailures"] == 2, "{status}");
        ensure!(condition(&stalled, "Remediated") == Some("True"), "{status}");
        let ready = message(&stalled, "Ready");
        ensure!(ready.starts_with("Helm rollback to previous release") && ready.ends_with(" succeeded"), "{ready}");
        ensure!(pods_of(ops, "pods").await? == "run", "the Deployment was not rolled back");
        let records = ops.records("pods").await?;
        ensure!(records.last() == Some(&(5, "deployed".to_owned())), "{records:?}");
        ensure!(records.iter().filter(|(_, status)| status == "deployed").count() == 1, "{records:?}");
        ops.told("pods", "UpgradeFailed", "status: 'InProgress'").await?;

        // A test that fails is a failure of its installation, unless it is ignored.
        ops.release("check", remedied(json!({"check": "fail"}), 0)).await?;
        let failed = ops.until("check", "Ready", "False", "TestFailed").await?;
        ensure!(failed.data["status"]["history"][0]["testHooks"]["check-check"]["phase"] == "Failed");
        let mut ignored = remedied(json!({"check": "fail"}), 0);
        ignored["test"]["ignoreFailures"] = true.into();
        ops.release("check", ignored).await?;
        ops.until("check", "Ready", "True", "InstallSucceeded").await?;

        // What a Secret holds is told to nobody.
        ops.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: admin}\nstringData: {password: 'Top-Secret-7!'}\n").await?;
        let secret = json!([{"kind": "Secret", "name": "admin", "valuesKey": "password", "targetPath": "password"}]);
        ops.release("secret", json!({"valuesFrom": secret})).await?;
        let failed = ops.until("secret", "Ready", "False", "InstallFailed").await?;
        let text = message(&failed, "Ready");
        ensure!(text.contains("'***' does not match pattern"), "{text}");
        let log = std::fs::read_to_string(ops.helm.log_file())?;
        ensure!(!log.contains("Top-Secret"), "the log tells the secret");
        let event = ops.told("secret", "InstallFailed", "does not match pattern").await?;
        ensure!(!event.contains("Top-Secret") && !failed.data["status"].to_string().contains("Top-Secret"), "{event}");
        ensure!(ops.records("secret").await?.is_empty(), "nothing was to be recorded");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_told_and_corrected_and_a_killed_controller_leaves_nothing_pending() -> Result<()> {
    helm_ops("helm-drift", &[], async |ops| {
        ops.chart("app", &fateful("1.0.0")).await?;
        let spec = |mode: &str, values: Value| {
            json!({"values": values, "driftDetection": {"mode": mode, "ignore": [{"paths": ["/spec/replicas"]}]}})
        };
        ops.release("app", spec("warn", json!({}))).await?;
        let ready = ops.ready("app", 1).await?;
        ensure!(condition(&ready, "Drifted") == Some("False"), "{}", ready.data["status"]);
        let deployments = ops.api("apps/v1", "Deployment").await?;
        let by_hand = kube::api::PatchParams { field_manager: Some("hand".into()), ..Default::default() };
        let scaled = kube::api::Patch::Merge(json!({"spec": {"replicas": 2}}));
        deployments.patch("app", &by_hand, &scaled).await?;
        ops.request("app", &[]).await?;
        let quiet = ops.get(HELM, "HelmRelease", "app").await?;
        ensure!(condition(&quiet, "Drifted") == Some("False"), "an ignored field counts: {}", quiet.data["status"]);

        let image = kube::api::Patch::Strategic(
            json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "example.com/other"}]}}}}),
        );
        deployments.patch("app", &by_hand, &image).await?;
        ops.delete("v1", "Secret", "app-password").await?;
        ops.request("app", &[]).await?;
        let told = ops.until("app", "Drifted", "True", "DriftDetected").await?;
        let text = message(&told, "Drifted");
        ensure!(text.contains("Deployment/") && text.contains("app changed (0 additions, 1 changes, 0 removals)"), "{text}");
        ensure!(text.contains("app-password removed"), "{text}");
        ensure!(condition(&told, "Ready") == Some("True"), "{}", told.data["status"]);

        ops.release("app", spec("enabled", json!({}))).await?;
        ops.told("app", "DriftCorrected", "app-password created").await?;
        ops.until("app", "Drifted", "False", "NoDriftDetected").await?;
        let healed = ops.get("apps/v1", "Deployment", "app").await?;
        ensure!(healed.data["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/app");
        ensure!(healed.data["spec"]["replicas"] == 2, "an ignored field was put back");
        ensure!(ops.records("app").await?.len() == 1, "a correction made a revision");

        // Killed in the middle of an upgrade that waits.
        ops.release("app", spec("warn", json!({"pods": "unready"}))).await?;
        let secrets = ops.api("v1", "Secret").await?;
        wait::until(&secrets, "sh.helm.release.v1.app.v2", "pending", |secret| {
            secret.metadata.labels.as_ref().is_some_and(|labels| labels["status"] == "pending-upgrade")
        })
        .await?;
        ops.helm.kill();
        ops.release("app", spec("warn", json!({"pods": "run"}))).await?;
        ops.helm.restart().await?;
        ops.told("app", "PendingRelease", "in pending-upgrade state").await?;
        ops.ready("app", 3).await?;
        ensure!(
            ops.records("app").await? == of(&[(1, "superseded"), (2, "failed"), (3, "deployed")]),
            "{:?}",
            ops.records("app").await?
        );

        // A deletion does not wait until what goes anyway has become ready.
        ops.release("app", spec("warn", json!({"pods": "unready"}))).await?;
        wait::until(&secrets, "sh.helm.release.v1.app.v4", "pending", |secret| {
            secret.metadata.labels.as_ref().is_some_and(|labels| labels["status"] == "pending-upgrade")
        })
        .await?;
        let begin = std::time::Instant::now();
        ops.delete(HELM, "HelmRelease", "app").await?;
        wait::gone(&ops.api(HELM, "HelmRelease").await?, "app").await?;
        ensure!(begin.elapsed() < std::time::Duration::from_secs(45), "the deletion waited for the upgrade");
        ensure!(ops.records("app").await?.is_empty(), "records are left");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_works_on_our_releases_and_we_on_its() -> Result<()> {
    helm_ops("helm-interop", &[], async |ops| {
        let program = tokio::task::spawn_blocking(|| sluice_reference::tool("helm")).await?;
        let folder = tempfile::tempdir()?;
        let package = folder.path().join("shop.tgz");
        let chart = shop("1.0.0");
        std::fs::write(&package, chart.package()?)?;
        let kubeconfig = ops.plane.facts().controllers.clone();
        let namespace = ops.namespace.clone();
        let helm = async |arguments: &[&str]| -> Result<String> {
            let output = tokio::process::Command::new(&program)
                .args(arguments)
                .args(["--namespace", &namespace])
                .env("KUBECONFIG", &kubeconfig)
                .env("HOME", folder.path())
                .output()
                .await?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            ensure!(
                output.status.success(),
                "helm {arguments:?}: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            );
            Ok(text)
        };

        // Helm on ours.
        let served = ops.charts.serve(&chart)?;
        let source =
            json!({"spec": {"chart": "shop", "sourceRef": {"kind": "HelmRepository", "name": "repo"}}});
        let spec = |values: Value| json!({"chart": source, "chartRef": null, "values": values});
        ops.release("ours", spec(json!({"text": "one"}))).await?;
        ops.until("ours", "Ready", "False", "SourceNotReady").await?;
        ops.hold(SOURCE, "HelmChart", &format!("{}-ours", ops.namespace), &served, "1.0.0").await?;
        ops.ready("ours", 1).await?;
        ops.release("ours", spec(json!({"text": "two"}))).await?;
        ops.ready("ours", 2).await?;
        let list: Value = serde_json::from_str(&helm(&["list", "--output", "json"]).await?)?;
        ensure!(
            list[0]["name"] == "ours" && list[0]["status"] == "deployed" && list[0]["revision"] == "2",
            "{list}"
        );
        ensure!(helm(&["status", "ours"]).await?.contains("Welcome to ours."));
        let history: Value = serde_json::from_str(&helm(&["history", "ours", "--output", "json"]).await?)?;
        ensure!(
            history[0]["status"] == "superseded" && history[1]["description"] == "Upgrade complete",
            "{history}"
        );
        ensure!(helm(&["get", "values", "ours"]).await?.contains("text: two"));
        ensure!(helm(&["get", "manifest", "ours"]).await?.contains("kind: Deployment"));
        ops.patch_suspend("ours", true).await?;
        // Fields of another manager are not taken without being told to, whoever that is.
        helm(&["rollback", "ours", "1", "--force-conflicts"]).await?;
        ensure!(config(ops, "ours").await?["text"] == "one", "helm's rollback changed nothing");
        // What was done behind our back is put right.
        ops.patch_suspend("ours", false).await?;
        ops.ready("ours", 4).await?;
        ensure!(config(ops, "ours").await?["text"] == "two");
        ops.patch_suspend("ours", true).await?;
        helm(&["uninstall", "ours"]).await?;
        ensure!(
            ops.records("ours").await?.is_empty()
                && ops.find("apps/v1", "Deployment", "ours").await?.is_none()
        );

        // We on helm's: what is as it should be is taken over as it is, all else is upgraded.
        let file = package.to_string_lossy().into_owned();
        helm(&["install", "theirs", &file, "--set", "text=same"]).await?;
        helm(&["install", "legacy", &file, "--server-side=false"]).await?;
        // Somebody else has a container in the Pods of a release that is not applied by the server.
        let sidecar = json!({"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "example.com/sidecar"}]}}}});
        let by_hand = kube::api::PatchParams { field_manager: Some("hand".into()), ..Default::default() };
        let deployments = ops.api("apps/v1", "Deployment").await?;
        deployments.patch("legacy", &by_hand, &kube::api::Patch::Strategic(sidecar)).await?;
        ops.release("theirs", spec(json!({"text": "same"}))).await?;
        ops.release("legacy", spec(json!({"text": "other", "tag": "2.0"}))).await?;
        for name in ["theirs", "legacy"] {
            ops.until(name, "Ready", "False", "SourceNotReady").await?;
            ops.hold(SOURCE, "HelmChart", &format!("{}-{name}", ops.namespace), &served, "1.0.0").await?;
        }
        ops.ready("theirs", 1).await?;
        ensure!(
            ops.records("theirs").await? == of(&[(1, "deployed")]),
            "a release that was as wanted was upgraded"
        );
        ops.ready("legacy", 2).await?;
        ensure!(config(ops, "legacy").await?["text"] == "other");
        let legacy = deployments.get("legacy").await?;
        let containers = &legacy.data["spec"]["template"]["spec"]["containers"];
        let images: Vec<_> = containers.as_array().into_iter().flatten().map(|container| container["image"].as_str()).collect();
        ensure!(images.contains(&Some("example.com/app:2.0")) && images.contains(&Some("example.com/sidecar")), "{containers}");
        let history: Value = serde_json::from_str(&helm(&["history", "legacy", "--output", "json"]).await?)?;
        ensure!(history[0]["status"] == "superseded" && history[1]["status"] == "deployed", "{history}");
        ops.release("theirs", spec(json!({"text": "changed"}))).await?;
        ops.ready("theirs", 2).await?;
        ops.delete(HELM, "HelmRelease", "theirs").await?;
        wait::gone(&ops.api(HELM, "HelmRelease").await?, "theirs").await?;
        let list: Value = serde_json::from_str(&helm(&["list", "--output", "json"]).await?)?;
        ensure!(list.as_array().is_some_and(|list| list.len() == 1 && list[0]["name"] == "legacy"), "{list}");
        Ok(())
    })
    .await
}

/// A chart of a cache, as the fixtures want it.
pub(crate) fn cache(version: &str) -> TestChart {
    TestChart::new("cache", version)
        .file("values.yaml", "architecture: standalone\nreplica: {replicaCount: 1}\n")
        .file("values-prod.yaml", "architecture: standalone\nfrom: prod\nreplica: {replicaCount: 1}\n")
        .file(
            "templates/map.yaml",
            "apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
data:
  architecture: {{ .Values.architecture }}
  from: {{ .Values.from | default \"nowhere\" }}
  replicas: {{ .Values.replica.replicaCount | quote }}
",
        )
}

/// A chart with definitions, custom resources and a test, as the fixtures want it.
pub(crate) fn monitoring() -> TestChart {
    let crd = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: probes.helm-release.sluice.test}
spec:
  group: helm-release.sluice.test
  names: {kind: Probe, plural: probes, singular: probe, listKind: ProbeList}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";
    TestChart::new("monitoring-stack", "55.1.0")
        .file("values.yaml", "retention: 1d\ngrafana: {adminPassword: none}\n")
        .file("crds/probes.yaml", crd)
        .file(
            "templates/probe.yaml",
            "apiVersion: helm-release.sluice.test/v1
kind: Probe
metadata: {name: {{ .Release.Name }}}
spec: {retention: {{ .Values.retention }}, known: {{ .Capabilities.APIVersions.Has \"helm-release.sluice.test/v1/Probe\" }}}
",
        )
        .file(
            "templates/password.yaml",
            "apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-admin}
stringData: {password: {{ .Values.grafana.adminPassword | quote }}}
",
        )
        .file(
            "templates/tests/check.yaml",
            "apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-check
  annotations: {helm.sh/hook: test, test.sluice.dev/pod: fail}
spec: {restartPolicy: Never, containers: [{name: check, image: example.com/check}]}
",
        )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_helm_release_that_users_have_works_with_a_real_repository() -> Result<()> {
    helm_ops("helm-fixtures", &[], async |ops| {
        let plane = ops.plane;
        let source = tokio::task::spawn_blocking(move || Controller::builder(plane, "source-controller")).await??;
        let source = source.namespace(&ops.namespace).start().await?;
        let (program, server) = (crate::charts::helm().await?, FileServer::start().await?);
        let folder = server.folder().display().to_string();
        for chart in [cache("17.0.0"), cache("17.2.0"), monitoring()] {
            let file = server.folder().join(format!("{}-{}.tgz", chart.name, chart.version));
            std::fs::write(file, chart.package()?)?;
        }
        Registry::run(&program, &["repo", "index", &folder])?;
        ops.apply(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: monitoring-values}\ndata: {values.yaml: 'retention: 5d'}\n---\n\
             apiVersion: v1\nkind: Secret\nmetadata: {name: monitoring-admin}\nstringData: {password: hunter22}\n",
        )
        .await?;
        let fixtures = sluice_tests::workspace().join("tests/fixtures/manifests");
        let mut objects = Vec::new();
        for file in ["helm-repository", "helm-release-v2", "helm-release-v2beta2", "helm-release-v2beta1"] {
            let text = std::fs::read_to_string(fixtures.join(format!("{file}.yaml")))?;
            objects.extend(sluice_tests::documents(&text)?);
        }
        let mut names = Vec::new();
        for mut object in objects {
            if object["kind"] == "HelmRepository" && object["spec"]["type"] == "oci" {
                continue;
            }
            // The host and the namespaces are those of a user: ours take their place.
            object["metadata"]["namespace"] = ops.namespace.as_str().into();
            if object["kind"] == "HelmRepository" {
                object["spec"]["url"] = server.url().into();
            } else {
                object["spec"]["chart"]["spec"]["sourceRef"]["namespace"] = ops.namespace.as_str().into();
                names.push(object["metadata"]["name"].as_str().unwrap_or_default().to_owned());
            }
            ops.apply(&object.to_string()).await?;
        }
        for name in &names {
            ops.ready(name, 1).await.map_err(|error| error.context(source.log_tail()))?;
        }
        ensure!(names == ["monitoring", "cache-beta2", "cache-old"], "{names:?}");

        let probe = ops.get("helm-release.sluice.test/v1", "Probe", "monitoring").await?;
        ensure!(probe.data["spec"] == json!({"retention": "10d", "known": true}), "{}", probe.data["spec"]);
        let monitoring = ops.get(HELM, "HelmRelease", "monitoring").await?;
        let status = &monitoring.data["status"];
        ensure!(condition(&monitoring, "TestSuccess") == Some("False"), "{status}");
        ensure!(status["history"][0]["chartVersion"] == "55.1.0", "{status}");
        ensure!(status["inventory"].to_string().contains("_probes.helm-release.sluice.test_apiextensions.k8s.io_"), "{status}");
        let old = json!({"architecture": "replication", "from": "prod", "replicas": "2"});
        ensure!(config(ops, "cache-old").await? == old, "{}", config(ops, "cache-old").await?);
        let beta2 = json!({"architecture": "standalone", "from": "nowhere", "replicas": "1"});
        ensure!(config(ops, "cache-beta2").await? == beta2, "{}", config(ops, "cache-beta2").await?);

        // A new version in the repository reaches the release by itself.
        let chart = cache("17.9.0");
        std::fs::write(server.folder().join("cache-17.9.0.tgz"), chart.package()?)?;
        Registry::run(&program, &["repo", "index", &folder])?;
        let request = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
        let repositories = ops.api(SOURCE, "HelmRepository").await?;
        repositories.patch("charts", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(request)).await?;
        let upgraded = ops.ready("cache-beta2", 2).await?;
        ensure!(upgraded.data["status"]["history"][0]["chartVersion"] == "17.9.0", "{}", upgraded.data["status"]);
        Ok(())
    })
    .await
}

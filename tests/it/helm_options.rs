//! What options of actions change: definitions, tests, remedies, histories, and charts of other names.

use crate::helm::{HELM, HOOKS, HelmOps, helm_ops, message, of};
use anyhow::{Result, ensure};
use kube::api::Api;
use serde_json::{Value, json};
use sluice_tests::{TestChart, condition, wait};

const DEFINITION: &str = "widgets.options.sluice.dev";

/// A chart with two tests, and with hooks of the fates that values say.
fn chart(name: &str, version: &str) -> TestChart {
    TestChart::new(name, version)
        .file("values.yaml", "hooks: {}\ntext: plain\n")
        .file("templates/hooks.yaml", HOOKS)
        .file(
            "templates/tests.yaml",
            "{{- range $name, $fate := dict \"good\" \"complete\" \"bad\" \"fail\" }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
  annotations: {helm.sh/hook: test, test.sluice.dev/pod: {{ $fate }}}
spec: {restartPolicy: Never, containers: [{name: test, image: example.com/test}]}
{{- end }}
",
        )
        .file(
            "templates/map.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-map'}\ndata: {chart: '{{ .Chart.Name }}', text: {{ .Values.text | quote }}}\n",
        )
}

/// The same with a definition that tells the version.
fn defining(version: &str) -> TestChart {
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {DEFINITION}}}
spec:
  group: options.sluice.dev
  names: {{kind: Widget, plural: widgets}}
  scope: Namespaced
  versions:
    - {{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object, description: 'of {version}'}}}}}}
"
    );
    chart("first", version).file("crds/widgets.yaml", &definition)
}

/// What the definition in the cluster says of its version; nothing when there is none.
async fn definition(ops: &HelmOps) -> Result<Option<Value>> {
    let kind = kube::core::GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let resource = kube::api::ApiResource::from_gvk(&kind);
    let api = Api::<kube::api::DynamicObject>::all_with(ops.client.clone(), &resource);
    let found = api.get_opt(DEFINITION).await?;
    Ok(found
        .map(|found| found.data["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_come_by_policy_and_tests_by_name() -> Result<()> {
    helm_ops("helm-options", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &defining("1.0.0")).await?;
        ops.release("skips", json!({"install": {"crds": "Skip"}})).await?;
        ops.ready("skips", 1).await?;
        ensure!(definition(ops).await?.is_none(), "Skip has created the definition");
        ops.release("app", json!({})).await?;
        ops.ready("app", 1).await?;
        ensure!(definition(ops).await? == Some("of 1.0.0".into()));
        ops.chart("app", &defining("1.1.0")).await?;
        ops.ready("app", 2).await?;
        ensure!(definition(ops).await? == Some("of 1.0.0".into()), "an upgrade creates by default");
        let with = |policy: &str, text: &str| json!({"upgrade": {"crds": policy}, "values": {"text": text}});
        ops.release("app", with("Create", "a")).await?;
        ops.ready("app", 3).await?;
        ensure!(definition(ops).await? == Some("of 1.0.0".into()), "Create leaves what is there");
        ops.release("app", with("CreateReplace", "b")).await?;
        ops.ready("app", 4).await?;
        ensure!(definition(ops).await? == Some("of 1.1.0".into()), "CreateReplace has not replaced");

        let filters = json!([{"name": "tested-bad", "exclude": true}]);
        ops.release("tested", json!({"test": {"enable": true, "filters": filters}})).await?;
        let tested = ops.ready("tested", 1).await?;
        let hooks = &tested.data["status"]["history"][0]["testHooks"];
        ensure!(condition(&tested, "TestSuccess") == Some("True"), "{}", tested.data["status"]);
        ensure!(hooks["tested-good"]["phase"] == "Succeeded", "{hooks}");
        ensure!(hooks["tested-bad"]["phase"].is_null(), "{hooks}");
        let pods = ops.api("v1", "Pod").await?;
        ensure!(pods.get_opt("tested-bad").await?.is_none(), "a test that is excluded has run");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_upgrade_is_uninstalled_and_tries_without_end_go_on() -> Result<()> {
    helm_ops("helm-remedies", &["--min-retry-delay=50ms", "--max-retry-delay=100ms"], async |ops| {
        ops.chart("app", &chart("first", "1.0.0")).await?;
        let spec = |values: Value| {
            json!({"install": {"remediation": {"retries": -1}}, "values": values,
                   "upgrade": {"remediation": {"retries": 1, "strategy": "uninstall"}}})
        };
        // An upgrade that fails is uninstalled, and what is wanted is installed instead.
        ops.release("app", spec(json!({}))).await?;
        ops.ready("app", 1).await?;
        ops.release("app", spec(json!({"hooks": {"pre-upgrade": "fail"}, "text": "new"}))).await?;
        ops.told("app", "UninstallSucceeded", "Helm uninstall remediation for release").await?;
        let api = ops.api(HELM, "HelmRelease").await?;
        let healed = wait::until(&api, "app", "installed once more", |object| {
            condition(object, "Ready") == Some("True")
                && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
        })
        .await?;
        ensure!(message(&healed, "Ready").starts_with("Helm install succeeded"), "{}", healed.data["status"]);
        let map = ops.get("v1", "ConfigMap", "app-map").await?;
        ensure!(map.data["data"]["text"] == "new", "{}", map.data);
        // One goes, and its history stays.
        ops.release("kept", json!({"uninstall": {"keepHistory": true}})).await?;
        ops.ready("kept", 1).await?;
        ops.delete(HELM, "HelmRelease", "kept").await?;
        wait::gone(&api, "kept").await?;
        ensure!(ops.records("kept").await? == of(&[(1, "uninstalled")]), "{:?}", ops.records("kept").await?);

        // No number of tries ends it; a better spec does.
        ops.release("endless", spec(json!({"hooks": {"pre-install": "fail"}}))).await?;
        let tried = wait::until(&api, "endless", "tried often", |object| {
            object.data["status"]["installFailures"].as_i64().unwrap_or_default() > 3
        })
        .await?;
        ensure!(condition(&tried, "Stalled").is_none(), "{}", tried.data["status"]);
        ops.release("endless", spec(json!({}))).await?;
        wait::until(&api, "endless", "ready", |object| {
            condition(object, "Ready") == Some("True")
                && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_of_another_name_upgrades_or_reinstalls_and_circles_are_told() -> Result<()> {
    helm_ops("helm-names", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &chart("first", "1.0.0")).await?;
        let skip = json!({"crds": "Skip"});
        let spec =
            |strategy: &str| json!({"install": skip, "upgrade": {"chartNameChangeStrategy": strategy}});
        ops.release("stays", spec("InPlaceUpdate")).await?;
        ops.release("anew", spec("Reinstall")).await?;
        for name in ["stays", "anew"] {
            ops.ready(name, 1).await?;
        }
        ops.chart("app", &chart("second", "2.0.0")).await?;
        let upgraded = ops.ready("stays", 2).await?;
        ensure!(upgraded.data["status"]["history"][0]["chartName"] == "second");
        ensure!(ops.records("stays").await? == of(&[(1, "superseded"), (2, "deployed")]));
        ops.told("anew", "UninstallSucceeded", "").await?;
        let api = ops.api(HELM, "HelmRelease").await?;
        wait::until(&api, "anew", "installed anew", |object| {
            condition(object, "Ready") == Some("True")
                && object.data["status"]["history"][0]["chartName"] == "second"
        })
        .await?;
        ensure!(ops.records("anew").await? == of(&[(1, "deployed")]), "{:?}", ops.records("anew").await?);

        for (name, other) in [("egg", "hen"), ("hen", "egg")] {
            ops.release(name, json!({"dependsOn": [{"name": other}]})).await?;
        }
        for (name, other) in [("egg", "hen"), ("hen", "egg")] {
            let waits = ops.until(name, "Ready", "False", "DependencyNotReady").await?;
            let text = message(&waits, "Ready");
            ensure!(text.contains(other), "{text}");
        }
        Ok(())
    })
    .await
}

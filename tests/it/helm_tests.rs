//! Tests of charts that are odd: in an order, with policies and filters, that never start, hang or vanish.

use crate::helm::{HELM, HelmOps, helm_ops, message, of};
use anyhow::{Context as _, Result, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use sluice_tests::{TestChart, condition, wait};

/// A chart with the tests that its values name, of the fate, the weight and the policy that they say.
fn chart() -> TestChart {
    TestChart::new("tests", "1.0.0").file("values.yaml", "tests: {}\ntext: plain\n").file(
        "templates/tests.yaml",
        "{{- range $name, $test := .Values.tests }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-weight: '{{ $test.weight | default 0 }}'
    test.sluice.dev/pod: {{ $test.fate }}
    {{- with $test.policy }}
    helm.sh/hook-delete-policy: {{ . }}
    {{- end }}
spec: {restartPolicy: Never, containers: [{name: test, image: example.com/test}]}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: '{{ .Release.Name }}-map'}
data: {text: {{ .Values.text }}}
",
    )
}

/// The phases of the tests of the newest revision, by name without that of the release.
fn phases(object: &DynamicObject) -> Value {
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let hooks = object.data["status"]["history"][0]["testHooks"].as_object().cloned().unwrap_or_default();
    let short = |hook: &str| hook.strip_prefix(&format!("{name}-")).unwrap_or(hook).to_owned();
    hooks.into_iter().map(|(hook, status)| (short(&hook), status["phase"].clone())).collect()
}

/// Waits until the tests of a release failed, and returns it when its run has ended.
async fn failed(ops: &HelmOps, name: &str) -> Result<DynamicObject> {
    wait::until(&ops.api(HELM, "HelmRelease").await?, name, "tested in vain", |object| {
        condition(object, "TestSuccess") == Some("False")
            && condition(object, "Reconciling").is_none()
            && object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tests_run_in_their_order_and_end_however_odd_they_are() -> Result<()> {
    helm_ops("helm-tests", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &chart()).await?;
        let mixed = json!({
            "a": {"fate": "complete", "weight": 5, "policy": "hook-succeeded"},
            "b": {"fate": "complete", "weight": -5, "policy": "hook-failed"},
            "c": {"fate": "fail", "weight": 5, "policy": "hook-failed"},
            "d": {"fate": "complete", "weight": 9},
        });
        let spec = |test: Value, tests: &Value| {
            let mut spec = json!({"test": test, "values": {"tests": tests}, "upgrade": {"remediation": {"retries": 0, "remediateLastFailure": true}}});
            spec["test"]["enable"] = true.into();
            spec
        };
        let filter = |name: &str, exclude: bool| json!({"name": name, "exclude": exclude});
        ops.release("mixed", spec(json!({}), &mixed)).await?;
        ops.release("ignored", spec(json!({"ignoreFailures": true}), &mixed)).await?;
        let filters = json!([filter("some-c", false), filter("some-b", false), filter("some-c", true)]);
        ops.release("some", spec(json!({"filters": filters}), &mixed)).await?;
        let filters = json!([filter("none-c", false), filter("none-c", true)]);
        ops.release("none", spec(json!({"filters": filters}), &mixed)).await?;
        let one = |fate: &str| json!({"only": {"fate": fate}});
        ops.release("never", spec(json!({"timeout": "2s"}), &one("pending"))).await?;
        ops.release("hangs", spec(json!({"timeout": "2s"}), &one("run"))).await?;
        ops.release("vanishes", spec(json!({"timeout": "10s"}), &one("run"))).await?;
        ops.release("back", spec(json!({}), &one("complete"))).await?;

        // By weight and then by name; the first that fails is the last that runs.
        let object = failed(ops, "mixed").await?;
        let wanted = json!({"a": "Succeeded", "b": "Succeeded", "c": "Failed", "d": phases(&object)["d"]});
        ensure!(phases(&object) == wanted, "{}", phases(&object));
        ensure!(condition(&object, "Ready") == Some("False"), "{}", object.data["status"]);
        let hooks = &object.data["status"]["history"][0]["testHooks"];
        ensure!(hooks["mixed-d"]["lastStarted"].is_null(), "{hooks}");
        let started = |test: &str| hooks[format!("mixed-{test}")]["lastStarted"].as_str().unwrap_or_default();
        ensure!(started("b") <= started("a") && started("a") <= started("c"), "{hooks}");
        let pods = ops.api("v1", "Pod").await?;
        for (test, is_there) in [("a", false), ("b", true), ("c", false), ("d", false)] {
            let found = pods.get_opt(&format!("mixed-{test}")).await?.is_some();
            ensure!(found == is_there, "mixed-{test}: {found}");
        }

        let object = ops.ready("ignored", 1).await?;
        ensure!(condition(&object, "TestSuccess") == Some("False"), "{}", object.data["status"]);
        let object = ops.ready("some", 1).await?;
        ensure!(phases(&object) == json!({"b": "Succeeded"}), "{}", phases(&object));
        ensure!(message(&object, "Ready").ends_with(": 1 test hook completed successfully"), "{}", object.data["status"]);
        let object = ops.ready("none", 1).await?;
        ensure!(phases(&object) == json!({}) && message(&object, "Ready").ends_with(": no test hooks"), "{}", object.data["status"]);

        for name in ["never", "hangs"] {
            let object = failed(ops, name).await?;
            let text = message(&object, "TestSuccess");
            ensure!(text.contains("timeout waiting for: [Pod/") && text.contains(&format!("{name}-only")), "{text}");
            ensure!(phases(&object) == json!({"only": "Failed"}), "{}", phases(&object));
            ensure!(ops.records(name).await? == of(&[(1, "deployed")]), "{:?}", ops.records(name).await?);
        }
        // A test that somebody deletes will not end any more: its time runs out.
        wait::until(&pods, "vanishes-only", "running", |pod| pod.data["status"]["phase"] == "Running").await?;
        ops.delete("v1", "Pod", "vanishes-only").await?;
        let object = failed(ops, "vanishes").await.context("a test whose Pod was deleted")?;
        ensure!(message(&object, "TestSuccess").contains("vanishes-only status: "), "{}", object.data["status"]);
        // Other tests are other values, and another revision.
        ops.release("vanishes", spec(json!({}), &one("complete"))).await?;
        ops.ready("vanishes", 2).await?;

        // A test that fails undoes the upgrade that it is of.
        ops.ready("back", 1).await?;
        ops.release("back", spec(json!({}), &one("fail"))).await?;
        let object = ops.until("back", "Stalled", "True", "RetriesExceeded").await?;
        ensure!(condition(&object, "Remediated") == Some("True"), "{}", object.data["status"]);
        let records = ops.records("back").await?;
        ensure!(records == of(&[(1, "superseded"), (2, "superseded"), (3, "deployed")]), "{records:?}");
        Ok(())
    })
    .await
}

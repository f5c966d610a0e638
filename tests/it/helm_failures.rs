//! What goes wrong with a release, what is told of it, and what the release is afterwards.

use crate::helm::{HelmOps, helm_ops, message, of};
use crate::helm_crash::gated;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{AdmissionWebhook, TestChart, condition, wait};

/// The chart of these cases: an object of a kind that nobody defines, one twice, and a schema, when values ask for them.
fn shop() -> TestChart {
    gated("1.0.0")
        .file(
            "values.schema.json",
            r#"{"properties": {"text": {"type": "string"}, "pods": {"enum": ["run", "unready"]}}}"#,
        )
        .file(
            "templates/strange.yaml",
            "{{- if .Values.strange }}
apiVersion: helm-failures.sluice.test/v1
kind: Strange
metadata: {name: {{ .Release.Name }}}
{{- end }}
",
        )
        .file(
            "templates/twice.yaml",
            "{{- if .Values.twice }}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-config}
{{- end }}
",
        )
        .file(
            "templates/selector.yaml",
            "apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}-immutable}
immutable: true
stringData: {text: {{ .Values.fixed | default \"a\" | quote }}}
",
        )
}

async fn text_of(ops: &HelmOps, release: &str) -> Result<Value> {
    Ok(ops.get("v1", "ConfigMap", &format!("{release}-config")).await?.data["data"]["text"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_explained_and_leaves_the_release_as_it_is() -> Result<()> {
    helm_ops("helm-bad", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &shop()).await?;
        ops.apply(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: list}\ndata: {values.yaml: '- a', text: x, broken: 'a: {'}\n",
        )
        .await?;
        let reference = |more: Value| {
            let mut reference = json!({"kind": "ConfigMap", "name": "list"});
            for (key, value) in more.as_object().into_iter().flatten() {
                reference[key] = value.clone();
            }
            json!({"valuesFrom": [reference]})
        };
        // Name, spec, reason of Ready, and what is to be read there.
        let cases: Vec<(&str, Value, &str, &[&str])> = vec![
            ("schema", json!({"values": {"text": 7}}), "UpgradeFailed", &["gated", "/text", "got number, want string"]),
            ("list", json!({"values": ["a"]}), "ValuesError", &["spec.values is no map"]),
            ("listed", reference(json!({})), "ValuesError", &["ConfigMap", "/list'", "'values.yaml'"]),
            ("broken", reference(json!({"valuesKey": "broken"})), "ValuesError", &["/list'", "'broken'", "line 1"]),
            (
                "range",
                reference(json!({"valuesKey": "text", "targetPath": "items[99999]"})),
                "ValuesError",
                &["'text'", "99999", "65536"],
            ),
            ("key", reference(json!({"valuesKey": "none"})), "ValuesError", &["'none': key not found"]),
            (
                "object",
                json!({"valuesFrom": [{"kind": "Secret", "name": "absent"}]}),
                "ValuesError",
                &["Secret", "/absent'", "not found"],
            ),
            ("twice", json!({"values": {"twice": true}}), "UpgradeFailed", &["ConfigMap", "twice-config"]),
            (
                "strange",
                json!({"values": {"strange": true}}),
                "UpgradeFailed",
                &["Strange", "helm-failures.sluice.test/v1", "ensure CRDs are installed first"],
            ),
        ];
        for (name, ..) in &cases {
            ops.release(name, json!({"values": {"text": "before"}})).await?;
        }
        ops.release("optional", json!({"valuesFrom": [
            {"kind": "Secret", "name": "absent", "optional": true},
            {"kind": "ConfigMap", "name": "list", "valuesKey": "none", "optional": true},
        ]}))
        .await?;
        for name in cases.iter().map(|(name, ..)| *name).chain(["optional"]) {
            ops.ready(name, 1).await?;
        }
        for (name, spec, ..) in &cases {
            ops.release(name, spec.clone()).await?;
        }
        for (name, _, why, texts) in &cases {
            let failed = ops.until(name, "Ready", "False", why).await?;
            let told = message(&failed, "Ready");
            for text in *texts {
                ensure!(told.contains(text), "{name}: {told}");
            }
            ops.told(name, why, texts[0]).await?;
            ensure!(ops.records(name).await? == of(&[(1, "deployed")]), "{name}: {:?}", ops.records(name).await?);
            ensure!(text_of(ops, name).await? == "before", "{name} was changed");
        }
        // What was missing comes: nobody has to ask again.
        ops.apply("apiVersion: v1\nkind: Secret\nmetadata: {name: absent}\nstringData: {values.yaml: 'text: came'}\n").await?;
        ops.request("object", &[]).await?;
        ops.ready("object", 2).await?;
        ensure!(text_of(ops, "object").await? == "came");
        // Nothing is left of what failed before it began, either.
        ops.release("new", json!({"values": {"text": 7}})).await?;
        ops.until("new", "Ready", "False", "InstallFailed").await?;
        ensure!(ops.records("new").await?.is_empty(), "{:?}", ops.records("new").await?);
        Ok(())
    })
    .await
}

/// Objects with certain texts are refused: by a policy, by a webhook, or because the webhook that is asked is not there.
fn gatekeepers(namespace: &str, webhook: &AdmissionWebhook) -> String {
    let client = webhook.client_config();
    let scope = format!("namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}");
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {namespace}}}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {{apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}}
  validations:
  - expression: \"!has(object.data) || !('text' in object.data) || object.data.text != 'forbidden'\"
    message: the text is forbidden here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {namespace}}}
spec:
  policyName: {namespace}
  validationActions: [Deny]
  matchResources: {{{scope}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {namespace}}}
webhooks:
- name: denies.sluice.test
  clientConfig: {client}
  rules: [{{apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}}]
  {scope}
  matchConditions:
  - {{name: denied, expression: \"has(object.data) && 'text' in object.data && object.data.text == 'denied'\"}}
  admissionReviewVersions: [v1]
  sideEffects: None
- name: absent.sluice.test
  clientConfig: {{url: \"https://127.0.0.1:9/\"}}
  rules: [{{apiGroups: [\"\"], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}}]
  {scope}
  matchConditions:
  - {{name: asks, expression: \"has(object.data) && 'text' in object.data && object.data.text == 'asks'\"}}
  admissionReviewVersions: [v1]
  sideEffects: None
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_told_and_undone() -> Result<()> {
    helm_ops("helm-refused", &["--min-retry-delay=50ms"], async |ops| {
        ops.chart("app", &shop()).await?;
        let webhook = AdmissionWebhook::denying("not on a Friday").await?;
        ops.apply(&gatekeepers(&ops.namespace, &webhook)).await?;
        // A policy is in force some time after it was accepted.
        let trial = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: trial}\ndata: {text: forbidden}\n";
        let maps = ops.api("v1", "ConfigMap").await?;
        let refused = async |value: &str| -> Result<()> {
            let document = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trial"}, "data": {"text": value}});
            let deadline = std::time::Instant::now() + wait::PATIENCE;
            let dry = kube::api::PostParams { dry_run: true, ..Default::default() };
            while maps.create(&dry, &serde_json::from_value(document.clone())?).await.is_ok() {
                ensure!(std::time::Instant::now() < deadline, "{value} is not refused: {trial}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            Ok(())
        };
        refused("forbidden").await?;
        refused("asks").await?;
        refused("denied").await?;
        ensure!(webhook.asked().contains(&"CREATE trial".to_owned()), "{:?}", webhook.asked());

        let spec = |values: Value| json!({"timeout": "20s", "values": values, "upgrade": {"remediation": {"retries": 0, "remediateLastFailure": true}}});
        let refusals = [
            ("policy", json!({"text": "forbidden"}), "the text is forbidden here"),
            ("webhook", json!({"text": "asks"}), "absent.sluice.test"),
            ("denied", json!({"text": "denied"}), "admission webhook \"denies.sluice.test\" denied the request: not on a Friday"),
            ("immutable", json!({"fixed": "b"}), "field is immutable"),
        ];
        // Refused at the installation: the failed revision is what there is.
        for (name, values, _) in &refusals[..3] {
            ops.release(&format!("{name}-new"), spec(values.clone())).await?;
        }
        for (name, _, text) in &refusals[..3] {
            let name = format!("{name}-new");
            let stalled = ops.until(&name, "Stalled", "True", "RetriesExceeded").await?;
            ensure!(message(&stalled, "Released").contains(text), "{name}: {}", message(&stalled, "Released"));
            ensure!(condition(&stalled, "Ready") == Some("False"), "{name}: {}", stalled.data["status"]);
            ensure!(ops.records(&name).await? == of(&[(1, "failed")]), "{name}: {:?}", ops.records(&name).await?);
            ops.told(&name, "InstallFailed", text).await?;
        }
        // Refused at an upgrade: rolled back.
        for (name, ..) in &refusals {
            ops.release(name, spec(json!({"text": "good"}))).await?;
        }
        for (name, ..) in &refusals {
            ops.ready(name, 1).await?;
        }
        for (name, values, _) in &refusals {
            ops.release(name, spec(values.clone())).await?;
        }
        for (name, _, text) in &refusals {
            let stalled = ops.until(name, "Stalled", "True", "RetriesExceeded").await?;
            ensure!(message(&stalled, "Released").contains(text), "{name}: {}", message(&stalled, "Released"));
            ensure!(condition(&stalled, "Remediated") == Some("True"), "{name}: {}", stalled.data["status"]);
            let wanted = of(&[(1, "superseded"), (2, "failed"), (3, "deployed")]);
            ensure!(ops.records(name).await? == wanted, "{name}: {:?}", ops.records(name).await?);
            ensure!(text_of(ops, name).await? == "good", "{name}: not rolled back");
            ops.told(name, "UpgradeFailed", text).await?;
            ops.told(name, "RollbackSucceeded", "Helm rollback to previous release").await?;
        }
        for kind in ["ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy", "ValidatingWebhookConfiguration"] {
            ops.delete("admissionregistration.k8s.io/v1", kind, &ops.namespace).await?;
        }
        Ok(())
    })
    .await
}

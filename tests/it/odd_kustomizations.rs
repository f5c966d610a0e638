//! Odd Kustomizations: each is told what is wrong with it, once and not in a loop, and holds up nobody.

use crate::gitops::{KUSTOMIZE, gitops, message};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{condition, reason, wait};

/// What is odd: the name, which also is the folder; the file in it, if it is not the usual one; the fields of the spec
/// beside the usual; and the reason and a part of the message, or nothing where it is fine.
struct Odd(&'static str, Option<&'static str>, Value, Option<(&'static str, &'static str)>);

const BUILD: &str = "BuildFailed";
const FAILED: &str = "ReconciliationFailed";
const WAITS: &str = "DependencyNotReady";
const STALLED: &str = "InvalidCELExpression";

/// A ConfigMap.
pub(crate) fn map(name: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
        .to_string()
}

/// Files that cannot become objects, and objects that the server does not want.
fn files() -> Vec<Odd> {
    let odd = |name, file, reason, says| Odd(name, Some(file), json!({}), Some((reason, says)));
    vec![
        odd(
            "tabs",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: x\n",
            BUILD,
            "from tabs/x.yaml: yaml: line 4: found character",
        ),
        odd("control", "\u{0}\u{1}", BUILD, "from control/x.yaml: yaml: control characters are not allowed"),
        odd("no-object", "hello: world\n", BUILD, "from no-object/x.yaml: missing Resource metadata"),
        odd("items", "- a\n- b\n", BUILD, "from items/x.yaml"),
        odd(
            "no-name",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: n-}\n",
            BUILD,
            "missing metadata.name",
        ),
        odd(
            "no-kind",
            "apiVersion: example.org/v9\nkind: Nothing\nmetadata: {name: n}\n",
            FAILED,
            "no matches for kind \"Nothing\" in version \"example.org/v9\"",
        ),
        odd("bad-name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n", FAILED, "RFC 1123"),
        odd(
            "slash",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ../x}\n",
            FAILED,
            "\"../x\" is not a valid name",
        ),
        // The server says 500 to these, although it is the object that is wrong.
        odd(
            "number",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: number}\ndata: {a: 1}\n",
            FAILED,
            ".data.a: expected string",
        ),
        odd(
            "base64",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: base64}\ndata: {a: '***'}\n",
            FAILED,
            "illegal base64 data",
        ),
        odd(
            "field",
            "apiVersion: batch/v1\nkind: Job\nmetadata: {name: field}\nspec: {foo: bar, template: {}}\n",
            FAILED,
            ".spec.foo: field not declared in schema",
        ),
        odd(
            "sealed",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nsops: {mac: 'ENC[x]', age: []}\n",
            BUILD,
            "is SOPS encrypted, configuring decryption is required",
        ),
        Odd("list-of-none", Some("apiVersion: v1\nkind: List\nitems: null\n"), json!({}), None),
    ]
}

/// Specs that do not fit what is there.
fn specs(namespace: &str) -> Vec<Odd> {
    let odd = |name, spec, reason, says| Odd(name, None, spec, Some((reason, says)));
    let on = |expression: &str| json!({"dependsOn": [{"name": "fair", "readyExpr": expression}]});
    let check = |expression: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "current": expression});
    let from =
        |kind: &str, name: &str| json!({"postBuild": {"substituteFrom": [{"kind": kind, "name": name}]}});
    let patch = |patch: &str, kind: &str| json!({"patches": [{"patch": patch, "target": {"kind": kind}}]});
    let kubeconfig = |name: &str| json!({"kubeConfig": {"secretRef": {"name": name}}});
    let keys = |name: &str| json!({"decryption": {"provider": "sops", "secretRef": {"name": name}}});
    vec![
        odd("nul", json!({"path": "x\u{0}"}), "ArtifactFailed", "kustomization path not found"),
        odd("long", json!({"path": "a/".repeat(2000)}), "ArtifactFailed", "kustomization path not found"),
        odd("dep-self", json!({"dependsOn": [{"name": "dep-self"}]}), WAITS, "dep-self' is not ready"),
        odd("dep-a", json!({"dependsOn": [{"name": "dep-b"}]}), WAITS, "/dep-b'"),
        odd("dep-b", json!({"dependsOn": [{"name": "dep-a"}]}), WAITS, "dep-a' is not ready"),
        odd("dep-none", json!({"dependsOn": [{"name": "none"}]}), WAITS, "/none' not found"),
        odd("expr-syntax", on("dep.status."), STALLED, "failed to parse the CEL expression"),
        odd("expr-type", on("'text'"), STALLED, "expected bool, got string"),
        odd("expr-value", on("dep.status.none == 'a'"), WAITS, "no such key: none"),
        odd(
            "check-syntax",
            json!({"wait": true, "healthCheckExprs": [check("a ++")]}),
            STALLED,
            "failed to parse the expression Current",
        ),
        odd(
            "check-twice",
            json!({"wait": true, "healthCheckExprs": [check("true"), check("false")]}),
            STALLED,
            "duplicate custom health check",
        ),
        odd(
            "no-space",
            json!({"healthChecks": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}]}),
            "HealthCheckFailed",
            "resource Deployment.apps none is namespace scoped, but namespace is not set",
        ),
        odd("elsewhere", json!({"targetNamespace": format!("{namespace}-none")}), FAILED, "not found"),
        odd("prefix", json!({"namePrefix": "../"}), FAILED, "is not a valid name"),
        odd("labels", json!({"commonMetadata": {"labels": {"a b": "c d!"}}}), FAILED, "metadata.labels"),
        odd(
            "component",
            json!({"components": ["/etc"]}),
            BUILD,
            "component path '/etc' must be local and relative",
        ),
        odd(
            "patch-remove",
            patch("- {op: remove, path: /data/none}", "ConfigMap"),
            BUILD,
            "Unable to remove nonexistent key",
        ),
        odd("patch-text", patch("garbage", "ConfigMap"), BUILD, "unable to parse SM or JSON patch"),
        odd("patch-regex", patch("- {op: add, path: /data/x, value: y}", "["), BUILD, "missing closing ]"),
        Odd("patch-nobody", None, patch("- {op: add, path: /data/x, value: y}", "Nobody"), None),
        odd("from-none", from("ConfigMap", "none"), BUILD, "substitute from 'ConfigMap/none' error"),
        odd("from-dots", from("ConfigMap", "../secrets/bytes"), BUILD, "is not a valid name of a ConfigMap"),
        odd("from-names", from("ConfigMap", "names"), BUILD, "'a-b' var name is invalid"),
        // What is no text is not looked at in a ConfigMap, and harms nobody in a Secret.
        Odd("from-bytes", None, from("ConfigMap", "bytes"), None),
        Odd("from-secret", None, from("Secret", "bytes"), None),
        odd("config-none", kubeconfig("none"), FAILED, "secrets \"none\" not found"),
        odd("config-yaml", kubeconfig("config-yaml"), FAILED, "it is no kubeconfig in YAML: line 1"),
        odd("config-key", kubeconfig("bytes"), FAILED, "does not contain a 'value' key"),
        odd("keys-none", keys("none"), BUILD, "secrets \"none\" not found"),
        odd("keys-bad", keys("keys-bad"), BUILD, "failed to import 'x.agekey' data"),
        odd(
            "ignored",
            json!({"ignore": [{"paths": ["/data"], "target": {"name": "["}}]}),
            FAILED,
            "invalid name regex",
        ),
        // An interval of zero is no interval.
        Odd("zero", None, json!({"interval": "0s", "timeout": "0s"}), None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_is_told_once_and_holds_up_nobody() -> Result<()> {
    gitops("odd", async |ops| {
        let all: Vec<_> = files().into_iter().chain(specs(&ops.namespace)).collect();
        for Odd(name, file, ..) in &all {
            ops.repository.write(&format!("{name}/x.yaml"), file.map_or_else(|| map(name), ToOwned::to_owned))?;
        }
        ops.repository.write("fair/map.yaml", map("fair"))?;
        let bytes = json!({"NOT_TEXT": "/////w=="});
        for object in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bytes"}, "binaryData": bytes}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bytes"}, "data": bytes}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "names"}, "data": {"a-b": "x"}}),
        ] {
            ops.apply(&object.to_string()).await?;
        }
        ops.secret("config-yaml", json!({"value": "{{{"})).await?;
        ops.secret("keys-bad", json!({"x.agekey": "AGE-SECRET-KEY-1GARBAGE"})).await?;
        let commit = ops.repository.commit("Odd things")?;
        ops.git_repository(json!({})).await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        ops.kustomization("fair", json!({"path": "./fair"})).await?;
        ops.applied("fair", &commit).await?;
        for Odd(name, _, spec, _) in &all {
            let mut spec = spec.clone();
            if spec["path"].is_null() {
                spec["path"] = format!("./{name}").into();
            }
            ops.kustomization(name, spec).await.context(*name)?;
        }
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        let mut wrong = Vec::new();
        for Odd(name, _, _, expected) in &all {
            let ended = wait::until(&api, name, "done with", |object| {
                condition(object, "Ready").is_some_and(|ready| ready != "Unknown")
            })
            .await
            .context(*name)?;
            let (ready, why, text) = (condition(&ended, "Ready"), reason(&ended, "Ready"), message(&ended));
            let good = match expected {
                Some((reason, says)) => ready == Some("False") && why == Some(reason) && text.contains(says),
                None => ready == Some("True"),
            };
            let stalls = expected.is_some_and(|(reason, _)| reason == STALLED);
            if !good || stalls != (condition(&ended, "Stalled") == Some("True")) {
                wrong.push(format!("{name}: {ready:?} {why:?} {text}"));
            }
        }
        ensure!(wrong.is_empty(), "not told as it should be:\n{}", wrong.join("\n"));
        // Somebody else is served, and meanwhile nothing has gone round in circles.
        ops.kustomization("late", json!({"path": "./fair", "namePrefix": "late-"})).await?;
        ops.applied("late", &commit).await?;
        for Odd(name, ..) in &all {
            let runs = api.get(name).await?.data["status"]["history"][0]["totalReconciliations"].as_i64();
            ensure!(runs.is_none_or(|runs| runs <= 2), "{name} was reconciled {runs:?} times");
        }
        Ok(())
    })
    .await
}

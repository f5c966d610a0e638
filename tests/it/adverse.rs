//! What clusters do to a controller: denials, namespaces that do not go, definitions and their resources in one commit,
//! many objects, and a state that Flux has left.

use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, gitops, message};
use anyhow::{Context, Result, ensure};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{Audit, wait};
use std::collections::BTreeMap;
use std::time::Duration;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Kinds whose objects nobody but their author changes, with what is odd about them in an inventory.
fn others(namespace: &str) -> Vec<Value> {
    let rbac = "rbac.authorization.k8s.io/v1";
    let pod =
        json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.com/job:1"}]});
    vec![
        json!({"apiVersion": rbac, "kind": "Role", "metadata": {"name": "app:reader"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        json!({"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "app:reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "app:reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": namespace}]}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}}),
        json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"},
            "spec": {"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": pod}}}}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web"},
            "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": {"rules": [{
            "host": "example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "web", "port": {"name": "http"}}}}]}}]}}),
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": format!("{namespace}-high")},
            "value": 10, "description": "for the shop"}),
    ]
}

/// The entry of an object in Flux's inventory.
fn entry(object: &Value, namespace: &str) -> Value {
    let kind = text(&object["kind"]);
    let (group, version) = text(&object["apiVersion"]).split_once('/').unwrap_or(("", "v1"));
    let name = text(&object["metadata"]["name"]).replace(':', "__");
    let namespace = if kind == "PriorityClass" { "" } else { namespace };
    json!({"id": format!("{namespace}_{name}_{group}_{kind}"), "v": version})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_flux_left_is_taken_over_without_a_change() -> Result<()> {
    gitops("from-flux", async |ops| {
        let namespace = ops.namespace.clone();
        let owner = json!({"kustomize.toolkit.fluxcd.io/name": "app", "kustomize.toolkit.fluxcd.io/namespace": namespace});
        let web = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "example.com/web:1", "ports": [{"containerPort": 80}]}]},
            }},
        });
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 80}]}});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "stringData": {"password": "x"}});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "annotations": {"note": "kept"}}, "data": {"k": "v"}});
        let mut before = BTreeMap::new();
        for (kind, object) in [("Deployment", &web), ("Service", &service), ("Secret", &secret), ("ConfigMap", &map)] {
            ops.repository.write(&format!("{}.yaml", kind.to_lowercase()), object.to_string())?;
            // As Flux sends it: protocols filled in, texts of Secrets encoded, owner labels.
            let mut sent = object.clone();
            sent["metadata"]["namespace"] = namespace.clone().into();
            sent["metadata"]["labels"] = owner.clone();
            match kind {
                "Deployment" => sent["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP".into(),
                "Service" => sent["spec"]["ports"][0]["protocol"] = "TCP".into(),
                "Secret" => {
                    sent["data"] = json!({"password": "eA=="});
                    sent.as_object_mut().context("no object")?.remove("stringData");
                }
                _ => {}
            }
            let version = object["apiVersion"].as_str().context("no version")?;
            let manager = PatchParams::apply("kustomize-controller").force();
            ops.api(version, kind).await?.patch("web", &manager, &Patch::Apply(&sent)).await?;
        }
        let others = others(&namespace);
        for object in &others {
            let (version, kind, name) = (text(&object["apiVersion"]), text(&object["kind"]), text(&object["metadata"]["name"]));
            ops.repository.write(&format!("others/{}.yaml", kind.to_lowercase()), object.to_string())?;
            let mut sent = object.clone();
            sent["metadata"]["labels"] = owner.clone();
            if kind != "PriorityClass" {
                sent["metadata"]["namespace"] = namespace.clone().into();
            }
            let manager = PatchParams::apply("kustomize-controller").force();
            ops.api(version, kind).await?.patch(name, &manager, &Patch::Apply(&sent)).await?;
        }
        let deployments = ops.api("apps/v1", "Deployment").await?;
        wait::until(&deployments, "web", "available", |object| object.data["status"]["availableReplicas"] == 1).await?;
        let main = [&web, &service, &secret, &map];
        for object in main.into_iter().chain(&others) {
            let (version, kind, name) = (text(&object["apiVersion"]), text(&object["kind"]), text(&object["metadata"]["name"]));
            let found = ops.get(version, kind, name).await?;
            before.insert(kind, (version, name, found.metadata.resource_version));
        }
        let commit = ops.repository.commit("What Flux applied")?;
        let revision = format!("main@sha1:{commit}");

        // The Kustomization with what Flux wrote into it.
        let object = json!({
            "apiVersion": KUSTOMIZE, "kind": "Kustomization",
            "metadata": {"name": "app", "finalizers": ["finalizers.fluxcd.io"]},
            "spec": {"interval": "1h", "timeout": "2m", "prune": true, "wait": true, "path": "./", "force": false,
                "targetNamespace": namespace, "sourceRef": {"kind": "GitRepository", "name": "app"}},
        });
        let kustomizations = ops.api(KUSTOMIZE, "Kustomization").await?;
        let entries: Vec<_> = [("__Secret", "v1"), ("__Service", "v1"), ("__ConfigMap", "v1"), ("_apps_Deployment", "v1")]
            .iter()
            .map(|(tail, version)| json!({"id": format!("{namespace}_web{tail}"), "v": version}))
            .chain(others.iter().map(|object| entry(object, &namespace)))
            .collect();
        let at = "2026-01-01T00:00:00Z";
        let status = json!({"apiVersion": KUSTOMIZE, "kind": "Kustomization", "status": {
            "observedGeneration": 1, "lastAppliedRevision": revision, "lastAttemptedRevision": revision,
            "inventory": {"entries": entries},
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "lastTransitionTime": at,
                    "observedGeneration": 1, "message": format!("Applied revision: {revision}")},
                {"type": "Healthy", "status": "True", "reason": "Succeeded", "lastTransitionTime": at,
                    "observedGeneration": 1, "message": "Health check passed in 20ms"},
            ],
        }});
        let mark = Audit::mark(ops.plane)?;
        kustomizations.patch("app", &PatchParams::apply("flux").force(), &Patch::Apply(&object)).await?;
        let gotk = PatchParams::apply("gotk-kustomize-controller").force();
        #[expect(clippy::disallowed_methods, reason = "as Flux's controller has written it")]
        kustomizations.patch_status("app", &gotk, &Patch::Apply(&status)).await?;
        ops.git_repository(json!({})).await?;
        ops.applied("app", &commit).await?;
        let after = ops.reconcile("app").await?;
        ensure!(after.data["status"]["lastAppliedRevision"] == revision.as_str());
        for (kind, (version, name, resource_version)) in &before {
            let object = ops.get(version, kind, name).await?;
            ensure!(object.metadata.resource_version == *resource_version, "{kind} was written: {:?}", object.metadata);
        }
        if let Some(mark) = mark {
            let writes = mark.calls(|call| {
                call.is_write() && call.namespace == namespace
                    && !["kustomizations", "gitrepositories", "events"].contains(&call.resource.split('/').next().unwrap_or_default())
            })?;
            ensure!(writes.is_empty(), "{writes:?}");
        }
        // It belongs to no namespace that goes with the case.
        ops.delete("scheduling.k8s.io/v1", "PriorityClass", &format!("{namespace}-high")).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_and_its_resources_come_in_one_commit_and_go_together() -> Result<()> {
    gitops("crd", async |ops| {
        let group = format!("{}.example.com", ops.namespace);
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("widgets.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"}, "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]},
        });
        let widget = json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 1}});
        ops.repository.write("a-widget.yaml", widget.to_string())?;
        ops.repository.write("crd.yaml", crd.to_string())?;
        let commit = ops.repository.commit("A definition and a resource")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({"wait": true})).await?;
        ops.applied("app", &commit).await?;
        let version = format!("{group}/v1");
        ensure!(ops.get(&version, "Widget", "one").await?.data["spec"]["size"] == 1);
        for file in ["a-widget.yaml", "crd.yaml"] {
            ops.repository.remove(file)?;
        }
        ops.repository.write("map.yaml", r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"left"}}"#)?;
        let commit = ops.push("Neither").await?;
        ops.applied("app", &commit).await?;
        let definitions = ops.api("apiextensions.k8s.io/v1", "CustomResourceDefinition").await?;
        wait::gone(&definitions, &format!("widgets.{group}")).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_and_a_namespace_that_does_not_go_are_told_and_survived() -> Result<()> {
    gitops("denied", async |ops| {
        let stuck = format!("{}-stuck", ops.namespace);
        let policy = deny(ops, "denied", true).await?;
        for (name, data) in [("denied", "denied"), ("allowed", "fine")] {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {data: "x"}});
            ops.repository.write(&format!("denied/{name}.yaml"), map.to_string())?;
        }
        // A namespace that is deleted and held by something in it.
        let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stuck}});
        ops.apply(&space.to_string()).await?;
        let held = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
        let maps = ops.api_in("v1", "ConfigMap", &stuck).await?;
        maps.patch("held", &PatchParams::apply("test"), &Patch::Apply(&held)).await?;
        let spaces = ops.api("v1", "Namespace").await?;
        spaces.delete(&stuck, &kube::api::DeleteParams::background()).await?;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}});
        ops.repository.write("stuck/map.yaml", map.to_string())?;
        let commit = ops.repository.commit("Maps")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("denied", json!({"path": "./denied", "retryInterval": "2s"})).await?;
        let retry = json!({"path": "./stuck", "targetNamespace": stuck, "retryInterval": "2s"});
        ops.kustomization("stuck", retry).await?;

        let failed = ops.fails(KUSTOMIZE, "Kustomization", "denied", "ReconciliationFailed").await?;
        let text = message(&failed);
        ensure!(text.contains("ConfigMap/") && text.contains("/denied dry-run failed") && text.contains("no maps of that kind here"), "{text}");
        ensure!(ops.find("v1", "ConfigMap", "allowed").await?.is_none(), "half a stage was applied");
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "stuck", "ReconciliationFailed").await?;
        ensure!(message(&failed).contains("being terminated"), "{}", message(&failed));

        allow(ops, &policy).await?;
        ops.applied("denied", &commit).await?;
        let release = json!({"metadata": {"finalizers": null}});
        maps.patch("held", &PatchParams::default(), &Patch::Merge(&release)).await?;
        wait::gone(&spaces, &stuck).await?;
        ops.apply(&space.to_string()).await?;
        ops.applied("stuck", &commit).await?;
        spaces.delete(&stuck, &kube::api::DeleteParams::background()).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_refusal_goes_when_it_is_not_wanted_any_more() -> Result<()> {
    gitops("begun", async |ops| {
        let policy = deny(ops, "begun", false).await?;
        let map = |name: &str, key: &str| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: "x"}})
                .to_string()
        };
        ops.repository.write("maps/first.yaml", map("first", "fine"))?;
        ops.repository.write("maps/second.yaml", map("second", "denied"))?;
        ops.repository.commit("Two maps, of which one is refused when it is written")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("begun", json!({"path": "./maps", "prune": true, "retryInterval": "2s"})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "begun", "ReconciliationFailed").await?;
        ensure!(message(&failed).contains("/second apply failed"), "{}", message(&failed));
        let entries = failed.data["status"]["inventory"]["entries"].clone();
        let first = json!({"id": format!("{}_first__ConfigMap", ops.namespace), "v": "v1"});
        ensure!(entries == json!([first]), "not what was created: {entries}");
        ensure!(ops.find("v1", "ConfigMap", "first").await?.is_some(), "the map is not there");

        ops.repository.git(["rm", "-q", "maps/first.yaml"])?;
        ops.repository.write("maps/second.yaml", map("second", "fine"))?;
        let commit = ops.repository.commit("Only one map, which is not refused")?;
        ops.request_reconcile(SOURCE, "GitRepository", "app").await?;
        ops.applied("begun", &commit).await?;
        ensure!(ops.find("v1", "ConfigMap", "first").await?.is_none(), "the map was left behind");
        allow(ops, &policy).await
    })
    .await
}

/// Has the API server refuse ConfigMaps of the namespace with a key `denied`, also or only when they are really written.
/// Returns the name of the policy.
async fn deny(ops: &GitOps, name: &str, dry_runs: bool) -> Result<String> {
    let policy = format!("{}-{name}", ops.namespace);
    let refused = if dry_runs { "true" } else { "!has(request.dryRun) || !request.dryRun" };
    let rule = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": policy},
        "spec": {"failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}]},
            "validations": [{"expression": format!("!has(object.data) || !('denied' in object.data) || !({refused})"), "message": "no maps of that kind here"}]},
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": policy},
        "spec": {"policyName": policy, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ops.namespace}}}},
    });
    ops.apply(&rule.to_string()).await?;
    ops.apply(&binding.to_string()).await?;
    // The API server compiles policies some time after it has stored them.
    let maps = ops.api("v1", "ConfigMap").await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "try"}, "data": {"denied": "x"}});
    let attempt = PatchParams { dry_run: dry_runs, ..PatchParams::apply("test") };
    let refused = async {
        while maps.patch("try", &attempt, &Patch::Apply(&map)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(wait::PATIENCE, refused).await.context("the policy never came into force")?;
    Ok(policy)
}

/// Takes the policy away.
async fn allow(ops: &GitOps, policy: &str) -> Result<()> {
    ops.delete("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", policy).await?;
    ops.delete("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", policy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_objects_fit_into_one_kustomization() -> Result<()> {
    const NUMBER: usize = 5000;
    gitops("many", async |ops| {
        let write = |prefix: &str, value: &str| {
            let maps: Vec<_> = (0..NUMBER)
                .map(|n| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {prefix}-{n}}}, data: {{k: {value}}}}}"))
                .collect();
            ops.repository.write("maps.yaml", maps.join("\n---\n"))
        };
        write("map", "old")?;
        let commit = ops.repository.commit("Many maps")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({"timeout": "10m"})).await?;
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        let revision = format!("main@sha1:{commit}");
        let patience = Duration::from_secs(400);
        let done = wait::until_within(&api, "app", "applied", patience, |object| {
            object.data["status"]["lastAppliedRevision"] == revision.as_str()
        })
        .await?;
        let entries = done.data["status"]["inventory"]["entries"].as_array().map_or(0, Vec::len);
        ensure!(entries == NUMBER, "{entries}");
        let mark = Audit::mark(ops.plane)?;
        ops.reconcile("app").await?;
        if let Some(mark) = mark {
            let calls = mark.calls(|call| call.namespace == ops.namespace && call.resource == "configmaps")?;
            ensure!(calls.is_empty(), "an unchanged set costs {} requests", calls.len());
        }
        ops.delete(KUSTOMIZE, "Kustomization", "app").await?;
        let gone = Duration::from_secs(200);
        let deadline = std::time::Instant::now() + gone;
        while ops.find(KUSTOMIZE, "Kustomization", "app").await?.is_some() {
            ensure!(std::time::Instant::now() < deadline, "it is not gone");
            let _ = tokio::time::timeout(Duration::from_secs(5), wait::gone(&api, "app")).await;
        }
        let left = ops.api("v1", "ConfigMap").await?.list(&ListParams::default()).await?;
        ensure!(left.items.len() <= 1, "{} are left", left.items.len());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_server_is_away_holds_up_nobody_else() -> Result<()> {
    let arguments = ["--feature-gates=ExternalArtifact=true", "--concurrent=1"];
    let ops = GitOps::start("away", &arguments).await?;
    let case = async {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}});
        ops.repository.write("map.yaml", map.to_string())?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        let source = ops.stored("app", &format!("main@sha1:{commit}")).await?;
        // Nobody listens there.
        let mut artifact = source.data["status"]["artifact"].clone();
        artifact["url"] = "http://127.0.0.1:1/a.tar.gz".into();
        let external = json!({"apiVersion": SOURCE, "kind": "ExternalArtifact", "metadata": {"name": "away"}, "spec": {}});
        ops.apply(&external.to_string()).await?;
        let status = json!({"status": {"artifact": artifact, "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded",
            "message": "stored", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        let externals = ops.api(SOURCE, "ExternalArtifact").await?;
        #[expect(clippy::disallowed_methods, reason = "as another controller does")]
        externals.patch_status("away", &PatchParams::default(), &Patch::Merge(&status)).await?;
        for number in 0..3 {
            let source = json!({"kind": "ExternalArtifact", "name": "away"});
            ops.kustomization(&format!("away-{number}"), json!({"sourceRef": source})).await?;
        }
        // The only worker comes to this one although the others are tried again and again.
        ops.kustomization("near", json!({})).await?;
        ops.applied("near", &commit).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "away-0", "ArtifactFailed").await?;
        ensure!(message(&failed).starts_with("failed to download archive: GET http://127.0.0.1:1/"), "{}", message(&failed));
        // The server comes back where it was not: nothing waits for an interval.
        artifact["url"] = source.data["status"]["artifact"]["url"].clone();
        let status = json!({"status": {"artifact": artifact}});
        #[expect(clippy::disallowed_methods, reason = "as another controller does")]
        externals.patch_status("away", &PatchParams::default(), &Patch::Merge(&status)).await?;
        ops.applied("away-0", &commit).await.map(drop)
    }
    .await;
    ops.explain(case)
}

//! What the fields and annotations of a Kustomization do that no other case is about.

use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, gitops, is_ready, message};
use anyhow::{Context as _, Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{condition, wait, workspace};

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: 'example.com/web:1'}]}
";

fn map(ops: &GitOps, path: &str, name: &str, annotations: Value, value: &str) -> Result<()> {
    let metadata = json!({"name": name, "annotations": annotations});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": value}});
    ops.repository.write(path, object.to_string())
}

fn annotation(object: &kube::api::DynamicObject, name: &str) -> String {
    object.metadata.annotations.as_ref().and_then(|all| all.get(name).cloned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_that_shape_objects_do_so_together() -> Result<()> {
    gitops("fields", async |ops| {
        ops.repository.write("app/web.yaml", WEB)?;
        map(ops, "app/map.yaml", "settings", json!({}), "$${HOME} ${tier}")?;
        ops.repository.write("app/kustomization.yaml", "resources: [web.yaml, map.yaml]\n")?;
        ops.repository.write(
            "parts/extra/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
commonAnnotations: {from: component}
",
        )?;
        let commit = ops.repository.commit("An app and a component")?;
        ops.git_repository(json!({})).await?;
        let spec = json!({
            "path": "./app", "namePrefix": "a-", "nameSuffix": "-z", "wait": true,
            "commonMetadata": {"labels": {"team": "shop"}, "annotations": {"note": "common"}},
            "images": [{"name": "example.com/web", "newName": "example.org/other", "newTag": "2"}],
            "patches": [{"target": {"kind": "Deployment"}, "patch": "- {op: replace, path: /spec/replicas, value: 1}"}],
            "components": ["../parts/extra", "../parts/missing"], "ignoreMissingComponents": true,
            "buildMetadata": ["originAnnotations"],
            "postBuild": {"substituteStrategy": "Always", "substitute": {"tier": "gold"}},
        });
        ops.kustomization("shaped", spec.clone()).await?;
        ops.applied("shaped", &commit).await?;
        let web = ops.get("apps/v1", "Deployment", "a-web-z").await?;
        ensure!(web.data["spec"]["replicas"] == 1, "{}", web.data["spec"]);
        let image = &web.data["spec"]["template"]["spec"]["containers"][0]["image"];
        ensure!(image == "example.org/other:2", "{image}");
        ensure!(web.metadata.labels.as_ref().is_some_and(|all| all["team"] == "shop"), "{:?}", web.metadata.labels);
        ensure!(annotation(&web, "note") == "common" && annotation(&web, "from") == "component");
        ensure!(annotation(&web, "config.kubernetes.io/origin").contains("web.yaml"), "{:?}", web.metadata.annotations);
        let settings = ops.get("v1", "ConfigMap", "a-settings-z").await?;
        ensure!(settings.data["data"]["k"] == "${HOME} gold", "{}", settings.data["data"]);

        // Without the switch a missing component is an error, and nothing is pruned for it.
        let mut strict = spec;
        strict["ignoreMissingComponents"] = false.into();
        ops.kustomization("shaped", strict).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "shaped", "BuildFailed").await?;
        ensure!(message(&failed).contains("missing"), "{}", message(&failed));
        ensure!(ops.find("apps/v1", "Deployment", "a-web-z").await?.is_some());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deletion_policy_decides_what_goes_with_a_kustomization() -> Result<()> {
    gitops("policies", async |ops| {
        map(ops, "map.yaml", "map", json!({}), "x")?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        let maps = ops.api("v1", "ConfigMap").await?;
        let policies = [("delete", "Delete", false), ("orphan", "Orphan", true), ("await", "WaitForTermination", true)];
        for (name, policy, prune) in policies {
            let spec = json!({"deletionPolicy": policy, "prune": prune, "namePrefix": format!("{name}-"), "timeout": "10m"});
            ops.kustomization(name, spec).await?;
            ops.applied(name, &commit).await?;
        }
        // Somebody holds the map back for a while.
        let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
        maps.patch("await-map", &PatchParams::default(), &Patch::Merge(&hold)).await?;
        for (name, _, _) in policies {
            ops.delete(KUSTOMIZE, "Kustomization", name).await?;
        }
        wait::gone(&api, "delete").await?;
        wait::gone(&api, "orphan").await?;
        ensure!(ops.find("v1", "ConfigMap", "delete-map").await?.is_none(), "it was to be deleted");
        ensure!(ops.find("v1", "ConfigMap", "orphan-map").await?.is_some(), "it was to stay");
        wait::until(&maps, "await-map", "deleted", |map| map.metadata.deletion_timestamp.is_some()).await?;
        ensure!(ops.find(KUSTOMIZE, "Kustomization", "await").await?.is_some(), "it did not wait");
        let release = json!({"metadata": {"finalizers": null}});
        maps.patch("await-map", &PatchParams::default(), &Patch::Merge(&release)).await?;
        wait::gone(&api, "await").await?;
        ensure!(ops.find("v1", "ConfigMap", "await-map").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_what_the_user_says_it_is() -> Result<()> {
    gitops("health-expr", async |ops| {
        let group = format!("{}.example.com", ops.namespace);
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("engines.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Engine", "plural": "engines"}, "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
        });
        let version = format!("{group}/v1");
        let engine = json!({"apiVersion": version, "kind": "Engine", "metadata": {"name": "one"}, "spec": {"size": 1}});
        ops.repository.write("crd.yaml", crd.to_string())?;
        ops.repository.write("engine.yaml", engine.to_string())?;
        let commit = ops.repository.commit("An engine")?;
        ops.git_repository(json!({})).await?;
        let spec = json!({
            "timeout": "10m",
            "healthChecks": [{"apiVersion": version, "kind": "Engine", "name": "one", "namespace": ops.namespace}],
            "healthCheckExprs": [{"apiVersion": version, "kind": "Engine",
                "inProgress": "status.phase == 'Starting'", "failed": "status.phase == 'Broken'", "current": "status.phase == 'Running'"}],
        });
        ops.kustomization("app", spec).await?;
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        wait::until(&api, "app", "checking health", |object| condition(object, "Healthy") == Some("Unknown")).await?;
        ops.patch(&version, "Engine", "one", json!({"status": {"phase": "Starting"}})).await?;
        ops.patch(&version, "Engine", "one", json!({"status": {"phase": "Broken"}})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "HealthCheckFailed").await?;
        ensure!(message(&failed).contains(&format!("Engine/{}/one status: 'Failed'", ops.namespace)), "{}", message(&failed));
        ops.patch(&version, "Engine", "one", json!({"status": {"phase": "Running"}})).await?;
        ops.reconcile("app").await?;
        let applied = ops.applied("app", &commit).await?;
        ensure!(condition(&applied, "Healthy") == Some("True"));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_fields_and_steering_annotations_leave_to_others_what_is_theirs() -> Result<()> {
    let arguments = ["--override-manager=migrator", "--custom-apply-stage-kinds=/ConfigMap"];
    let ops = GitOps::start("steering", &arguments).await?;
    let case = async {
        ops.repository.write("web.yaml", WEB.replace("name: web}", "name: web, labels: {tier: one}}"))?;
        map(&ops, "taken.yaml", "taken", json!({}), "ours")?;
        map(&ops, "merged.yaml", "merged", json!({"kustomize.toolkit.fluxcd.io/ssa": "Merge"}), "ours")?;
        let off = json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"});
        map(&ops, "off.yaml", "off", json!({}), "first")?;
        let first = ops.repository.commit("A Deployment and maps")?;
        let maps = ops.api("v1", "ConfigMap").await?;
        for (name, manager) in [("taken", "migrator"), ("merged", "kubectl")] {
            let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"old": "x"}});
            maps.patch(name, &PatchParams::apply(manager), &Patch::Apply(&theirs)).await?;
        }
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({"ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}]})).await?;
        ops.applied("app", &first).await?;
        let data = |map: &kube::api::DynamicObject| map.data["data"].clone();
        let taken = data(&ops.get("v1", "ConfigMap", "taken").await?);
        ensure!(taken == json!({"k": "ours"}), "fields of an overridden manager stayed: {taken}");
        let merged = data(&ops.get("v1", "ConfigMap", "merged").await?);
        ensure!(merged == json!({"k": "ours", "old": "x"}), "fields were taken although merging was asked for: {merged}");

        // An autoscaler sets the replicas, somebody turns an object off, and the repository changes beside both.
        let scaler = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 5}});
        ops.api("apps/v1", "Deployment").await?.patch("web", &PatchParams::apply("scaler").force(), &Patch::Apply(&scaler)).await?;
        ops.patch("v1", "ConfigMap", "off", json!({"metadata": {"annotations": off}})).await?;
        ops.repository.replace("web.yaml", "tier: one", "tier: two")?;
        ops.repository.replace("off.yaml", "first", "second")?;
        let second = ops.push("Another tier").await?;
        ops.applied("app", &second).await?;
        let web = ops.get("apps/v1", "Deployment", "web").await?;
        ensure!(web.metadata.labels.as_ref().is_some_and(|all| all["tier"] == "two"), "{:?}", web.metadata.labels);
        ensure!(web.data["spec"]["replicas"] == 5, "the autoscaler was overruled: {}", web.data["spec"]["replicas"]);
        ensure!(data(&ops.get("v1", "ConfigMap", "off").await?)["k"] == "first", "what is turned off was applied");
        // What is turned off is not pruned either.
        ops.repository.remove("off.yaml")?;
        let third = ops.push("One map less").await?;
        ops.applied("app", &third).await?;
        ensure!(ops.find("v1", "ConfigMap", "off").await?.is_some(), "what is turned off was pruned");
        Ok(())
    }
    .await;
    ops.explain(case)
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_of_others_shards_and_dependencies_of_other_kinds() -> Result<()> {
    let arguments = [
        "--feature-gates=ExternalArtifact=true",
        "--requeue-dependency=1s",
        "--watch-label-selector=sharding.fluxcd.io/key=a",
        "--sops-age-secret=age",
    ];
    let ops = GitOps::start("others", &arguments).await?;
    let case = async {
        let corpus = workspace().join("crates/sops/tests/cases");
        let read = |path: &str| std::fs::read_to_string(corpus.join(path));
        ops.repository.write("secret.yaml", read("yaml-encrypted-regex/encrypted.yaml")?)?;
        let commit = ops.repository.commit("A secret")?;
        ops.git_repository(json!({})).await?;
        let source = ops.stored("app", &format!("main@sha1:{commit}")).await?;
        let labels = json!({"sharding.fluxcd.io/key": "a"});
        let kustomization = |name: &str, metadata: Value, kind: &str| {
            let mut metadata = metadata;
            metadata["name"] = name.into();
            json!({"apiVersion": KUSTOMIZE, "kind": "Kustomization", "metadata": metadata, "spec": {
                "interval": "1h", "timeout": "1m", "prune": true, "path": "./", "targetNamespace": ops.namespace,
                "namePrefix": format!("{name}-"), "sourceRef": {"kind": kind, "name": "app"}, "decryption": {"provider": "sops"},
            }})
        };
        ops.apply(&kustomization("elsewhere", json!({}), "GitRepository").to_string()).await?;
        let waits = json!({"labels": labels, "annotations": {"sluice.dev/depends-on": "ExternalArtifact/app"}});
        ops.apply(&kustomization("ours", waits, "ExternalArtifact").to_string()).await?;
        // The key for all is not there, nor is the artifact.
        ops.fails(KUSTOMIZE, "Kustomization", "ours", "ArtifactFailed").await?;
        let external = json!({"apiVersion": SOURCE, "kind": "ExternalArtifact", "metadata": {"name": "app"}, "spec": {}});
        ops.apply(&external.to_string()).await?;
        let mut artifact = source.data["status"]["artifact"].clone();
        artifact["metadata"] = json!({"org.opencontainers.image.revision": "upstream@1"});
        let status = json!({"status": {"artifact": artifact, "conditions": []}});
        let externals = ops.api(SOURCE, "ExternalArtifact").await?;
        #[expect(clippy::disallowed_methods, reason = "as another controller does")]
        externals.patch_status("app", &PatchParams::default(), &Patch::Merge(&status)).await?;
        ops.fails(KUSTOMIZE, "Kustomization", "ours", "DependencyNotReady").await?;
        let ready = json!({"status": {"artifact": artifact, "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded",
            "message": "stored", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        #[expect(clippy::disallowed_methods, reason = "as another controller does")]
        externals.patch_status("app", &PatchParams::default(), &Patch::Merge(&ready)).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "ours", "BuildFailed").await?;
        ensure!(message(&failed).contains("\"age\" not found"), "{}", message(&failed));
        ops.secret("age", json!({"alice.agekey": read("keys/age-alice.agekey")?})).await?;
        ops.reconcile("ours").await?;
        let applied = ops.applied("ours", &commit).await?;
        ensure!(applied.data["status"]["lastAppliedOriginRevision"] == "upstream@1", "{}", applied.data["status"]);
        ensure!(ops.get("v1", "Secret", "ours-creds").await?.data["data"]["user"] == "YWRtaW4=");
        // The one of another shard is nobody's business here.
        let elsewhere = ops.get(KUSTOMIZE, "Kustomization", "elsewhere").await?;
        ensure!(!is_ready(&elsewhere) && elsewhere.metadata.finalizers.is_none(), "{elsewhere:?}");
        applied.metadata.uid.context("no uid").map(drop)
    }
    .await;
    ops.explain(case)
}

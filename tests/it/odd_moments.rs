//! What may happen to Kustomizations while they are at work: they are changed, suspended or deleted, and so is what they
//! apply.

use crate::gitops::{GitOps, KUSTOMIZE, gitops, message};
use crate::odd_kustomizations::map;
use anyhow::{Context as _, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_tests::{condition, wait};

/// A claim that nobody serves: whoever waits for it waits.
const CLAIM: &str = "apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: NAME}
spec: {storageClassName: none, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_when_what_is_waited_for_is_not_wanted_any_more() -> Result<()> {
    gitops("waits", async |ops| {
        let names = ["deleted", "suspended", "moved", "switched"];
        for name in names {
            ops.repository.write(&format!("{name}/claim.yaml"), CLAIM.replace("NAME", name))?;
        }
        ops.repository.write("fine/map.yaml", map("fine"))?;
        let commit = ops.repository.commit("Claims")?;
        ops.git_repository(json!({})).await?;
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        let spec = |name: &str| json!({"path": format!("./{name}"), "wait": true, "timeout": "30m"});
        for name in names {
            ops.kustomization(name, spec(name)).await?;
        }
        let waits = async |name| {
            let waits = |object: &DynamicObject| condition(object, "Healthy") == Some("Unknown");
            wait::until(&api, name, "waiting", waits).await.map(drop)
        };
        let change = async |name, spec: Value| {
            waits(name).await?;
            ops.patch(KUSTOMIZE, "Kustomization", name, json!({ "spec": spec })).await.map(drop)
        };
        let claims = ops.api("v1", "PersistentVolumeClaim").await?;

        waits("deleted").await?;
        ops.delete(KUSTOMIZE, "Kustomization", "deleted").await?;
        wait::gone(&api, "deleted").await?;
        wait::gone(&claims, "deleted").await?;

        change("moved", json!({"path": "./fine"})).await?;
        ops.applied("moved", &commit).await?;
        wait::gone(&claims, "moved").await?;

        // A source that is not there prunes nothing, and the wait goes on when it is back.
        change("switched", json!({"sourceRef": {"kind": "OCIRepository"}})).await?;
        ops.fails(KUSTOMIZE, "Kustomization", "switched", "ArtifactFailed").await?;
        ensure!(claims.get_opt("switched").await?.is_some(), "pruned for want of a source");
        ops.patch(
            KUSTOMIZE,
            "Kustomization",
            "switched",
            json!({"spec": {"sourceRef": {"kind": "GitRepository"}}}),
        )
        .await?;
        waits("switched").await?;

        // What is suspended leaves everything where it is, also when it is deleted.
        change("suspended", json!({"suspend": true})).await?;
        ops.delete(KUSTOMIZE, "Kustomization", "suspended").await?;
        wait::gone(&api, "suspended").await?;
        ensure!(claims.get_opt("suspended").await?.is_some(), "pruned although suspended");
        Ok(())
    })
    .await
}

fn definition(group: &str, served: [bool; 2]) -> Value {
    let version = |name: &str, served: bool, storage: bool| {
        json!({"name": name, "served": served, "storage": storage, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
            "versions": [version("v1", served[0], false), version("v2", served[1], true)]},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_any_more_can_be_pruned() -> Result<()> {
    gitops("unserved", async |ops| {
        let group = format!("{}.example.com", ops.namespace);
        let names = ["pruned", "deleted"];
        for name in names {
            let thing =
                json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": name}});
            ops.repository.write(&format!("{name}/thing.yaml"), thing.to_string())?;
            ops.repository.write(&format!("{name}/map.yaml"), map(name))?;
        }
        let commit = ops.repository.commit("Things")?;
        ops.apply(&definition(&group, [true, true]).to_string()).await?;
        ops.git_repository(json!({})).await?;
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        for name in names {
            ops.kustomization(name, json!({"path": format!("./{name}"), "retryInterval": "1s"})).await?;
            ops.applied(name, &commit).await?;
        }
        // The version of the manifest goes: the object is found in the other one.
        ops.apply(&definition(&group, [false, true]).to_string()).await?;
        let things = ops.api(&format!("{group}/v2"), "Thing").await?;
        unserved(ops, &group).await?;
        ops.repository.remove("pruned/thing.yaml")?;
        let commit = ops.push("One thing less").await?;
        ops.applied("pruned", &commit).await?;
        wait::gone(&things, "pruned").await?;
        ensure!(things.get_opt("deleted").await?.is_some(), "the wrong one was pruned");
        // The other one is wanted in a version that nobody serves, which is told and prunes nothing.
        ops.request_reconcile(KUSTOMIZE, "Kustomization", "deleted").await?;
        let refused = wait::until(&api, "deleted", "refused", |object| {
            message(object).contains(&format!("no matches for kind \"Thing\" in version \"{group}/v1\""))
        })
        .await?;
        let entries = refused.data["status"]["inventory"]["entries"].as_array().map_or(0, Vec::len);
        ensure!(entries == 2, "{entries} entries are left");
        // The definition goes, and all objects with it: nothing holds the Kustomization.
        let definitions = ops.api("apiextensions.k8s.io/v1", "CustomResourceDefinition").await?;
        let name = format!("things.{group}");
        ops.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", &name).await?;
        wait::gone(&definitions, &name).await?;
        ops.delete(KUSTOMIZE, "Kustomization", "deleted").await?;
        wait::gone(&api, "deleted").await?;
        ensure!(ops.find("v1", "ConfigMap", "deleted").await?.is_none(), "what is beside it stayed");
        Ok(())
    })
    .await
}

/// Waits until the API server has let go of the version v1 of a group.
async fn unserved(ops: &GitOps, group: &str) -> Result<()> {
    let path = format!("/apis/{group}/v1/namespaces/{}/things", ops.namespace);
    let gone = async {
        loop {
            let request = http::Request::get(&path).body(Vec::new())?;
            match ops.client.request::<Value>(request).await {
                Err(kube::Error::Api(status)) if status.code == 404 => return anyhow::Ok(()),
                _ => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    };
    tokio::time::timeout(wait::PATIENCE, gone).await.context("the version is still served")?
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_that_somebody_changed_is_mended_and_many_edits_leave_the_last() -> Result<()> {
    gitops("meddled", async |ops| {
        ops.repository.write("fine/map.yaml", map("fine"))?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({"path": "./fine", "namePrefix": "0-"})).await?;
        let before = ops.applied("app", &commit).await?;
        let api = ops.api(KUSTOMIZE, "Kustomization").await?;
        let lost =
            Patch::Merge(json!({"status": {"inventory": {"entries": [{"id": "nonsense", "v": "v1"}]}}}));
        #[expect(clippy::disallowed_methods, reason = "somebody meddles")]
        api.patch_status("app", &PatchParams::default(), &lost).await?;
        let mended = ops.reconcile("app").await?;
        ensure!(
            mended.data["status"]["inventory"] == before.data["status"]["inventory"],
            "{}",
            mended.data["status"]
        );
        // A finalizer that somebody took away comes back.
        ops.patch(KUSTOMIZE, "Kustomization", "app", json!({"metadata": {"finalizers": null}})).await?;
        let mended = ops.reconcile("app").await?;
        ensure!(mended.metadata.finalizers.is_some_and(|all| all.len() == 1), "it has no finalizer");
        for number in 1..=20 {
            let spec = json!({"spec": {"namePrefix": format!("{number}-")}});
            ops.patch(KUSTOMIZE, "Kustomization", "app", spec).await?;
        }
        ops.applied("app", &commit).await?;
        let maps = ops.api("v1", "ConfigMap").await?.list(&kube::api::ListParams::default()).await?;
        let names: Vec<_> = maps.items.into_iter().filter_map(|map| map.metadata.name).collect();
        let left: Vec<_> = names.iter().filter(|name| name.ends_with("-fine")).collect();
        ensure!(left == ["20-fine"], "{left:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_with_its_kustomizations_and_their_account() -> Result<()> {
    gitops("goes", async |ops| {
        ops.repository.write("fine/map.yaml", map("fine"))?;
        ops.repository.write("fine/claim.yaml", CLAIM.replace("NAME", "claim"))?;
        let commit = ops.repository.commit("A map and a claim")?;
        let rbac = "rbac.authorization.k8s.io";
        for object in [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "tenant"}}),
            json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": {"name": "tenant"},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "admin"},
                "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": ops.namespace}]}),
        ] {
            ops.apply(&object.to_string()).await?;
        }
        ops.git_repository(json!({})).await?;
        for (name, change) in [
            ("plain", json!({})),
            ("as-tenant", json!({"serviceAccountName": "tenant"})),
            ("until-gone", json!({"serviceAccountName": "tenant", "deletionPolicy": "WaitForTermination"})),
        ] {
            let mut spec = json!({"path": "./fine", "namePrefix": format!("{name}-")});
            for (key, value) in change.as_object().context("no fields")? {
                spec[key] = value.clone();
            }
            ops.kustomization(name, spec).await?;
            ops.applied(name, &commit).await?;
        }
        let api = ops.api("v1", "Namespace").await?;
        api.delete(&ops.namespace, &kube::api::DeleteParams::background()).await?;
        wait::gone(&api, &ops.namespace).await
    })
    .await
}

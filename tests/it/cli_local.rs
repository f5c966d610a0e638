//! `sluice build kustomization` and `sluice diff kustomization`: what a working directory would change in a real cluster, in
//! which nothing is changed by the question.

use crate::cli::{fine, sluice};
use crate::gitops::{GitOps, KUSTOMIZE, gitops, write_shop};
use anyhow::{Result, ensure};
use serde_json::json;
use sluice_tests::documents;
use std::collections::BTreeSet;

/// Name and resource version of what the case has applied.
async fn versions(ops: &GitOps) -> Result<BTreeSet<(String, Option<String>)>> {
    let mut versions = BTreeSet::new();
    for (version, kind) in
        [("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "ConfigMap"), ("v1", "Secret")]
    {
        for object in ops.api(version, kind).await?.list(&kube::api::ListParams::default()).await? {
            let name = format!("{kind}/{}", object.metadata.name.unwrap_or_default());
            versions.insert((name, object.metadata.resource_version));
        }
    }
    Ok(versions)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_directory_is_compared_with_the_cluster() -> Result<()> {
    gitops("cli-diff", async |ops| {
        write_shop(&ops.repository)?;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"password": "hunter2"}});
        ops.repository.write("base/secret.yaml", secret.to_string())?;
        ops.repository.write("base/kustomization.yaml", "resources: [deployment.yaml, service.yaml, secret.yaml]\n")?;
        let commit = ops.repository.commit("Open the shop")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("shop", json!({"path": "./overlays/staging", "wait": true})).await?;
        ops.applied("shop", &commit).await?;
        let before = versions(ops).await?;
        let namespace = ops.namespace.clone();
        let path = ops.repository.work().join("overlays/staging").display().to_string();

        let built = documents(&fine(ops, &format!("build kustomization shop --path {path}")).await?.data)?;
        let names: BTreeSet<_> = built.iter().map(|object| object["kind"].as_str().unwrap_or_default()).collect();
        ensure!(names == BTreeSet::from(["ConfigMap", "Deployment", "Secret", "Service"]), "{names:?}");
        for object in &built {
            let labels = &object["metadata"]["labels"];
            ensure!(labels["kustomize.toolkit.fluxcd.io/name"] == "shop", "{labels}");
            ensure!(labels["kustomize.toolkit.fluxcd.io/namespace"] == namespace.as_str(), "{labels}");
        }
        let same = fine(ops, &format!("diff kustomization shop --path {path}")).await?;
        ensure!(same.data.is_empty(), "{same:?}");

        ops.repository.replace("base/deployment.yaml", "1.0.0", "1.1.0")?;
        ops.repository.replace("base/secret.yaml", "hunter2", "correct-horse")?;
        ops.repository.write("base/kustomization.yaml", "resources: [deployment.yaml, secret.yaml, new.yaml]\n")?;
        ops.repository.write("base/new.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: new}}\n")?;
        let changed = sluice(ops, &format!("diff kustomization shop --path {path}")).await?;
        ensure!(changed.code == Some(1), "{changed:?}");
        let warning = "⚠️ identified at least one change, exiting with non-zero exit code\n";
        ensure!(changed.talk.ends_with(warning), "{changed:?}");
        for line in [
            format!("► ConfigMap/{namespace}/staging-new created\n"),
            format!("► Deployment/{namespace}/staging-shop drifted\n"),
            format!("► Secret/{namespace}/staging-login drifted\n"),
            format!("► Service/{namespace}/staging-shop deleted\n"),
        ] {
            ensure!(changed.data.contains(&line), "{line:?} is not in {}", changed.data);
        }
        ensure!(changed.data.contains("example.com/shop:1.1.0"), "{}", changed.data);
        ensure!(changed.data.contains("*** (before)") && changed.data.contains("*** (after)"), "{}", changed.data);
        let said = format!("{}{}", changed.data, changed.talk);
        // As text, and as base64.
        for secret in ["hunter2", "correct-horse", "aHVudGVyMg", "Y29ycmVjdC1ob3JzZQ"] {
            ensure!(!said.contains(secret), "a secret is shown: {said}");
        }
        ensure!(versions(ops).await? == before, "asking has changed something");

        ops.repository.write("base/new.yaml", "a: [1,\nb: }")?;
        let broken = sluice(ops, &format!("diff kustomization shop --path {path}")).await?;
        ensure!(broken.code == Some(2) && broken.talk.contains("new.yaml"), "{broken:?}");
        let nobody = sluice(ops, &format!("diff kustomization nobody --path {path}")).await?;
        ensure!(nobody.code == Some(2) && nobody.talk.contains("not found"), "{nobody:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn kustomizations_of_a_kustomization_are_built_and_compared_too() -> Result<()> {
    gitops("cli-nested", async |ops| {
        let namespace = ops.namespace.clone();
        let nested = json!({"apiVersion": KUSTOMIZE, "kind": "Kustomization", "metadata": {"name": "apps"}, "spec": {
            "interval": "1h", "prune": true, "path": "./apps", "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": "app"}}});
        ops.repository.write("cluster/apps.yaml", nested.to_string())?;
        let map = |value: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: map}}, data: {{k: {value}}}}}\n");
        ops.repository.write("apps/map.yaml", map("old"))?;
        let commit = ops.repository.commit("Apps of a cluster")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("cluster", json!({"path": "./cluster"})).await?;
        ops.applied("cluster", &commit).await?;
        ops.applied("apps", &commit).await?;

        let work = ops.repository.work().display().to_string();
        let line = format!("kustomization cluster --path {work}/cluster --recursive --local-sources GitRepository/{namespace}/app={work}");
        let built = documents(&fine(ops, &format!("build {line}")).await?.data)?;
        let kinds: Vec<_> = built.iter().map(|object| object["kind"].clone()).collect();
        ensure!(kinds == ["Kustomization", "ConfigMap"], "{kinds:?}");
        let labels = &built[1]["metadata"]["labels"];
        ensure!(labels["kustomize.toolkit.fluxcd.io/name"] == "apps", "{labels}");
        let same = fine(ops, &format!("diff {line}")).await?;
        ensure!(same.data.is_empty(), "{same:?}");
        ops.repository.write("apps/map.yaml", map("new"))?;
        let changed = sluice(ops, &format!("diff {line}")).await?;
        let text = format!("📁 Kustomization/{namespace}/apps changed\n► ConfigMap/{namespace}/map drifted\n");
        ensure!(changed.code == Some(1) && changed.data.starts_with(&text), "{changed:?}");
        let lost = sluice(ops, &format!("build kustomization cluster --path {work}/cluster --recursive --local-sources GitRepository/x/y={work}")).await?;
        let text = format!("cannot get local path for GitRepository/{namespace}/app of kustomization apps");
        ensure!(lost.code == Some(1) && lost.talk.contains(&text), "{lost:?}");
        Ok(())
    })
    .await
}

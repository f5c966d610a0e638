//! The manifests that users have do what they say, whatever version they are written in.

use crate::gitops::{KUSTOMIZE, SOURCE, gitops, is_ready, write_shop};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{documents, wait, workspace};
use std::fs;

/// The fixture's host and namespaces are those of a user: ours take their place.
fn adapted(text: &str, url: &str, namespace: &str) -> Result<Vec<Value>> {
    let mut documents = documents(text)?;
    for document in &mut documents {
        document["metadata"]["namespace"] = json!(namespace);
        let spec = &mut document["spec"];
        if spec["url"].is_string() {
            spec["url"] = json!(url);
        }
        if document["kind"] == "Kustomization" {
            let spec = &mut document["spec"];
            spec["targetNamespace"] = json!(namespace);
            if let Some(Value::Array(checks)) = spec.get_mut("healthChecks") {
                for check in checks {
                    check["namespace"] = json!(namespace);
                }
            }
        }
    }
    Ok(documents)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_git_repository_and_kustomization_that_users_have_reconciles() -> Result<()> {
    gitops("old", async |ops| {
        // What their repository holds: a shop under `deploy`, with releases.
        write_shop(&ops.repository)?;
        let work = ops.repository.work().to_owned();
        fs::create_dir(work.join("deploy"))?;
        for name in ["base", "overlays"] {
            fs::rename(work.join(name), work.join("deploy").join(name))?;
        }
        for overlay in ["staging", "production"] {
            let file = format!("deploy/overlays/{overlay}/kustomization.yaml");
            // Their health checks and patches name the Deployment without a prefix.
            ops.repository.replace(&file, &format!("namePrefix: {overlay}-\n"), "")?;
            // Kustomize puts `patches` after the old kinds of patches: in staging those are to have the last word.
            let text = fs::read_to_string(work.join(&file))?;
            if let Some((kept, _)) = text.split_once("patches:").filter(|_| overlay == "staging") {
                ops.repository.write(&file, kept)?;
            }
        }
        ops.repository.commit("Open the shop")?;
        ops.repository.tag("v1.2.0")?;
        ops.secret("git-credentials", json!({"username": "user", "password": "pass"})).await?;
        ops.secret("sops-age", json!({})).await?;
        let url = ops.repository.url().to_owned();

        let folder = workspace().join("tests/fixtures/manifests");
        for version in ["v1", "v1beta2", "v1beta1"] {
            let read = |kind: &str| -> Result<Vec<Value>> {
                let file = folder.join(format!("{kind}-{version}.yaml"));
                let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
                adapted(&text, &url, &ops.namespace)
            };
            for document in read("git-repository")? {
                let name = document["metadata"]["name"].as_str().context("no name")?;
                ops.apply(&document.to_string()).await?;
                let api = ops.api(SOURCE, "GitRepository").await?;
                wait::until(&api, name, "ready", is_ready).await?;
            }
            for document in read("kustomization")? {
                // They all apply the shop: one after the other, without leaving anything.
                let name = document["metadata"]["name"].as_str().context("no name")?;
                ops.apply(&document.to_string()).await?;
                let api = ops.api(KUSTOMIZE, "Kustomization").await?;
                wait::until(&api, name, "ready", is_ready).await?;
                let shop = ops.get("apps/v1", "Deployment", "shop").await?;
                let labels = shop.metadata.labels.clone().unwrap_or_default();
                let replicas = &shop.data["spec"]["replicas"];
                match version {
                    "v1" => ensure!(replicas == 3, "{replicas}"),
                    "v1beta1" => ensure!(replicas == 2 && labels["tier"] == "web", "{replicas} {labels:?}"),
                    _ => ensure!(replicas == 1, "{replicas}"),
                }
                // The second run says nothing new.
                ops.reconcile(name).await?;
                let validated = document["spec"]["validation"].is_string();
                if validated {
                    ops.told("Kustomization", name, "of the field", |type_, _, text| {
                        type_ == "Warning" && text.contains("validation")
                    })
                    .await?;
                }
                let events = ops.events("Kustomization", name).await?;
                let warnings: Vec<_> = events.iter().filter(|(kind, _, _)| kind == "Warning").collect();
                ensure!(warnings.len() == usize::from(validated), "{warnings:?}");
                ops.delete(KUSTOMIZE, "Kustomization", name).await?;
                wait::gone(&api, name).await?;
            }
        }
        Ok(())
    })
    .await
}

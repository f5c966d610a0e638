//! Feature gates that change how things are done, on the real API server.

use crate::gitops::GitOps;
use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::json;

const AUTOSCALER: &str = "HorizontalPodAutoscaler";

fn autoscaler(version: &str, rule: &str) -> String {
    format!(
        "apiVersion: autoscaling/{version}\nkind: {AUTOSCALER}\nmetadata: {{name: web}}\nspec:\n  maxReplicas: 3\n  \
         scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}\n  {rule}\n"
    )
}

/// Manager and version of each entry of the fields' owners, those of subresources aside.
fn owners(object: &DynamicObject) -> Vec<(String, String)> {
    let entries = object.metadata.managed_fields.iter().flatten();
    let own = entries.filter(|entry| entry.subresource.is_none());
    own.map(|entry| {
        (entry.manager.clone().unwrap_or_default(), entry.api_version.clone().unwrap_or_default())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_of_fields_move_to_the_version_of_the_manifest_and_sources_are_asked_for() -> Result<()> {
    let gates = "--feature-gates=MigrateAPIVersion=true,DirectSourceFetch=true";
    let ops = GitOps::start("gates", &[gates]).await?;
    let case = async {
        ops.repository.write("web.yaml", autoscaler("v1", "targetCPUUtilizationPercentage: 50"))?;
        let first = ops.repository.commit("An autoscaler of the first version")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({"buildMetadata": ["transformerAnnotations"], "namePrefix": "x-"})).await?;
        ops.applied("app", &first).await?;
        let old = ops.get("autoscaling/v1", AUTOSCALER, "x-web").await?;
        let told = old.metadata.annotations.as_ref().and_then(|all| all.get("alpha.config.kubernetes.io/transformations"));
        ensure!(told.context("no annotation tells of transformers")?.contains("kind: PrefixTransformer"), "{told:?}");
        let label = json!({"apiVersion": "autoscaling/v1", "kind": AUTOSCALER, "metadata": {"name": "x-web", "labels": {"by": "them"}}});
        let autoscalers = ops.api("autoscaling/v1", AUTOSCALER).await?;
        autoscalers.patch("x-web", &PatchParams::apply("others"), &Patch::Apply(&label)).await?;

        let metrics = "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]";
        ops.repository.write("web.yaml", autoscaler("v2", metrics))?;
        let second = ops.push("The same of the second version").await?;
        ops.applied("app", &second).await?;
        let new = ops.get("autoscaling/v2", AUTOSCALER, "x-web").await?;
        let owners = owners(&new);
        for manager in ["kustomize-controller", "others"] {
            let versions: Vec<_> = owners.iter().filter(|(name, _)| name == manager).collect();
            ensure!(versions.len() == 1 && versions[0].1 == "autoscaling/v2", "{manager}: {owners:?}");
        }
        ensure!(new.data["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60, "{:?}", new.data);
        ensure!(new.metadata.labels.as_ref().is_some_and(|all| all["by"] == "them"), "what others own is gone");
        Ok(())
    }
    .await;
    ops.explain(case)
}

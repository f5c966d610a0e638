//! The control plane is a real one: workloads become ready, jobs complete, Pods fail when they are told to.

use crate::setting::Setting;
use anyhow::Result;
use sluice_tests::{condition, wait};

const WORKLOADS: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "example.com/web:1"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: broken}
spec:
  backoffLimit: 0
  template:
    metadata: {annotations: {test.sluice.dev/pod: fail}}
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "example.com/web:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: complete, annotations: {test.sluice.dev/pod: complete}}
spec: {restartPolicy: Never, containers: [{name: main, image: "example.com/web:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: unready, annotations: {test.sluice.dev/pod: unready}}
spec: {containers: [{name: main, image: "example.com/web:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pending, annotations: {test.sluice.dev/pod: pending}}
spec: {containers: [{name: main, image: "example.com/web:1"}]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn workloads_become_what_their_annotations_say() -> Result<()> {
    let setting = Setting::bare("workloads").await?;
    setting.apply(WORKLOADS).await?;
    let deployments = setting.api("apps/v1", "Deployment").await?;
    wait::until(&deployments, "web", "available", |web| web.data["status"]["availableReplicas"] == 2).await?;
    let jobs = setting.api("batch/v1", "Job").await?;
    wait::until(&jobs, "migrate", "complete", |job| condition(job, "Complete") == Some("True")).await?;
    wait::until(&jobs, "broken", "failed", |job| condition(job, "Failed") == Some("True")).await?;
    let pods = setting.api("v1", "Pod").await?;
    wait::until(&pods, "complete", "succeeded", |pod| pod.data["status"]["phase"] == "Succeeded").await?;
    wait::until(&pods, "unready", "unready", |pod| {
        pod.data["status"]["phase"] == "Running" && condition(pod, "Ready") == Some("False")
    })
    .await?;
    wait::until(&pods, "pending", "waiting for its image", |pod| {
        pod.data["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_goes_with_all_that_is_in_it() -> Result<()> {
    let setting = Setting::bare("leaving").await?;
    let name = format!("{}-inner", setting.namespace);
    setting.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}")).await?;
    let inside = "{apiVersion: v1, kind: ConfigMap, metadata: {name: inside, namespace: NAME}}";
    setting.apply(&inside.replace("NAME", &name)).await?;
    setting.delete("v1", "Namespace", &name).await?;
    wait::gone(&setting.api("v1", "Namespace").await?, &name).await
}

//! Bootstrap from an artifact in a registry that wants a login, without any Git.

use super::{deployed, fine, sluice};
use anyhow::{Context, Result, ensure};
use sluice_tests::{Cluster, ControlPlane, Options, Registry, wait};
use std::path::Path;

async fn pull(plane: &ControlPlane, artifact: &str, creds: &str, folder: &Path) -> Result<()> {
    let line =
        format!("pull artifact {artifact} --insecure-registry --creds={creds} --output={}", folder.display());
    fine(plane, &line, &[]).await.map(drop)
}

async fn digest(plane: &ControlPlane, artifact: &str, creds: &str) -> Result<String> {
    let repository = artifact.rsplit_once(':').context("no tag")?.0;
    let line = format!("list artifacts {repository} --insecure-registry --creds={creds}");
    let listed = fine(plane, &line, &[]).await?.talk;
    let words: Vec<&str> = listed.split_whitespace().collect();
    let found = words.iter().find(|word| word.starts_with("sha256:")).context("no digest is listed")?;
    Ok((*found).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_manages_itself_from_an_artifact_and_the_second_time_changes_nothing() -> Result<()> {
    // Cluster-wide objects are made: a control plane of its own.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let plane = &plane;
    let cluster = Cluster { client: plane.client().await?, namespace: "flux-system".into() };
    let registry = Registry::start_closed().await?;
    let (user, password) = Registry::login();
    let creds = format!("{user}:{password}");
    let artifact = format!("oci://{}", registry.image("org/fleet:production"));
    let line = format!(
        "bootstrap oci --url={artifact} --insecure-registry --path=clusters/one --components=source-controller,kustomize-controller --timeout=3m"
    );

    // What is wrong is told before anything is written.
    let ran = sluice(plane, &format!("{line} --creds={user}:wrong"), &[]).await?;
    ensure!(ran.code == Some(1) && ran.talk.contains("failed to pull the artifact"), "{ran:?}");
    let line = format!("{line} --creds={creds}");
    let ran = sluice(plane, &line.replace("kustomize-controller", "helm-controller"), &[]).await?;
    ensure!(ran.talk.contains("✗ component kustomize-controller is required"), "{ran:?}");

    let running = async {
        Ok::<_, anyhow::Error>((
            deployed(plane, &cluster, "source-controller").await?,
            deployed(plane, &cluster, "kustomize-controller").await?,
        ))
    };
    let (ran, (source, kustomize)) = tokio::try_join!(sluice(plane, &line, &[]), running)?;
    let logs = || format!("{}\n---\n{}", source.log_tail(), kustomize.log_tail());
    ensure!(ran.code == Some(0), "{}\n{}", ran.talk, logs());
    for told in [
        "✔ pushed manifests to ",
        "✔ reconciled components",
        "✔ reconciled source secret",
        "✔ OCIRepository reconciled successfully",
        "✔ Kustomization reconciled successfully",
        "✔ all components are healthy",
    ] {
        ensure!(ran.talk.contains(told), "{told:?} is not in {}", ran.talk);
    }
    let first = digest(plane, &artifact, &creds).await?;

    // Again: nothing.
    let ran = fine(plane, &line, &[]).await?;
    for told in ["✔ manifests are up to date", "✔ source secret up to date"] {
        ensure!(ran.talk.contains(told), "{told:?} is not in {}", ran.talk);
    }
    ensure!(!ran.talk.contains("installing components"), "{}", ran.talk);
    ensure!(digest(plane, &artifact, &creds).await? == first, "the second time has pushed");

    // What users add is followed too, and kept when a later bootstrap changes the components.
    let folder = tempfile::tempdir()?;
    pull(plane, &artifact, &creds, folder.path()).await?;
    let own = folder.path().join("clusters/one/app.yaml");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: default}\n";
    std::fs::write(&own, map)?;
    let push = format!(
        "push artifact {artifact} --insecure-registry --creds={creds} --path={} --source=https://git.example.com/fleet --revision=main@sha1:1234",
        folder.path().display()
    );
    fine(plane, &push, &[]).await?;
    let reconciled = fine(plane, "reconcile kustomization flux-system --with-source", &[]).await;
    reconciled.with_context(logs)?;
    let maps = cluster.api_in("v1", "ConfigMap", "default").await?;
    ensure!(maps.get_opt("app").await?.is_some(), "what was added is not applied");
    let ran = fine(plane, &format!("{line} --log-level=debug"), &[]).await?;
    ensure!(ran.talk.contains("✔ pushed manifests to "), "{}", ran.talk);
    let again = tempfile::tempdir()?;
    pull(plane, &artifact, &creds, again.path()).await?;
    ensure!(std::fs::read_to_string(again.path().join("clusters/one/app.yaml"))? == map, "it was lost");
    let deployments = cluster.api("apps/v1", "Deployment").await?;
    wait::until(&deployments, "source-controller", "upgraded by the cluster itself", |object| {
        object.data["spec"]["template"]["spec"]["containers"][0]["args"]
            .to_string()
            .contains("--log-level=debug")
    })
    .await
    .with_context(logs)?;
    Ok(())
}

//! From Flux to Sluice and back, in place: what users set on Flux's controllers is taken over, the objects that they see to
//! stay, and the way back leads to where it began.

use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::{Value, json};
use sluice_tests::{Cluster, ControlPlane, Options, binaries, documents};
use std::process::Stdio;
use tokio::process::Command;

const CONTROLLERS: [&str; 7] = [
    "source-controller",
    "source-watcher",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
    "image-reflector-controller",
    "image-automation-controller",
];
const RBAC: &str = "rbac.authorization.k8s.io/v1";

async fn sluice(plane: &ControlPlane, line: &str) -> Result<(Option<i32>, String)> {
    let binaries = tokio::task::spawn_blocking(binaries).await??;
    let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
    command.args(line.split_whitespace()).env("KUBECONFIG", &plane.facts().kubeconfig);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    Ok((output.status.code(), String::from_utf8(output.stderr)? + &String::from_utf8(output.stdout)?))
}

async fn fine(plane: &ControlPlane, line: &str) -> Result<String> {
    let (code, talk) = sluice(plane, line).await?;
    ensure!(code == Some(0), "sluice {line}: {code:?}\n{talk}");
    Ok(talk)
}

/// The manifests of an installation by Flux, with what a user has set: a limit, a flag, lockdown.
async fn flux(plane: &ControlPlane) -> Result<Vec<Value>> {
    let labels = |component: &str| json!({"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": "v2.9.5", "app.kubernetes.io/component": component});
    let mut all = documents(&fine(plane, "install --export").await?)?;
    all.retain(|object| {
        object["kind"] == "Namespace"
            || (object["kind"] == "CustomResourceDefinition"
                && object["metadata"]["name"] != "externalartifacts.source.toolkit.fluxcd.io")
    });
    for object in &mut all {
        object["metadata"]["labels"]["app.kubernetes.io/version"] = "v2.9.5".into();
    }
    for name in CONTROLLERS {
        let metadata = json!({"name": name, "namespace": "flux-system", "labels": labels(name)});
        let mut args = vec!["--watch-all-namespaces=true", "--log-level=debug", "--enable-leader-election"];
        if name == "kustomize-controller" {
            args.extend(["--concurrent=9", "--no-cross-namespace-refs=true"]);
        }
        let limits =
            if name == "kustomize-controller" { json!({"memory": "3Gi"}) } else { json!({"memory": "1Gi"}) };
        all.push(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}));
        all.push(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name, "app.kubernetes.io/part-of": "flux"}}, "spec": {
                "serviceAccountName": name, "nodeSelector": {"kubernetes.io/os": "linux"},
                "containers": [{"name": "manager", "image": format!("ghcr.io/fluxcd/{name}:v1.9.5"), "args": args,
                    "resources": {"limits": limits}}]}}}}));
    }
    let metadata = json!({"name": "crd-controller-flux-system", "labels": labels("rbac")});
    all.push(json!({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": metadata,
        "rules": [{"apiGroups": ["source.toolkit.fluxcd.io"], "resources": ["*"], "verbs": ["*"]}]}));
    Ok(all)
}

/// Image, arguments and limits of each Deployment.
async fn deployed(cluster: &Cluster) -> Result<Vec<(String, Value, Value)>> {
    let found = cluster.api("apps/v1", "Deployment").await?.list(&ListParams::default()).await?;
    let told = found.iter().map(|object| {
        let container = &object.data["spec"]["template"]["spec"]["containers"][0];
        let image = container["image"].as_str().unwrap_or_default().to_owned();
        (image, container["args"].clone(), container["resources"].clone())
    });
    Ok(told.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_is_replaced_in_place_and_comes_back_as_it_was() -> Result<()> {
    // Definitions and cluster roles are one of a kind: a control plane of its own.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let plane = &plane;
    let cluster = Cluster { client: plane.client().await?, namespace: "flux-system".into() };
    let (code, talk) = sluice(plane, "migrate flux --yes").await?;
    ensure!(
        code == Some(1) && talk.contains("no controllers found in the \"flux-system\" namespace"),
        "{talk}"
    );
    sluice_tests::install_crds(&cluster.client).await?;
    for object in flux(plane).await? {
        cluster.apply(&object.to_string()).await?;
    }
    let sync = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "apps"},
        "spec": {"interval": "1h", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "apps"}}});
    cluster.apply(&sync.to_string()).await?;
    let kustomizations = cluster.api("kustomize.toolkit.fluxcd.io/v1", "Kustomization").await?;
    let before = kustomizations.get("apps").await?;
    let was = deployed(&cluster).await?;

    let talk = fine(plane, "migrate flux --dry-run").await?;
    ensure!(
        talk.contains("► source-watcher (ghcr.io/fluxcd/source-watcher:v1.9.5) becomes source-controller"),
        "{talk}"
    );
    ensure!(deployed(&cluster).await? == was, "a dry run has changed something");
    let (code, talk) = sluice(plane, "migrate flux --back --yes").await?;
    ensure!(code == Some(1) && talk.contains("there is nothing to go back to"), "{talk}");

    let talk = fine(plane, "migrate flux --yes --timeout=3m").await?;
    ensure!(talk.contains("✔ Flux is replaced by Sluice"), "{talk}");
    let now = deployed(&cluster).await?;
    let images: Vec<&str> =
        now.iter().map(|(image, ..)| image.split(':').next().unwrap_or_default()).collect();
    ensure!(
        images
            == [
                "sluice/helm-controller",
                "sluice/image-controller",
                "sluice/kustomize-controller",
                "sluice/notification-controller",
                "sluice/source-controller"
            ],
        "{images:?}"
    );
    let (_, args, resources) = now.iter().find(|(image, ..)| image.contains("kustomize")).context("gone")?;
    for argument in ["--log-level=debug", "--concurrent=9", "--no-cross-namespace-refs=true"] {
        ensure!(
            args.as_array().context("no arguments")?.contains(&argument.into()),
            "no {argument} in {args}"
        );
    }
    ensure!(resources["limits"]["memory"] == "3Gi", "{resources}");
    let (_, args, _) = now.iter().find(|(image, ..)| image.contains("source")).context("gone")?;
    ensure!(args.to_string().contains("--feature-gates=ArtifactGenerator=true"), "{args}");
    let roles = cluster.api(RBAC, "ClusterRole").await?;
    ensure!(roles.get_opt("crd-controller-flux-system").await?.is_none(), "a role of Flux is left");
    let (code, talk) = sluice(plane, "migrate flux --yes").await?;
    ensure!(code == Some(1) && talk.contains("was migrated already"), "{talk}");

    let talk = fine(plane, "migrate flux --back --yes --timeout=3m").await?;
    ensure!(talk.contains("✔ Flux is back"), "{talk}");
    ensure!(deployed(&cluster).await? == was, "{:?}\n{was:?}", deployed(&cluster).await?);
    ensure!(roles.get_opt("crd-controller-flux-system").await?.is_some(), "a role of Flux is lost");
    ensure!(roles.get_opt("image-controller-flux-system").await?.is_none(), "a role of ours is left");
    let after = kustomizations.get("apps").await?;
    ensure!(after.metadata.uid == before.metadata.uid && after.data == before.data, "{before:?}\n{after:?}");
    let definitions = cluster.api("apiextensions.k8s.io/v1", "CustomResourceDefinition").await?;
    let definition = definitions.get("gitrepositories.source.toolkit.fluxcd.io").await?;
    ensure!(definition.metadata.labels.context("no labels")?["app.kubernetes.io/version"] == "v2.9.5");
    Ok(())
}

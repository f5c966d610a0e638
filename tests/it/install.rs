//! Installations: the chart by helm and by ourselves, accepted by the API server, healthy, removed again; and the
//! controllers under the roles that the chart gives them.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sluice_tests::{
    Cluster, ControlPlane, Controller, GitServer, Options, account_kubeconfig, binaries, condition,
    documents, wait,
};
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

const SOURCE: &str = "source.toolkit.fluxcd.io/v1";
const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io/v1";

async fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().await?;
    let (data, talk) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success(), "{command:?}: {}\n{data}\n{talk}", output.status);
    Ok(data + &talk)
}

async fn sluice(plane: Option<&ControlPlane>, line: &str) -> Result<String> {
    let binaries = tokio::task::spawn_blocking(binaries).await??;
    let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
    command.args(line.split_whitespace());
    if let Some(plane) = plane {
        command.env("KUBECONFIG", &plane.facts().kubeconfig);
    }
    output(&mut command).await
}

fn chart() -> PathBuf {
    sluice_tests::workspace().join("charts/sluice")
}

/// What tells an object from others.
fn key(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{}/{}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_finds_the_chart_clean_and_renders_what_we_render() -> Result<()> {
    let helm = tokio::task::spawn_blocking(|| sluice_reference::tool("helm")).await?;
    let values = tempfile::NamedTempFile::with_suffix(".yaml")?;
    let all = json!({
        "namespace": {"create": true}, "imageController": {"create": true}, "multitenancy": {"enabled": true},
        "sharding": {"shards": ["a"]},
    });
    std::fs::write(values.path(), all.to_string())?;
    let linted =
        output(Command::new(&helm).args(["lint", "--strict", "--values"]).args([values.path(), &chart()]))
            .await?;
    ensure!(linted.contains("0 chart(s) failed"), "{linted}");
    let wrong = output(Command::new(&helm).arg("lint").arg(chart()).args(["--set", "logLevel=loud"])).await;
    ensure!(wrong.is_err(), "the schema lets a wrong log level pass");
    let rendered = output(
        Command::new(&helm)
            .args(["template", "sluice"])
            .arg(chart())
            .args(["--namespace", "flux-system", "--include-crds", "--values"])
            .arg(values.path()),
    )
    .await?;
    let ours = sluice(
        None,
        "install --export --multi-tenancy --shards=a --components-extra=image-reflector-controller,image-automation-controller",
    )
    .await?;
    let (mut theirs, mut ours) = (documents(&rendered)?, documents(&ours)?);
    for object in theirs.iter_mut().chain(&mut ours) {
        // An installation by helm is labelled as one, and definitions have only our labels.
        if object["kind"] == "CustomResourceDefinition" {
            object["metadata"]["labels"] = Value::Null;
        }
        let mut lists = vec!["/metadata/labels"];
        lists.push("/spec/template/metadata/labels");
        for pointer in lists {
            if let Some(labels) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
                labels.remove("helm.sh/chart");
                labels.remove("app.kubernetes.io/managed-by");
            }
        }
    }
    theirs.sort_by_key(key);
    ours.sort_by_key(key);
    let keys = |objects: &[Value]| objects.iter().map(key).collect::<Vec<_>>();
    ensure!(keys(&theirs) == keys(&ours), "{:?}\n{:?}", keys(&theirs), keys(&ours));
    for (theirs, ours) in theirs.iter().zip(&ours) {
        ensure!(theirs == ours, "{}\n{theirs}\n{ours}", key(ours));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_admitted_works_under_its_roles_and_leaves_workloads_behind() -> Result<()> {
    // Definitions and cluster roles are one of a kind: a control plane of its own.
    let plane = tokio::task::spawn_blocking(|| ControlPlane::start(Options::default())).await??;
    let plane = &plane;
    let client = plane.client().await?;
    let cluster = Cluster { client: client.clone(), namespace: "flux-system".into() };
    // The strictest level of pod security, enforced.
    cluster
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: flux-system, labels: {pod-security.kubernetes.io/enforce: restricted}}}")
        .await?;
    let line = "install --timeout 2m --multi-tenancy --components-extra=image-controller";
    let said = sluice(Some(plane), line).await?;
    for name in [
        "source-controller",
        "kustomize-controller",
        "helm-controller",
        "notification-controller",
        "image-controller",
    ] {
        ensure!(said.contains(&format!("✔ {name}: deployment ready\n")), "{name}: {said}");
    }
    ensure!(said.ends_with("✔ install finished\n"), "{said}");
    let again = sluice(Some(plane), line).await?;
    let changed: Vec<&str> =
        again.lines().filter(|line| line.ends_with(" configured") || line.ends_with(" created")).collect();
    ensure!(changed.is_empty(), "the second time changes {changed:?}");
    let checked = sluice(Some(plane), "check").await?;
    ensure!(checked.ends_with("✔ all checks passed\n"), "{checked}");
    let versions = sluice(Some(plane), "version").await?;
    ensure!(versions.contains("distribution: flux-v0.1.0\n"), "{versions}");

    // A tenant's Kustomization, by controllers that may do what the chart's roles allow.
    let folder = tempfile::tempdir()?;
    for namespace in ["dev-team", "others"] {
        cluster
            .apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}"))
            .await?;
    }
    let server = GitServer::start().await?;
    let repository = server.repository("app")?;
    repository
        .write("app.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: app}, data: {a: b}}\n")?;
    repository.commit("An app")?;
    sluice(
        Some(plane),
        "create tenant dev-team --with-namespace=dev-team --cluster-role=admin --skip-namespace",
    )
    .await?;
    // What an administrator has by cluster-admin, the controllers must not need.
    let unprivileged = cluster.api("rbac.authorization.k8s.io/v1", "ClusterRoleBinding").await?;
    unprivileged.delete("cluster-reconciler-flux-system", &kube::api::DeleteParams::default()).await?;
    let mut running = Vec::new();
    for name in ["source-controller", "kustomize-controller"] {
        let kubeconfig = account_kubeconfig(plane, "flux-system", name, folder.path()).await?;
        let mut builder = Controller::builder(plane, name)?
            .kubeconfig(&kubeconfig)
            .variable("RUNTIME_NAMESPACE", "flux-system")
            .argument("--enable-leader-election");
        if name == "kustomize-controller" {
            builder =
                builder.argument("--no-cross-namespace-refs").argument("--default-service-account=dev-team");
        }
        running.push(builder.start().await?);
    }
    let tenant = Cluster { client: client.clone(), namespace: "dev-team".into() };
    let source = json!({"apiVersion": SOURCE, "kind": "GitRepository", "metadata": {"name": "app"},
        "spec": {"interval": "1h", "url": repository.url(), "ref": {"branch": "main"}}});
    let sync = |target: &str| {
        json!({"apiVersion": KUSTOMIZE, "kind": "Kustomization", "metadata": {"name": target},
            "spec": {"interval": "1h", "prune": true, "targetNamespace": target, "wait": true,
                     "sourceRef": {"kind": "GitRepository", "name": "app"}}})
    };
    tenant.apply(&source.to_string()).await?;
    tenant.apply(&sync("dev-team").to_string()).await?;
    tenant.apply(&sync("others").to_string()).await?;
    let kustomizations = tenant.api(KUSTOMIZE, "Kustomization").await?;
    let work = async {
        wait::until(&kustomizations, "dev-team", "ready", |object| {
            condition(object, "Ready") == Some("True")
        })
        .await?;
        wait::until(&kustomizations, "others", "refused", |object| {
            condition(object, "Ready") == Some("False") && object.data.to_string().contains("forbidden")
        })
        .await?;
        anyhow::Ok(())
    };
    work.await
        .with_context(|| running.iter().map(Controller::log_tail).collect::<Vec<_>>().join("\n---\n"))?;
    for controller in &running {
        let refused: Vec<_> = controller
            .log()
            .into_iter()
            .filter(|line| line.to_string().contains("forbidden") && !line.to_string().contains("others"))
            .collect();
        ensure!(refused.is_empty(), "the roles lack something: {refused:?}");
    }
    drop(running);

    // Gone: controllers, definitions, namespace. Left: what they applied.
    let planned = sluice(Some(plane), "uninstall --dry-run").await?;
    ensure!(planned.contains("✔ Deployment/flux-system/source-controller deleted (dry run)\n"), "{planned}");
    let said = sluice(Some(plane), "uninstall --silent --timeout 2m").await?;
    ensure!(said.contains("✔ Kustomization/dev-team/dev-team finalizers deleted \n"), "{said}");
    ensure!(said.ends_with("✔ uninstall finished\n"), "{said}");
    ensure!(tenant.find("v1", "ConfigMap", "app").await?.is_some(), "uninstalling has deleted a workload");
    let left = cluster.api("rbac.authorization.k8s.io/v1", "ClusterRole").await?;
    let params = kube::api::ListParams::default().labels("app.kubernetes.io/part-of=flux");
    ensure!(left.list(&params).await?.items.is_empty(), "cluster roles are left");
    Ok(())
}

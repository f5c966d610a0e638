//! The command line where it may do nothing, or where the cluster is too old: what it says, and that nothing was changed.

use crate::setting::Setting;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use sluice_tests::{ApiCall, ApiFault, ApiProxy, account_kubeconfig};
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// Exit code, stdout and stderr of a command with this kubeconfig.
pub(crate) async fn sluice(
    kubeconfig: &Path,
    namespace: &str,
    line: &str,
) -> Result<(Option<i32>, String, String)> {
    let binaries = tokio::task::spawn_blocking(sluice_tests::binaries).await??;
    let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
    command.args(line.split(' ')).args(["--namespace", namespace, "--timeout", "1m"]);
    command.env("KUBECONFIG", kubeconfig).env("GITHUB_TOKEN", "s3cret");
    let output = command.stdin(Stdio::null()).output().await?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

/// What changes a cluster or a host; none of it may get that far.
const INSTALLS: [&str; 4] = [
    "install",
    "bootstrap git --url=https://127.0.0.1:1/org/fleet --path=clusters/a --token-auth --password=s3cret",
    "bootstrap github --owner=org --repository=fleet --hostname=127.0.0.1:1 --path=clusters/a",
    "bootstrap oci --url=oci://127.0.0.1:1/org/fleet --path=clusters/a",
];

#[tokio::test(flavor = "multi_thread")]
async fn without_rights_each_command_says_so_at_once_and_leaves_everything_as_it_is() -> Result<()> {
    let setting = Setting::bare("cli-poor").await?;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}});
    setting.apply(&account.to_string()).await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("map.yaml"), "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")?;
    let poor = account_kubeconfig(setting.plane, &setting.namespace, "nobody", folder.path()).await?;
    let build = format!("kustomization app --path={}", folder.path().display());
    let (build, diff) = (format!("build {build}"), format!("diff {build}"));
    // A command that asks for several things goes on after one of them: then the code is that of the reference.
    let lines = [
        ("get all", 0),
        ("get kustomizations", 1),
        ("get kustomizations --watch", 1),
        ("reconcile kustomization app --with-source", 1),
        ("reconcile kustomization --all", 1),
        ("suspend kustomization app", 1),
        ("resume kustomization app", 1),
        ("delete kustomization app --silent", 1),
        ("wait kustomization app", 1),
        ("export source git --all", 1),
        ("create source git app --url=https://127.0.0.1:1/a --branch=main", 1),
        ("create tenant team --with-namespace=team", 1),
        ("create secret git auth --url=https://127.0.0.1:1 --username=me --password=s3cret", 1),
        ("tree kustomization app", 1),
        ("trace deployment app", 1),
        ("events", 1),
        ("events --for=Kustomization/app", 1),
        ("logs", 1),
        ("stats", 0),
        ("version", 1),
        ("check", 1),
        ("debug kustomization app --show-vars", 1),
        ("migrate", 1),
        ("migrate flux", 1),
        ("uninstall --silent", 1),
        ("uninstall --dry-run", 0),
        (&build, 1),
        (&diff, 2),
    ];
    for (line, code) in lines {
        let ran = sluice(&poor, &setting.namespace, line).await?;
        ensure!(ran.0 == Some(code) && ran.2.contains(" is forbidden: "), "{line}: {ran:?}");
        ensure!(ran.2.matches("hint: ask for a role").count() == 1, "{line}: {ran:?}");
        ensure!(!ran.2.contains("s3cret"), "{line}: {ran:?}");
    }
    let ran = sluice(&poor, &setting.namespace, "uninstall --silent").await?;
    ensure!(ran.2.contains("nothing else is touched") && !ran.2.contains("finalizers"), "{ran:?}");
    let ran = sluice(&poor, &setting.namespace, "install").await?;
    ensure!(
        ran.0 == Some(1)
            && ran.2.contains("✗ you may not patch customresourcedefinitions.apiextensions.k8s.io")
            && ran.2.contains("nothing was changed\n  hint: "),
        "{ran:?}"
    );
    // The hosts are not even asked: these refuse connections.
    for line in &INSTALLS[1..] {
        let ran = sluice(&poor, &setting.namespace, line).await?;
        ensure!(
            ran.0 == Some(1) && ran.2.contains("forbidden") && ran.2.contains("hint: "),
            "{line}: {ran:?}"
        );
        ensure!(!ran.2.contains("refused") && !ran.2.contains("connecting"), "{line}: {ran:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cluster_is_told_before_anything_is_written() -> Result<()> {
    let setting = Setting::bare("cli-old").await?;
    let proxy = ApiProxy::before(&setting.plane.facts().kubeconfig).await?;
    proxy.disturb(ApiFault::Minor(28), usize::MAX, |call| call.path == "/version");
    let old = "✗ Kubernetes version 1.28.3 does not match >=1.33.0-0";
    let ran = sluice(&proxy.kubeconfig(), &setting.namespace, "check --pre").await?;
    ensure!(
        ran.0 == Some(1) && ran.2.contains(old) && ran.2.contains("hint: upgrade the cluster"),
        "{ran:?}"
    );
    for line in INSTALLS {
        let ran = sluice(&proxy.kubeconfig(), &setting.namespace, line).await?;
        ensure!(ran.0 == Some(1) && ran.1.is_empty(), "{line}: {ran:?}");
        ensure!(ran.2.contains(old) && ran.2.contains("nothing was changed\n  hint: "), "{line}: {ran:?}");
    }
    let writes: Vec<_> = proxy.calls().into_iter().filter(ApiCall::is_write).collect();
    ensure!(writes.is_empty(), "{writes:?}");
    Ok(())
}

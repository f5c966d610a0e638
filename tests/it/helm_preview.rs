//! `sluice build helmrelease` and `sluice diff helmrelease` beside what the controller does.

use crate::helm::{HelmOps, helm_ops};
use crate::helm_crash::gated;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::path::Path;
use std::process::Output;
use tokio::process::Command;

/// Runs `sluice` in a folder and the case's namespace; without `cluster` there is none to ask.
async fn sluice(ops: &HelmOps, folder: &Path, cluster: bool, line: &str) -> Result<(i32, String)> {
    let binaries = tokio::task::spawn_blocking(sluice_tests::binaries).await??;
    let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
    command.args(line.split_whitespace()).args(["--namespace", &ops.namespace, "--timeout", "1m"]);
    let kubeconfig = if cluster { ops.plane.facts().kubeconfig.clone() } else { folder.join("none") };
    let Output { status, stdout, stderr } =
        command.current_dir(folder).env("KUBECONFIG", kubeconfig).output().await?;
    let text = String::from_utf8(stdout)? + &String::from_utf8(stderr)?;
    Ok((status.code().context("killed")?, text))
}

fn write(folder: &Path, text: &str) -> Result<()> {
    let release = format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app}}
spec:
  interval: 1h
  chartRef: {{kind: OCIRepository, name: app}}
  commonMetadata: {{labels: {{team: shop}}}}
  valuesFrom: [{{kind: ConfigMap, name: values}}, {{kind: Secret, name: token, valuesKey: token, targetPath: token, optional: true}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: values}}
data: {{values.yaml: \"text: {text}\"}}
"
    );
    Ok(std::fs::write(folder.join("release.yaml"), release)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_seen_before_it_is_made() -> Result<()> {
    helm_ops("helm-preview", &[], async |ops| {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        let extra = "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}-extra}\nstringData: {password: hunter22}\n";
        let chart = gated("1.0.0").file("templates/extra.yaml", extra);
        std::fs::write(folder.join("full.tgz"), chart.package()?)?;
        std::fs::write(folder.join("less.tgz"), gated("1.1.0").package()?)?;
        write(folder, "first")?;

        // Offline: with the values of the file, what the HelmRelease adds, and what a chart is told of a cluster.
        let build = "build helmrelease app --helmrelease-file release.yaml --dry-run --chart full.tgz";
        let (code, text) = sluice(ops, folder, false, build).await?;
        ensure!(code == 0 && text.contains("text: \"first\"") && text.contains("team: shop"), "{code}: {text}");
        ensure!(text.contains("helm.toolkit.fluxcd.io/name: app"), "{text}");
        let (code, text) = sluice(ops, folder, false, "build hr other --helmrelease-file release.yaml --dry-run --chart full.tgz").await?;
        ensure!(code == 1 && text.contains("no HelmRelease 'other'"), "{code}: {text}");

        // Everything would be new.
        let diff = "diff helmrelease app --helmrelease-file release.yaml --chart";
        let (code, text) = sluice(ops, folder, true, &format!("{diff} full.tgz")).await?;
        let created = format!("► ConfigMap/{}/app-config created", ops.namespace);
        ensure!(code == 1 && text.contains(&created), "{code}: {text}");

        ops.chart("app", &chart).await?;
        ops.apply(&std::fs::read_to_string(folder.join("release.yaml"))?).await?;
        ops.ready("app", 1).await?;
        // The same library: nothing would change, with or without a file.
        for line in [format!("{diff} full.tgz"), "diff hr app --chart full.tgz".to_owned()] {
            let (code, text) = sluice(ops, folder, true, &line).await?;
            ensure!(code == 0 && text.is_empty(), "{line}: {code}: {text}");
        }
        let (code, text) = sluice(ops, folder, true, "build hr app --chart full.tgz").await?;
        ensure!(code == 0 && text.contains("text: \"first\""), "{code}: {text}");
        let (code, text) = sluice(ops, folder, true, "debug hr app --show-values").await?;
        ensure!(code == 0 && text == "text: first\n", "{code}: {text}");

        // Another value and a chart with less; no value of a Secret is shown.
        write(folder, "second")?;
        ops.patch("v1", "Secret", "app-extra", json!({"stringData": {"password": "other-22"}})).await?;
        let (code, text) = sluice(ops, folder, true, &format!("{diff} full.tgz")).await?;
        ensure!(code == 1 && text.contains("- first") && text.contains("+ second"), "{code}: {text}");
        ensure!(text.contains("app-extra drifted") && text.contains("***"), "{text}");
        ensure!(!text.contains("hunter22") && !text.contains("aHVudGVyMjI="), "{text}");
        let (code, text) = sluice(ops, folder, true, &format!("{diff} less.tgz")).await?;
        let gone = format!("► Secret/{}/app-extra deleted", ops.namespace);
        ensure!(code == 1 && text.contains(&gone), "{code}: {text}");
        let (code, text) = sluice(ops, folder, true, &format!("{diff} none.tgz")).await?;
        ensure!(code == 2 && text.contains("invalid chart path"), "{code}: {text}");
        ensure!(ops.records("app").await?.len() == 1, "a look made a revision");
        Ok(())
    })
    .await
}

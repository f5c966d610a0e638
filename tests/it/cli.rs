//! The command line against a real API server and the real controllers: what a person types, and what is printed where.

use crate::gitops::{GitOps, gitops, write_shop};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::process::Stdio;
use tokio::process::Command;

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) data: String,
    pub(crate) talk: String,
}

/// Runs `sluice` in the case's namespace, with a kubeconfig and nothing else of this machine.
pub(crate) async fn sluice(ops: &GitOps, line: &str) -> Result<Ran> {
    let binaries = tokio::task::spawn_blocking(sluice_tests::binaries).await??;
    let mut command = Command::new(binaries.get("sluice").context("no sluice")?);
    command.args(line.split_whitespace()).args(["--namespace", &ops.namespace, "--timeout", "1m"]);
    command.env("KUBECONFIG", &ops.plane.facts().kubeconfig).env_remove("NO_COLOR");
    let output = command.stdin(Stdio::null()).output().await?;
    Ok(Ran {
        code: output.status.code(),
        data: String::from_utf8(output.stdout)?,
        talk: String::from_utf8(output.stderr)?,
    })
}

pub(crate) async fn fine(ops: &GitOps, line: &str) -> Result<Ran> {
    let ran = sluice(ops, line).await?;
    ensure!(ran.code == Some(0), "sluice {line}: {ran:?}");
    Ok(ran)
}

/// The cells of a table without the padding.
fn cells(table: &str) -> Vec<Vec<String>> {
    table
        .lines()
        .map(|line| line.trim_end_matches('\t').split('\t').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daily_verbs_do_and_say_what_flux_does() -> Result<()> {
    gitops("cli", async |ops| {
        write_shop(&ops.repository)?;
        let first = ops.repository.commit("Open the shop")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("shop", json!({"path": "./overlays/staging", "wait": true})).await?;
        ops.applied("shop", &first).await?;
        let namespace = ops.namespace.clone();

        let short = &first[..8];
        let table = cells(&fine(ops, "get kustomizations").await?.data);
        ensure!(table[0] == ["NAME", "REVISION", "SUSPENDED", "READY", "MESSAGE"], "{table:?}");
        let revision = format!("main@sha1:{short}");
        ensure!(
            table[1] == ["shop", &revision, "False", "True", &format!("Applied revision: {revision}")],
            "{table:?}"
        );
        let all = fine(ops, "get all").await?;
        ensure!(all.data.contains("gitrepository/app") && all.data.contains("kustomization/shop"), "{all:?}");
        let failing = fine(ops, "get kustomizations --status-selector ready=false --no-header").await?;
        ensure!(failing.data.is_empty(), "{failing:?}");

        ops.repository.write(
            "overlays/staging/extra.yaml",
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}\n",
        )?;
        let second = ops.repository.commit("Say more")?;
        let ran = fine(ops, "reconcile kustomization shop --with-source").await?;
        let expected = format!(
            "► annotating GitRepository app in {namespace} namespace\n✔ GitRepository annotated\n\
             ◎ waiting for GitRepository reconciliation\n✔ fetched revision main@sha1:{second}\n\
             ► annotating Kustomization shop in {namespace} namespace\n✔ Kustomization annotated\n\
             ◎ waiting for Kustomization reconciliation\n✔ applied revision main@sha1:{second}\n"
        );
        ensure!(ran.talk == expected && ran.data.is_empty(), "{ran:?}");

        let tree = fine(ops, "tree kustomization shop").await?.data;
        ensure!(tree.starts_with(&format!("Kustomization/{namespace}/shop\n├── ")), "{tree}");
        ensure!(tree.contains(&format!("Deployment/{namespace}/staging-shop\n")), "{tree}");
        let trace = fine(ops, "trace deployment staging-shop").await?.data;
        for line in [
            "Object:          Deployment/staging-shop",
            "Status:          Managed by Flux",
            "Kustomization:   shop",
            "GitRepository:   app",
        ] {
            ensure!(trace.contains(&format!("{line}\n")), "{line:?} is not in {trace}");
        }
        ensure!(trace.contains(&format!("Revision:        main@sha1:{second}\n")), "{trace}");

        let ran = fine(ops, "suspend kustomization shop nobody").await?;
        ensure!(
            ran.talk
                == format!(
                    "✗ Kustomization nobody not found in {namespace} namespace\n\
                     ► suspending kustomization shop in {namespace} namespace\n✔ kustomization suspended\n"
                ),
            "{ran:?}"
        );
        let ran = sluice(ops, "reconcile kustomization shop").await?;
        ensure!(ran.code == Some(1) && ran.talk.starts_with("✗ resource is suspended\n"), "{ran:?}");
        let ran = fine(ops, "resume kustomization shop").await?;
        ensure!(ran.talk.ends_with(&format!("✔ applied revision main@sha1:{second}\n")), "{ran:?}");

        let events = fine(ops, "events --for Kustomization/shop").await?.data;
        ensure!(events.contains("Kustomization/shop") && events.contains("GitRepository/app"), "{events}");
        let exported = fine(ops, "export source git app").await?.data;
        ensure!(
            exported.starts_with("---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\n"),
            "{exported}"
        );
        ensure!(!exported.contains("status"), "{exported}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_at_once_with_their_reason_and_a_code() -> Result<()> {
    gitops("cli-bad", async |ops| {
        write_shop(&ops.repository)?;
        ops.repository.commit("Open the shop")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("lost", json!({"path": "./nowhere"})).await?;
        let namespace = ops.namespace.clone();

        let ran = sluice(ops, "reconcile kustomization lost").await?;
        ensure!(
            ran.code == Some(1) && ran.talk.contains("✗ Kustomization reconciliation failed: "),
            "{ran:?}"
        );
        ensure!(!ran.talk.contains("timed out"), "{ran:?}");
        let ran = sluice(ops, "get kustomizations nobody").await?;
        let missing = format!("✗ Kustomization object 'nobody' not found in \"{namespace}\" namespace\n");
        ensure!(ran.code == Some(1) && ran.talk == missing && ran.data.is_empty(), "{ran:?}");
        let ran = sluice(ops, "get kustomizations --as nobody").await?;
        ensure!(
            ran.code == Some(1) && ran.talk.contains("forbidden") && ran.talk.contains("hint:"),
            "{ran:?}"
        );
        let ran = sluice(ops, "get all --server https://127.0.0.1:1").await?;
        ensure!(ran.code == Some(1) && ran.talk.starts_with("✗ connection refused\n  hint: "), "{ran:?}");
        let ran =
            sluice(ops, "create kustomization new --source app --path ./overlays/staging --prune --export")
                .await?;
        ensure!(
            ran.code == Some(0) && ran.data.contains("kind: Kustomization\n") && ran.talk.is_empty(),
            "{ran:?}"
        );
        Ok(())
    })
    .await
}

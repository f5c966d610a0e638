//! Controllers are replaced while they work, as an upgrade does it: nothing is lost, made twice or deleted.

use crate::gitops::{GitOps, KUSTOMIZE, uid};
use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, ListParams};
use serde_json::json;
use sluice_tests::{Controller, wait};
use std::collections::BTreeMap;

const COUNT: usize = 50;

fn name(index: usize) -> String {
    format!("part-{index:02}")
}

/// What each Kustomization has in the repository; `doomed` is pruned by the second commit.
fn write(ops: &GitOps, version: u32) -> Result<()> {
    for index in 0..COUNT {
        let name = name(index);
        let map = |name: &str| {
            format!(
                "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{version: '{version}'}}\n"
            )
        };
        let mut text = map(&name);
        if version == 1 {
            text += &map(&format!("doomed-{index:02}"));
        }
        ops.repository.write(&format!("{name}/maps.yaml"), text)?;
    }
    Ok(())
}

async fn maps(ops: &GitOps) -> Result<BTreeMap<String, DynamicObject>> {
    let maps = ops.api("v1", "ConfigMap").await?.list(&ListParams::default()).await?;
    let named = maps.items.into_iter().map(|map| (map.metadata.name.clone().unwrap_or_default(), map));
    Ok(named.filter(|(name, _)| name != "kube-root-ca.crt").collect())
}

/// How many Kustomizations have applied a revision.
async fn done(ops: &GitOps, revision: &str) -> Result<usize> {
    let all = ops.api(KUSTOMIZE, "Kustomization").await?.list(&ListParams::default()).await?;
    Ok(all.iter().filter(|object| object.data["status"]["lastAppliedRevision"] == revision).count())
}

/// Waits until the work on a revision has begun, by the first Kustomizations that are ready.
async fn under_way(ops: &GitOps, commit: &str) -> Result<()> {
    let revision = format!("main@sha1:{commit}");
    let api = ops.api(KUSTOMIZE, "Kustomization").await?;
    let name = name(0);
    wait::until(&api, &name, "applied", |object| {
        object.data["status"]["lastAppliedRevision"] == revision.as_str()
    })
    .await?;
    ensure!(done(ops, &revision).await? > 0);
    Ok(())
}

/// Another source-controller takes the place of the one that runs: its storage is gone, as that of a Pod is.
async fn replace_source(ops: &mut GitOps) -> Result<()> {
    ops.source.terminate()?;
    let storage = ops.source.storage();
    std::fs::remove_dir_all(&storage)?;
    std::fs::create_dir(&storage)?;
    ops.source.restart().await
}

/// Another kustomize-controller is started beside the one that leads, which is then ended, as a Deployment does it.
async fn replace_kustomize(ops: &mut GitOps) -> Result<()> {
    let (plane, namespace) = (ops.plane, ops.namespace.clone());
    let builder =
        tokio::task::spawn_blocking(move || Controller::builder(plane, "kustomize-controller")).await??;
    let next = builder.namespace(&namespace).argument("--enable-leader-election").start().await?;
    let mut old = std::mem::replace(&mut ops.kustomize, next);
    let ended = old.terminate()?;
    ensure!(ended.success(), "it ended with {ended}: {}", old.log_tail());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn controllers_that_are_replaced_in_mid_work_lose_nothing() -> Result<()> {
    let mut ops = GitOps::start("upgrade", &["--enable-leader-election"]).await?;
    let outcome = upgrade(&mut ops).await;
    ops.explain(outcome)
}

async fn upgrade(ops: &mut GitOps) -> Result<()> {
    write(ops, 1)?;
    let first = ops.repository.commit("One")?;
    ops.git_repository(json!({})).await?;
    for index in 0..COUNT {
        let path = format!("./{}", name(index));
        ops.kustomization(&name(index), json!({"path": path, "wait": true})).await?;
    }
    under_way(ops, &first).await?;
    replace_kustomize(ops).await?;
    for index in 0..COUNT {
        ops.applied(&name(index), &first).await?;
    }
    let before = maps(ops).await?;
    ensure!(before.len() == 2 * COUNT, "{:?}", before.keys());

    // All at once: a new commit, an empty storage, another kustomize-controller.
    write(ops, 2)?;
    let second = ops.push("Two").await?;
    under_way(ops, &second).await?;
    replace_source(ops).await?;
    replace_kustomize(ops).await?;
    ops.stored("app", &format!("main@sha1:{second}")).await?;
    for index in 0..COUNT {
        ops.applied(&name(index), &second).await?;
    }
    let after = maps(ops).await?;
    let names: Vec<String> = (0..COUNT).map(name).collect();
    ensure!(after.keys().eq(&names), "left are {:?}", after.keys());
    for (name, map) in &after {
        let known = before.get(name).with_context(|| name.clone())?;
        ensure!(uid(known)? == uid(map)?, "{name} was made anew");
        ensure!(map.data["data"]["version"] == "2", "{name} is not new");
    }
    Ok(())
}

//! `kill -9` at any moment: after a restart the state is the same as without it.

use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, gitops, is_ready, uid, write_shop};
use anyhow::{Context, Result, ensure};
use kube::api::ListParams;
use serde_json::json;
use sluice_tests::wait;
use std::collections::BTreeMap;
use std::time::Duration;

const ROUNDS: u64 = 50;

/// Identity and generation of everything that no commit of this case makes anew.
async fn identities(ops: &GitOps) -> Result<BTreeMap<String, (String, i64)>> {
    let mut identities = BTreeMap::new();
    for (version, kind) in [("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "ConfigMap")] {
        for object in ops.api(version, kind).await?.list(&ListParams::default()).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            // Those with a hash in their name change with their content.
            if name == "kube-root-ca.crt" || name.contains("-shop-") {
                continue;
            }
            let generation = object.metadata.generation.unwrap_or_default();
            identities.insert(format!("{kind}/{name}"), (uid(&object)?, generation));
        }
    }
    Ok(identities)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_at_random_moments_change_nothing() -> Result<()> {
    let seed = std::env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    let mut random = fastrand::Rng::with_seed(seed);
    gitops("crash", async |ops| {
        write_shop(&ops.repository)?;
        ops.repository.write("plain/map.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}, data: {round: none}}\n")?;
        let mut commit = ops.repository.commit("Open the shop")?;
        ops.git_repository(json!({})).await?;
        let names = ["staging", "production", "plain"];
        for name in names {
            let path = if name == "plain" { "./plain".to_owned() } else { format!("./overlays/{name}") };
            ops.kustomization(name, json!({"path": path, "wait": name == "staging"})).await?;
        }
        for name in names {
            ops.applied(name, &commit).await?;
        }
        let before = identities(ops).await?;
        ensure!(before.len() == 5, "{before:?}");
        // What changes both Deployments, and what changes staging's alone.
        let (mut images, mut properties) = (0, 0);
        for round in 0..ROUNDS {
            // Some rounds have a new commit, others only a look at the old one.
            match random.u8(0..4) {
                0 => {
                    ops.repository.write("base/version.txt", round.to_string())?;
                    let text = std::fs::read_to_string(ops.repository.work().join("base/deployment.yaml"))?;
                    let image = text.lines().find_map(|line| line.trim().strip_prefix("image: ")).context("no image")?.to_owned();
                    ops.repository.replace("base/deployment.yaml", &image, &format!("example.com/shop:2.{round}.0"))?;
                    images += 1;
                    commit = ops.push(&format!("Round {round}")).await?;
                }
                1 => {
                    ops.repository.write("overlays/staging/shop.properties", format!("round={round}\n"))?;
                    properties += 1;
                    ops.repository.write(
                        "plain/map.yaml",
                        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: plain}}, data: {{round: '{round}'}}}}\n"),
                    )?;
                    commit = ops.push(&format!("Round {round}")).await?;
                }
                2 => drop(ops.request_reconcile(SOURCE, "GitRepository", "app").await?),
                _ => {}
            }
            for name in names {
                if random.bool() {
                    ops.request_reconcile(KUSTOMIZE, "Kustomization", name).await?;
                }
            }
            // Not a wait for something: this is the random moment.
            tokio::time::sleep(Duration::from_millis(random.u64(0..400))).await;
            let victim = if random.u8(0..3) == 0 { &mut ops.source } else { &mut ops.kustomize };
            victim.kill();
            victim.launch()?;
        }
        ops.source.ready().await?;
        ops.kustomize.ready().await?;
        ops.request_reconcile(SOURCE, "GitRepository", "app").await?;
        for name in names {
            ops.applied(name, &commit).await.with_context(|| format!("SLUICE_SEED={seed}"))?;
        }
        let after = identities(ops).await?;
        for (name, (uid, generation)) in &before {
            let (new_uid, new_generation) = after.get(name).with_context(|| format!("{name} is gone; SLUICE_SEED={seed}"))?;
            ensure!(uid == new_uid, "{name} was made anew; SLUICE_SEED={seed}");
            // Each change takes effect once at most: a second apply of the same changes nothing.
            let commits = if name == "Deployment/staging-shop" { images + properties } else { images };
            let changes = new_generation - generation;
            ensure!(changes <= commits, "{name}: {changes} changes for {commits} commits; SLUICE_SEED={seed}");
        }
        ensure!(after.len() == before.len(), "{after:?}");
        let maps = ops.api("v1", "ConfigMap").await?.list(&ListParams::default()).await?;
        let generated = maps.iter().filter(|map| map.metadata.name.as_deref().is_some_and(|name| name.contains("-shop-"))).count();
        ensure!(generated == 2, "{generated} generated ConfigMaps: those of old commits were not pruned; SLUICE_SEED={seed}");

        // And nothing is stuck: deletion still removes everything.
        let kustomizations = ops.api(KUSTOMIZE, "Kustomization").await?;
        for name in names {
            ensure!(is_ready(&kustomizations.get(name).await?));
            ops.delete(KUSTOMIZE, "Kustomization", name).await?;
        }
        for name in names {
            wait::gone(&kustomizations, name).await?;
        }
        ensure!(identities(ops).await?.is_empty(), "{:?}", identities(ops).await?);
        Ok(())
    })
    .await
}

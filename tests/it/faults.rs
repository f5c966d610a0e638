//! What API servers and networks do to a kustomize-controller, by a proxy between them. However it ends in between, in the
//! end everything is as the last commit says, nothing was made anew or pruned on the way, and nobody waits for an interval:
//! those are an hour.

use crate::gitops::{GitOps, KUSTOMIZE, SOURCE, is_ready, message, uid, write_shop};
use crate::setting::Setting;
use anyhow::{Result, ensure};
use http::Method;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use sluice_tests::{ApiCall, ApiFault, ApiProxy, condition, wait};
use std::time::Duration;

/// Runs a case whose kustomize-controller reaches the API server through a proxy. The source-controller does not.
async fn disturbed(prefix: &str, case: impl AsyncFnOnce(&mut GitOps, &ApiProxy) -> Result<()>) -> Result<()> {
    let setting = Setting::new(prefix).await?;
    let proxy = ApiProxy::start(setting.plane, "kustomize-controller").await?;
    let mut ops = GitOps::start_in(setting, &[], Some(&proxy.kubeconfig())).await?;
    let outcome = case(&mut ops, &proxy).await;
    ops.explain(outcome)
}

fn map(ops: &GitOps, name: &str, value: &str) -> Result<()> {
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": value}});
    ops.repository.write(&format!("{name}.yaml"), map.to_string())
}

/// Whether a request is about the ConfigMaps that are applied.
fn is_map(call: &ApiCall) -> bool {
    !call.is_watch() && call.path.contains("/configmaps/")
}

fn is_status_write(call: &ApiCall) -> bool {
    call.method == Method::PATCH && call.path.ends_with("/status")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_may_go_away_at_any_moment() -> Result<()> {
    let seed = std::env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_127);
    let mut random = fastrand::Rng::with_seed(seed);
    disturbed("api-away", async |ops, proxy| {
        write_shop(&ops.repository)?;
        map(ops, "plain/map", "none")?;
        ops.repository.replace("plain/map.yaml", "plain/map", "map")?;
        let mut commit = ops.repository.commit("Open the shop")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("shop", json!({"path": "./overlays/staging", "wait": true})).await?;
        ops.kustomization("plain", json!({"path": "./plain"})).await?;
        ops.applied("shop", &commit).await?;
        ops.applied("plain", &commit).await?;
        let before = [uid(&ops.get("apps/v1", "Deployment", "staging-shop").await?)?, uid(&ops.get("v1", "ConfigMap", "map").await?)?];
        for round in 0..12 {
            ops.repository.write("overlays/staging/shop.properties", format!("round={round}\n"))?;
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map"}, "data": {"round": round.to_string()}});
            ops.repository.write("plain/map.yaml", map.to_string())?;
            commit = ops.push(&format!("Round {round}")).await?;
            // Not waits for something: these are the random moments, and how long it is away.
            tokio::time::sleep(Duration::from_millis(random.u64(0..500))).await;
            proxy.down().await;
            tokio::time::sleep(Duration::from_millis(random.u64(0..1500))).await;
            proxy.up().await?;
        }
        for name in ["shop", "plain"] {
            ops.applied(name, &commit).await?;
        }
        let after = [uid(&ops.get("apps/v1", "Deployment", "staging-shop").await?)?, uid(&ops.get("v1", "ConfigMap", "map").await?)?];
        ensure!(before == after, "something was made anew; SLUICE_SEED={seed}");
        ensure!(ops.get("v1", "ConfigMap", "map").await?.data["data"]["round"] == "11");
        let maps = ops.api("v1", "ConfigMap").await?.list(&kube::api::ListParams::default()).await?;
        let generated = maps.iter().filter(|map| map.metadata.name.as_deref().is_some_and(|name| name.contains("-shop-"))).count();
        ensure!(generated == 1, "{generated} generated ConfigMaps: those of old commits were not pruned; SLUICE_SEED={seed}");
        ops.delete(KUSTOMIZE, "Kustomization", "shop").await?;
        wait::gone(&ops.api(KUSTOMIZE, "Kustomization").await?, "shop").await?;
        ensure!(ops.find("apps/v1", "Deployment", "staging-shop").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_absence_in_the_middle_of_a_run_is_made_up_for() -> Result<()> {
    disturbed("api-long", async |ops, proxy| {
        map(ops, "map", "old")?;
        let commit = ops.repository.commit("Old")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        ops.applied("app", &commit).await?;
        // Everything is applied and then nobody hears of it: neither status nor events get through.
        proxy.disturb(ApiFault::Status(503), usize::MAX, is_status_write);
        map(ops, "map", "new")?;
        let commit = ops.push("New").await?;
        let maps = ops.api("v1", "ConfigMap").await?;
        wait::until(&maps, "map", "new", |map| map.data["data"]["k"] == "new").await?;
        refused(proxy, is_status_write).await?;
        proxy.down().await;
        proxy.calm();
        proxy.up().await?;
        ops.applied("app", &commit).await?;

        // Nothing can be applied, and not even that can be told.
        proxy.disturb(ApiFault::Status(500), usize::MAX, |call| is_status_write(call) || is_map(call));
        map(ops, "map", "newer")?;
        let commit = ops.push("Newer").await?;
        refused(proxy, is_map).await?;
        refused(proxy, is_status_write).await?;
        proxy.calm();
        ops.applied("app", &commit).await?;
        ensure!(ops.get("v1", "ConfigMap", "map").await?.data["data"]["k"] == "newer");
        Ok(())
    })
    .await
}

/// Waits until a fault has happened to such a request. The proxy is asked again and again: it can be watched only so.
async fn refused(proxy: &ApiProxy, concerned: impl Fn(&ApiCall) -> bool) -> Result<()> {
    let before = proxy.calls().len();
    let seen = async {
        while !proxy.calls()[before..].iter().any(|call| call.fault.is_some() && concerned(call)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(wait::PATIENCE, seen)
        .await
        .map_err(|_| anyhow::anyhow!("no such request was refused"))
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_are_too_old_are_begun_anew_and_nothing_is_missed() -> Result<()> {
    disturbed("api-gone", async |ops, proxy| {
        map(ops, "map", "ours")?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        ops.applied("app", &commit).await?;
        // While nothing can be listed or watched, things happen.
        proxy.disturb(ApiFault::Status(500), usize::MAX, |call| {
            call.method == Method::GET && (call.is_watch() || call.query.contains("limit="))
        });
        proxy.expire_watches();
        ops.patch("v1", "ConfigMap", "map", json!({"data": {"k": "theirs"}})).await?;
        ops.kustomization("late", json!({"namePrefix": "late-"})).await?;
        map(ops, "second", "ours")?;
        let commit = ops.push("Two maps").await?;
        ops.stored("app", &format!("main@sha1:{commit}")).await?;
        refused(proxy, |call| call.path.contains("/gitrepositories")).await?;
        proxy.calm();
        for name in ["app", "late"] {
            ops.applied(name, &commit).await?;
        }
        for name in ["map", "second", "late-map", "late-second"] {
            ensure!(ops.get("v1", "ConfigMap", name).await?.data["data"]["k"] == "ours", "{name}");
        }
        // The new watches work.
        proxy.expire_watches();
        ops.kustomization("later", json!({"namePrefix": "later-"})).await?;
        ops.applied("later", &commit).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn storms_of_conflicts_blow_over() -> Result<()> {
    disturbed("api-conflict", async |ops, proxy| {
        map(ops, "map", "x")?;
        let commit = ops.repository.commit("A map")?;
        proxy.disturb(ApiFault::Status(409), 3, is_status_write);
        proxy.disturb(ApiFault::Status(409), 3, is_map);
        proxy.disturb(ApiFault::Status(409), 2, |call| call.method == Method::PATCH && call.path.ends_with("/kustomizations/app"));
        // And a real one: somebody else writes into the same object all the time.
        let kustomizations = ops.api(KUSTOMIZE, "Kustomization").await?;
        ops.kustomization("app", json!({})).await?;
        let storm = tokio::spawn(async move {
            for number in 0..10_000_u32 {
                let note = json!({"metadata": {"annotations": {"example.com/number": number.to_string()}}});
                let written = kustomizations.patch("app", &PatchParams::default(), &Patch::Merge(&note)).await;
                let conditions = json!({"status": {"conditions": [{"type": "Theirs", "status": "True", "reason": "Storm",
                    "message": number.to_string(), "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
                if number == 0 && written.is_ok() {
                    let theirs = PatchParams::apply("somebody");
                    #[expect(clippy::disallowed_methods, reason = "as somebody else's controller does")]
                    let _ = kustomizations.patch_status("app", &theirs, &Patch::Merge(&conditions)).await;
                }
                // As fast as a bad controller does it; faster would only burn the machine.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        ops.git_repository(json!({})).await?;
        let applied = ops.applied("app", &commit).await;
        storm.abort();
        let applied = applied?;
        ensure!(condition(&applied, "Theirs") == Some("True"), "{}", applied.data["status"]);
        ensure!(condition(&applied, "Stalled").is_none() && is_ready(&applied));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_throttles_is_given_the_time_that_it_asks_for() -> Result<()> {
    disturbed("api-throttle", async |ops, proxy| {
        for number in 0..20 {
            map(ops, &format!("map-{number}"), "x")?;
        }
        let commit = ops.repository.commit("Maps")?;
        proxy.disturb(ApiFault::Throttle(1), 3, is_status_write);
        proxy.disturb(ApiFault::Throttle(1), 12, is_map);
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        ops.applied("app", &commit).await?;
        let calls = proxy.calls();
        let throttled = |call: &ApiCall| call.fault == Some(ApiFault::Throttle(1));
        ensure!(calls.iter().filter(|call| throttled(call)).count() == 15, "it was not throttled");
        for (index, call) in calls.iter().enumerate().filter(|(_, call)| throttled(call)) {
            let again = calls[index + 1..].iter().find(|next| {
                (&next.method, &next.path, &next.query) == (&call.method, &call.path, &call.query)
            });
            if let Some(again) = again {
                let waited = again.at - call.at;
                ensure!(
                    waited >= Duration::from_millis(990),
                    "{} {} came back after {waited:?}",
                    call.method,
                    call.path
                );
            }
        }
        // It was no failure: nobody was alarmed.
        let events = ops.events("Kustomization", "app").await?;
        ensure!(events.iter().all(|(type_, _, _)| type_ == "Normal"), "{events:?}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_and_errors_of_the_server_change_nothing() -> Result<()> {
    disturbed("api-lost", async |ops, proxy| {
        map(ops, "map", "first")?;
        map(ops, "other", "first")?;
        let commit = ops.repository.commit("Maps")?;
        proxy.disturb(ApiFault::LoseAnswer, 2, |call| is_map(call) && call.is_write());
        proxy.disturb(ApiFault::LoseAnswer, 2, is_status_write);
        proxy.disturb(ApiFault::LoseAnswer, 1, |call| {
            call.method == Method::PATCH && call.path.ends_with("/kustomizations/app")
        });
        ops.git_repository(json!({})).await?;
        ops.kustomization("app", json!({})).await?;
        let applied = ops.applied("app", &commit).await?;
        ensure!(applied.data["status"]["inventory"]["entries"].as_array().is_some_and(|all| all.len() == 2));
        let before = uid(&ops.get("v1", "ConfigMap", "map").await?)?;

        proxy.disturb(ApiFault::Status(500), 4, is_map);
        proxy.disturb(ApiFault::Delay(Duration::from_millis(300)), 4, is_map);
        proxy.disturb(ApiFault::LoseAnswer, 3, is_map);
        map(ops, "map", "second")?;
        ops.repository.remove("other.yaml")?;
        let commit = ops.push("One map less").await?;
        ops.applied("app", &commit).await?;
        let found = ops.get("v1", "ConfigMap", "map").await?;
        ensure!(found.data["data"]["k"] == "second" && uid(&found)? == before, "{:?}", found.data);
        ensure!(ops.find("v1", "ConfigMap", "other").await?.is_none(), "it was not pruned");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_away_is_told_and_its_return_noticed() -> Result<()> {
    disturbed("api-webhook", async |ops, _| {
        let name = format!("{}-away", ops.namespace);
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name},
            "webhooks": [{
                "name": "away.example.com", "clientConfig": {"url": "https://127.0.0.1:1/"}, "failurePolicy": "Fail",
                "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 1,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ops.namespace}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}],
            }],
        });
        ops.apply(&webhook.to_string()).await?;
        map(ops, "map", "x")?;
        let commit = ops.repository.commit("A map")?;
        ops.git_repository(json!({})).await?;
        // A map is accepted until the API server has heard of the webhook.
        let maps = ops.api("v1", "ConfigMap").await?;
        let dry = PatchParams { dry_run: true, ..PatchParams::apply("test") };
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}});
        let in_force = async {
            while maps.patch("probe", &dry, &Patch::Apply(&probe)).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(wait::PATIENCE, in_force).await?;
        ops.kustomization("app", json!({})).await?;
        let failed = ops.fails(KUSTOMIZE, "Kustomization", "app", "ReconciliationFailed").await?;
        let text = message(&failed);
        ensure!(text.contains("ConfigMap/") && text.contains("away.example.com"), "{text}");
        ops.delete("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", &name).await?;
        ops.applied("app", &commit).await?;
        ops.request_reconcile(SOURCE, "GitRepository", "app").await.map(drop)
    })
    .await
}

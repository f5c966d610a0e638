//! What a scan of a large repository costs.

use crate::gitops::is_ready;
use crate::images::{IMAGE, POLICY, REPOSITORY};
use crate::setting::Setting;
use anyhow::{Result, ensure};
use serde_json::json;
use sluice_tests::{Controller, TagServer, condition, wait};

const TAGS: usize = 20_000;
/// The most that the controller may have resident, in bytes.
const MEMORY: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_with_twenty_thousand_tags_takes_little_memory() -> Result<()> {
    let setting = Setting::new("images-scan").await?;
    let plane = setting.plane;
    let builder =
        tokio::task::spawn_blocking(move || Controller::builder(plane, "image-controller")).await??;
    let controller = builder.namespace(&setting.namespace).start().await?;
    // As CI names them: a branch, a commit, a number.
    let tags = (0..TAGS).map(|n| format!("main-{:07x}-{n}", (n * 104_729) % 0xfff_ffff));
    let registry = TagServer::start(tags).await?;
    let before = controller.usage()?;
    let create = async |kind: &str, spec: serde_json::Value| {
        let object = json!({"apiVersion": IMAGE, "kind": kind, "metadata": {"name": "app"}, "spec": spec});
        setting.apply(&object.to_string()).await.map(drop)
    };
    create(REPOSITORY, json!({"image": registry.image("app"), "interval": "1h"})).await?;
    create(
        POLICY,
        json!({
            "imageRepositoryRef": {"name": "app"},
            "filterTags": {"pattern": "^main-[0-9a-f]+-(?P<n>[0-9]+)$", "extract": "$n"},
            "policy": {"numerical": {"order": "asc"}},
        }),
    )
    .await?;
    let repositories = setting.api(IMAGE, REPOSITORY).await?;
    let scanned = wait::until(&repositories, "app", "scanned", is_ready).await?;
    ensure!(scanned.data["status"]["lastScanResult"]["tagCount"] == TAGS, "{:?}", scanned.data["status"]);
    let policies = setting.api(IMAGE, POLICY).await?;
    let chosen =
        wait::until(&policies, "app", "chosen", |policy| condition(policy, "Ready") == Some("True")).await?;
    let tag = chosen.data["status"]["latestRef"]["tag"].as_str().unwrap_or_default();
    ensure!(tag.ends_with(&format!("-{}", TAGS - 1)), "{tag}");
    let pages = registry.requests().iter().filter(|path| path.contains("/tags/list")).count();
    ensure!(pages == TAGS / 1000, "{pages} requests");
    let usage = controller.usage()?;
    show(&format!(
        "{TAGS} tags: peak {} MiB, {} MiB before, {:.2?} CPU",
        usage.peak >> 20,
        before.peak >> 20,
        usage.cpu.saturating_sub(before.cpu)
    ));
    ensure!(usage.peak < MEMORY, "{} MiB", usage.peak >> 20);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a figure for those who ask for the output")]
fn show(text: &str) {
    eprintln!("{text}");
}

//! A burst of events at Providers of which not all are well.

use crate::notification::{alert, event, http, notification_in, post};
use crate::setting::Setting;
use anyhow::{Result, ensure};
use futures::{StreamExt as _, stream};
use serde_json::json;
use sluice_tests::{Controller, Sink, wait};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// How many events a burst has.
const BURST: usize = 10_000;
/// For the burst on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(10);
/// Of a debug build, with three notifications for each event.
const MEMORY: u64 = 160 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_costs_a_provider_that_is_well_no_notification_and_nobody_waits() -> Result<()> {
    let setting = Setting::new("notify-burst").await?;
    let controller = notification_in(&setting.namespace).await?;
    burst(&setting, &controller).await.map_err(|error| error.context(controller.log_tail()))
}

async fn burst(setting: &Setting, controller: &Controller) -> Result<()> {
    let fine = Sink::start().await?;
    // Takes connections, and never says a word.
    let silence = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let hanging = format!("http://{}/", silence.local_addr()?);
    let busy = Sink::answering(429, &[("retry-after", "7200")]).await?;
    for (name, address) in [("fine", fine.url("/")), ("hanging", hanging), ("busy", busy.url("/"))] {
        for mut object in alert(&setting.namespace, "generic", &address, &json!({})) {
            object["metadata"]["name"] = json!(name);
            if object["kind"] == "Alert" {
                object["spec"]["providerRef"]["name"] = json!(name);
            } else {
                object["spec"]["timeout"] = json!("2s");
            }
            setting.apply(&object.to_string()).await?;
        }
    }
    // The controller learns of the Alerts by its watch: news until all are known.
    let mut tries = 0;
    let deadline = Instant::now() + wait::PATIENCE;
    loop {
        let all = async || -> Result<bool> {
            let hanging = figure(controller, "sluice_notifications_waiting", "hanging").await?;
            Ok(fine.count(|_| true) > 0 && busy.count(|_| true) > 0 && hanging > 0)
        };
        let news = event(&setting.namespace, &format!("try {tries}")).to_string();
        ensure!(post(&controller.events(), &[], &news).await? == 202);
        tries += 1;
        if all().await? {
            break;
        }
        ensure!(Instant::now() < deadline, "the Alerts are not known");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let (before, begin, client) = (controller.usage()?, Instant::now(), http());
    let posts = (0..BURST).map(|n| {
        let body = event(&setting.namespace, &format!("burst {n}")).to_string();
        let request = client.post(controller.events()).body(body);
        async move { request.send().await.map(|answer| answer.status().as_u16()) }
    });
    let answers: Vec<_> = stream::iter(posts).buffer_unordered(16).collect().await;
    let posted = begin.elapsed();
    ensure!(answers.iter().all(|answer| matches!(answer, Ok(202))), "nothing blocks");

    let deadline = Instant::now() + PATIENCE;
    while fine.count(|_| true) < BURST {
        ensure!(Instant::now() < deadline, "only {} arrived", fine.count(|_| true));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let messages = || -> HashSet<String> {
        let texts = fine
            .deliveries()
            .into_iter()
            .map(|told| told.json()["message"].as_str().unwrap_or_default().to_owned());
        texts.filter(|text| text.starts_with("burst ")).collect()
    };
    while messages().len() < BURST {
        ensure!(Instant::now() < deadline, "only {} of the burst arrived", messages().len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (arrived, usage) = (begin.elapsed(), controller.usage()?);
    let cpu = usage.cpu.saturating_sub(before.cpu);
    show(&format!(
        "{BURST} events posted in {posted:.1?}, told in {arrived:.1?}; {cpu:.1?} CPU, peak {} MiB",
        usage.peak >> 20
    ));
    ensure!(usage.peak < MEMORY, "{} MiB", usage.peak >> 20);
    ensure!(figure(controller, "sluice_notifications_lost_total", "fine").await? == 0);

    // Each loss is counted: what came is waiting or lost, and nothing else.
    let of_hanging = async |name: &str| figure(controller, name, "hanging").await;
    let seen = of_hanging("sluice_notifications_waiting").await?
        + of_hanging("sluice_notifications_lost_total").await?;
    ensure!((BURST..=BURST + tries).contains(&seen), "{seen} are accounted for");
    // One answer is enough to leave a busy service alone for a while.
    let deadline = Instant::now() + wait::PATIENCE;
    while figure(controller, "sluice_notifications_lost_total", "busy").await? < BURST {
        ensure!(Instant::now() < deadline, "what cannot be delivered is counted as lost");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    ensure!(busy.count(|_| true) < 10, "{} requests", busy.count(|_| true));
    let events = setting.api("v1", "Event").await?;
    wait::told(&events, "Alert", "busy", "of the loss", |_, reason, text| {
        reason == "NotificationDispatchFailed" && text.contains("status code 429")
    })
    .await?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a figure for those who ask for the output")]
fn show(text: &str) {
    eprintln!("{text}");
}

/// The sum of a metric over the series of a Provider.
async fn figure(controller: &Controller, name: &str, provider: &str) -> Result<usize> {
    let metrics = controller.metrics().await?;
    let of_provider = format!("provider=\"{provider}\"");
    let lines =
        metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(&of_provider));
    Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum())
}

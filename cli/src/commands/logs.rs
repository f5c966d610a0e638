//! `logs`: what the controllers say of objects.

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use futures::io::AsyncBufReadExt;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, ListParams, LogParams};
use serde_json::Value;

use super::version;
use crate::app::App;
use crate::arguments;
use crate::cluster::Cluster;
use crate::failure;
use crate::object::Object;

/// Flags of `logs`.
#[derive(Args)]
pub(crate) struct LogsArgs {
    /// Only lines of this level.
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// Only lines about this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Only lines about objects of this name.
    #[arg(long)]
    name: Option<String>,
    /// Go on and show new lines.
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines of each controller to look at; -1 is all.
    #[arg(long, default_value_t = -1, allow_hyphen_values = true)]
    tail: i64,
    /// The namespace of the controllers.
    #[arg(long, default_value = sluice_api::meta::DEFAULT_NAMESPACE)]
    flux_namespace: String,
    /// Lines about objects in all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only lines younger than this, such as 5m.
    #[arg(long, value_parser = arguments::duration, conflicts_with = "since_time")]
    since: Option<std::time::Duration>,
    /// Only lines after this moment (RFC 3339).
    #[arg(long)]
    since_time: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    Debug,
    Info,
    Error,
}

/// Which lines are shown.
struct Filter {
    level: Option<&'static str>,
    kind: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
}

pub(crate) async fn run(app: &App, args: LogsArgs) -> Result<()> {
    let filter = Filter {
        level: args.level.map(|level| match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Error => "error",
        }),
        kind: args.kind.clone(),
        name: args.name.clone(),
        namespace: if args.all_namespaces { None } else { Some(app.namespace()?) },
    };
    let cluster = app.cluster().await?;
    let pods = app.bounded("looking for the controllers", pods(cluster, &args.flux_namespace)).await?;
    if pods.is_empty() {
        bail!("no Flux pods found in namespace {:?}", args.flux_namespace);
    }
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &args.flux_namespace);
    let params = LogParams {
        follow: args.follow,
        tail_lines: (args.tail >= 0).then_some(args.tail),
        since_seconds: args.since.map(|since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX).max(1)),
        since_time: args.since_time,
        ..LogParams::default()
    };
    let logs = pods.iter().map(|pod| {
        let params = LogParams { container: container(pod), ..params.clone() };
        copy(app, &api, pod.name(), params, &filter)
    });
    // In parallel only where each of them never ends.
    let parallel = if args.follow { pods.len() } else { 1 };
    let results: Vec<_> = stream::iter(logs).buffered(parallel).collect().await;
    results.into_iter().collect()
}

/// The best pod of each controller.
async fn pods(cluster: &Cluster, namespace: &str) -> Result<Vec<Object>> {
    let pods = cluster.of(&ApiResource::erase::<Pod>(&()), Some(namespace));
    let mut found = Vec::new();
    for deployment in version::controllers(cluster, namespace).await? {
        let labels = deployment.0.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
        let selector: Vec<String> = (labels.into_iter().flatten())
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        let candidates = pods.list(&ListParams::default().labels(&selector.join(","))).await?.items;
        found.extend(
            (candidates.into_iter().map(Object::from))
                .max_by_key(|pod| pod.text("/status/phase") == "Running"),
        );
    }
    Ok(found)
}

fn container(pod: &Object) -> Option<String> {
    (pod.list("/spec/containers").len() > 1).then(|| "manager".to_owned())
}

async fn copy(app: &App, api: &Api<Pod>, pod: &str, params: LogParams, filter: &Filter) -> Result<()> {
    let lines = api.log_stream(pod, &params).await;
    let mut lines = lines.with_context(|| format!("the logs of {pod} cannot be read"))?.lines();
    loop {
        match lines.try_next().await {
            Ok(Some(line)) => {
                if let Some(line) = filter.line(&line) {
                    app.output.data(line + "\n")?;
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                app.output.failure(&format!("the logs of {pod} ended: {}", failure::io(&error)));
                return Ok(());
            }
        }
    }
}

impl Filter {
    /// How a line of a controller is shown, if it is.
    fn line(&self, line: &str) -> Option<String> {
        let entry: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind =
            if text("controllerKind").is_empty() { text("reconciler kind") } else { text("controllerKind") };
        let (name, namespace) = (text("name"), text("namespace"));
        let differs = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(found))
        };
        if self.level.is_some_and(|level| level != text("level"))
            || differs(&self.kind, kind)
            || differs(&self.name, name)
            || self.namespace.as_ref().is_some_and(|wanted| wanted != namespace)
        {
            return None;
        }
        let subject = if name.is_empty() { kind.to_owned() } else { format!("{kind}/{name}.{namespace}") };
        Some(format!("{} {} {subject} - {} {}", text("ts"), text("level"), text("msg"), text("error")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"level":"info","ts":"2026-01-01T00:00:00.000Z","msg":"stored artifact","controllerKind":"GitRepository","name":"podinfo","namespace":"flux-system"}"#;

    fn filter(namespace: Option<&str>) -> Filter {
        Filter { level: None, kind: None, name: None, namespace: namespace.map(str::to_owned) }
    }

    #[test]
    fn a_line_tells_time_level_object_and_message() {
        let shown = filter(Some("flux-system")).line(LINE).unwrap();
        assert_eq!(
            shown,
            "2026-01-01T00:00:00.000Z info GitRepository/podinfo.flux-system - stored artifact "
        );
        let older = r#"{"level":"error","ts":"t","msg":"m","error":"e","reconciler kind":"Bucket"}"#;
        assert_eq!(filter(None).line(older).unwrap(), "t error Bucket - m e");
    }

    #[test]
    fn lines_are_chosen_by_level_kind_name_and_namespace() {
        assert!(filter(Some("apps")).line(LINE).is_none());
        assert!(Filter { kind: Some("gitrepository".into()), ..filter(None) }.line(LINE).is_some());
        assert!(Filter { name: Some("PODINFO".into()), ..filter(None) }.line(LINE).is_some());
        assert!(Filter { level: Some("error"), ..filter(None) }.line(LINE).is_none());
        assert!(filter(None).line("panic: no JSON").is_none());
    }
}

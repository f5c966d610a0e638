//! `stats`: objects counted by their state.

use anyhow::Result;
use clap::Args;
use futures::{StreamExt, stream};
use kube::api::ListParams;

use super::get;
use crate::app::App;
use crate::cluster;
use crate::failure::{self, Failures};
use crate::kinds::{
    ALERT, BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_RELEASE, HELM_REPOSITORY, IMAGE_POLICY, IMAGE_REPOSITORY,
    IMAGE_UPDATE_AUTOMATION, KUSTOMIZATION, Kind, OCI_REPOSITORY, PROVIDER, RECEIVER,
};
use crate::object::Object;
use crate::table::Table;

/// Flags of `stats`.
#[derive(Args)]
pub(crate) struct StatsArgs {
    /// Count in all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

const ORDER: [&Kind; 13] = [
    &GIT_REPOSITORY,
    &OCI_REPOSITORY,
    &HELM_REPOSITORY,
    &HELM_CHART,
    &BUCKET,
    &KUSTOMIZATION,
    &HELM_RELEASE,
    &ALERT,
    &PROVIDER,
    &RECEIVER,
    &IMAGE_UPDATE_AUTOMATION,
    &IMAGE_POLICY,
    &IMAGE_REPOSITORY,
];

pub(crate) async fn run(app: &App, args: StatsArgs) -> Result<()> {
    let namespace = if args.all_namespaces { None } else { Some(app.namespace()?) };
    let namespace = namespace.as_deref();
    let cluster = app.cluster().await?;
    let counting = async {
        let lists = stream::iter(ORDER)
            .map(|kind| async move { (kind, cluster.list(kind, namespace, ListParams::default()).await) });
        let mut lists = lists.buffered(8);
        let (mut rows, mut failures) = (Vec::new(), Failures::default());
        while let Some((kind, objects)) = lists.next().await {
            match objects {
                Ok(objects) => rows.push(row(kind, &objects)),
                Err(error) if cluster::is_not_installed(&error) => {}
                Err(error) if failure::is_unreachable(&error) => return Err(error),
                Err(error) => failures.tell(app, None, &error),
            }
        }
        failures.advise(app);
        Ok(rows)
    };
    let rows = app.bounded("counting the objects", counting).await?;
    let titles = ["Reconcilers", "Running", "Failing", "Suspended", "Storage"];
    app.output.data(Table::render(titles, &rows, true, get::look(app)))
}

fn row(kind: &Kind, objects: &[Object]) -> Vec<String> {
    let suspended = objects.iter().filter(|object| object.is_suspended()).count();
    let failing =
        objects.iter().filter(|object| object.ready().is_some_and(|ready| ready.status == "False")).count();
    let storage: i64 = objects.iter().filter_map(|object| object.number("/status/artifact/size")).sum();
    vec![
        kind.kind.to_owned(),
        (objects.len() - suspended).to_string(),
        failing.to_string(),
        suspended.to_string(),
        if storage > 0 { size(storage) } else { "-".into() },
    ]
}

/// A number of bytes in binary units with one decimal.
fn size(bytes: i64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn suspended_objects_do_not_run() {
        let objects = [
            Object(json!({"spec": {"suspend": true}, "status": {"artifact": {"size": 1000}}})),
            Object(
                json!({"status": {"artifact": {"size": 1_258_291}, "conditions": [{"type": "Ready", "status": "False"}]}}),
            ),
        ];
        assert_eq!(row(&GIT_REPOSITORY, &objects), ["GitRepository", "1", "1", "1", "1.2 MiB"]);
        assert_eq!(row(&KUSTOMIZATION, &[]), ["Kustomization", "0", "0", "0", "-"]);
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!([size(12), size(1536), size(3 << 30)], ["12 B", "1.5 KiB", "3.0 GiB"]);
    }
}

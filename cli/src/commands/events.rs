//! `events`: what Kubernetes remembers of objects.

use anyhow::{Result, bail};
use clap::Args;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use kube::runtime::{WatchStreamExt, watcher};

use super::get;
use crate::app::App;
use crate::failure;
use crate::kinds::{
    ALERT, HELM_CHART, HELM_RELEASE, IMAGE_POLICY, IMAGE_REPOSITORY, KUSTOMIZATION, Kind, PROVIDER,
};
use crate::object::{Object, Reference};
use crate::table::Table;
use crate::time;
use crate::wait;

/// Flags of `events`.
#[derive(Args)]
pub(crate) struct EventsArgs {
    /// Look in all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Go on and show new events.
    #[arg(short, long)]
    watch: bool,
    /// Only events of these objects and of what they refer to, as kind or kind/name.
    #[arg(long = "for", value_name = "KIND[/NAME]")]
    for_: Option<String>,
    /// Only events of these types: Normal, Warning.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    types: Vec<String>,
}

/// Where to look for events, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    namespace: Option<String>,
    fields: Option<String>,
}

pub(crate) async fn run(app: &App, args: EventsArgs) -> Result<()> {
    for type_ in &args.types {
        if !["normal", "warning"].contains(&type_.to_ascii_lowercase().as_str()) {
            bail!("type '{type_}' not supported. Supported types are Normal, Warning");
        }
    }
    let namespace = app.namespace()?;
    let everywhere = args.all_namespaces;
    let mut places = vec![Place { namespace: (!everywhere).then(|| namespace.clone()), fields: None }];
    let mut elsewhere = false;
    if let Some(selector) = &args.for_ {
        let (kind, name) = match selector.split_once('/') {
            Some((kind, name)) => (kind, Some(name)),
            None => (selector.as_str(), None),
        };
        if kind.is_empty() || name == Some("") {
            bail!("--for selector must be of format <kind>[/<name>]");
        }
        let Some(known) = Kind::named(kind) else { bail!("'{kind}' is not a recognized Flux kind") };
        places[0].fields = Some(selects(known.kind, name));
        if let Some(name) = name {
            let references =
                app.bounded("asking for the object", references(app, known, &namespace, name)).await?;
            for reference in references {
                elsewhere |= reference.namespace != namespace;
                let fields = Some(selects(&reference.kind, Some(&reference.name)));
                places.push(Place { namespace: Some(reference.namespace), fields });
            }
        }
    }
    let shows_namespace = everywhere || elsewhere;
    if args.watch {
        return watch(app, &args, &places, shows_namespace).await;
    }
    let client = &app.cluster().await?.client;
    let listing = async {
        let mut found: Vec<Event> = Vec::new();
        for place in &places {
            let mut params = ListParams::default();
            params.field_selector.clone_from(&place.fields);
            found.extend(api(client, place).list(&params).await?.items);
        }
        Ok(found)
    };
    let mut found = app.bounded("listing the events", listing).await?;
    found.retain(|event| is_shown(event, &args.types));
    found.sort_by_key(moment);
    if found.is_empty() {
        let place = if everywhere { String::new() } else { format!(" in {namespace} namespace") };
        app.output.failure(&format!("No events found{place}."));
        return Ok(());
    }
    let now = Timestamp::now();
    let rows: Vec<_> = found.iter().map(|event| row(event, shows_namespace, now)).collect();
    app.output.data(Table::render(titles(shows_namespace), &rows, true, get::look(app)))
}

fn api(client: &kube::Client, place: &Place) -> Api<Event> {
    match &place.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn selects(kind: &str, name: Option<&str>) -> String {
    let name = name.map_or_else(String::new, |name| format!(",involvedObject.name={name}"));
    format!("involvedObject.kind={kind}{name}")
}

/// What a named object refers to, so that the events of its source are shown with its own.
async fn references(app: &App, kind: &Kind, namespace: &str, name: &str) -> Result<Vec<Reference>> {
    let follows = [&KUSTOMIZATION, &HELM_RELEASE, &HELM_CHART, &ALERT, &IMAGE_POLICY];
    if !follows.iter().any(|followed| followed.kind == kind.kind) {
        return Ok(Vec::new());
    }
    Ok(referred(kind, &app.cluster().await?.get(kind, namespace, name).await?))
}

fn referred(kind: &Kind, object: &Object) -> Vec<Reference> {
    let with_kind = |pointer: &str, kind: &Kind| {
        object.reference(pointer).map(|reference| Reference { kind: kind.kind.into(), ..reference })
    };
    match kind.kind {
        "Alert" => with_kind("/spec/providerRef", &PROVIDER).into_iter().collect(),
        "ImagePolicy" => with_kind("/spec/imageRepositoryRef", &IMAGE_REPOSITORY).into_iter().collect(),
        "HelmRelease" => match object.reference("/spec/chart/spec/sourceRef") {
            Some(source) => {
                let name = format!("{}-{}", object.namespace(), object.name());
                let chart =
                    Reference { kind: HELM_CHART.kind.into(), namespace: source.namespace.clone(), name };
                vec![source, chart]
            }
            None => object.reference("/spec/chartRef").into_iter().collect(),
        },
        _ => object.reference("/spec/sourceRef").into_iter().collect(),
    }
}

fn is_shown(event: &Event, types: &[String]) -> bool {
    let kind = event.involved_object.kind.as_deref().unwrap_or_default();
    let of_flux = crate::kinds::KINDS.iter().any(|known| known.kind.eq_ignore_ascii_case(kind))
        // Kustomizations of kustomize and alerts of others share a kind with ours.
        && event.involved_object.api_version.as_deref().is_none_or(|version| version.contains("fluxcd.io"));
    let type_ = event.type_.as_deref().unwrap_or_default();
    of_flux && (types.is_empty() || types.iter().any(|wanted| wanted.eq_ignore_ascii_case(type_)))
}

/// When it was seen last.
fn moment(event: &Event) -> Option<Timestamp> {
    let series =
        event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    series.or(last).or_else(|| event.event_time.as_ref().map(|time| time.0))
}

fn last_seen(event: &Event, now: Timestamp) -> String {
    let ago = |moment: Option<Timestamp>| {
        moment.map_or_else(
            || "<unknown>".to_owned(),
            |moment| time::human(now.as_second() - moment.as_second()),
        )
    };
    let first = event.event_time.as_ref().map(|time| time.0);
    let first = first.or_else(|| event.first_timestamp.as_ref().map(|time| time.0));
    let count = event.series.as_ref().and_then(|series| series.count).or(event.count).unwrap_or(1);
    if count > 1 {
        return format!("{} (x{count} over {})", ago(moment(event)), ago(first));
    }
    ago(moment(event).or(first))
}

fn titles(namespace: bool) -> Vec<&'static str> {
    let titles = ["Last seen", "Type", "Reason", "Object", "Message"];
    namespace.then_some("Namespace").into_iter().chain(titles).collect()
}

fn row(event: &Event, namespace: bool, now: Timestamp) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let object = format!("{}/{}", text(&event.involved_object.kind), text(&event.involved_object.name));
    let row = [last_seen(event, now), text(&event.type_), text(&event.reason), object, text(&event.message)];
    namespace.then(|| text(&event.metadata.namespace)).into_iter().chain(row).collect()
}

async fn watch(app: &App, args: &EventsArgs, places: &[Place], namespace: bool) -> Result<()> {
    let client = &app.cluster().await?.client;
    // What is not allowed is told at once, and not tried again and again.
    for place in places {
        api(client, place).list(&ListParams::default().limit(1)).await?;
    }
    let watches = places.iter().map(|place| {
        let config = watcher::Config { field_selector: place.fields.clone(), ..watcher::Config::default() };
        watcher(api(client, place), config).default_backoff().applied_objects().boxed()
    });
    let mut events = stream::select_all(watches);
    let mut table = Table::new(titles(namespace));
    let mut first = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) if is_shown(&event, &args.types) => {
                let row = row(&event, namespace, Timestamp::now());
                table.fit(std::slice::from_ref(&row));
                if std::mem::take(&mut first) {
                    app.output.data(table.header(get::look(app)))?;
                }
                app.output.data(table.row(&row, get::look(app)))?;
            }
            Ok(_) => {}
            Err(error) if wait::is_final(&error) => return Err(error.into()),
            Err(error) => app.output.failure(&failure::text(&error.into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(value: serde_json::Value) -> Event {
        serde_json::from_value(value).unwrap()
    }

    fn sample() -> Event {
        event(json!({
            "metadata": {"name": "a.1", "namespace": "apps"}, "type": "Warning", "reason": "BuildFailed", "message": "no",
            "involvedObject": {"kind": "Kustomization", "name": "a", "apiVersion": "kustomize.toolkit.fluxcd.io/v1"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:09:40Z", "count": 4,
        }))
    }

    #[test]
    fn repeated_events_tell_how_often() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        assert_eq!(
            row(&sample(), true, now),
            ["apps", "20s (x4 over 10m)", "Warning", "BuildFailed", "Kustomization/a", "no"]
        );
        let once = Event { count: Some(1), ..sample() };
        assert_eq!(last_seen(&once, now), "20s");
    }

    #[test]
    fn only_kinds_of_flux_and_wanted_types_are_shown() {
        assert!(is_shown(&sample(), &[]) && is_shown(&sample(), &["warning".into()]));
        assert!(!is_shown(&sample(), &["normal".into()]));
        let pod = event(json!({"metadata": {}, "involvedObject": {"kind": "Pod", "name": "a"}}));
        assert!(!is_shown(&pod, &[]));
    }

    #[test]
    fn sources_are_followed() {
        let release = |spec| Object(json!({"metadata": {"namespace": "apps", "name": "web"}, "spec": spec}));
        let told = |object: &Object| {
            referred(&HELM_RELEASE, object).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let chart = release(
            json!({"chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "r", "namespace": "infra"}}}}),
        );
        assert_eq!(told(&chart), ["HelmRepository/infra/r", "HelmChart/infra/apps-web"]);
        let chart_ref = release(json!({"chartRef": {"kind": "OCIRepository", "name": "r"}}));
        assert_eq!(told(&chart_ref), ["OCIRepository/apps/r"]);
    }
}

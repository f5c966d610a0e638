//! `reconcile`: a reconciliation now, and its outcome.

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use futures::future::{BoxFuture, FutureExt, join_all};
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Map, Value, json};
use sluice_api::meta::{FORCE_REQUEST_ANNOTATION, RECONCILE_REQUEST_ANNOTATION, RESET_REQUEST_ANNOTATION};

use crate::app::App;
use crate::failure::{self, hinted, misuse};
use crate::kinds::{HELM_CHART, Kind};
use crate::nouns::{Target, Verb, VerbArgs};
use crate::object::Object;
use crate::progress::Progress;
use crate::selector::StatusSelector;
use crate::wait;

/// Flags of `reconcile`.
#[derive(Args, Debug)]
pub(crate) struct ReconcileArgs {
    /// The object.
    name: Option<String>,
    /// Reconcile where it comes from first.
    #[arg(long)]
    with_source: bool,
    /// Install or upgrade even when nothing changed.
    #[arg(long)]
    force: bool,
    /// Forget the failures that were counted.
    #[arg(long)]
    reset: bool,
    /// All objects of the kind that are not suspended.
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// With --all: in all namespaces.
    #[arg(short = 'A', long, requires = "all")]
    all_namespaces: bool,
    /// With --all: only objects with this status of a condition, such as ready=false.
    #[arg(long, value_name = "SELECTOR", requires = "all")]
    status_selector: Option<String>,
}

impl VerbArgs for ReconcileArgs {
    const VERB: Verb = Verb::Reconcile;

    fn has_flag(id: &str, kind: Option<&Kind>) -> bool {
        let kind = kind.map_or("", |kind| kind.kind);
        match id {
            "with_source" => matches!(kind, "Kustomization" | "HelmRelease" | "HelmChart"),
            "force" | "reset" => kind == "HelmRelease",
            _ => true,
        }
    }
}

/// Which annotations to set besides the request itself.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    with_source: bool,
    force: bool,
    reset: bool,
}

pub(crate) async fn run(app: &App, target: Target<ReconcileArgs>) -> Result<()> {
    let kind = target.kind();
    let args = target.args;
    let request = Request { with_source: args.with_source, force: args.force, reset: args.reset };
    if args.all {
        return all(app, kind, &args, request).await;
    }
    let Some(name) = &args.name else { return Err(misuse(format!("{} name is required", kind.kind))) };
    one(app, kind, app.namespace()?, name.clone(), request).await
}

/// One object, with all lines. Boxed because a source may have a source.
fn one<'a>(
    app: &'a App,
    kind: &'static Kind,
    namespace: String,
    name: String,
    request: Request,
) -> BoxFuture<'a, Result<()>> {
    async move {
        let cluster = app.cluster().await?;
        let object = app.bounded("asking for the object", cluster.get(kind, &namespace, &name)).await?;
        if kind.is_static(&object) {
            app.output.success("reconciliation not supported by the object");
            return Ok(());
        }
        if object.is_suspended() {
            let error = anyhow!("resource is suspended");
            return Err(hinted(error, format!("sluice resume {} {name} -n {namespace}", kind.words())));
        }
        if request.with_source {
            let (source, source_namespace, source_name) = source_of(kind, &object)?;
            // A chart is asked for its own source too.
            let deeper = Request { with_source: source.kind == HELM_CHART.kind, ..Request::default() };
            one(app, source, source_namespace, source_name, deeper).await?;
        }
        app.output.action(&format!("annotating {} {name} in {namespace} namespace", kind.kind));
        annotate(app, kind, &object, request).await?;
        app.output.success(&format!("{} annotated", kind.kind));
        app.output.waiting(&format!("waiting for {} reconciliation", kind.kind));
        let progress = Progress::start(&app.output, "waiting for the controller");
        let reconciled = wait::reconciled(app, kind, &namespace, &name, object.last_handled(), |state| {
            progress.set(state);
        })
        .await;
        drop(progress);
        let object = reconciled?;
        verdict(kind, &object)?;
        app.output.success(&kind.success(&object));
        Ok(())
    }
    .boxed()
}

/// Whether a reconciled object is ready.
fn verdict(kind: &Kind, object: &Object) -> Result<()> {
    let ready = object.ready().context("status can't be determined")?;
    if ready.status == "True" {
        return Ok(());
    }
    let message = ready.message;
    match kind.kind {
        "Kustomization" | "HelmRelease" | "HelmChart" => {
            bail!("{} reconciliation failed: {message}", kind.kind)
        }
        _ => bail!("{} reconciliation failed: '{message}'", kind.kind),
    }
}

/// Where an object comes from: kind, namespace, name.
pub(crate) fn source_of(kind: &Kind, object: &Object) -> Result<(&'static Kind, String, String)> {
    if kind.kind == "HelmRelease"
        && let Some(source) = object.reference("/spec/chart/spec/sourceRef")
    {
        let name = format!("{}-{}", object.namespace(), object.name());
        return Ok((&HELM_CHART, source.namespace, name));
    }
    let reference = object.reference("/spec/chartRef").or_else(|| object.reference("/spec/sourceRef"));
    let reference = reference.with_context(|| format!("{} {} names no source", kind.kind, object.name()))?;
    let allowed: &[&str] = match kind.kind {
        "HelmRelease" => &["HelmChart", "OCIRepository"],
        "HelmChart" => &["HelmRepository", "GitRepository", "Bucket"],
        _ => &["OCIRepository", "GitRepository", "Bucket"],
    };
    match Kind::named(&reference.kind) {
        Some(source) if allowed.contains(&source.kind) => Ok((source, reference.namespace, reference.name)),
        _ => bail!("cannot reconcile source of kind {}", reference.kind),
    }
}

/// Asks for a reconciliation and does not wait for it.
pub(crate) async fn ask(app: &App, kind: &Kind, object: &Object) -> Result<()> {
    annotate(app, kind, object, Request::default()).await
}

async fn annotate(app: &App, kind: &Kind, object: &Object, request: Request) -> Result<()> {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string();
    let api = app.cluster().await?.api(kind, Some(object.namespace()));
    let patch = Patch::Merge(annotations(&now, request));
    let params = PatchParams { field_manager: Some("flux".into()), ..PatchParams::default() };
    let work = async {
        loop {
            match api.patch(object.name(), &params, &patch).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(anyhow::Error::new(error)),
            }
        }
    };
    app.bounded("annotating the object", work).await
}

/// All with the identical value: that is how the controller knows that they belong together.
fn annotations(now: &str, request: Request) -> Value {
    let mut annotations = Map::new();
    annotations.insert(RECONCILE_REQUEST_ANNOTATION.into(), now.into());
    if request.force {
        annotations.insert(FORCE_REQUEST_ANNOTATION.into(), now.into());
    }
    if request.reset {
        annotations.insert(RESET_REQUEST_ANNOTATION.into(), now.into());
    }
    json!({"metadata": {"annotations": annotations}})
}

/// All objects of a kind: they are asked together, then waited for together.
async fn all(app: &App, kind: &'static Kind, args: &ReconcileArgs, request: Request) -> Result<()> {
    let namespace = if args.all_namespaces { None } else { Some(app.namespace()?) };
    let selector = args.status_selector.as_deref().map(StatusSelector::parse).transpose()?;
    let cluster = app.cluster().await?;
    let listing = cluster.list(kind, namespace.as_deref(), ListParams::default());
    let mut objects = app.bounded("listing the objects", listing).await?;
    objects.retain(|object| {
        selector.as_ref().is_none_or(|selector| selector.matches(object, kind.is_static))
            && !kind.is_static(object)
    });
    let (suspended, objects): (Vec<_>, Vec<_>) = objects.into_iter().partition(Object::is_suspended);
    for object in suspended {
        app.output.warning(&format!("{} {}/{} is suspended", kind.kind, object.namespace(), object.name()));
    }
    if objects.is_empty() {
        let place =
            namespace.map_or("any namespace".to_owned(), |namespace| format!("{namespace:?} namespace"));
        bail!("no {} objects found in {place}", kind.kind);
    }
    if request.with_source {
        let mut seen = Vec::new();
        for object in &objects {
            let source = source_of(kind, object)?;
            let key = (source.0.kind, source.1.clone(), source.2.clone());
            if !seen.contains(&key) {
                seen.push(key);
                let deeper = Request { with_source: source.0.kind == HELM_CHART.kind, ..Request::default() };
                one(app, source.0, source.1, source.2, deeper).await?;
            }
        }
    }
    app.output.action(&format!("annotating {} {}", objects.len(), kind.plural));
    let annotated = join_all(objects.iter().map(|object| annotate(app, kind, object, request))).await;
    app.output.waiting(&format!("waiting for the reconciliation of {} {}", objects.len(), kind.plural));
    let progress = Progress::start(&app.output, "waiting for the controller");
    let waits = objects.iter().zip(annotated).map(|(object, annotated)| {
        let progress = &progress;
        async move {
            let (namespace, name) = (object.namespace(), object.name());
            let work = async {
                annotated?;
                let object = wait::reconciled(app, kind, namespace, name, object.last_handled(), |state| {
                    progress.set(state);
                })
                .await?;
                verdict(kind, &object)?;
                Ok::<_, anyhow::Error>(kind.success(&object))
            };
            match work.await {
                Ok(line) => app.output.success(&format!("{} {namespace}/{name} {line}", kind.kind)),
                Err(error) => {
                    app.output.failure(&format!(
                        "{} {namespace}/{name}: {}",
                        kind.kind,
                        failure::text(&error)
                    ));
                    return 1;
                }
            }
            0
        }
    });
    let failed: usize = join_all(waits).await.into_iter().sum();
    drop(progress);
    if failed > 0 {
        bail!("reconciliation failed for {failed} {}(s)", kind.kind);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{GIT_REPOSITORY, HELM_RELEASE, KUSTOMIZATION};

    #[test]
    fn all_requests_carry_the_same_moment() {
        let patch = annotations("now", Request { with_source: false, force: true, reset: true });
        let expected = json!({"metadata": {"annotations": {
            "reconcile.fluxcd.io/requestedAt": "now", "reconcile.fluxcd.io/forceAt": "now", "reconcile.fluxcd.io/resetAt": "now",
        }}});
        assert_eq!(patch, expected);
    }

    fn source(kind: &Kind, spec: Value) -> Result<String> {
        let object = Object(json!({"metadata": {"name": "app", "namespace": "apps"}, "spec": spec}));
        source_of(kind, &object).map(|(kind, namespace, name)| format!("{}/{namespace}/{name}", kind.kind))
    }

    #[test]
    fn sources_are_those_of_the_reference() {
        let chart = json!({"chart": {"spec": {"sourceRef": {"kind": "HelmRepository", "name": "r", "namespace": "infra"}}}});
        assert_eq!(source(&HELM_RELEASE, chart).unwrap(), "HelmChart/infra/apps-app");
        let chart_ref = json!({"chartRef": {"kind": "OCIRepository", "name": "r"}});
        assert_eq!(source(&HELM_RELEASE, chart_ref).unwrap(), "OCIRepository/apps/r");
        let git = json!({"sourceRef": {"kind": "GitRepository", "name": "g", "namespace": "flux-system"}});
        assert_eq!(source(&KUSTOMIZATION, git).unwrap(), "GitRepository/flux-system/g");
        let external = json!({"sourceRef": {"kind": "ExternalArtifact", "name": "e"}});
        let error = source(&KUSTOMIZATION, external).unwrap_err().to_string();
        assert_eq!(error, "cannot reconcile source of kind ExternalArtifact");
    }

    #[test]
    fn a_failure_is_told_with_its_message() {
        let object = Object(
            json!({"status": {"conditions": [{"type": "Ready", "status": "False", "message": "no"}]}}),
        );
        assert_eq!(
            verdict(&KUSTOMIZATION, &object).unwrap_err().to_string(),
            "Kustomization reconciliation failed: no"
        );
        assert_eq!(
            verdict(&GIT_REPOSITORY, &object).unwrap_err().to_string(),
            "GitRepository reconciliation failed: 'no'"
        );
        assert_eq!(
            verdict(&GIT_REPOSITORY, &Object(json!({}))).unwrap_err().to_string(),
            "status can't be determined"
        );
    }
}

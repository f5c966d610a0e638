//! `check`: is the cluster fit, and is what is installed healthy?

use std::ops::ControlFlow;

use anyhow::{Result, bail};
use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, ListParams};
use sluice_api::meta::{KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL};
use sluice_kstatus::Status;

use super::version::{self, PART_OF_FLUX};
use crate::app::App;
use crate::arguments;
use crate::failure::{self, Failures};
use crate::fitness;
use crate::object::Object;
use crate::progress::Progress;
use crate::wait;

/// Flags of `check`.
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// Only what is needed before an installation.
    #[arg(long)]
    pre: bool,
    /// Accepted and without effect, as in Flux.
    #[arg(long, value_delimiter = ',', hide = true)]
    components: Vec<String>,
    /// Accepted and without effect, as in Flux.
    #[arg(long, value_delimiter = ',', hide = true)]
    components_extra: Vec<String>,
    /// Accepted: Deployments are watched here, not polled.
    #[arg(long, value_parser = arguments::duration, hide = true)]
    poll_interval: Option<std::time::Duration>,
}

pub(crate) async fn run(app: &App, args: CheckArgs) -> Result<()> {
    app.output.action("checking prerequisites");
    let client = app.cluster().await?.client.clone();
    let version =
        app.bounded("asking for the version", async { Ok(client.apiserver_version().await?) }).await?;
    let fits = fitness::version(&version.git_version);
    let mut fine = fits.is_ok();
    match fits {
        Ok(text) => app.output.success(&text),
        Err(text) => {
            app.output.failure(&text);
            app.output.hint(fitness::UPGRADE);
        }
    }
    if args.pre {
        if !fine {
            bail!("check failed");
        }
        app.output.success("prerequisites checks passed");
        return Ok(());
    }
    let mut failures = Failures::default();
    app.output.action("checking version in cluster");
    fine &= installed(app, &client, &mut failures).await;
    app.output.action("checking controllers");
    fine &= controllers(app, &mut failures).await;
    app.output.action("checking crds");
    fine &= definitions(app, &client, &mut failures).await;
    failures.advise(app);
    if !fine {
        bail!("check failed");
    }
    app.output.success("all checks passed");
    Ok(())
}

async fn installed(app: &App, client: &kube::Client, failures: &mut Failures) -> bool {
    let work = async {
        let Some(definition) = version::source_definition(client).await? else { return Ok(None) };
        let labels = definition.labels();
        let bootstrapped = [KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL]
            .iter()
            .all(|label| labels.contains_key(*label));
        Ok(version::distribution(client).await?.map(|distribution| (distribution, bootstrapped)))
    };
    match app.bounded("asking for the version", work).await {
        Ok(Some((distribution, bootstrapped))) => {
            app.output.success(&format!("distribution: {distribution}"));
            app.output.success(&format!("bootstrapped: {bootstrapped}"));
            true
        }
        Ok(None) => {
            app.output.failure(
                "no version found in the cluster: nothing is installed, or not with install or helm",
            );
            app.output.hint(
                "`sluice install` installs the controllers, `sluice bootstrap` does it from a repository",
            );
            false
        }
        Err(error) => {
            failures.tell(app, None, &error);
            false
        }
    }
}

async fn controllers(app: &App, failures: &mut Failures) -> bool {
    let work = async {
        let namespace = app.namespace()?;
        let deployments = version::controllers(app.cluster().await?, &namespace).await?;
        Ok((namespace, deployments))
    };
    let (namespace, deployments) = match app.bounded("listing the controllers", work).await {
        Ok(found) => found,
        Err(error) => {
            failures.tell(app, None, &error);
            return false;
        }
    };
    if deployments.is_empty() {
        app.output.failure(&format!(
            "no controllers found in the '{namespace}' namespace with the label selector '{PART_OF_FLUX}'"
        ));
        return false;
    }
    let mut fine = true;
    for deployment in deployments {
        let name = deployment.name();
        match deployment_ready(app, &namespace, name).await {
            Ok(()) => app.output.success(&format!("{name}: deployment ready")),
            Err(error) => {
                app.output.failure(&format!("{name}: deployment not ready: {}", failure::text(&error)));
                fine = false;
            }
        }
        for image in version::images(&deployment) {
            app.output.action(&image);
        }
    }
    fine
}

/// Waits until a Deployment is rolled out.
pub(crate) async fn deployment_ready(app: &App, namespace: &str, name: &str) -> Result<()> {
    let api = app.cluster().await?.of(&ApiResource::erase::<Deployment>(&()), Some(namespace));
    let progress = Progress::start(&app.output, &format!("waiting for {name}"));
    let seen = |object: Option<kube::api::DynamicObject>| {
        let Some(object) = object else { bail!("not found") };
        let mut object = Object::from(object);
        // Objects of a watch do not name their kind.
        object.0["apiVersion"] = "apps/v1".into();
        object.0["kind"] = "Deployment".into();
        let assessment = wait::assess(&object)?;
        Ok(match assessment.status {
            Status::Current => ControlFlow::Break(()),
            Status::InProgress => ControlFlow::Continue(assessment.message),
            _ => bail!("{}", assessment.message),
        })
    };
    wait::watch(app, api, name, seen, |state| progress.set(&format!("{name}: {state}"))).await
}

async fn definitions(app: &App, client: &kube::Client, failures: &mut Failures) -> bool {
    let work = async {
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        Ok(definitions.list(&ListParams::default().labels(PART_OF_FLUX)).await?.items)
    };
    match app.bounded("listing the definitions", work).await {
        Ok(found) if found.is_empty() => {
            app.output.failure(&format!("no crds found with the label selector '{PART_OF_FLUX}'"));
            false
        }
        Ok(found) => {
            for definition in found {
                let stored = definition.status.as_ref().and_then(|status| status.stored_versions.as_ref());
                let last = stored.and_then(|stored| stored.last()).cloned().unwrap_or_default();
                app.output.success(&format!("{}/{last}", definition.name_any()));
            }
            true
        }
        Err(error) => {
            failures.tell(app, None, &error);
            false
        }
    }
}

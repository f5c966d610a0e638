//! `create kustomization`.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::Common;
use super::draft::{Draft, Spec, Words, dependency, reference};
use crate::app::App;
use crate::arguments;
use crate::failure::misuse;
use crate::kinds::KUSTOMIZATION;

/// Flags of `create kustomization`.
#[derive(Args)]
pub(super) struct KustomizationArgs {
    /// The name of the Kustomization.
    name: Option<String>,
    /// Where the manifests are: Kind/name or Kind/name.namespace (OCIRepository, GitRepository, Bucket).
    #[arg(long)]
    source: Option<String>,
    /// The directory in the source, beginning with ./.
    #[arg(long, default_value = "./")]
    path: String,
    /// Delete what is no longer in the source.
    #[arg(long)]
    prune: bool,
    /// Wait until all that is applied is healthy.
    #[arg(long)]
    wait: bool,
    /// Wait for this workload: Kind/name.namespace; may be repeated.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    health_check: Vec<String>,
    /// How long to wait for health.
    #[arg(long, default_value = "2m", value_parser = arguments::duration)]
    health_check_timeout: Duration,
    /// A Kustomization that must be ready before: name or namespace/name; may be repeated.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    depends_on: Vec<String>,
    /// The service account to work as.
    #[arg(long)]
    service_account: Option<String>,
    /// How secrets are decrypted: sops.
    #[arg(long)]
    decryption_provider: Option<String>,
    /// The Secret with the keys for decryption.
    #[arg(long)]
    decryption_secret: Option<String>,
    /// The namespace that everything is put into.
    #[arg(long)]
    target_namespace: Option<String>,
    /// The Secret with the kubeconfig of another cluster.
    #[arg(long)]
    kubeconfig_secret_ref: Option<String>,
    /// How soon to try again after a failure.
    #[arg(long, value_parser = arguments::duration)]
    retry_interval: Option<Duration>,
    /// Accepted and without effect, as in Flux.
    #[arg(long, hide = true)]
    validation: Option<String>,
}

const SOURCES: [&str; 3] = ["OCIRepository", "GitRepository", "Bucket"];
const CHECKED: [(&str, &str); 4] = [
    ("Deployment", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("HelmRelease", "helm.toolkit.fluxcd.io/v2"),
];

pub(super) async fn run(app: &App, common: &Common, args: &KustomizationArgs) -> Result<()> {
    let draft = Draft::new(&KUSTOMIZATION, args.name.as_ref(), Words::Ready, spec(common, args)?)?;
    draft.finish(app, common).await.map(drop)
}

fn spec(common: &Common, args: &KustomizationArgs) -> Result<Spec> {
    let Some(source) = &args.source else { return Err(misuse("source is required")) };
    let mut spec = Spec::default();
    spec.list("dependsOn", args.depends_on.iter().map(dependency).collect());
    spec.duration("interval", Some(common.interval))
        .set("path", relative(&args.path)?)
        .set("prune", args.prune);
    spec.set("sourceRef", reference(source, Some("GitRepository"), &SOURCES)?.field());
    spec.text("targetNamespace", args.target_namespace.as_ref());
    spec.text("serviceAccountName", args.service_account.as_ref());
    spec.text("kubeConfig.secretRef.name", args.kubeconfig_secret_ref.as_ref());
    spec.duration("retryInterval", args.retry_interval);
    if let Some(provider) = &args.decryption_provider {
        if provider != "sops" {
            bail!("decryption provider '{provider}' is not supported, must be one of: sops");
        }
        spec.set("decryption.provider", provider.as_str());
        spec.text("decryption.secretRef.name", args.decryption_secret.as_ref());
    }
    if args.wait {
        spec.set("wait", true);
    }
    let checks = args.health_check.iter().map(|text| health_check(text)).collect::<Result<Vec<_>>>()?;
    if args.wait || !checks.is_empty() {
        spec.duration("timeout", Some(args.health_check_timeout));
    }
    if !args.wait {
        // Who waits for all waits for these.
        spec.list("healthChecks", checks);
    }
    Ok(spec)
}

/// A directory in the source, as the field has it.
fn relative(path: &str) -> Result<String> {
    if path.starts_with('/') {
        bail!("path {path:?} must be relative to the source, such as ./deploy");
    }
    Ok(if path.starts_with("./") { path.to_owned() } else { format!("./{path}") })
}

fn health_check(text: &str) -> Result<Value> {
    let kinds = CHECKED.map(|(kind, _)| kind);
    let found = reference(text, None, &kinds)?;
    if found.namespace.is_empty() {
        bail!("invalid health check '{text}', must be in the format <kind>/<name>.<namespace>");
    }
    let version = CHECKED.iter().find(|(kind, _)| *kind == found.kind).map(|(_, version)| *version);
    Ok(json!({"apiVersion": version, "kind": found.kind, "name": found.name, "namespace": found.namespace}))
}

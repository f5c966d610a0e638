//! `create alert`, `alert-provider` and `receiver`.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::Common;
use super::draft::{Draft, Spec, Words};
use crate::app::App;
use crate::failure::misuse;
use crate::kinds::{ALERT, KINDS, PROVIDER, RECEIVER};

/// Flags of `create alert`.
#[derive(Args)]
pub(super) struct AlertArgs {
    /// The name of the Alert.
    name: Option<String>,
    /// The Provider that it is sent through.
    #[arg(long)]
    provider_ref: Option<String>,
    /// The least severity: info or error.
    #[arg(long, value_parser = ["info", "error"])]
    event_severity: Option<String>,
    /// What it is about, as Kind/name or Kind/name.namespace; * is every name; may be repeated.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    event_source: Vec<String>,
}

/// Flags of `create alert-provider`.
#[derive(Args)]
pub(super) struct ProviderArgs {
    /// The name of the Provider.
    name: Option<String>,
    /// What it is: slack, msteams, github, ….
    #[arg(long = "type")]
    type_: Option<String>,
    /// The channel.
    #[arg(long)]
    channel: Option<String>,
    /// The name that messages come from.
    #[arg(long)]
    username: Option<String>,
    /// The address.
    #[arg(long)]
    address: Option<String>,
    /// The Secret with an address or a token.
    #[arg(long)]
    secret_ref: Option<String>,
}

/// Flags of `create receiver`.
#[derive(Args)]
pub(super) struct ReceiverArgs {
    /// The name of the Receiver.
    name: Option<String>,
    /// What calls: github, gitlab, generic, ….
    #[arg(long = "type", value_parser = super::secret::RECEIVER_TYPES)]
    type_: Option<String>,
    /// The Secret with the token.
    #[arg(long)]
    secret_ref: Option<String>,
    /// Which events; may be repeated.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    event: Vec<String>,
    /// What is reconciled, as Kind/name; may be repeated.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    resource: Vec<String>,
}

/// `Kind/name` or `Kind/name.namespace` of a kind of Flux.
fn subject(text: &str, what: &str) -> Result<Value> {
    let (kind, name) = match text.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => (kind, name),
        _ => bail!("invalid {what} '{text}', must be in the format <kind>/<name>"),
    };
    let Some(kind) = KINDS.iter().find(|known| known.kind.eq_ignore_ascii_case(kind)) else {
        bail!("{what} kind '{kind}' is not supported");
    };
    let mut subject = json!({"kind": kind.kind, "name": name});
    if let Some((name, namespace)) = name.rsplit_once('.') {
        subject["name"] = name.into();
        subject["namespace"] = namespace.into();
    }
    Ok(subject)
}

pub(super) async fn alert(app: &App, common: &Common, args: &AlertArgs) -> Result<()> {
    let Some(provider) = &args.provider_ref else { return Err(misuse("provider ref is required")) };
    if args.event_source.is_empty() {
        return Err(misuse("at least one event source is required"));
    }
    let mut spec = Spec::default();
    spec.set("providerRef.name", provider.as_str()).text("eventSeverity", args.event_severity.as_ref());
    let sources = args.event_source.iter().map(|text| subject(text, "event source"));
    spec.list("eventSources", sources.collect::<Result<Vec<_>>>()?);
    Draft::new(&ALERT, args.name.as_ref(), Words::Ready, spec)?.finish(app, common).await.map(drop)
}

pub(super) async fn provider(app: &App, common: &Common, args: &ProviderArgs) -> Result<()> {
    let Some(type_) = &args.type_ else { return Err(misuse("Provider type is required")) };
    let mut spec = Spec::default();
    spec.set("type", type_.as_str()).text("channel", args.channel.as_ref());
    spec.text("username", args.username.as_ref()).text("address", args.address.as_ref());
    spec.text("secretRef.name", args.secret_ref.as_ref());
    Draft::new(&PROVIDER, args.name.as_ref(), Words::Ready, spec)?.finish(app, common).await.map(drop)
}

pub(super) async fn receiver(app: &App, common: &Common, args: &ReceiverArgs) -> Result<()> {
    let Some(type_) = &args.type_ else { return Err(misuse("Receiver type is required")) };
    let Some(secret) = &args.secret_ref else { return Err(misuse("secret ref is required")) };
    if args.resource.is_empty() {
        return Err(misuse("at least one resource is required"));
    }
    let mut spec = Spec::default();
    spec.set("type", type_.as_str())
        .list("events", args.event.clone())
        .set("secretRef.name", secret.as_str());
    let resources = args.resource.iter().map(|text| subject(text, "resource"));
    spec.list("resources", resources.collect::<Result<Vec<_>>>()?);
    let draft = Draft::new(&RECEIVER, args.name.as_ref(), Words::Ready, spec)?;
    if let Some(object) = draft.finish(app, common).await? {
        app.output.success(&format!("generated webhook URL {}", object.text("/status/webhookPath")));
    }
    Ok(())
}

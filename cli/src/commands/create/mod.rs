//! `create`: objects from flags, into the cluster or as YAML.

mod draft;
mod helm_release;
mod image;
mod kustomization;
mod notification;
mod secret;
mod source;
mod tenant;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::app::App;
use crate::arguments;
use crate::failure::misuse;

/// Who gives out credentials for registries and buckets.
const CLOUDS: [&str; 4] = ["generic", "aws", "azure", "gcp"];
/// What makes a new chart.
const STRATEGIES: [&str; 2] = ["ChartVersion", "Revision"];

/// What follows `create`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    noun: Noun,
}

/// Flags of every object.
#[derive(Args, Clone, Debug)]
struct Common {
    /// Print YAML and leave the cluster alone.
    #[arg(long, global = true)]
    export: bool,
    /// How often it is reconciled.
    #[arg(long, global = true, default_value = "1m", value_parser = arguments::duration)]
    interval: Duration,
    /// A label as key=value; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_delimiter = ',', action = clap::ArgAction::Append)]
    label: Vec<String>,
}

#[derive(Subcommand)]
enum Noun {
    /// A Kustomization: apply a path of a source.
    #[command(visible_alias = "ks")]
    Kustomization(kustomization::KustomizationArgs),
    /// A HelmRelease: install a chart.
    #[command(visible_alias = "hr")]
    Helmrelease(helm_release::HelmReleaseArgs),
    /// A source.
    #[command(arg_required_else_help = true)]
    Source {
        #[command(subcommand)]
        source: source::SourceNoun,
    },
    /// An image repository, policy or automation.
    #[command(arg_required_else_help = true)]
    Image {
        #[command(subcommand)]
        image: image::ImageNoun,
    },
    /// An Alert.
    Alert(notification::AlertArgs),
    /// A Provider of alerts.
    AlertProvider(notification::ProviderArgs),
    /// A Receiver of webhooks.
    Receiver(notification::ReceiverArgs),
    /// A Secret in the form that the controllers read.
    #[command(arg_required_else_help = true)]
    Secret {
        #[command(subcommand)]
        secret: secret::SecretNoun,
    },
    /// Namespaces with a service account that may only work there.
    Tenant(tenant::TenantArgs),
}

pub(crate) async fn run(app: &App, args: CreateArgs) -> Result<()> {
    let common = args.common;
    match args.noun {
        Noun::Kustomization(args) => kustomization::run(app, &common, &args).await,
        Noun::Helmrelease(args) => helm_release::run(app, &common, &args).await,
        Noun::Source { source } => source::run(app, &common, &source).await,
        Noun::Image { image } => image::run(app, &common, &image).await,
        Noun::Alert(args) => notification::alert(app, &common, &args).await,
        Noun::AlertProvider(args) => notification::provider(app, &common, &args).await,
        Noun::Receiver(args) => notification::receiver(app, &common, &args).await,
        Noun::Secret { secret } => secret::run(app, &common, &secret).await,
        Noun::Tenant(args) => tenant::run(app, &common, &args).await,
    }
}

/// A name that an object may have.
fn checked(name: Option<&String>) -> Result<&str> {
    let Some(name) = name else { return Err(misuse("name is required")) };
    if !crate::app::is_dns_label(name) {
        bail!(
            "name '{name}' is invalid, it should adhere to standard defined in RFC 1123, the name can only contain \
             alphanumeric characters or '-'"
        );
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn names_are_labels() {
        assert!(checked(Some(&"ab".to_owned())).is_ok() && checked(Some(&"a".to_owned())).is_ok());
        assert_eq!(checked(None).unwrap_err().to_string(), "name is required");
        for wrong in ["", "A1", "-a", "a.b", "a_b"] {
            let error = checked(Some(&wrong.to_owned())).unwrap_err().to_string();
            assert!(error.starts_with(&format!("name '{wrong}' is invalid, ")), "{error}");
        }
    }
}

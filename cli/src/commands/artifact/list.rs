//! `list artifacts`.

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use sluice_regexp::Regexp;
use sluice_semver::{Constraints, Version};

use super::registry::{InsecureArgs, RegistryArgs, parse};
use super::{REVISION, SOURCE};
use crate::app::App;
use crate::commands::get::look;
use crate::table::Table;

/// So many manifests are asked for at the same time.
const IN_FLIGHT: usize = 8;

/// What can be listed.
#[derive(Subcommand)]
pub(crate) enum ListTarget {
    /// Show the artifacts of a repository.
    #[command(alias = "artifact")]
    Artifacts(ListArgs),
}

/// Flags of `list artifacts`.
#[derive(Args)]
pub(crate) struct ListArgs {
    /// The repository, as oci://host/repository.
    url: String,
    /// Only tags that are versions in this range.
    #[arg(long)]
    filter_semver: Option<String>,
    /// Only tags that match this regular expression.
    #[arg(long)]
    filter_regex: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    insecure: InsecureArgs,
}

pub(crate) async fn run(app: &App, target: ListTarget) -> Result<()> {
    let ListTarget::Artifacts(args) = target;
    let reference = parse(&args.url)?;
    let wanted = filter(args.filter_semver.as_deref(), args.filter_regex.as_deref())?;
    let client = args.registry.client(app, &reference, args.insecure.insecure_registry).await?;
    let client = &client;
    let work = async {
        let mut tags = client.tags(&reference.repository).await?;
        tags.retain(|tag| wanted(tag));
        tags.sort_by(|a, b| b.cmp(a));
        let rows = stream::iter(tags.iter().map(|tag| reference.with_tag(tag)))
            .map(async |at| {
                let (digest, manifest) = client.manifest(&at).await?;
                let fact = |key| manifest.annotations.get(key).cloned().unwrap_or_default();
                anyhow::Ok(vec![at.to_string(), digest, fact(SOURCE), fact(REVISION)])
            })
            .buffered(IN_FLIGHT);
        rows.try_collect::<Vec<_>>().await
    };
    let rows = app.bounded("listing artifacts", work).await?;
    app.output.data(Table::render(["artifact", "digest", "source", "revision"], &rows, true, look(app)))
}

/// Which tags are shown: no signatures, and what the filters let through.
fn filter(semver: Option<&str>, regex: Option<&str>) -> Result<impl Fn(&str) -> bool + use<>> {
    let range = semver.map(Constraints::parse).transpose().context("the range of versions is not valid")?;
    let regex = regex.map(Regexp::new).transpose().context("the regular expression is not valid")?;
    Ok(move |tag: &str| {
        // A tag is no version because it is a number: three parts, as policies have it.
        let version = Version::parse_strict(tag.strip_prefix('v').unwrap_or(tag));
        let in_range = |range: &Constraints| version.as_ref().is_ok_and(|version| range.check(version));
        !is_signature(tag)
            && range.as_ref().is_none_or(in_range)
            && regex.as_ref().is_none_or(|regex| regex.is_match(tag))
    })
}

/// Tags under which signatures, attestations and the like are found.
fn is_signature(tag: &str) -> bool {
    let Some(rest) = tag.strip_prefix("sha256-") else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    digits == 64 && matches!(&rest[64..], "" | ".sig" | ".att" | ".sbom")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_filtered_and_signatures_left_out() {
        let signature = format!("sha256-{}.sig", "a".repeat(64));
        let tags = ["v1.0.0", "1.2.0", "latest", "main-abc", signature.as_str()];
        let shown = |semver, regex| {
            let wanted = filter(semver, regex).unwrap();
            tags.into_iter().filter(|tag| wanted(tag)).collect::<Vec<_>>()
        };
        assert_eq!(shown(None, None), ["v1.0.0", "1.2.0", "latest", "main-abc"]);
        assert_eq!(shown(Some(">=1.1.0"), None), ["1.2.0"]);
        assert_eq!(shown(Some("1.x"), None), ["v1.0.0", "1.2.0"]);
        assert_eq!(shown(None, Some("^main-")), ["main-abc"]);
        assert!(filter(Some("x y"), None).is_err() && filter(None, Some("(")).is_err());
    }
}

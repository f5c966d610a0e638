//! `create source`.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Common;
use super::draft::{Draft, Spec, Words, reference};
use super::secret;
use crate::app::App;
use crate::arguments;
use crate::commands::delete::confirmed;
use crate::failure::misuse;
use crate::kinds::{BUCKET, GIT_REPOSITORY, HELM_CHART, HELM_REPOSITORY, OCI_REPOSITORY};
use crate::ssh::KeyArgs;

/// What follows `create source`.
#[derive(Subcommand)]
pub(super) enum SourceNoun {
    /// A GitRepository.
    Git(GitArgs),
    /// An OCIRepository.
    Oci(OciArgs),
    /// A HelmRepository.
    Helm(HelmArgs),
    /// A HelmChart.
    Chart(ChartArgs),
    /// A Bucket.
    Bucket(BucketArgs),
}

/// Flags of `create source git`.
#[derive(Args)]
pub(super) struct GitArgs {
    /// The name of the source.
    name: Option<String>,
    /// The address: ssh, http or https.
    #[arg(long)]
    url: Option<String>,
    /// The branch.
    #[arg(long)]
    branch: Option<String>,
    /// The tag.
    #[arg(long)]
    tag: Option<String>,
    /// A range of versions of tags.
    #[arg(long)]
    tag_semver: Option<String>,
    /// A full reference, such as refs/pull/1/head.
    #[arg(long)]
    ref_name: Option<String>,
    /// The commit.
    #[arg(long)]
    commit: Option<String>,
    /// The user name; makes a Secret.
    #[arg(short, long)]
    username: Option<String>,
    /// The password; makes a Secret.
    #[arg(short, long)]
    password: Option<String>,
    /// A file with the authority of the server's certificate; makes a Secret.
    #[arg(long)]
    ca_file: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    /// The Secret with credentials.
    #[arg(long)]
    secret_ref: Option<String>,
    /// The Secret with a proxy.
    #[arg(long)]
    proxy_secret_ref: Option<String>,
    /// How to authenticate: generic, azure, aws or github.
    #[arg(long, value_parser = ["generic", "github", "aws", "azure"])]
    provider: Option<String>,
    /// Fetch submodules.
    #[arg(long)]
    recurse_submodules: bool,
    /// Patterns of what is left out.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    ignore_paths: Vec<String>,
    /// Directories to fetch.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    sparse_checkout_paths: Vec<String>,
    /// How long fetching may take.
    #[arg(long, value_parser = arguments::duration)]
    fetch_timeout: Option<Duration>,
    /// Do not ask.
    #[arg(short, long)]
    silent: bool,
}

/// Flags about signatures.
#[derive(Args)]
pub(super) struct VerifyArgs {
    /// What verifies signatures: cosign or notation.
    #[arg(long, value_parser = ["cosign", "notation"])]
    verify_provider: Option<String>,
    /// The Secret with trusted keys.
    #[arg(long)]
    verify_secret_ref: Option<String>,
    /// A pattern of the identity's subject.
    #[arg(long)]
    verify_subject: Option<String>,
    /// A pattern of the identity's issuer.
    #[arg(long)]
    verify_issuer: Option<String>,
}

/// Flags of `create source oci`.
#[derive(Args)]
pub(super) struct OciArgs {
    /// The name of the source.
    name: Option<String>,
    /// The address: oci://….
    #[arg(long)]
    url: Option<String>,
    /// The tag.
    #[arg(long)]
    tag: Option<String>,
    /// A range of versions of tags.
    #[arg(long)]
    tag_semver: Option<String>,
    /// The digest.
    #[arg(long)]
    digest: Option<String>,
    /// The Secret with credentials of the registry.
    #[arg(long)]
    secret_ref: Option<String>,
    /// The Secret with a proxy.
    #[arg(long)]
    proxy_secret_ref: Option<String>,
    /// The Secret with certificates.
    #[arg(long)]
    cert_ref: Option<String>,
    /// The service account with credentials.
    #[arg(long)]
    service_account: Option<String>,
    /// How to authenticate: generic, aws, azure or gcp.
    #[arg(long, default_value = "generic", value_parser = super::CLOUDS)]
    provider: String,
    /// Patterns of what is left out.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    ignore_paths: Vec<String>,
    /// Which layer: media type, or media type and extract or copy after a colon.
    #[arg(long)]
    layer_selector: Option<String>,
    /// Allow unencrypted connections.
    #[arg(long)]
    insecure: bool,
    /// How long fetching may take.
    #[arg(long, value_parser = arguments::duration)]
    fetch_timeout: Option<Duration>,
    #[command(flatten)]
    verify: VerifyArgs,
}

/// Flags of `create source helm`.
#[derive(Args)]
pub(super) struct HelmArgs {
    /// The name of the source.
    name: Option<String>,
    /// The address of the repository.
    #[arg(long)]
    url: Option<String>,
    /// The user name; makes a Secret.
    #[arg(short, long)]
    username: Option<String>,
    /// The password; makes a Secret.
    #[arg(short, long)]
    password: Option<String>,
    /// A file with the client certificate; makes a Secret.
    #[arg(long)]
    cert_file: Option<String>,
    /// A file with the client key; makes a Secret.
    #[arg(long)]
    key_file: Option<String>,
    /// A file with the authority of the server's certificate; makes a Secret.
    #[arg(long)]
    ca_file: Option<String>,
    /// The Secret with credentials.
    #[arg(long)]
    secret_ref: Option<String>,
    /// How to authenticate with a registry: generic, aws, azure or gcp.
    #[arg(long, value_parser = super::CLOUDS)]
    oci_provider: Option<String>,
    /// Send the credentials to other hosts too.
    #[arg(long)]
    pass_credentials: bool,
    /// How long fetching may take.
    #[arg(long, value_parser = arguments::duration)]
    fetch_timeout: Option<Duration>,
}

/// Flags of `create source chart`.
#[derive(Args)]
pub(super) struct ChartArgs {
    /// The name of the source.
    name: Option<String>,
    /// Where the chart is: Kind/name (HelmRepository, GitRepository, Bucket).
    #[arg(long)]
    source: Option<String>,
    /// The chart's name or path.
    #[arg(long)]
    chart: Option<String>,
    /// The chart's version or a range.
    #[arg(long)]
    chart_version: Option<String>,
    /// What makes a new chart: ChartVersion or Revision.
    #[arg(long, default_value = "ChartVersion", value_parser = super::STRATEGIES)]
    reconcile_strategy: String,
    /// Accepted as by the other sources: a chart is fetched with the timeout of its source.
    #[arg(long, hide = true, value_parser = arguments::duration)]
    fetch_timeout: Option<Duration>,
    #[command(flatten)]
    verify: VerifyArgs,
}

/// Flags of `create source bucket`.
#[derive(Args)]
pub(super) struct BucketArgs {
    /// The name of the source.
    name: Option<String>,
    /// Whose storage: generic, aws, azure or gcp.
    #[arg(long, default_value = "generic", value_parser = super::CLOUDS)]
    provider: String,
    /// The bucket.
    #[arg(long)]
    bucket_name: Option<String>,
    /// The host of the storage.
    #[arg(long)]
    endpoint: Option<String>,
    /// The key's name; makes a Secret.
    #[arg(long)]
    access_key: Option<String>,
    /// The key; makes a Secret.
    #[arg(long)]
    secret_key: Option<String>,
    /// The region.
    #[arg(long)]
    region: Option<String>,
    /// Allow unencrypted connections.
    #[arg(long)]
    insecure: bool,
    /// The Secret with credentials.
    #[arg(long)]
    secret_ref: Option<String>,
    /// The Secret with a proxy.
    #[arg(long)]
    proxy_secret_ref: Option<String>,
    /// Patterns of what is left out.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    ignore_paths: Vec<String>,
    /// How long fetching may take.
    #[arg(long, value_parser = arguments::duration)]
    fetch_timeout: Option<Duration>,
}

pub(super) async fn run(app: &App, common: &Common, noun: &SourceNoun) -> Result<()> {
    match noun {
        SourceNoun::Git(args) => git(app, common, args).await,
        SourceNoun::Oci(args) => oci(app, common, args).await,
        SourceNoun::Helm(args) => helm(app, common, args).await,
        SourceNoun::Chart(args) => chart(app, common, args).await,
        SourceNoun::Bucket(args) => bucket(app, common, args).await,
    }
}

fn ignore(spec: &mut Spec, patterns: &[String]) {
    if !patterns.is_empty() {
        spec.set("ignore", patterns.join("\n"));
    }
}

async fn git(app: &App, common: &Common, args: &GitArgs) -> Result<()> {
    let name = super::checked(args.name.as_ref())?;
    let Some(url) = &args.url else { return Err(misuse("url is required")) };
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if !["ssh", "http", "https"].contains(&scheme) {
        bail!("git URL scheme '{scheme}' not supported, can be: ssh, http and https");
    }
    let references = [
        ("commit", &args.commit),
        ("name", &args.ref_name),
        ("semver", &args.tag_semver),
        ("tag", &args.tag),
        ("branch", &args.branch),
    ];
    if references.iter().all(|(_, value)| value.is_none()) {
        return Err(misuse(
            "a Git ref is required, use one of the following: --branch, --tag, --commit, --ref-name or --tag-semver",
        ));
    }
    let mut spec = Spec::default();
    spec.duration("interval", Some(common.interval))
        .set("url", url.as_str())
        .duration("timeout", args.fetch_timeout);
    // One counts; a commit is looked for on the branch.
    for (field, value) in references.into_iter().filter(|(_, value)| value.is_some()).take(1) {
        spec.text(&format!("ref.{field}"), value.as_ref());
        if field == "commit" {
            spec.text("ref.branch", args.branch.as_ref());
        }
    }
    spec.text("provider", args.provider.as_ref()).switch("recurseSubmodules", args.recurse_submodules);
    spec.text("proxySecretRef.name", args.proxy_secret_ref.as_ref());
    spec.list("sparseCheckout", args.sparse_checkout_paths.clone());
    ignore(&mut spec, &args.ignore_paths);
    if args.secret_ref.is_some() {
        spec.text("secretRef.name", args.secret_ref.as_ref());
    } else if scheme == "ssh" {
        let data = secret::keys(app, url, &args.key, args.password.as_deref()).await?;
        if !common.export
            && !args.silent
            && !confirmed(app, "Have you added the deploy key to your repository")
        {
            bail!("aborting");
        }
        if !common.export {
            app.output.action("applying secret with repository credentials");
        }
        secret::put(app, common, name, "Opaque", &data, json!({}), "git").await?;
        if !common.export {
            app.output.success("authentication configured");
        }
        spec.set("secretRef.name", name);
    } else if args.username.is_some() || args.password.is_some() || args.ca_file.is_some() {
        let data =
            secret::basic(args.username.as_ref(), args.password.as_ref(), None, args.ca_file.as_ref())?;
        secret::put(app, common, name, "Opaque", &data, json!({}), "git").await?;
        spec.set("secretRef.name", name);
    }
    Draft::new(&GIT_REPOSITORY, args.name.as_ref(), Words::Source, spec)?.finish(app, common).await.map(drop)
}

fn verification(spec: &mut Spec, args: &VerifyArgs) {
    if let Some(provider) = &args.verify_provider {
        spec.set("verify.provider", provider.as_str())
            .text("verify.secretRef.name", args.verify_secret_ref.as_ref());
        if args.verify_issuer.is_some() || args.verify_subject.is_some() {
            let text = |value: &Option<String>| Value::from(value.clone().unwrap_or_default());
            let identity =
                json!({"issuer": text(&args.verify_issuer), "subject": text(&args.verify_subject)});
            spec.list("verify.matchOIDCIdentity", vec![identity]);
        }
    }
}

async fn oci(app: &App, common: &Common, args: &OciArgs) -> Result<()> {
    let Some(url) = &args.url else { return Err(misuse("url is required")) };
    if args.tag.is_none() && args.tag_semver.is_none() && args.digest.is_none() {
        return Err(misuse("--tag, --tag-semver or --digest is required"));
    }
    let mut spec = Spec::default();
    spec.duration("interval", Some(common.interval))
        .set("url", url.as_str())
        .duration("timeout", args.fetch_timeout);
    spec.text("ref.digest", args.digest.as_ref()).text("ref.semver", args.tag_semver.as_ref());
    spec.text("ref.tag", args.tag.as_ref()).set("provider", args.provider.as_str());
    spec.switch("insecure", args.insecure).text("serviceAccountName", args.service_account.as_ref());
    spec.text("secretRef.name", args.secret_ref.as_ref()).text("certSecretRef.name", args.cert_ref.as_ref());
    spec.text("proxySecretRef.name", args.proxy_secret_ref.as_ref());
    if let Some(selector) = &args.layer_selector {
        let (media_type, operation) = selector.rsplit_once(':').unwrap_or((selector, "extract"));
        if !["extract", "copy"].contains(&operation) {
            bail!("layer selector '{selector}' must be <mediatype>:<extract|copy>");
        }
        spec.set("layerSelector.mediaType", media_type).set("layerSelector.operation", operation);
    }
    ignore(&mut spec, &args.ignore_paths);
    verification(&mut spec, &args.verify);
    Draft::new(&OCI_REPOSITORY, args.name.as_ref(), Words::Bare, spec)?.finish(app, common).await.map(drop)
}

async fn helm(app: &App, common: &Common, args: &HelmArgs) -> Result<()> {
    let name = super::checked(args.name.as_ref())?;
    let Some(url) = &args.url else { return Err(misuse("url is required")) };
    let mut spec = Spec::default();
    if url.starts_with("oci://") {
        spec.set("type", "oci").text("provider", args.oci_provider.as_ref());
    }
    spec.duration("interval", Some(common.interval))
        .set("url", url.as_str())
        .duration("timeout", args.fetch_timeout);
    spec.switch("passCredentials", args.pass_credentials);
    if args.secret_ref.is_some() {
        spec.text("secretRef.name", args.secret_ref.as_ref());
    } else {
        let mut data = secret::basic(args.username.as_ref(), args.password.as_ref(), None, None)?;
        data.extend(secret::tls(args.cert_file.as_ref(), args.key_file.as_ref(), args.ca_file.as_ref())?);
        if !data.is_empty() {
            secret::put(app, common, name, "Opaque", &data, json!({}), "helm").await?;
            let field = if args.username.is_some() { "secretRef.name" } else { "certSecretRef.name" };
            spec.set(field, name);
        }
    }
    Draft::new(&HELM_REPOSITORY, args.name.as_ref(), Words::Short, spec)?.finish(app, common).await.map(drop)
}

async fn chart(app: &App, common: &Common, args: &ChartArgs) -> Result<()> {
    let (Some(source), Some(chart)) = (&args.source, &args.chart) else {
        return Err(misuse("source and chart are required"));
    };
    let mut source = reference(source, None, &["HelmRepository", "GitRepository", "Bucket"])?;
    // A chart and its source share a namespace.
    source.namespace.clear();
    let mut spec = Spec::default();
    spec.set("chart", chart.as_str()).duration("interval", Some(common.interval));
    spec.text("version", args.chart_version.as_ref())
        .set("reconcileStrategy", args.reconcile_strategy.as_str());
    spec.set("sourceRef", source.field());
    verification(&mut spec, &args.verify);
    Draft::new(&HELM_CHART, args.name.as_ref(), Words::Short, spec)?.finish(app, common).await.map(drop)
}

async fn bucket(app: &App, common: &Common, args: &BucketArgs) -> Result<()> {
    let name = super::checked(args.name.as_ref())?;
    let Some(bucket) = &args.bucket_name else { return Err(misuse("bucket-name is required")) };
    let Some(endpoint) = &args.endpoint else { return Err(misuse("endpoint is required")) };
    let mut spec = Spec::default();
    spec.set("bucketName", bucket.as_str())
        .set("provider", args.provider.as_str())
        .set("endpoint", endpoint.as_str());
    spec.switch("insecure", args.insecure).text("region", args.region.as_ref());
    spec.duration("interval", Some(common.interval)).duration("timeout", args.fetch_timeout);
    spec.text("proxySecretRef.name", args.proxy_secret_ref.as_ref());
    ignore(&mut spec, &args.ignore_paths);
    if args.secret_ref.is_some() {
        spec.text("secretRef.name", args.secret_ref.as_ref());
    } else if let ("generic", Some(key), Some(secret)) =
        (args.provider.as_str(), &args.access_key, &args.secret_key)
    {
        let data = vec![("accesskey".to_owned(), key.clone()), ("secretkey".to_owned(), secret.clone())];
        let name = format!("bucket-{name}");
        secret::put(app, common, &name, "Opaque", &data, json!({}), "bucket").await?;
        spec.set("secretRef.name", name);
    }
    Draft::new(&BUCKET, args.name.as_ref(), Words::Source, spec)?.finish(app, common).await.map(drop)
}

//! `helm pull`: a chart from a repository, a registry or an address into a file.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::StreamExt as _;
use reqwest::Url;
use sluice_artifact::extract::{Options, extract};
use sluice_helm::index::{Index, Nearest};
use sluice_http::Tls;
use sluice_oci::{Client, ClientOptions, Credentials, Reference};
use sluice_semver::{Constraints, Version};

use crate::app::App;
use crate::commands::artifact::docker_credentials;
use crate::web;

/// Larger charts and indexes are refused, as by the source-controller.
const LIMIT: usize = 100 << 20;
/// The layer that is the chart's archive, and what it was called once.
const CHART_LAYERS: [&str; 2] =
    ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"];

/// Flags of `helm pull`.
#[derive(Args)]
pub(super) struct PullArgs {
    /// oci://host/charts/name, an address of an archive, or with --repo the name of a chart.
    chart: String,
    /// The repository of the chart.
    #[arg(long, value_name = "URL")]
    repo: Option<String>,
    /// A version or a range; the highest stable one otherwise.
    #[arg(long, default_value = "")]
    version: String,
    /// Pre-releases too, when no version is given.
    #[arg(long)]
    devel: bool,
    /// Where to put the archive.
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    destination: PathBuf,
    /// Unpack the archive.
    #[arg(long)]
    untar: bool,
    /// With --untar: the folder for the chart's folder.
    #[arg(long, default_value = ".", value_name = "DIR")]
    untardir: PathBuf,
    /// User at the repository or registry.
    #[arg(long)]
    username: Option<String>,
    /// Password at the repository or registry.
    #[arg(long, hide_env_values = true)]
    password: Option<String>,
    /// Send user and password to other hosts, too, when the index leads there.
    #[arg(long)]
    pass_credentials: bool,
    /// Talk to the registry without TLS.
    #[arg(long)]
    plain_http: bool,
    /// Certificate authorities to trust besides those of the system (PEM).
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The certificate to show to the server (PEM).
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// Accept any certificate of the server.
    #[arg(long, conflicts_with = "ca_file")]
    insecure_skip_tls_verify: bool,
}

impl PullArgs {
    fn tls(&self) -> Result<Tls> {
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
        let identity = self.cert_file.as_ref().zip(self.key_file.as_ref());
        Ok(Tls {
            authorities: self.ca_file.as_ref().map(read).transpose()?,
            identity: identity
                .map(|(cert, key)| Ok::<_, anyhow::Error>((read(cert)?, read(key)?)))
                .transpose()?,
        })
    }

    /// A client for what is no registry.
    fn client(&self) -> Result<reqwest::Client> {
        let options = sluice_http::Options {
            tls: self.tls()?,
            insecure: self.insecure_skip_tls_verify,
            user_agent: web::AGENT.to_owned(),
            ..sluice_http::Options::default()
        };
        Ok(sluice_http::build(&options)?)
    }
}

/// An archive and what it is called.
struct Pulled {
    file: String,
    bytes: Vec<u8>,
}

pub(super) async fn run(app: &App, args: &PullArgs) -> Result<()> {
    let work = async {
        if let Some(repository) = &args.repo {
            from_repository(args, repository).await
        } else if args.chart.starts_with("oci://") {
            from_registry(app, args).await
        } else if args.chart.contains("://") {
            let url = Url::parse(&args.chart).with_context(|| args.chart.clone())?;
            let file =
                url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default().to_owned();
            Ok(Pulled { file, bytes: fetch(args, url.clone(), &url).await? })
        } else {
            bail!("{}: repositories are not remembered here: give --repo URL or an address", args.chart)
        }
    };
    let pulled = app.bounded("pulling the chart", work).await?;
    // The name comes from elsewhere: it must not lead out of the folder.
    let is_name =
        !pulled.file.is_empty() && !pulled.file.contains(['/', '\\']) && !pulled.file.starts_with('.');
    if !is_name {
        bail!("{:?} cannot be the name of a file", pulled.file);
    }
    if !args.untar {
        let path = args.destination.join(&pulled.file);
        return std::fs::write(&path, &pulled.bytes).with_context(|| path.display().to_string());
    }
    let name = sluice_helm::chart::load_archive(&pulled.bytes)?.name().to_owned();
    let target = args.untardir.join(&name);
    if target.exists() {
        bail!("failed to untar: a file or directory with the name {} already exists", target.display());
    }
    std::fs::create_dir_all(&args.untardir).with_context(|| args.untardir.display().to_string())?;
    // The archive may hold more than the chart's folder, and that must not get among files of others.
    let work = tempfile::tempdir_in(&args.untardir)?;
    extract(pulled.bytes.as_slice(), work.path(), &Options::default()).context("cannot unpack the chart")?;
    std::fs::rename(work.path().join(&name), &target).with_context(|| target.display().to_string())
}

async fn from_repository(args: &PullArgs, repository: &str) -> Result<Pulled> {
    let base = Url::parse(&format!("{}/", repository.trim_end_matches('/')))
        .with_context(|| format!("could not parse repository {repository}"))?;
    let index = fetch(args, base.join("index.yaml")?, &base).await?;
    let index =
        Index::parse(&index).with_context(|| format!("{repository} has no index that can be read"))?;
    let version = if args.version.is_empty() && args.devel { ">0.0.0-0" } else { &args.version };
    let found = index
        .get(&args.chart, version)
        .with_context(|| format!("chart {:?} not found in {repository} repository", args.chart))?;
    let url =
        found.urls.first().with_context(|| format!("chart {:?} has no downloadable URLs", args.chart))?;
    let bytes = fetch(args, base.join(url).with_context(|| url.clone())?, &base).await?;
    let actual = sluice_oci::digest(&bytes);
    if !found.digest.is_empty()
        && actual.trim_start_matches("sha256:") != found.digest.trim_start_matches("sha256:")
    {
        bail!("{url} has the digest {actual}, not that of the index, {}", found.digest);
    }
    Ok(Pulled { file: format!("{}-{}.tgz", args.chart, found.metadata.version), bytes })
}

/// Gets an address. The login goes to the host that it is for, and to no other unless it may.
async fn fetch(args: &PullArgs, url: Url, home: &Url) -> Result<Vec<u8>> {
    let shown = url.as_str().to_owned();
    let mut request = args.client()?.get(url.clone());
    let is_home = url.scheme() == home.scheme()
        && url.host() == home.host()
        && url.port_or_known_default() == home.port_or_known_default();
    if let Some(user) = &args.username
        && (is_home || args.pass_credentials)
    {
        request = request.basic_auth(user, args.password.as_deref());
    }
    let answer = request.send().await.with_context(|| format!("failed to fetch {shown}"))?;
    if !answer.status().is_success() {
        bail!("failed to fetch {shown} : {}", answer.status());
    }
    let mut bytes = Vec::new();
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.with_context(|| format!("failed to fetch {shown}"))?);
        if bytes.len() > LIMIT {
            bail!("{shown} is larger than {} MiB", LIMIT >> 20);
        }
    }
    Ok(bytes)
}

async fn from_registry(app: &App, args: &PullArgs) -> Result<Pulled> {
    let reference =
        Reference::parse(&args.chart).with_context(|| format!("{:?} cannot be read", args.chart))?;
    let credentials = match &args.username {
        Some(username) => Credentials::Basic {
            username: username.clone(),
            password: args.password.clone().unwrap_or_default(),
        },
        None => docker_credentials(&reference)?,
    };
    let tls = args.tls()?;
    let options = ClientOptions {
        credentials,
        insecure: args.plain_http || args.insecure_skip_tls_verify,
        ca: tls.authorities,
        certificate: tls.identity,
        ..ClientOptions::default()
    };
    let client = Client::new(&reference.registry, options)?;
    let name = reference.repository.rsplit('/').next().unwrap_or_default().to_owned();
    let version = if args.chart.trim_start_matches("oci://").contains(['@']) {
        reference.identifier().to_owned()
    } else {
        choose(&client, &reference, args).await?
    };
    let reference =
        if version.contains(':') { reference } else { reference.with_tag(&version.replace('+', "_")) };
    let (digest, manifest) = client.manifest(&reference).await?;
    let layer = CHART_LAYERS
        .iter()
        .find_map(|wanted| manifest.layers.iter().find(|layer| layer.media_type == *wanted));
    let layer = layer.with_context(|| format!("{}: the manifest has no layer with a chart", args.chart))?;
    if layer.size > LIMIT as u64 {
        bail!("{} is larger than {} MiB", args.chart, LIMIT >> 20);
    }
    let mut bytes = Vec::new();
    client.blob(&reference.repository, layer, &mut bytes).await?;
    app.output.data(format!("Pulled: {reference}\nDigest: {digest}\n"))?;
    Ok(Pulled { file: format!("{name}-{version}.tgz"), bytes })
}

/// The version that is asked for, or the highest in a range.
async fn choose(client: &Client, reference: &Reference, args: &PullArgs) -> Result<String> {
    if Version::parse_strict(&args.version).is_ok() {
        return Ok(args.version.clone());
    }
    let wanted = match args.version.as_str() {
        "" if args.devel => ">0.0.0-0",
        "" => "*",
        wanted => wanted,
    };
    let range = Constraints::parse(wanted).with_context(|| format!("improper constraint: {wanted}"))?;
    let tags: Vec<String> =
        client.tags(&reference.repository).await?.iter().map(|tag| tag.replace('_', "+")).collect();
    let best = tags
        .iter()
        .filter_map(|tag| Some((Version::parse(tag).ok()?, tag)))
        .filter(|(version, _)| range.check(version))
        .max_by(|a, b| a.0.cmp(&b.0));
    match best {
        Some((_, tag)) => Ok(tag.clone()),
        None => {
            let nearest = Nearest::of(tags.iter().map(String::as_str), wanted);
            bail!("could not locate a version matching provided version string {wanted}{nearest}")
        }
    }
}

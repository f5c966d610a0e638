//! `create image`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use sluice_oci::Reference;
use sluice_regexp::Regexp;
use sluice_semver::Constraints;

use super::Common;
use super::draft::{Draft, Spec, Words};
use crate::app::App;
use crate::arguments;
use crate::failure::misuse;
use crate::kinds::{IMAGE_POLICY, IMAGE_REPOSITORY, IMAGE_UPDATE_AUTOMATION};

/// What follows `create image`.
#[derive(Subcommand)]
pub(super) enum ImageNoun {
    /// An ImageRepository: which images are looked for.
    Repository(RepositoryArgs),
    /// An ImagePolicy: which of them is chosen.
    Policy(PolicyArgs),
    /// An ImageUpdateAutomation: where the choice is written.
    Update(UpdateArgs),
}

/// Flags of `create image repository`.
#[derive(Args)]
pub(super) struct RepositoryArgs {
    /// The name of the ImageRepository.
    name: Option<String>,
    /// The image without a tag.
    #[arg(long)]
    image: Option<String>,
    /// The Secret with credentials of the registry.
    #[arg(long)]
    secret_ref: Option<String>,
    /// The Secret with certificates.
    #[arg(long)]
    cert_ref: Option<String>,
    /// How to authenticate: generic, aws, azure or gcp.
    #[arg(long, value_parser = super::CLOUDS)]
    provider: Option<String>,
    /// How long a scan may take.
    #[arg(long, value_parser = arguments::duration)]
    scan_timeout: Option<Duration>,
}

/// Flags of `create image policy`.
#[derive(Args)]
pub(super) struct PolicyArgs {
    /// The name of the ImagePolicy.
    name: Option<String>,
    /// The ImageRepository.
    #[arg(long)]
    image_ref: Option<String>,
    /// Choose by a range of versions.
    #[arg(long)]
    select_semver: Option<String>,
    /// Choose by the alphabet: asc or desc.
    #[arg(long)]
    select_alpha: Option<String>,
    /// Choose by number: asc or desc.
    #[arg(long)]
    select_numeric: Option<String>,
    /// Only tags that match this regular expression.
    #[arg(long)]
    filter_regex: Option<String>,
    /// What of the match to compare.
    #[arg(long)]
    filter_extract: Option<String>,
    /// When to look the digest up: Always, IfNotPresent or Never.
    #[arg(long)]
    reflect_digest: Option<String>,
}

/// Flags of `create image update`.
#[derive(Args)]
pub(super) struct UpdateArgs {
    /// The name of the ImageUpdateAutomation.
    name: Option<String>,
    /// The GitRepository to write to.
    #[arg(long)]
    git_repo_ref: Option<String>,
    /// Its namespace.
    #[arg(long)]
    git_repo_namespace: Option<String>,
    /// The directory to look in.
    #[arg(long)]
    git_repo_path: Option<String>,
    /// The branch to check out.
    #[arg(long)]
    checkout_branch: Option<String>,
    /// The branch to push to.
    #[arg(long)]
    push_branch: Option<String>,
    /// The template of commit messages.
    #[arg(long)]
    commit_template: Option<String>,
    /// The author's name.
    #[arg(long)]
    author_name: Option<String>,
    /// The author's address.
    #[arg(long)]
    author_email: Option<String>,
    /// The Secret with the key that signs commits.
    #[arg(long)]
    signing_key_secret: Option<String>,
    /// The type of that key: gpg or ssh.
    #[arg(long, value_parser = ["gpg", "ssh"])]
    signing_key_type: Option<String>,
}

pub(super) async fn run(app: &App, common: &Common, noun: &ImageNoun) -> Result<()> {
    let draft = match noun {
        ImageNoun::Repository(args) => repository(common, args)?,
        ImageNoun::Policy(args) => policy(common, args)?,
        ImageNoun::Update(args) => update(common, args)?,
    };
    draft.finish(app, common).await.map(drop)
}

fn repository(common: &Common, args: &RepositoryArgs) -> Result<Draft> {
    let Some(image) = &args.image else { return Err(misuse("an image repository (--image) is required")) };
    let parsed = Reference::parse(image).with_context(|| format!("unable to parse image {image:?}"))?;
    if parsed.tag.is_some() || parsed.digest.is_some() {
        bail!("image {image:?} must be without a tag and a digest: an ImagePolicy chooses among the tags");
    }
    let mut spec = Spec::default();
    spec.set("image", image.as_str()).duration("interval", Some(common.interval));
    spec.duration("timeout", args.scan_timeout).text("provider", args.provider.as_ref());
    spec.text("secretRef.name", args.secret_ref.as_ref()).text("certSecretRef.name", args.cert_ref.as_ref());
    Draft::new(&IMAGE_REPOSITORY, args.name.as_ref(), Words::Ready, spec)
}

fn policy(common: &Common, args: &PolicyArgs) -> Result<Draft> {
    let Some(repository) = &args.image_ref else {
        return Err(misuse("the name of an ImageRepository in the namespace is required (--image-ref)"));
    };
    let chosen = [&args.select_semver, &args.select_alpha, &args.select_numeric];
    if chosen.iter().filter(|choice| choice.is_some()).count() != 1 {
        bail!("a policy must be provided with one of: --select-semver, --select-alpha, --select-numeric");
    }
    let mut spec = Spec::default();
    spec.set("imageRepositoryRef.name", repository.as_str());
    if let Some(range) = &args.select_semver {
        Constraints::parse(range)
            .with_context(|| format!("--select-semver {range:?} is no range of versions"))?;
        spec.set("policy.semver.range", range.as_str());
    }
    for (field, order) in [("alphabetical", &args.select_alpha), ("numerical", &args.select_numeric)] {
        if let Some(order) = order {
            if !["asc", "desc"].contains(&order.as_str()) {
                bail!("order {order:?} is not supported, must be asc or desc");
            }
            spec.set(&format!("policy.{field}.order"), order.as_str());
        }
    }
    if args.filter_extract.is_some() && args.filter_regex.is_none() {
        bail!("cannot specify --filter-extract without specifying --filter-regex");
    }
    if let Some(pattern) = &args.filter_regex {
        Regexp::new(pattern).context("--filter-regex is an invalid regex pattern")?;
    }
    spec.text("filterTags.pattern", args.filter_regex.as_ref());
    spec.text("filterTags.extract", args.filter_extract.as_ref());
    if let Some(policy) = &args.reflect_digest {
        if !["Never", "IfNotPresent", "Always"].contains(&policy.as_str()) {
            bail!("invalid value for --reflect-digest, must be one of 'Never', 'IfNotPresent', 'Always'");
        }
        spec.set("digestReflectionPolicy", policy.as_str());
        spec.duration("interval", (policy == "Always").then_some(common.interval));
    }
    Draft::new(&IMAGE_POLICY, args.name.as_ref(), Words::Ready, spec)
}

fn update(common: &Common, args: &UpdateArgs) -> Result<Draft> {
    let Some(repository) = &args.git_repo_ref else {
        return Err(misuse("a reference to a GitRepository is required (--git-repo-ref)"));
    };
    let (Some(name), Some(email)) = (&args.author_name, &args.author_email) else {
        return Err(misuse("the author is required (--author-name and --author-email)"));
    };
    let mut spec = Spec::default();
    spec.duration("interval", Some(common.interval));
    spec.set("sourceRef.kind", "GitRepository").set("sourceRef.name", repository.as_str());
    spec.text("sourceRef.namespace", args.git_repo_namespace.as_ref());
    spec.text("git.checkout.ref.branch", args.checkout_branch.as_ref());
    spec.set("git.commit.author", json!({"email": email, "name": name}));
    spec.text("git.commit.messageTemplate", args.commit_template.as_ref());
    spec.text("git.push.branch", args.push_branch.as_ref());
    if let Some(secret) = &args.signing_key_secret {
        spec.set("git.commit.signingKey.secretRef.name", secret.as_str());
        spec.text("git.commit.signingKey.type", args.signing_key_type.as_ref());
    }
    if args.git_repo_path.is_some() {
        spec.set("update.strategy", "Setters").text("update.path", args.git_repo_path.as_ref());
    }
    Draft::new(&IMAGE_UPDATE_AUTOMATION, args.name.as_ref(), Words::Ready, spec)
}

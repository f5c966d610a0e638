//! `create secret`: Secrets with the keys that the controllers read.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use serde_json::{Map, Value, json};

use super::{Common, checked, draft};
use crate::app::App;
use crate::commands::artifact::docker_config_of;
use crate::documents;
use crate::failure::{io, misuse};
use crate::ssh::{self, KeyArgs};

/// What follows `create secret`.
#[derive(Subcommand)]
pub(super) enum SecretNoun {
    /// Credentials of a Git repository, or a new key for it.
    Git(GitArgs),
    /// A GitHub App.
    Githubapp(GitHubAppArgs),
    /// Credentials of a Helm repository.
    Helm(HelmArgs),
    /// Certificates that notation trusts.
    Notation(NotationArgs),
    /// Credentials of a registry.
    Oci(OciArgs),
    /// A proxy.
    Proxy(ProxyArgs),
    /// The token of a Receiver.
    Receiver(ReceiverArgs),
    /// Certificates.
    Tls(TlsArgs),
}

/// Flags of `create secret git`.
#[derive(Args)]
pub(super) struct GitArgs {
    name: Option<String>,
    /// The address of the repository.
    #[arg(long)]
    url: Option<String>,
    /// The user name.
    #[arg(short, long)]
    username: Option<String>,
    /// The password or token.
    #[arg(short, long)]
    password: Option<String>,
    /// A bearer token.
    #[arg(long)]
    bearer_token: Option<String>,
    #[command(flatten)]
    key: KeyArgs,
    /// A file with the authority of the server's certificate.
    #[arg(long, alias = "ca-file")]
    ca_crt_file: Option<String>,
}

/// Flags of `create secret githubapp`.
#[derive(Args)]
pub(super) struct GitHubAppArgs {
    name: Option<String>,
    /// The id of the app.
    #[arg(long)]
    app_id: Option<String>,
    /// The owner of the installation.
    #[arg(long)]
    app_installation_owner: Option<String>,
    /// The id of the installation.
    #[arg(long)]
    app_installation_id: Option<String>,
    /// A file with the key of the app.
    #[arg(long)]
    app_private_key: Option<String>,
    /// The address of the API of a GitHub of one's own.
    #[arg(long)]
    app_base_url: Option<String>,
}

/// Flags of `create secret helm`.
#[derive(Args)]
pub(super) struct HelmArgs {
    name: Option<String>,
    /// The user name.
    #[arg(short, long)]
    username: Option<String>,
    /// The password.
    #[arg(short, long)]
    password: Option<String>,
    #[command(flatten)]
    files: CertificateArgs,
}

/// Files with certificates.
#[derive(Args)]
pub(super) struct CertificateArgs {
    /// A file with the client certificate.
    #[arg(long, alias = "cert-file")]
    tls_crt_file: Option<String>,
    /// A file with the client key.
    #[arg(long, alias = "key-file")]
    tls_key_file: Option<String>,
    /// A file with the authority of the server's certificate.
    #[arg(long, alias = "ca-file")]
    ca_crt_file: Option<String>,
}

/// Flags of `create secret notation`.
#[derive(Args)]
pub(super) struct NotationArgs {
    name: Option<String>,
    /// A file with the trust policy.
    #[arg(long)]
    trust_policy_file: Option<String>,
    /// Files with the certificates of authorities.
    #[arg(long, value_delimiter = ',', action = clap::ArgAction::Append)]
    ca_cert_file: Vec<String>,
}

/// Flags of `create secret oci`.
#[derive(Args)]
pub(super) struct OciArgs {
    name: Option<String>,
    /// The registry.
    #[arg(long)]
    url: Option<String>,
    /// The user name.
    #[arg(short, long)]
    username: Option<String>,
    /// The password.
    #[arg(short, long)]
    password: Option<String>,
}

/// Flags of `create secret proxy`.
#[derive(Args)]
pub(super) struct ProxyArgs {
    name: Option<String>,
    /// The address of the proxy.
    #[arg(long)]
    address: Option<String>,
    /// The user name.
    #[arg(short, long)]
    username: Option<String>,
    /// The password.
    #[arg(short, long)]
    password: Option<String>,
}

/// Flags of `create secret receiver`.
#[derive(Args)]
pub(super) struct ReceiverArgs {
    name: Option<String>,
    /// The type of the Receiver.
    #[arg(long = "type")]
    type_: Option<String>,
    /// The host name that webhooks are sent to.
    #[arg(long)]
    hostname: Option<String>,
    /// The token; made when not given.
    #[arg(long)]
    token: Option<String>,
    /// With type gcr: the account's address.
    #[arg(long)]
    email_claim: Option<String>,
    /// With type gcr: the audience [default: the webhook's address].
    #[arg(long)]
    audience_claim: Option<String>,
}

/// Flags of `create secret tls`.
#[derive(Args)]
pub(super) struct TlsArgs {
    name: Option<String>,
    #[command(flatten)]
    files: CertificateArgs,
}

/// Keys and texts in the order they were given.
pub(super) type Data = Vec<(String, String)>;

pub(super) async fn run(app: &App, common: &Common, noun: &SecretNoun) -> Result<()> {
    let (name, what, type_, data) = match noun {
        SecretNoun::Git(args) => (&args.name, "git", "Opaque", git(app, args).await?),
        SecretNoun::Githubapp(args) => (&args.name, "githubapp", "Opaque", github_app(args)?),
        SecretNoun::Helm(args) => {
            let mut data = basic(args.username.as_ref(), args.password.as_ref(), None, None)?;
            data.extend(args.files.data()?);
            // As the reference types them: the type of a Secret cannot be changed later.
            let type_ = match (&args.files.tls_crt_file, &args.username) {
                (Some(_), _) => "kubernetes.io/tls",
                (None, Some(_)) => "kubernetes.io/basic-auth",
                (None, None) => "Opaque",
            };
            (&args.name, "helm", type_, data)
        }
        SecretNoun::Notation(args) => (&args.name, "notation configuration", "Opaque", notation(args)?),
        SecretNoun::Oci(args) => (&args.name, "oci", "kubernetes.io/dockerconfigjson", oci(args)?),
        SecretNoun::Proxy(args) => {
            let Some(address) = &args.address else { return Err(misuse("address is required")) };
            let mut data = vec![("address".to_owned(), address.clone())];
            data.extend(basic(args.username.as_ref(), args.password.as_ref(), None, None)?);
            (&args.name, "proxy", "Opaque", data)
        }
        SecretNoun::Receiver(args) => return receiver(app, common, args).await,
        SecretNoun::Tls(args) => {
            let data = args.files.data()?;
            // The type asks for both halves of a pair.
            let pair = args.files.tls_crt_file.is_some();
            (&args.name, "tls", if pair { "kubernetes.io/tls" } else { "Opaque" }, data)
        }
    };
    let name = checked(name.as_ref())?;
    if data.is_empty() {
        return Err(misuse("there is nothing to put into the secret"));
    }
    put(app, common, name, type_, &data, json!({}), what).await
}

/// Prints the Secret, or puts it into the cluster.
pub(super) async fn put(
    app: &App,
    common: &Common,
    name: &str,
    type_: &str,
    data: &Data,
    annotations: Value,
    what: &str,
) -> Result<()> {
    let namespace = app.namespace()?;
    let mut metadata = Map::new();
    if annotations.as_object().is_some_and(|annotations| !annotations.is_empty()) {
        metadata.insert("annotations".into(), annotations);
    }
    let labels = draft::labels(&common.label)?;
    if !labels.is_empty() {
        metadata.insert("labels".into(), Value::Object(labels));
    }
    metadata.insert("name".into(), name.into());
    metadata.insert("namespace".into(), namespace.as_str().into());
    let text: Map<String, Value> =
        data.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": text});
    if type_ != "Opaque" {
        secret["type"] = type_.into();
    }
    if common.export {
        return app.output.data(format!("---\n{}\n", documents::yaml(&secret)?));
    }
    let work = async {
        let api: Api<Secret> = Api::namespaced(app.cluster().await?.client.clone(), &namespace);
        let mut secret: Secret = serde_json::from_value(secret)?;
        let params = PostParams { field_manager: Some("flux".into()), ..PostParams::default() };
        match api.get_opt(name).await? {
            None => api.create(&params, &secret).await?,
            Some(live) => {
                secret.metadata.resource_version = live.metadata.resource_version;
                // It cannot be changed.
                secret.type_ = live.type_;
                api.replace(name, &params, &secret).await?
            }
        };
        Ok(())
    };
    app.bounded("applying the secret", work).await?;
    app.output.action(&format!("{what} secret '{name}' created in '{namespace}' namespace"));
    Ok(())
}

fn file(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("unable to read {path}: {}", io(&error)))
}

/// User name and password, a token, an authority.
pub(super) fn basic(
    username: Option<&String>,
    password: Option<&String>,
    token: Option<&String>,
    authority: Option<&String>,
) -> Result<Data> {
    let mut data = Data::new();
    match (username, password) {
        (Some(username), Some(password)) => {
            data.push(("username".into(), username.clone()));
            data.push(("password".into(), password.clone()));
        }
        (None, None) => {}
        _ => bail!("--username and --password go together"),
    }
    if let Some(token) = token {
        data.push(("bearerToken".into(), token.clone()));
    }
    if let Some(authority) = authority {
        data.push(("ca.crt".into(), file(authority)?));
    }
    Ok(data)
}

/// Certificates from files.
pub(super) fn tls(
    certificate: Option<&String>,
    key: Option<&String>,
    authority: Option<&String>,
) -> Result<Data> {
    if certificate.is_some() != key.is_some() {
        bail!("a client certificate and its key go together");
    }
    let files = [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority)];
    files
        .into_iter()
        .filter_map(|(name, path)| Some((name, path?)))
        .map(|(name, path)| Ok((name.to_owned(), file(path)?)))
        .collect()
}

impl CertificateArgs {
    fn data(&self) -> Result<Data> {
        tls(self.tls_crt_file.as_ref(), self.tls_key_file.as_ref(), self.ca_crt_file.as_ref())
    }
}

/// A key for a server over SSH, and what is needed to know the server again. The password is that of the key.
pub(super) async fn keys(app: &App, url: &str, key: &KeyArgs, password: Option<&str>) -> Result<Data> {
    let pair = key.pair(password)?;
    let (host, port, _) = ssh::address(url)?;
    let known = app.bounded("asking for the server's key", ssh::scan(&host, port, &[])).await?;
    app.output.success(&format!("collected public key from SSH server:\n{}", known.trim_end()));
    let mut data = vec![
        ("identity".to_owned(), pair.identity),
        ("identity.pub".to_owned(), pair.public.clone()),
        ("known_hosts".to_owned(), known),
    ];
    data.extend(password.map(|password| ("password".to_owned(), password.to_owned())));
    app.output.generate(&format!("deploy key: {}", pair.public.trim_end()));
    Ok(data)
}

async fn git(app: &App, args: &GitArgs) -> Result<Data> {
    let Some(url) = &args.url else { return Err(misuse("url is required")) };
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("http" | "https") => {
            if args.bearer_token.is_some() && (args.username.is_some() || args.password.is_some()) {
                bail!("user credentials and bearer token cannot be used together");
            }
            basic(
                args.username.as_ref(),
                args.password.as_ref(),
                args.bearer_token.as_ref(),
                args.ca_crt_file.as_ref(),
            )
        }
        Some("ssh") => keys(app, url, &args.key, args.password.as_deref()).await,
        scheme => bail!(
            "git URL scheme '{}' not supported, can be: ssh, http and https",
            scheme.unwrap_or_default()
        ),
    }
}

fn github_app(args: &GitHubAppArgs) -> Result<Data> {
    let Some(id) = &args.app_id else { return Err(misuse("--app-id is required")) };
    let Some(key) = &args.app_private_key else { return Err(misuse("--app-private-key is required")) };
    if args.app_installation_owner.is_some() == args.app_installation_id.is_some() {
        bail!("exactly one of --app-installation-owner and --app-installation-id must be given");
    }
    let mut data =
        vec![("githubAppID".to_owned(), id.clone()), ("githubAppPrivateKey".to_owned(), file(key)?)];
    for (name, value) in [
        ("githubAppInstallationOwner", &args.app_installation_owner),
        ("githubAppInstallationID", &args.app_installation_id),
        ("githubAppBaseURL", &args.app_base_url),
    ] {
        data.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
    }
    Ok(data)
}

fn notation(args: &NotationArgs) -> Result<Data> {
    let Some(policy) = &args.trust_policy_file else { return Err(misuse("--trust-policy-file is required")) };
    let mut data = vec![("trustpolicy.json".to_owned(), file(policy)?)];
    if args.ca_cert_file.is_empty() {
        return Err(misuse("--ca-cert-file is required"));
    }
    for path in &args.ca_cert_file {
        let name = std::path::Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.with_context(|| format!("{path} names no file"))?;
        if !name.ends_with(".crt") && !name.ends_with(".pem") {
            bail!("{name} must end with .crt or .pem");
        }
        data.push((name, file(path)?));
    }
    Ok(data)
}

fn oci(args: &OciArgs) -> Result<Data> {
    let Some(url) = &args.url else { return Err(misuse("--url is required")) };
    let (Some(username), Some(password)) = (&args.username, &args.password) else {
        return Err(misuse("--username and --password are required"));
    };
    let registry = url.trim_start_matches("oci://").split('/').next().unwrap_or_default();
    Ok(vec![(".dockerconfigjson".into(), docker_config_of(registry, username, password))])
}

/// What a Receiver can be called by.
pub(super) const RECEIVER_TYPES: [&str; 13] = [
    "generic",
    "generic-hmac",
    "generic-oidc",
    "github",
    "gitlab",
    "bitbucket",
    "harbor",
    "dockerhub",
    "quay",
    "gcr",
    "nexus",
    "acr",
    "cdevents",
];

async fn receiver(app: &App, common: &Common, args: &ReceiverArgs) -> Result<()> {
    let name = checked(args.name.as_ref())?;
    let Some(type_) = &args.type_ else { return Err(misuse("--type is required")) };
    if !RECEIVER_TYPES.contains(&type_.as_str()) {
        bail!("receiver type '{type_}' is not supported, must be one of: {}", RECEIVER_TYPES.join(", "));
    }
    let Some(hostname) = &args.hostname else { return Err(misuse("--hostname is required")) };
    let namespace = app.namespace()?;
    let token = match &args.token {
        Some(token) => token.clone(),
        None => random_token()?,
    };
    let path = format!("/hook/{}", webhook_digest(&token, name, &namespace));
    let url = format!("https://{hostname}{path}");
    let mut data = vec![("token".to_owned(), token)];
    if type_ == "gcr" {
        let Some(email) = &args.email_claim else {
            return Err(misuse("--email-claim is required for gcr receiver type"));
        };
        data.push(("email".into(), email.clone()));
        data.push(("audience".into(), args.audience_claim.clone().unwrap_or_else(|| url.clone())));
    }
    let annotations = json!({"notification.toolkit.fluxcd.io/webhook": url});
    put(app, common, name, "Opaque", &data, annotations, "receiver").await
}

/// What stands at the end of a webhook's path.
fn webhook_digest(token: &str, name: &str, namespace: &str) -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{token}{name}{namespace}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn random_token() -> Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("there is no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_secret_is_a_docker_configuration() {
        let args = OciArgs {
            name: None,
            url: Some("oci://ghcr.io/org/repo".into()),
            username: Some("u".into()),
            password: Some("p".into()),
        };
        let config: Value = serde_json::from_str(&oci(&args).unwrap()[0].1).unwrap();
        assert_eq!(config, json!({"auths": {"ghcr.io": {"username": "u", "password": "p", "auth": "dTpw"}}}));
    }

    #[test]
    fn halves_of_credentials_are_refused() {
        assert!(basic(Some(&"u".into()), None, None, None).is_err());
        assert!(tls(Some(&"a".into()), None, None).is_err());
        assert!(basic(None, None, None, None).unwrap().is_empty());
    }

    #[test]
    fn a_webhook_is_addressed_by_its_digest() {
        let digest = webhook_digest("token", "name", "namespace");
        assert_eq!(digest.len(), 64);
        assert_eq!(digest, webhook_digest("token", "name", "namespace"));
        assert_eq!(random_token().unwrap().len(), 64);
    }
}

//! `trigger`: a webhook sent to a Receiver, as a CI job does. It needs no access to the cluster.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::failure::misuse;
use crate::{arguments, web};

/// What follows `trigger`.
#[derive(Args)]
pub(crate) struct TriggerArgs {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Subcommand)]
enum Noun {
    /// Send a webhook to a Receiver.
    Receiver(ReceiverArgs),
}

/// What triggers a receiver.
#[derive(Args)]
struct ReceiverArgs {
    /// The Receiver.
    name: Option<String>,
    /// The address that webhooks are sent to, without /hook.
    #[arg(long)]
    url: Option<String>,
    /// The type of the Receiver.
    #[arg(long = "type", value_enum, default_value = "generic")]
    type_: Type,
    /// The token of the Receiver's Secret.
    #[arg(long)]
    token: Option<String>,
    /// The body, as JSON.
    #[arg(long, default_value = "{}")]
    payload: String,
    /// Where this job gets its identity token: github or forgejo.
    #[arg(long, value_enum, conflicts_with = "oidc_token")]
    oidc_provider: Option<OidcProvider>,
    /// The identity token itself [env: FLUX_TRIGGER_RECEIVER_OIDC_TOKEN].
    #[arg(long)]
    oidc_token: Option<String>,
    /// The audience of the identity token.
    #[arg(long, default_value = "notification-controller")]
    oidc_audience: String,
    /// How often to try again.
    #[arg(long, default_value_t = 10)]
    retries: u32,
    /// How long to wait before.
    #[arg(long, default_value = "10s", value_parser = arguments::duration)]
    retry_delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Type {
    Generic,
    GenericHmac,
    GenericOidc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OidcProvider {
    Github,
    Forgejo,
}

/// The statuses that may be gone at the next try.
const TRANSIENT: [u16; 7] = [404, 408, 429, 500, 502, 503, 504];

pub(crate) async fn run(app: &App, args: TriggerArgs) -> Result<()> {
    let Noun::Receiver(args) = args.noun;
    let Some(name) = args.name.as_deref() else { return Err(misuse("Receiver name is required")) };
    let namespace = app.namespace()?;
    let Some(base) = args.url.as_deref() else { return Err(misuse("--url is required")) };
    if !base.starts_with("http://") && !base.starts_with("https://") {
        bail!("--url must begin with http:// or https://: {base:?}");
    }
    serde_json::from_str::<serde_json::Value>(&args.payload).context("--payload is no JSON")?;
    let token = args.token.clone().unwrap_or_default();
    if args.type_ == Type::GenericOidc {
        if !token.is_empty() {
            bail!("--token does not go with --type generic-oidc");
        }
    } else if token.is_empty() {
        return Err(misuse("--token is required"));
    }
    let client = web::client(None)?;
    let mut request = client
        .post(format!("{}{}", base.trim_end_matches('/'), path(&token, name, &namespace)))
        .header("Content-Type", "application/json")
        .header("User-Agent", format!("flux/v{}", env!("CARGO_PKG_VERSION")))
        .body(args.payload.clone());
    match args.type_ {
        Type::Generic => {}
        Type::GenericHmac => request = request.header("X-Signature", signature(&token, &args.payload)?),
        Type::GenericOidc => request = request.bearer_auth(identity(&client, &args).await?),
    }
    let request = request.build().context("the request cannot be made")?;
    app.output.action(&format!("triggering Receiver {namespace}/{name}"));
    let attempts = async {
        let mut attempt = 0;
        loop {
            let again = request.try_clone().context("the request cannot be repeated")?;
            let error = match client.execute(again).await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => {
                    let error = anyhow!("the webhook answered {}", answer.status());
                    if !TRANSIENT.contains(&answer.status().as_u16()) {
                        return Err(error);
                    }
                    error
                }
                Err(error) => anyhow!(error.without_url()).context("the webhook cannot be sent"),
            };
            if attempt == args.retries {
                return Err(error);
            }
            attempt += 1;
            app.output.waiting(&format!(
                "{error:#}; retrying in {} ({attempt}/{})",
                sluice_duration::format_std(args.retry_delay),
                args.retries
            ));
            tokio::time::sleep(args.retry_delay).await;
        }
    };
    app.bounded("sending the webhook", attempts).await?;
    app.output.success(&format!("Receiver {namespace}/{name} triggered"));
    Ok(())
}

/// The path of a Receiver, as the controller writes it into the status.
fn path(token: &str, name: &str, namespace: &str) -> String {
    format!("/hook/{}", hex(&Sha256::digest(format!("{token}{name}{namespace}"))))
}

fn signature(token: &str, body: &str) -> Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).context("the token is no key")?;
    mac.update(body.as_bytes());
    Ok(format!("sha256={}", hex(&mac.finalize().into_bytes())))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The identity token: given, or asked of the service that runs this job.
async fn identity(client: &reqwest::Client, args: &ReceiverArgs) -> Result<String> {
    let given = args.oidc_token.clone().or_else(|| std::env::var("FLUX_TRIGGER_RECEIVER_OIDC_TOKEN").ok());
    if let Some(token) = given.filter(|token| !token.is_empty()) {
        return Ok(token);
    }
    if args.oidc_provider.is_none() {
        return Err(misuse("an identity token is required: --oidc-provider, or --oidc-token"));
    }
    // Both services offer the same two variables.
    let variable = |name: &str| {
        std::env::var(name)
            .with_context(|| format!("{name} is not set: may this job ask for identity tokens?"))
    };
    let url = variable("ACTIONS_ID_TOKEN_REQUEST_URL")?;
    let request = client.get(url).query(&[("audience", &args.oidc_audience)]);
    let answer = request.bearer_auth(variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status).map_err(reqwest::Error::without_url);
    let answer: serde_json::Value = answer.context("no identity token was given")?.json().await?;
    Ok(answer["value"].as_str().context("the answer holds no identity token")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_signature_are_those_of_the_controller() {
        // printf 'tokennamespace' … | sha256sum: plain concatenation of token, name, namespace.
        assert_eq!(
            path("a", "b", "c"),
            "/hook/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            signature("key", "The quick brown fox jumps over the lazy dog").unwrap(),
            "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        );
    }
}

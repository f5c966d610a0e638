//! Requests to servers that are not the API server: webhooks, and the APIs of Git hosts.

use std::time::Duration;

use anyhow::{Context, Result};

/// How long a server may be silent. What it sends may take longer: a plugin is large. `--timeout` bounds the whole.
const SILENCE: Duration = Duration::from_secs(30);

/// What this program calls itself.
pub(crate) const AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

/// A client; `authority` is a PEM file's content with certificates to trust besides those of the system.
pub(crate) fn client(authority: Option<&[u8]>) -> Result<reqwest::Client> {
    let mut builder =
        reqwest::Client::builder().user_agent(AGENT).connect_timeout(SILENCE).read_timeout(SILENCE);
    if let Some(authority) = authority {
        let certificates = reqwest::Certificate::from_pem_bundle(authority)
            .context("the file of the authority holds no certificate")?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().context("no client for HTTP can be made")
}

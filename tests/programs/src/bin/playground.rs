//! An empty control plane with our CRDs, for a person to play with. Ctrl-C ends it.

#![expect(clippy::print_stdout, reason = "it talks to a person")]

use anyhow::Result;
use sluice_tests::{ControlPlane, Options, install_crds};

#[tokio::main]
async fn main() -> Result<()> {
    let plane =
        tokio::task::spawn_blocking(|| ControlPlane::start(Options { audit: true, ..Options::default() }))
            .await??;
    install_crds(&plane.client().await?).await?;
    let facts = plane.facts();
    println!("ready after {} s at {}", facts.seconds, facts.server);
    println!("export KUBECONFIG={}", facts.kubeconfig.display());
    println!("Ctrl-C ends it");
    tokio::signal::ctrl_c().await?;
    Ok(())
}

//! `install`: the controllers and their definitions into a cluster, or as YAML.

use anyhow::{Result, anyhow};
use clap::Args;

use crate::app::App;
use crate::failure;
use crate::fitness;
use crate::installation::{self, Components};

/// Flags of `install`.
#[derive(Args)]
pub(crate) struct InstallArgs {
    /// Print the manifests and leave the cluster alone.
    #[arg(long)]
    export: bool,
    #[command(flatten)]
    components: Components,
}

pub(crate) async fn run(app: &App, args: InstallArgs) -> Result<()> {
    let namespace = app.namespace()?;
    if args.export {
        return app.output.data(args.components.text(&namespace)?);
    }
    app.output.generate("generating manifests");
    let mut objects = args.components.objects(&namespace)?;
    app.output.success("manifests build completed");
    app.output.action(&format!("installing components in {namespace} namespace"));
    let cluster = app.cluster().await?;
    let forced = args.components.is_forced();
    app.bounded("asking for version and rights", fitness::installable(cluster, forced)).await?;
    app.bounded("asking for what is installed", installation::may_install(app, cluster, forced)).await?;
    objects.extend(args.components.pull_secret(&namespace)?);
    let deployments = objects.clone();
    installation::apply_all(app, objects).await.map_err(|error| failure::resumable(error, Some(cluster)))?;
    app.output.waiting("verifying installation");
    if !installation::rolled_out(app, &namespace, &deployments).await.is_empty() {
        let next =
            format!("`kubectl -n {namespace} describe pods` says why, `sluice check` whether it is mended");
        return Err(failure::hinted(anyhow!("install failed"), next));
    }
    app.output.success("install finished");
    Ok(())
}

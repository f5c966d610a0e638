//! `wait`: until objects are ready.

use anyhow::{Result, bail};
use clap::Args;
use futures::future::join_all;
use kube::api::ListParams;
use tokio::sync::Mutex;

use crate::app::App;
use crate::failure::{Failures, misuse};
use crate::nouns::{Target, Verb, VerbArgs};
use crate::object::Object;
use crate::progress::Progress;
use crate::wait;

/// Flags of `wait`.
#[derive(Args, Debug)]
pub(crate) struct WaitArgs {
    /// The objects.
    names: Vec<String>,
    /// All objects of the kind that are not suspended.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// With --all: in all namespaces.
    #[arg(short = 'A', long, requires = "all")]
    all_namespaces: bool,
}

impl VerbArgs for WaitArgs {
    const VERB: Verb = Verb::Get;
}

pub(crate) async fn run(app: &App, target: Target<WaitArgs>) -> Result<()> {
    let kind = target.kind();
    let args = target.args;
    if args.names.is_empty() && !args.all {
        return Err(misuse(format!("{} name is required", kind.human)));
    }
    let namespace = app.namespace()?;
    let objects: Vec<(String, String)> = if args.all {
        let namespace = (!args.all_namespaces).then_some(namespace.as_str());
        let listing = app.cluster().await?.list(kind, namespace, ListParams::default());
        let listed = app.bounded("listing the objects", listing).await?;
        let running = listed.iter().filter(|object: &&Object| !object.is_suspended());
        running.map(|object| (object.namespace().to_owned(), object.name().to_owned())).collect()
    } else {
        args.names.iter().map(|name| (namespace.clone(), name.clone())).collect()
    };
    if objects.is_empty() {
        bail!("no {} objects found", kind.kind);
    }
    // A cluster that cannot be reached is told at once; one that goes away later is waited for.
    let client = &app.cluster().await?.client;
    app.bounded("asking the API server", async { Ok(client.apiserver_version().await?) }).await?;
    let progress = Progress::start(&app.output, "waiting");
    let failures = Mutex::new(Failures::default());
    let waits = objects.iter().map(|(namespace, name)| {
        let (progress, failures) = (&progress, &failures);
        async move {
            match wait::ready(app, kind, namespace, name, wait::Patience::UntilReady, |state| {
                progress.set(state);
            })
            .await
            {
                Ok(object) => {
                    let message = object.ready().map_or("ready", |ready| ready.message).to_owned();
                    app.output.success(&format!("{} {namespace}/{name}: {message}", kind.kind));
                    true
                }
                Err(error) => {
                    let subject = format!("{} {namespace}/{name}", kind.kind);
                    failures.lock().await.tell(app, Some(&subject), &error);
                    false
                }
            }
        }
    });
    let failed = join_all(waits).await.into_iter().filter(|ready| !ready).count();
    drop(progress);
    failures.lock().await.advise(app);
    if failed > 0 {
        bail!("{failed} of {} {}(s) are not ready", objects.len(), kind.kind);
    }
    Ok(())
}

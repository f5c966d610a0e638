//! The verbs, one file each.

mod completion;
mod delete;
mod envsubst;
mod events;
mod export;
mod get;
mod helm;
mod reconcile;
mod resume;
mod stats;
mod suspend;
mod tree;
mod version;

use anyhow::Result;
use clap::Subcommand;

use crate::app::App;
use crate::nouns::Target;

/// A verb with what follows it.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show objects and how they are.
    Get {
        #[command(subcommand)]
        target: Target<get::GetArgs>,
    },
    /// Ask for a reconciliation now and wait for its end.
    Reconcile {
        #[command(subcommand)]
        target: Target<reconcile::ReconcileArgs>,
    },
    /// Stop the reconciliation of objects until they are resumed.
    Suspend {
        #[command(subcommand)]
        target: Target<suspend::SuspendArgs>,
    },
    /// Go on with the reconciliation of suspended objects.
    Resume {
        #[command(subcommand)]
        target: Target<resume::ResumeArgs>,
    },
    /// Delete an object.
    Delete {
        #[command(subcommand)]
        target: Target<delete::DeleteArgs>,
    },
    /// Print objects as YAML that can be applied again.
    Export {
        #[command(subcommand)]
        target: Target<export::ExportArgs>,
    },
    /// Show what an object applied, as a tree.
    Tree(tree::TreeArgs),
    /// Show the events of objects.
    Events(events::EventsArgs),
    /// Count objects by their state.
    Stats(stats::StatsArgs),
    /// Show the versions of this program and of what runs in the cluster.
    Version(version::VersionArgs),
    /// Replace ${variables} from stdin to stdout by the environment.
    Envsubst(envsubst::EnvsubstArgs),
    /// What helm does with charts on this machine: template, lint, package, show.
    Helm(helm::HelmArgs),
    /// Print a script that completes commands and names in a shell.
    Completion(completion::CompletionArgs),
    /// What the completion scripts ask.
    #[command(name = "__complete", hide = true, disable_help_flag = true)]
    Complete(completion::CompleteArgs),
}

impl Command {
    /// Does what was asked for.
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        match self {
            Self::Get { target } => get::run(app, target).await,
            Self::Reconcile { target } => reconcile::run(app, target).await,
            Self::Suspend { target } => suspend::run(app, target).await,
            Self::Resume { target } => resume::run(app, target).await,
            Self::Delete { target } => delete::run(app, target).await,
            Self::Export { target } => export::run(app, target).await,
            Self::Tree(args) => tree::run(app, args).await,
            Self::Events(args) => events::run(app, args).await,
            Self::Stats(args) => stats::run(app, args).await,
            Self::Version(args) => version::run(app, args).await,
            Self::Envsubst(args) => envsubst::run(app, args),
            Self::Helm(args) => helm::run(app, args),
            Self::Completion(args) => completion::run(app, &args),
            Self::Complete(args) => completion::complete(app, args).await,
        }
    }
}

//! The verbs, one file each.

mod artifact;
mod bootstrap;
mod build;
pub(crate) mod check;
mod completion;
mod create;
mod debug;
pub(crate) mod delete;
mod diff;
mod envsubst;
mod events;
mod export;
mod get;
mod helm;
mod install;
pub(crate) mod kustomize;
mod local;
mod logs;
mod man;
mod migrate;
pub(crate) mod plugin;
pub(crate) mod reconcile;
mod release;
mod release_diff;
mod resume;
mod revisions;
mod sops;
mod stats;
mod suspend;
mod test;
mod trace;
mod tree;
mod trigger;
mod uninstall;
pub(crate) mod version;
mod wait;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use helm::HelmArgs;
pub(crate) use kustomize::KustomizeArgs;

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
    /// Wait until objects are ready.
    Wait {
        #[command(subcommand)]
        target: Target<wait::WaitArgs>,
    },
    /// Create or update an object from flags, or print it.
    Create(create::CreateArgs),
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
    /// Print what a Kustomization would apply from a local directory, or write an archive as it would be pushed.
    Build(build::BuildArgs),
    /// Show what a local directory would change in the cluster, or compare it with what was pushed.
    Diff(diff::DiffArgs),
    /// Show what an object applied, as a tree.
    Tree(tree::TreeArgs),
    /// Show where an object in the cluster comes from.
    Trace(trace::TraceArgs),
    /// Show the events of objects.
    Events(events::EventsArgs),
    /// Show what the controllers log.
    Logs(logs::LogsArgs),
    /// Show what a controller sees of an object; may print secrets.
    Debug(debug::DebugArgs),
    /// Check the cluster and the installation.
    Check(check::CheckArgs),
    /// Count objects by their state.
    Stats(stats::StatsArgs),
    /// Show the versions of this program and of what runs in the cluster.
    Version(version::VersionArgs),
    /// Replace ${variables} from stdin to stdout by the environment.
    Envsubst(envsubst::EnvsubstArgs),
    /// Install the controllers, or print their manifests.
    Install(install::InstallArgs),
    /// Set a cluster up from a repository that it then follows; again: upgrade it.
    Bootstrap(bootstrap::BootstrapArgs),
    /// Remove the controllers; what they applied stays.
    Uninstall(uninstall::UninstallArgs),
    /// Bring objects or manifests to the versions that are stored now.
    Migrate(migrate::MigrateArgs),
    /// Check a GitOps repository without a cluster.
    Test(test::TestArgs),
    /// Send a webhook to a Receiver.
    Trigger(trigger::TriggerArgs),
    /// Push a folder to a registry.
    Push {
        #[command(subcommand)]
        target: artifact::push::PushTarget,
    },
    /// Pull an artifact from a registry.
    Pull {
        #[command(subcommand)]
        target: artifact::pull::PullTarget,
    },
    /// Give an artifact in a registry more tags.
    Tag {
        #[command(subcommand)]
        target: artifact::tag::TagTarget,
    },
    /// Show what a registry has.
    List {
        #[command(subcommand)]
        target: artifact::list::ListTarget,
    },
    /// What kustomize does with overlays: build.
    Kustomize(KustomizeArgs),
    /// What sops does with encrypted files: decrypt.
    Sops(sops::SopsArgs),
    /// What helm does with charts on this machine: template, lint, package, show.
    Helm(HelmArgs),
    /// Programs that are commands too: install, list, search, update, uninstall.
    Plugin(plugin::PluginArgs),
    /// Print a script that completes commands and names in a shell.
    Completion(completion::CompletionArgs),
    /// Print or write manual pages.
    Man(man::ManArgs),
    /// What the completion scripts ask.
    #[command(name = "__complete", hide = true, disable_help_flag = true)]
    Complete(completion::CompleteArgs),
}

impl Command {
    /// Whether one thread is enough for what it asks of servers, which is nothing or little.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Helm(args) if args.is_local())
    }

    /// Does what was asked for.
    pub(crate) async fn run(self, app: &App) -> Result<()> {
        match self {
            Self::Get { target } => get::run(app, target).await,
            Self::Reconcile { target } => reconcile::run(app, target).await,
            Self::Suspend { target } => suspend::run(app, target).await,
            Self::Resume { target } => resume::run(app, target).await,
            Self::Wait { target } => wait::run(app, target).await,
            Self::Install(args) => install::run(app, args).await,
            Self::Bootstrap(args) => Box::pin(bootstrap::run(app, args)).await,
            Self::Uninstall(args) => uninstall::run(app, args).await,
            Self::Migrate(args) => migrate::run(app, args).await,
            Self::Test(args) => test::run(app, &args),
            Self::Trigger(args) => trigger::run(app, args).await,
            Self::Plugin(args) => plugin::run(app, args).await,
            Self::Man(args) => man::run(app, &args),
            Self::Push { target } => artifact::push::run(app, target).await,
            Self::Pull { target } => artifact::pull::run(app, target).await,
            Self::Tag { target } => artifact::tag::run(app, target).await,
            Self::List { target } => artifact::list::run(app, target).await,
            // The program takes it before there is a runtime; bases on other machines could not be fetched here.
            Self::Kustomize(args) => kustomize::run(app, &args),
            Self::Sops(args) => sops::run(app, &args),
            Self::Create(args) => create::run(app, args).await,
            Self::Delete { target } => delete::run(app, target).await,
            Self::Export { target } => export::run(app, target).await,
            Self::Build(args) => build::run(app, args).await,
            Self::Diff(args) => diff::run(app, args).await,
            Self::Tree(args) => tree::run(app, args).await,
            Self::Trace(args) => trace::run(app, args).await,
            Self::Logs(args) => logs::run(app, args).await,
            Self::Debug(args) => debug::run(app, args).await,
            Self::Check(args) => check::run(app, args).await,
            Self::Events(args) => events::run(app, args).await,
            Self::Stats(args) => stats::run(app, args).await,
            Self::Version(args) => version::run(app, args).await,
            Self::Envsubst(args) => envsubst::run(app, args),
            Self::Helm(args) => helm::run(app, args).await,
            Self::Completion(args) => completion::run(app, &args),
            Self::Complete(args) => completion::complete(app, args).await,
        }
    }
}

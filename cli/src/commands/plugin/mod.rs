//! `plugin`: programs named `flux-<name>` that become commands, installed from a catalog or put into place by hand.

mod catalog;
mod folder;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::app::App;
use crate::commands::get;
use crate::table::Table;
use catalog::Catalog;
use folder::Folder;
pub(crate) use folder::{Plugin, installed};

/// What follows `plugin`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Download a plugin, check its digest and put it into place.
    Install {
        /// The plugin, as name, name@version or name@sha256:….
        plugin: String,
    },
    /// Show the plugins that are installed.
    #[command(visible_alias = "ls")]
    List,
    /// Show what the catalog has.
    Search {
        /// A word of the name or of the description.
        query: Option<String>,
    },
    /// Remove a plugin.
    #[command(visible_alias = "delete")]
    Uninstall {
        /// The plugin.
        name: String,
    },
    /// Bring a plugin, or all that came from the catalog, to the newest version.
    #[command(visible_alias = "upgrade")]
    Update {
        /// The plugin.
        name: Option<String>,
    },
}

pub(crate) async fn run(app: &App, args: PluginArgs) -> Result<()> {
    let folder = Folder::of_environment()?;
    match args.verb {
        Verb::Install { plugin } => install(app, &folder, &plugin).await,
        Verb::List => list(app, &folder),
        Verb::Search { query } => search(app, &folder, query.as_deref()).await,
        Verb::Uninstall { name } => {
            folder.remove(&name)?;
            app.output.success(&format!("uninstalled {name}"));
            Ok(())
        }
        Verb::Update { name } => update(app, &folder, name).await,
    }
}

async fn install(app: &App, folder: &Folder, plugin: &str) -> Result<()> {
    let (name, wanted) = plugin.split_once('@').map_or((plugin, None), |(name, wanted)| (name, Some(wanted)));
    let catalog = Catalog::of_environment()?;
    let manifest = app.bounded("asking the catalog", catalog.plugin(name)).await?;
    let release = manifest.release(wanted)?;
    app.bounded("installing the plugin", catalog.install(folder, &manifest, &release)).await?;
    app.output.success(&format!("installed {name} v{}", release.version));
    Ok(())
}

fn list(app: &App, folder: &Folder) -> Result<()> {
    let plugins = folder.plugins();
    if plugins.is_empty() {
        return app.output.data("No plugins found\n");
    }
    let rows = plugins.iter().map(|plugin| {
        let version = folder.receipt(&plugin.name).map_or_else(|| "manual".into(), |receipt| receipt.version);
        vec![plugin.name.clone(), version, plugin.path.display().to_string()]
    });
    print(app, ["Name", "Version", "Path"], &rows.collect::<Vec<_>>())
}

async fn search(app: &App, folder: &Folder, query: Option<&str>) -> Result<()> {
    let catalog = Catalog::of_environment()?;
    let entries = app.bounded("asking the catalog", catalog.entries()).await?;
    let query = query.unwrap_or_default().to_lowercase();
    let rows: Vec<Vec<String>> = entries
        .into_iter()
        .filter(|entry| {
            entry.name.to_lowercase().contains(&query) || entry.description.to_lowercase().contains(&query)
        })
        .map(|entry| {
            let version = folder.receipt(&entry.name).map(|receipt| receipt.version);
            vec![entry.name, entry.description, version.unwrap_or_default()]
        })
        .collect();
    match (rows.is_empty(), query.as_str()) {
        (true, "") => app.output.data("No plugins found in catalog\n"),
        (true, query) => app.output.data(format!("No plugins matching {query:?} found in catalog\n")),
        (false, _) => print(app, ["Name", "Description", "Installed"], &rows),
    }
}

fn print(app: &App, titles: [&str; 3], rows: &[Vec<String>]) -> Result<()> {
    app.output.data(Table::render(titles, rows, true, get::look(app)))
}

async fn update(app: &App, folder: &Folder, name: Option<String>) -> Result<()> {
    let plugins: Vec<String> = match name {
        Some(name) => vec![name],
        None => folder.plugins().into_iter().map(|plugin| plugin.name).collect(),
    };
    if plugins.is_empty() {
        return app.output.data("No plugins found\n");
    }
    let catalog = Catalog::of_environment()?;
    let mut failed = 0;
    for name in &plugins {
        let Some(receipt) = folder.receipt(name) else {
            app.output.warning(&format!("{name} did not come from the catalog: skipped"));
            continue;
        };
        let work = async {
            let manifest = catalog.plugin(name).await?;
            let release = manifest.release(None)?;
            if release.version != receipt.version || release.platform.checksum != receipt.platform.checksum {
                catalog.install(folder, &manifest, &release).await?;
            }
            Ok(release.version)
        };
        match app.bounded("updating the plugin", work).await {
            Ok(version) if version == receipt.version => {
                app.output.success(&format!("{name} already up to date (v{version})"));
            }
            Ok(version) => app.output.success(&format!("updated {name} v{} → v{version}", receipt.version)),
            Err(error) => {
                failed += 1;
                app.output.failure(&format!("{name}: {}", crate::failure::text(&error)));
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} plugins could not be updated", plugins.len());
    }
    Ok(())
}

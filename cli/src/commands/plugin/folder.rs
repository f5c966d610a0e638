//! Where plugins are: `$FLUXCD_PLUGINS`, or `~/.fluxcd/plugins`, which is shared with Flux's own program.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::catalog::Platform;
use crate::arguments;
use crate::documents;

/// What the names of plugins' files begin with.
pub(super) const PREFIX: &str = "flux-";

/// A program that is there as a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plugin {
    /// The command.
    pub(crate) name: String,
    /// The program.
    pub(crate) path: PathBuf,
}

/// What was installed from the catalog.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) installed_at: String,
    pub(super) platform: Platform,
}

/// The directory of the plugins.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn of_environment() -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = set("FLUXCD_PLUGINS") {
            return Ok(Self(path.into()));
        }
        let home = set("HOME").context("neither $FLUXCD_PLUGINS nor $HOME says where plugins are")?;
        Ok(Self(Path::new(&home).join(".fluxcd/plugins")))
    }

    /// The plugins that are there, by name. What would shadow a command of ours is none.
    pub(super) fn plugins(&self) -> Vec<Plugin> {
        let Ok(entries) = std::fs::read_dir(&self.0) else { return Vec::new() };
        let command = arguments::command();
        let own = |name: &str| name == "help" || command.find_subcommand(name).is_some();
        let mut plugins: Vec<Plugin> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().to_str()?.strip_prefix(PREFIX)?.to_owned();
                let path = entry.path();
                (!name.is_empty() && !own(&name) && runs(&path)).then_some(Plugin { name, path })
            })
            .collect();
        plugins.sort_by(|a, b| a.name.cmp(&b.name));
        plugins
    }

    /// Where a plugin's program is put. Made with the directory.
    pub(super) fn place(&self, program: &str) -> Result<PathBuf> {
        std::fs::create_dir_all(&self.0)
            .map_err(|error| anyhow!("cannot make {}: {}", self.0.display(), crate::failure::io(&error)))?;
        Ok(self.0.join(program))
    }

    fn receipt_path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{PREFIX}{name}.yaml"))
    }

    /// What was installed under a name; none where a person put it there.
    pub(super) fn receipt(&self, name: &str) -> Option<Receipt> {
        let text = std::fs::read_to_string(self.receipt_path(name)).ok()?;
        serde_json::from_value(documents::read_all(&text).ok()?.into_iter().next()?).ok()
    }

    pub(super) fn write_receipt(&self, receipt: &Receipt) -> Result<()> {
        let text = documents::yaml(&serde_json::to_value(receipt)?)?;
        let path = self.receipt_path(&receipt.name);
        std::fs::write(&path, text)
            .map_err(|error| anyhow!("cannot write {}: {}", path.display(), crate::failure::io(&error)))
    }

    pub(super) fn remove(&self, name: &str) -> Result<()> {
        // A name is looked up, never joined to a path.
        let found = self.plugins().into_iter().find(|plugin| plugin.name == name);
        let Some(plugin) = found else { bail!("plugin {name:?} is not installed") };
        std::fs::remove_file(&plugin.path).map_err(|error| {
            anyhow!("cannot remove {}: {}", plugin.path.display(), crate::failure::io(&error))
        })?;
        let _ = std::fs::remove_file(self.receipt_path(name));
        Ok(())
    }
}

/// Whether a path leads to a file that can be run.
fn runs(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// The plugins of this machine, for completion and help.
pub(crate) fn installed() -> Vec<Plugin> {
    Folder::of_environment().map(|folder| folder.plugins()).unwrap_or_default()
}

impl Plugin {
    /// The plugin that a command line means, and what it gets. Only the first word counts: a plugin has its own flags.
    pub(crate) fn meant_by(words: &[OsString]) -> Option<(Self, &[OsString])> {
        let name = words.get(1)?.to_str()?;
        if name.starts_with('-') {
            return None;
        }
        let found = installed().into_iter().find(|plugin| plugin.name == name)?;
        Some((found, words.get(2..).unwrap_or_default()))
    }

    /// Becomes the plugin; returns only if that is not possible.
    pub(crate) fn run(&self, words: &[OsString]) -> String {
        use std::os::unix::process::CommandExt as _;
        let error = std::process::Command::new(&self.path).args(words).exec();
        format!("{} cannot be run: {}", self.path.display(), crate::failure::io(&error))
    }
}

//! `man`: manual pages, one for each command.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Command};

use crate::app::App;
use crate::arguments;

/// Where the pages go.
#[derive(Args)]
pub(crate) struct ManArgs {
    /// The directory to write the pages to, such as ~/.local/share/man/man1; without it the main page is printed.
    #[arg(long, short)]
    output_dir: Option<PathBuf>,
}

pub(crate) fn run(app: &App, args: &ManArgs) -> Result<()> {
    let mut command = arguments::command();
    command.build();
    let Some(folder) = &args.output_dir else {
        return app.output.data(page(&command, "sluice")?);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut count = 0;
    write(&command, "sluice", folder, &mut count)?;
    app.output.success(&format!("{count} pages written to {}", folder.display()));
    Ok(())
}

fn write(command: &Command, name: &str, folder: &std::path::Path, count: &mut usize) -> Result<()> {
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page(command, name)?)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    *count += 1;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        write(inner, &format!("{name}-{}", inner.get_name()), folder, count)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name)
        .render(&mut text)
        .context("the page cannot be made")?;
    Ok(text)
}

//! Images of the programs, without Docker: layers, configuration and manifest are made here, equal bytes from equal input,
//! and pushed to a registry or written as OCI layouts.

mod content;
mod layer;
mod place;
mod program;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;
use sluice_oci::Credentials;

use content::Image;
use place::Registry;

/// The programs that have an image of their own.
const CONTROLLERS: [&str; 5] = [
    "source-controller",
    "kustomize-controller",
    "helm-controller",
    "notification-controller",
    "image-controller",
];
/// The command line; its image holds all programs.
const ALL: &str = "sluice";

/// `cargo xtask image`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask image", about = "Makes images of the programs, without Docker")]
pub(crate) struct Arguments {
    /// The images: the controllers, and `sluice`, which holds all programs [default: all of these].
    programs: Vec<String>,
    /// Where the built programs are.
    #[arg(long, value_name = "DIR", default_value = "target/release")]
    bin_dir: PathBuf,
    /// The tag, which is what the chart asks for unless told otherwise.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// Push to HOST/PATH/PROGRAM.
    #[arg(long, value_name = "HOST/PATH")]
    push: Option<String>,
    /// Write DIR/PROGRAM.tar, an OCI layout that `docker load`, `podman load` and `skopeo` read.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// User and password for the registry; else those of Docker's configuration.
    #[arg(long, value_name = "USER:PASSWORD", env = "REGISTRY_CREDS", hide_env_values = true)]
    creds: Option<String>,
    /// Allow plain HTTP, and certificates that nobody vouches for.
    #[arg(long)]
    insecure_registry: bool,
}

/// Makes the images that the arguments ask for.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    if arguments.push.is_none() && arguments.output.is_none() {
        bail!("where to? --push HOST/PATH, or --output DIR");
    }
    let known = || CONTROLLERS.into_iter().chain([ALL]);
    let mut names: Vec<&str> = arguments.programs.iter().map(String::as_str).collect();
    if let Some(unknown) = names.iter().find(|name| !known().any(|known| known == **name)) {
        bail!("{unknown} has no image; there are {}", known().collect::<Vec<_>>().join(", "));
    }
    if names.is_empty() {
        names.extend(known());
    }
    let registry = match &arguments.push {
        Some(prefix) => Some(Registry::new(prefix, credentials(&arguments)?, arguments.insecure_registry)?),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let base = content::base()?;
    for name in names {
        let programs: Vec<&str> = if name == ALL { known().collect() } else { vec![name] };
        let image = Image::new(name, &programs, &arguments.bin_dir, &arguments.tag, &base)?;
        if let Some(registry) = &registry {
            let digest = runtime.block_on(registry.push(name, &arguments.tag, &image));
            say(&digest.with_context(|| format!("{name} cannot be pushed"))?);
        }
        if let Some(folder) = &arguments.output {
            let path = place::write_layout(folder, name, &arguments.tag, &image);
            say(&path.with_context(|| format!("{name} cannot be written"))?.display().to_string());
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what a command line is asked for")]
fn say(line: &str) {
    println!("{line}");
}

fn credentials(arguments: &Arguments) -> Result<Option<Credentials>> {
    let Some(creds) = &arguments.creds else { return Ok(None) };
    let Some((username, password)) = creds.split_once(':') else { bail!("--creds must be USER:PASSWORD") };
    Ok(Some(Credentials::Basic { username: username.to_owned(), password: password.to_owned() }))
}

//! `sops decrypt`: the decryption engine's door, with the flags, texts and codes of sops.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use sluice_sops::{Error, Format, Keyring, Options, decrypt};

use crate::app::App;
use crate::failure::{Exit, Mark, io};

/// What follows `sops`.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct SopsArgs {
    #[command(subcommand)]
    command: SopsCommand,
}

#[derive(Subcommand)]
enum SopsCommand {
    /// Decrypt a file and print it. Keys: $SOPS_AGE_KEY, $SOPS_AGE_KEY_FILE, the user's sops/age/keys.txt.
    Decrypt(DecryptArgs),
}

#[derive(Args)]
struct DecryptArgs {
    /// The encrypted file; - is stdin.
    file: PathBuf,
    /// The format of the file, whatever its name says.
    #[arg(long, value_enum)]
    input_type: Option<FileType>,
    /// The format to print, the file's own if not given.
    #[arg(long, value_enum)]
    output_type: Option<FileType>,
    /// Decrypt even when the file was changed since it was encrypted.
    #[arg(long)]
    ignore_mac: bool,
    /// Write to this file.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write back to the file.
    #[arg(short, long, conflicts_with = "output")]
    in_place: bool,
    /// A file with OpenPGP secret keys, since gpg is not asked here.
    #[arg(long, value_name = "FILE")]
    pgp_key_file: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileType {
    Yaml,
    Json,
    Dotenv,
    Ini,
    Binary,
}

impl FileType {
    fn format(self) -> Format {
        match self {
            Self::Yaml => Format::Yaml,
            Self::Json => Format::Json,
            Self::Dotenv => Format::Dotenv,
            Self::Ini => Format::Ini,
            Self::Binary => Format::Binary,
        }
    }
}

/// The largest file that is read.
const MAX_INPUT: u64 = 64 << 20;

pub(crate) fn run(app: &App, args: &SopsArgs) -> Result<()> {
    let SopsCommand::Decrypt(args) = &args.command;
    let failed = |code: u8, text: String| Exit::with(code, Mark::Bare, anyhow!(text));
    let name = args.file.display().to_string();
    if name != "-" && !args.file.exists() {
        return Err(failed(100, format!("cannot operate on non-existent file {name:?}")));
    }
    let data = read(&args.file).map_err(|error| failed(2, format!("Error reading file: {}", io(&error))))?;
    let input = args.input_type.map_or_else(|| Format::from_path(&name), FileType::format);
    let output = args.output_type.map_or(input, FileType::format);
    let keys = keyring(&args.pgp_key_file).map_err(|error| Exit::with(128, Mark::Bare, error))?;
    let options = Options { verify_mac: !args.ignore_mac };
    let plain = decrypt(&data, input, output, &[&keys], options)
        .map_err(|error| failed(code(&error), error.to_string()))?;
    let target = if args.in_place { Some(&args.file) } else { args.output.as_ref() };
    match target {
        None => app.output.data(plain),
        Some(path) => std::fs::write(path, plain)
            .map_err(|error| failed(3, format!("could not write {}: {}", path.display(), io(&error)))),
    }
}

/// The codes of sops.
fn code(error: &Error) -> u8 {
    match error {
        Error::DataKey(_) | Error::Shamir(_) => 128,
        Error::MacMismatch { .. } => 51,
        Error::MacUnreadable(_) => 24,
        Error::Walk(_) => 25,
        Error::Emit(_) => 4,
        _ => 1,
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_INPUT).read_to_end(&mut data)?;
    } else {
        std::fs::File::open(path)?.take(MAX_INPUT).read_to_end(&mut data)?;
    }
    Ok(data)
}

/// The keys that sops would find for age, and those of files.
fn keyring(pgp: &[PathBuf]) -> Result<Keyring> {
    let mut keys = Keyring::new();
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|error| anyhow!("failed to read the key file {}: {}", path.display(), io(&error)))
    };
    if let Ok(identities) = std::env::var("SOPS_AGE_KEY") {
        keys.add_age(&identities)?;
    }
    if let Some(path) = std::env::var_os("SOPS_AGE_KEY_FILE") {
        keys.add_age(&String::from_utf8_lossy(&read(Path::new(&path))?))?;
    }
    if let Some(path) = std::env::var_os("SOPS_AGE_SSH_PRIVATE_KEY_FILE") {
        keys.add_age(&String::from_utf8_lossy(&read(Path::new(&path))?))?;
    }
    let home = std::env::home_dir();
    let configuration = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let configuration = configuration.or_else(|| home.as_ref().map(|home| home.join(".config")));
    if let Some(path) =
        configuration.map(|folder| folder.join("sops/age/keys.txt")).filter(|path| path.is_file())
    {
        keys.add_age(&String::from_utf8_lossy(&read(&path)?))?;
    }
    for path in pgp {
        keys.add_pgp(&read(path)?)?;
    }
    Ok(keys)
}

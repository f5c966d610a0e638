//! What a program needs to run: its machine, and where it is not linked statically, its loader and libraries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use object::Endianness;
use object::elf::{DT_NEEDED, EM_AARCH64, EM_X86_64, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

/// Where the loader looks, on every distribution that is known here.
const FOLDERS: [&str; 8] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// What a file in the format of programs says.
struct Facts {
    architecture: &'static str,
    loader: Option<PathBuf>,
    needs: Vec<String>,
}

/// The machine of a program as images name it, and the files that it needs besides itself.
pub(super) fn needs(program: &Path) -> Result<(&'static str, BTreeSet<PathBuf>)> {
    let facts = read(program)?;
    let mut files: BTreeSet<PathBuf> = facts.loader.into_iter().collect();
    let mut open = facts.needs;
    while let Some(name) = open.pop() {
        let place = FOLDERS.iter().map(|folder| Path::new(folder).join(&name)).find(|path| path.is_file());
        let place = place.with_context(|| {
            format!(
                "{} needs the library {name}, which is in none of {}",
                program.display(),
                FOLDERS.join(", ")
            )
        })?;
        // The loader is a library of others too, under a name of its own.
        let loaded = files.iter().any(|known| known.file_name() == place.file_name());
        if !loaded {
            open.extend(read(&place)?.needs);
            files.insert(place);
        }
    }
    Ok((facts.architecture, files))
}

fn read(path: &Path) -> Result<Facts> {
    let shown = path.display();
    let data = std::fs::read(path)
        .with_context(|| format!("{shown} cannot be read: build it first, such as with `make build`"))?;
    facts(&data).with_context(|| format!("{shown} is no program for Linux"))
}

fn facts(data: &[u8]) -> Result<Facts> {
    let header = FileHeader64::<Endianness>::parse(data).map_err(|error| anyhow!("{error}"))?;
    let endian = header.endian()?;
    let architecture = match header.e_machine(endian) {
        EM_X86_64 => "amd64",
        EM_AARCH64 => "arm64",
        other => bail!("machine {other:?} is not known"),
    };
    let mut loader = None;
    for segment in header.program_headers(endian, data)? {
        if let Some(name) = segment.interpreter(endian, data)? {
            loader = Some(PathBuf::from(String::from_utf8(name.to_vec()).context("the loader's name")?));
        }
    }
    let sections = header.sections(endian, data)?;
    let mut needs = Vec::new();
    if let Some((entries, link)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, link)?;
        for entry in entries.iter().filter(|entry| entry.tag(endian) == DT_NEEDED) {
            let name = entry.string(endian, strings)?;
            needs.push(String::from_utf8(name.to_vec()).context("the name of a library")?);
        }
    }
    Ok(Facts { architecture, loader, needs })
}

//! Formats: bytes to trees and back.

mod binary;
mod dotenv;
mod flatten;
mod ini;
mod json;
mod scalar;
mod yaml_comments;
mod yaml_read;
mod yaml_write;

use crate::error::Error;
use crate::format::Format;
use crate::metadata::Metadata;
use crate::tree::{Branch, Item, Value};
pub(crate) use scalar::infinite;

/// The key under which metadata stands.
const KEY: &str = "sops";
/// What the names of metadata start with in dotenv files.
const PREFIX: &str = "sops_";

/// A file that was read: documents, and what the file says about its encryption.
pub(crate) struct Loaded {
    pub(crate) branches: Vec<Branch>,
    pub(crate) metadata: Metadata,
}

pub(crate) fn load(data: &[u8], format: Format) -> Result<Loaded, Error> {
    let mut branches = match format {
        Format::Yaml => yaml_read::read(data)?,
        Format::Json | Format::Binary => vec![json::read(data)?],
        Format::Dotenv => vec![dotenv::read(data)?],
        Format::Ini => vec![ini::read(data)?],
    };
    let found = match format {
        Format::Yaml | Format::Json | Format::Binary => take(&mut branches)?,
        Format::Ini => match take(&mut branches)? {
            Some(branch) => Some(flatten::unflatten(unescaped(branch))?),
            None => None,
        },
        Format::Dotenv => match take_prefixed(&mut branches) {
            Some(branch) => Some(flatten::unflatten(branch)?),
            None => None,
        },
    };
    let metadata = Metadata::read(&found.ok_or(Error::MetadataNotFound)?)?;
    Ok(Loaded { branches, metadata })
}

pub(crate) fn emit(branches: &[Branch], format: Format) -> Result<Vec<u8>, Error> {
    match format {
        Format::Yaml => Ok(yaml_write::write(branches).into_bytes()),
        Format::Json => json::write(first(branches)),
        Format::Dotenv => dotenv::write(first(branches)),
        Format::Ini => ini::write(first(branches)),
        Format::Binary => binary::write(branches),
    }
}

/// Formats other than YAML have one document.
fn first(branches: &[Branch]) -> &[Item] {
    branches.first().map(Vec::as_slice).unwrap_or_default()
}

/// Takes the metadata out of all documents; that of the first counts.
fn take(branches: &mut [Branch]) -> Result<Option<Branch>, Error> {
    let mut found = None;
    for (index, branch) in branches.iter_mut().enumerate() {
        let is_metadata = |item: &Item| matches!(item, Item::Entry(key, _) if key == KEY);
        let entries: Vec<Item> = branch.extract_if(.., |item| is_metadata(item)).collect();
        if index > 0 {
            continue;
        }
        for entry in entries {
            if found.is_some() {
                return Err(Error::Metadata(format!("Found duplicate {KEY} entry")));
            }
            match entry {
                Item::Entry(_, Value::Map(metadata)) => found = Some(metadata),
                _ => return Err(Error::Metadata(format!("Found {KEY} entry that is not a mapping"))),
            }
        }
    }
    Ok(found)
}

/// Takes the entries of the metadata out of a flat document.
fn take_prefixed(branches: &mut [Branch]) -> Option<Branch> {
    let branch = branches.first_mut()?;
    let taken: Branch = branch
        .extract_if(.., |item| matches!(item, Item::Entry(key, _) if key.starts_with(PREFIX)))
        .map(|item| match item {
            Item::Entry(key, value) => Item::Entry(key[PREFIX.len()..].to_owned(), value),
            Item::Comment(comment) => Item::Comment(comment),
        })
        .collect();
    (!taken.is_empty()).then_some(taken)
}

/// INI files have line breaks in metadata escaped.
fn unescaped(branch: Branch) -> Branch {
    branch
        .into_iter()
        .map(|item| match item {
            Item::Entry(key, Value::Text(text)) => {
                let text = String::from_utf8_lossy(&text).replace("\\n", "\n");
                Item::Entry(key, Value::text(text))
            }
            other => other,
        })
        .collect()
}

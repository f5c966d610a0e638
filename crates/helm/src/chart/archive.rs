//! Chart archives: gzip, tar, one folder on top whose name does not matter.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;

use super::File;
use super::budget::{Budget, MAX_CHART_BYTES, MAX_FILES};
use crate::go::quote;

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Not gzip, not tar, or cut off.
    #[error("{0}")]
    Read(#[source] std::io::Error),
    /// A path that begins at the root.
    #[error("chart illegally contains absolute paths")]
    Absolute,
    /// A file that is not inside the top folder.
    #[error("chart illegally contains content outside the base directory: {}", quote(.0))]
    OutsideBase(String),
    /// A path that leaves the top folder.
    #[error("chart illegally references parent directory")]
    Parent,
    /// A path with a drive letter.
    #[error("chart contains illegally named files")]
    Name,
    /// `Chart.yaml` without a folder around it.
    #[error("chart yaml not in base directory")]
    ChartNotInBase,
    /// Too many bytes.
    #[error("decompressed chart is larger than the maximum size {MAX_CHART_BYTES}")]
    TooLarge,
    /// Too many files.
    #[error("chart archive has more than {MAX_FILES} files")]
    TooManyFiles,
    /// Nothing in it.
    #[error("no files in chart archive")]
    Empty,
}

/// The files of a chart archive, in its order, with paths below the top folder.
pub fn archive_files(bytes: &[u8]) -> Result<Vec<File>, ArchiveError> {
    let mut budget = Budget::new();
    read_files(bytes, &mut budget)
}

pub(crate) fn read_files(bytes: &[u8], budget: &mut Budget) -> Result<Vec<File>, ArchiveError> {
    // Headers, padding and what is skipped count too: no endless stream of directories.
    let stream = MultiGzDecoder::new(bytes).take(2 * MAX_CHART_BYTES);
    let mut archive = tar::Archive::new(stream);
    let mut files = Vec::new();
    for entry in archive.entries().map_err(ArchiveError::Read)? {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        let path = entry.path_bytes().into_owned();
        let path = String::from_utf8_lossy(&path).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir()
            || path.ends_with('/')
            || kind.is_pax_global_extensions()
            || kind.is_pax_local_extensions()
        {
            continue;
        }
        let name = name_in_chart(&path)?;
        let size = entry.size();
        if size > budget.remaining() {
            return Err(ArchiveError::TooLarge);
        }
        if files.len() >= MAX_FILES {
            return Err(ArchiveError::TooManyFiles);
        }
        let modified = entry.header().mtime().ok().and_then(|time| Timestamp::from_second(time as i64).ok());
        let mut data = Vec::with_capacity(size.min(1 << 20) as usize);
        (&mut entry).take(size).read_to_end(&mut data).map_err(ArchiveError::Read)?;
        if (data.len() as u64) < size || !budget.take(data.len() as u64) || budget.remaining() == 0 {
            return Err(ArchiveError::TooLarge);
        }
        files.push(File { name: name.into(), data: without_bom(&data).into(), modified });
    }
    if files.is_empty() { Err(ArchiveError::Empty) } else { Ok(files) }
}

/// The path without its first segment, or why it is refused.
fn name_in_chart(path: &str) -> Result<String, ArchiveError> {
    let delimiter = if path.contains('\\') { '\\' } else { '/' };
    let (first, rest) = path.split_once(delimiter).unwrap_or((path, ""));
    let rest = rest.replace(delimiter, "/");
    if rest.starts_with('/') {
        return Err(ArchiveError::Absolute);
    }
    let name = clean(&rest);
    if name.is_empty() {
        return Err(ArchiveError::OutsideBase(path.to_owned()));
    }
    if name.starts_with("..") {
        return Err(ArchiveError::Parent);
    }
    let bytes = name.as_bytes();
    if bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && bytes[2] == b'/' {
        return Err(ArchiveError::Name);
    }
    if first == "Chart.yaml" {
        return Err(ArchiveError::ChartNotInBase);
    }
    Ok(name)
}

/// A relative path without `.`, `//` and needless `..`; empty for the folder itself.
fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if segments.last().is_some_and(|last| *last != "..") => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    segments.join("/")
}

/// What some editors put in front of UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Editors on Windows like to put a mark in front.
pub(crate) fn without_bom(data: &[u8]) -> &[u8] {
    data.strip_prefix(BOM).unwrap_or(data)
}

#[cfg(test)]
mod tests {
    use super::{ArchiveError, name_in_chart};

    #[test]
    fn paths_that_leave_the_chart_are_refused() {
        assert_eq!(name_in_chart("c/templates/./a//b.yaml").expect("fine"), "templates/a/b.yaml");
        assert_eq!(name_in_chart("c\\templates\\a.yaml").expect("fine"), "templates/a.yaml");
        assert_eq!(name_in_chart("c/a/../b").expect("fine"), "b");
        assert!(matches!(name_in_chart("c//etc/passwd"), Err(ArchiveError::Absolute)));
        assert!(matches!(name_in_chart("c/../../x"), Err(ArchiveError::Parent)));
        assert!(matches!(name_in_chart("c/..x"), Err(ArchiveError::Parent)));
        assert!(matches!(name_in_chart("x"), Err(ArchiveError::OutsideBase(_))));
        assert!(matches!(name_in_chart("c/c:/x"), Err(ArchiveError::Name)));
        assert!(matches!(name_in_chart("Chart.yaml/x"), Err(ArchiveError::ChartNotInBase)));
    }
}

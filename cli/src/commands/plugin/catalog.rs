//! The catalog: which plugins there are, in which versions, and where their programs are to be had.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sluice_artifact::extract;
use zip::ZipArchive;

use super::folder::{Folder, PREFIX, Receipt};
use crate::documents;
use crate::web;

const CATALOG: &str = "https://github.com/fluxcd/plugins/releases/latest/download/";
const VERSION: &str = "cli.fluxcd.io/v1beta1";
/// The largest description and the largest program, in bytes.
const MAX_TEXT: usize = 10 << 20;
const MAX_PROGRAM: usize = 512 << 20;

/// One plugin of the catalog.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    pub(super) name: String,
    bin: String,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    platforms: Vec<Platform>,
}

/// The program of one version for one kind of machine.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Platform {
    os: String,
    arch: String,
    url: String,
    pub(super) checksum: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    extract_path: String,
}

/// What is installed.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) version: String,
    pub(super) platform: Platform,
}

/// A plugin in the list of all.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Deserialize)]
struct Entries {
    #[serde(default)]
    plugins: Vec<Entry>,
}

/// This machine, as Go names it.
fn machine() -> (&'static str, &'static str) {
    let os = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    (os, arch)
}

impl Manifest {
    /// The newest version, or the one of a name or digest, for this machine.
    pub(super) fn release(&self, wanted: Option<&str>) -> Result<Release> {
        let (os, arch) = machine();
        let name = &self.name;
        let fits = |platform: &&Platform| platform.os == os && platform.arch == arch;
        let of = |version: &Version, platform: &Platform| Release {
            version: version.version.clone(),
            platform: platform.clone(),
        };
        let chosen = match wanted {
            Some(digest) if digest.starts_with("sha256:") => {
                let mut all = self.versions.iter().flat_map(|version| {
                    version.platforms.iter().filter(fits).map(move |platform| (version, platform))
                });
                let found = all.find(|(_, platform)| platform.checksum == digest);
                let (version, platform) = found.with_context(|| {
                    format!("digest {digest:?} not found for plugin {name:?} on {os}/{arch}")
                })?;
                return Ok(of(version, platform));
            }
            Some(wanted) => self
                .versions
                .iter()
                .find(|version| version.version == wanted.trim_start_matches('v'))
                .with_context(|| format!("version {wanted:?} not found for plugin {name:?}"))?,
            None => self.versions.first().with_context(|| format!("plugin {name:?} has no versions"))?,
        };
        let platform = chosen.platforms.iter().find(fits);
        let platform = platform
            .with_context(|| format!("plugin {name:?} v{} has no binary for {os}/{arch}", chosen.version))?;
        Ok(of(chosen, platform))
    }
}

/// A catalog on the web.
pub(super) struct Catalog {
    base: String,
    client: reqwest::Client,
}

impl Catalog {
    pub(super) fn of_environment() -> Result<Self> {
        let base = std::env::var("FLUXCD_PLUGIN_CATALOG").ok().filter(|base| !base.is_empty());
        let base = base.unwrap_or_else(|| CATALOG.to_owned());
        if !base.ends_with('/') {
            bail!("FLUXCD_PLUGIN_CATALOG must end with a slash: {base:?}");
        }
        Ok(Self { base, client: web::client(None)? })
    }

    async fn get(&self, url: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let failed =
            |error: reqwest::Error| anyhow!(error.without_url()).context(format!("cannot read {url}"));
        let mut answer = self.client.get(url).send().await.map_err(failed)?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status().is_success() {
            bail!("cannot read {url}: the server answered {}", answer.status());
        }
        let mut content = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if content.len() + chunk.len() > limit {
                bail!("{url} is larger than {} MiB", limit >> 20);
            }
            content.extend_from_slice(&chunk);
        }
        Ok(Some(content))
    }

    async fn document<T: DeserializeOwned>(&self, file: &str, kind: &str) -> Result<Option<T>> {
        let url = format!("{}{file}", self.base);
        let Some(text) = self.get(&url, MAX_TEXT).await? else { return Ok(None) };
        let text = String::from_utf8(text).ok().with_context(|| format!("{url} is no text"))?;
        let document = documents::read_all(&text).with_context(|| format!("{url} is no YAML"))?;
        let document = document.into_iter().next().with_context(|| format!("{url} is empty"))?;
        if document["apiVersion"] != VERSION || document["kind"] != kind {
            bail!(
                "{url} is {} {}, and not {VERSION} {kind}: is this program too old?",
                document["apiVersion"],
                document["kind"]
            );
        }
        Ok(Some(serde_json::from_value(document).with_context(|| format!("{url} cannot be understood"))?))
    }

    /// All plugins.
    pub(super) async fn entries(&self) -> Result<Vec<Entry>> {
        let found: Option<Entries> = self.document("catalog.yaml", "PluginCatalog").await?;
        Ok(found.with_context(|| format!("there is no catalog at {}", self.base))?.plugins)
    }

    /// One plugin.
    pub(super) async fn plugin(&self, name: &str) -> Result<Manifest> {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            bail!("{name:?} is no name of a plugin");
        }
        let found: Option<Manifest> = self.document(&format!("{name}.yaml"), "Plugin").await?;
        let manifest = found.with_context(|| format!("plugin {name:?} not found in catalog"))?;
        if manifest.name != name {
            bail!("the catalog's {name}.yaml describes another plugin, {:?}", manifest.name);
        }
        if !is_plain(&manifest.bin) {
            bail!(
                "plugin {name:?} has invalid bin {:?} (must be a plain filename prefixed with {PREFIX:?})",
                manifest.bin
            );
        }
        Ok(manifest)
    }

    /// Downloads a program, checks it and puts it into place, whole or not at all.
    pub(super) async fn install(
        &self,
        folder: &Folder,
        manifest: &Manifest,
        release: &Release,
    ) -> Result<()> {
        let platform = &release.platform;
        let content = self.get(&platform.url, MAX_PROGRAM).await?;
        let content = content.with_context(|| format!("there is nothing at {}", platform.url))?;
        let digest = Sha256::digest(&content)
            .iter()
            .fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"));
        if digest != platform.checksum {
            bail!("checksum verification failed (expected: {}, got: {digest})", platform.checksum);
        }
        let place = folder.place(&manifest.bin)?;
        let parent = place.parent().unwrap_or(Path::new("."));
        let work = tempfile::Builder::new().prefix(".plugin-").tempdir_in(parent)?;
        let wanted =
            if platform.extract_path.is_empty() { manifest.bin.as_str() } else { &platform.extract_path };
        let program = unpacked(content, wanted, work.path())?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        std::fs::rename(&program, &place).with_context(|| format!("cannot write {}", place.display()))?;
        folder.write_receipt(&Receipt {
            name: manifest.name.clone(),
            version: release.version.clone(),
            installed_at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            platform: platform.clone(),
        })
    }
}

/// Whether a name is that of a plugin's file, without a path.
fn is_plain(name: &str) -> bool {
    name.len() > PREFIX.len() && name.starts_with(PREFIX) && !name.contains(['/', '\\', '\0'])
}

/// The program out of what was downloaded: an archive (tar, perhaps compressed), or the program itself.
fn unpacked(content: Vec<u8>, wanted: &str, work: &Path) -> Result<PathBuf> {
    let content = if content.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        let mut reader = flate2::read::MultiGzDecoder::new(content.as_slice()).take(MAX_PROGRAM as u64 + 1);
        reader.read_to_end(&mut plain).context("the download cannot be decompressed")?;
        if plain.len() > MAX_PROGRAM {
            bail!("the download is larger than {} MiB when it is decompressed", MAX_PROGRAM >> 20);
        }
        plain
    } else {
        content
    };
    if content.starts_with(b"PK\x03\x04") {
        return unzipped(content, wanted, work);
    }
    if content.get(257..262) != Some(b"ustar") {
        let program = work.join("program");
        std::fs::write(&program, content)?;
        return Ok(program);
    }
    let mut limits = extract::Options::artifact();
    limits.max_bytes = Some(MAX_PROGRAM as u64);
    let folder = work.join("content");
    std::fs::create_dir(&folder)?;
    extract::extract_tar(content.as_slice(), &folder, &limits).context("the download cannot be unpacked")?;
    // By its path, or wherever a file of this name is.
    let exact = folder.join(wanted.trim_start_matches("./"));
    let inside = exact.canonicalize().is_ok_and(|path| path.is_file() && path.starts_with(&folder));
    if inside {
        return Ok(exact);
    }
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_str() == Some(wanted) {
                return Ok(entry.path());
            }
        }
    }
    bail!("the download has no file {wanted:?}")
}

/// The program out of a zip archive: by its path, or the first file of this name.
fn unzipped(content: Vec<u8>, wanted: &str, work: &Path) -> Result<PathBuf> {
    let mut archive =
        ZipArchive::new(Cursor::new(content)).context("the download is no readable zip archive")?;
    let names: Vec<String> = archive.file_names().filter_map(Result::ok).map(Cow::into_owned).collect();
    let exact = names.iter().find(|name| *name == wanted.trim_start_matches("./"));
    let found = exact.or_else(|| names.iter().find(|name| name.rsplit('/').next() == Some(wanted)));
    let Some(found) = found else { bail!("the download has no file {wanted:?}") };
    let entry = archive.by_name(found).with_context(|| format!("{found} in the download cannot be read"))?;
    if !entry.is_file() {
        bail!("{found} in the download is no file");
    }
    // The name in the archive is never a path here.
    let program = work.join("program");
    let mut file = std::fs::File::create(&program)?;
    let size = std::io::copy(&mut entry.take(MAX_PROGRAM as u64 + 1), &mut file)
        .with_context(|| format!("{found} in the download cannot be unpacked"))?;
    if size > MAX_PROGRAM as u64 {
        bail!("{found} in the download is larger than {} MiB", MAX_PROGRAM >> 20);
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_plain_file_of_ours() {
        assert!(is_plain("flux-operator"));
        for wrong in ["", "flux-", "operator", "../flux-x", "flux-x/../y", "/flux-x"] {
            assert!(!is_plain(wrong), "{wrong}");
        }
    }

    fn zip(files: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut archive, content.as_bytes()).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn a_program_comes_out_of_a_zip_archive_and_nothing_else_does() {
        let work = tempfile::tempdir().unwrap();
        let archive = zip(&[("../../evil", "x"), ("LICENSE", "l"), ("dist/flux-x", "program")]);
        for wanted in ["flux-x", "./dist/flux-x"] {
            let path = unpacked(archive.clone(), wanted, work.path()).unwrap();
            assert_eq!(path.parent(), Some(work.path()));
            assert_eq!(std::fs::read_to_string(path).unwrap(), "program");
        }
        let told = unpacked(archive.clone(), "flux-y", work.path()).unwrap_err().to_string();
        assert_eq!(told, "the download has no file \"flux-y\"");
        let cut = archive[..archive.len() / 2].to_vec();
        assert!(unpacked(cut, "flux-x", work.path()).unwrap_err().to_string().contains("zip archive"));
    }

    #[test]
    fn versions_are_chosen_by_name_digest_or_order() {
        let (os, arch) = machine();
        let version = |version: &str, checksum: &str| {
            let platform =
                serde_json::json!({"os": os, "arch": arch, "url": "https://x", "checksum": checksum});
            serde_json::json!({"version": version, "platforms": [platform]})
        };
        let manifest = serde_json::json!({
            "name": "x", "bin": "flux-x", "versions": [version("2.0.0", "sha256:b"), version("1.0.0", "sha256:a")]});
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        let chosen = |wanted| manifest.release(wanted).map(|release| release.version);
        assert_eq!(chosen(None).unwrap(), "2.0.0");
        assert_eq!(chosen(Some("1.0.0")).unwrap(), "1.0.0");
        assert_eq!(chosen(Some("sha256:a")).unwrap(), "1.0.0");
        assert!(chosen(Some("3")).is_err() && chosen(Some("sha256:c")).is_err());
    }
}

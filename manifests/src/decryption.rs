//! `spec.decryption`: files and objects that SOPS encrypted. What is decrypted stays in memory.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::Api;
use serde_json::Value;
use sluice_kms::{Credentials, Endpoints, Services, Surroundings};
use sluice_kustomize::read_file;
use sluice_runtime::errors;
use sluice_sops::{Format, KeyService, Keyring, Options, decrypt};

use crate::generate::{FILE_NAMES, scoped_join, to_json};
use crate::overlay::Overlay;

/// Largest file that is decrypted.
const MAX_FILE: u64 = 5 << 20;
/// How many directories of overlays are visited.
const MAX_DIRECTORIES: usize = 10_000;

/// The keys of one Kustomization.
pub struct Decryptor {
    keyring: Keyring,
    /// Keys that stay in services.
    services: Services,
    /// Whether files must be as they were encrypted. Objects cannot be checked: kustomize has changed them.
    verify_files: bool,
}

impl Decryptor {
    /// Reads keys from a Secret. `only_age`: the Secret is one for all, and only its age keys count. Services are asked
    /// as `surroundings` where the Secret has no credentials for them.
    pub async fn load(
        client: &Client,
        secret: Option<(&str, &str)>,
        only_age: bool,
        verify_files: bool,
        surroundings: Arc<dyn Surroundings>,
    ) -> Result<Self, String> {
        let mut keyring = Keyring::new();
        let mut credentials = Credentials::of_environment();
        if let Some((namespace, name)) = secret {
            sluice_runtime::check_name("Secret", name)?;
            let api = Api::<Secret>::namespaced(client.clone(), namespace);
            let found = api.get(name).await.map_err(|error| errors::describe(&error))?;
            for (key, value) in found.data.unwrap_or_default() {
                let imported = if key.ends_with(".agekey") {
                    keyring.add_age(&String::from_utf8_lossy(&value.0)).map_err(|error| error.to_string())
                } else if only_age {
                    Ok(())
                } else if key.ends_with(".asc") {
                    keyring.add_pgp(&value.0).map_err(|error| error.to_string())
                } else {
                    credentials.add(&key, &value.0).map_err(|error| error.to_string())
                };
                imported.map_err(|error| {
                    format!("failed to import '{key}' data from sops decryption Secret '{namespace}/{name}': {error}")
                })?;
            }
        }
        let runtime = tokio::runtime::Handle::current();
        let services = Services::new(credentials, surroundings, Endpoints::of_environment(), runtime)?;
        Ok(Self { keyring, services, verify_files })
    }

    fn run(&self, data: &[u8], input: Format, output: Format, verify_mac: bool) -> Result<Vec<u8>, String> {
        let services: [&dyn KeyService; 2] = [&self.keyring, &self.services];
        decrypt(data, input, output, &services, Options { verify_mac }).map_err(|error| error.to_string())
    }

    /// Decrypts the files that generators and patches name, in all overlays from `directory` on.
    pub(crate) fn sources(
        &self,
        files: &mut Overlay,
        root: &Path,
        directory: &Path,
        content: &Value,
    ) -> Result<(), String> {
        let mut visited = HashSet::from([directory.to_owned()]);
        let mut pending = vec![(directory.to_owned(), content.clone())];
        while let Some((directory, content)) = pending.pop() {
            self.sources_of(files, root, &directory, &content)?;
            for path in texts(&content, "resources").chain(texts(&content, "components")) {
                if path.contains("://") {
                    continue;
                }
                let below = within(root, &directory, path);
                if !below.is_dir() || !visited.insert(below.clone()) {
                    continue;
                }
                if visited.len() > MAX_DIRECTORIES {
                    return Err("too many overlays".to_owned());
                }
                let content = read_kustomization(root, &below)?;
                pending.push((below, content));
            }
        }
        Ok(())
    }

    fn sources_of(
        &self,
        files: &mut Overlay,
        root: &Path,
        directory: &Path,
        content: &Value,
    ) -> Result<(), String> {
        for generator in content["secretGenerator"].as_array().into_iter().flatten() {
            for reference in texts(generator, "files") {
                let (key, path) = reference.split_once('=').unwrap_or((reference, reference));
                self.file(files, root, &within(root, directory, path), Format::from_path(key))?;
            }
            for path in texts(generator, "envs") {
                let format = match Format::from_path(path) {
                    Format::Binary => Format::Dotenv,
                    format => format,
                };
                self.file(files, root, &within(root, directory, path), format)?;
            }
        }
        for patch in content["patches"].as_array().into_iter().flatten() {
            if let Some(path) =
                patch["path"].as_str().filter(|path| !path.is_empty() && !path.contains("://"))
            {
                self.file(files, root, &within(root, directory, path), Format::from_path(path))?;
            }
        }
        Ok(())
    }

    fn file(&self, files: &mut Overlay, root: &Path, path: &Path, format: Format) -> Result<(), String> {
        let shown = path.strip_prefix(root).unwrap_or(path).display();
        let facts = fs::metadata(path).map_err(|error| format!("{shown}: {error}"))?;
        if !facts.is_file() {
            return Err(format!("cannot decrypt irregular file {shown}"));
        }
        if facts.len() > MAX_FILE {
            return Err(format!(
                "cannot decrypt file {shown} with size {} exceeding limit {MAX_FILE}",
                facts.len()
            ));
        }
        let data = fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
        if !format.is_marked(&data) {
            return Ok(());
        }
        let plain = self.run(&data, format, format, self.verify_files);
        files.replace(path, plain.map_err(|error| format!("failed to decrypt {shown}: {error}"))?);
        Ok(())
    }

    /// Decrypts one built object, if there is something to decrypt. Returns whether it has changed.
    pub(crate) fn object(&self, object: &mut Value) -> Result<bool, String> {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let annotation = &object["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/decrypt"];
        if annotation.as_str().is_some_and(|value| value.eq_ignore_ascii_case("disabled")) {
            return Ok(false);
        }
        let kind = text("/kind");
        let failed = {
            let subject = format!("'{}/{}' {kind}", text("/metadata/namespace"), text("/metadata/name"));
            move |error: String| format!("failed to decrypt and format {subject} data: {error}")
        };
        if object.get("sops").is_some() && object["sops"]["mac"].as_str().is_some_and(|mac| !mac.is_empty()) {
            let data = serde_json::to_vec(object).map_err(|error| failed(error.to_string()))?;
            let plain = self.run(&data, Format::Json, Format::Json, false).map_err(&failed)?;
            *object = serde_json::from_slice(&plain).map_err(|error| failed(error.to_string()))?;
            return Ok(true);
        }
        let mut changed = false;
        if kind == "Secret" {
            let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) else { return Ok(false) };
            for (key, value) in data {
                let Some(Ok(bytes)) = value.as_str().map(|text| STANDARD.decode(text)) else { continue };
                let Some(input) = Format::of_marked(&bytes) else { continue };
                let plain = self.run(&bytes, input, Format::from_path(key), false).map_err(&failed)?;
                *value = STANDARD.encode(plain).into();
                changed = true;
            }
        }
        Ok(changed)
    }
}

/// The texts of a list.
fn texts<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v str> {
    value.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A path of an overlay, which never leaves the root.
fn within(root: &Path, directory: &Path, path: &str) -> PathBuf {
    let relative = directory.strip_prefix(root).unwrap_or(Path::new(""));
    scoped_join(root, &format!("{}/{path}", relative.display()))
}

fn read_kustomization(root: &Path, directory: &Path) -> Result<Value, String> {
    let present: Vec<_> =
        FILE_NAMES.iter().map(|name| directory.join(name)).filter(|path| path.is_file()).collect();
    let shown = directory.strip_prefix(root).unwrap_or(directory).display();
    let path = match present.as_slice() {
        [] => return Err(format!("no kustomization file found in {shown}")),
        [path] => path,
        _ => return Err(format!("found multiple kustomization files in {shown}")),
    };
    let text = read_file(path).map_err(|error| format!("{shown}: {error}"))?;
    let value = sluice_yaml::read(text).map_err(|error| format!("{shown}: {error}"))?;
    to_json(&value)
}

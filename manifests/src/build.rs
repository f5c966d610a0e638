//! From an unpacked artifact to the objects to apply. Blocking and without a cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};
use sluice_api::kustomize::KustomizationSpec;
use sluice_api::meta::SUBSTITUTE_ANNOTATION;
use sluice_artifact::Rules;
use sluice_kustomize::{Options, Remote};
use sluice_runtime::apply::{Object, flatten, normalize};

use crate::bases::Network;
use crate::decryption::Decryptor;
use crate::generate::{Generated, generate, scoped_join, to_json};
use crate::mask::mask;
use crate::overlay::Overlay;
use crate::variables::Variables;

/// Everything that a build depends on.
pub struct Input {
    /// The directory that nothing leaves.
    pub root: PathBuf,
    /// What to do with it.
    pub spec: KustomizationSpec,
    /// Variables, where the spec has a `postBuild`.
    pub variables: Option<Variables>,
    /// What the objects are for.
    pub purpose: Purpose,
    /// Keys, where the spec has a `decryption`.
    pub decryptor: Option<Decryptor>,
    /// What is not there for a directory without a kustomization file. An artifact has nothing that is ignored.
    pub ignored: Rules,
    /// Fetches bases of other machines; without it they are refused.
    pub network: Option<Arc<Network>>,
    /// Name of the Kustomization.
    pub owner_name: String,
    /// Namespace of the Kustomization.
    pub owner_namespace: String,
}

/// What built objects are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be applied: as the server has them, and never with a Secret that is still encrypted.
    Apply,
    /// To be shown: as they are written, with encrypted values hidden.
    Show,
}

/// What a build yields.
pub struct Built {
    /// The objects as they are to be applied, in the order of the build.
    pub objects: Vec<Object>,
    /// Digest of the manifests, as the history shows it.
    pub checksum: String,
}

/// Builds. The error is the message of the condition.
pub fn build(input: &Input) -> Result<Built, String> {
    // Without links in its own path, so that names below it compare.
    let root = &input.root.canonicalize().map_err(|error| error.to_string())?;
    let directory = scoped_join(root, &input.spec.path);
    let file = generate(root, &directory, &input.spec, &input.ignored)?;
    let resources = kustomize(input, root, &directory, file)?;
    let mut hasher = Sha256::new();
    let mut objects = Vec::new();
    for (index, (resource, text)) in resources.into_iter().enumerate() {
        let (resource, text) = finish(resource, text, input)?;
        if index > 0 {
            hasher.update(b"---\n");
        }
        hasher.update(text.as_bytes());
        objects.extend(flatten(resource));
    }
    for object in &mut objects {
        prepare(object, input);
    }
    if let Some(secret) = objects.iter().find(|object| is_encrypted(object)) {
        return Err(format!(
            "{} is SOPS encrypted, configuring decryption is required for this secret to be reconciled",
            secret.id()
        ));
    }
    let checksum = format!("sha256:{}", hex(&hasher.finalize()));
    Ok(Built { objects, checksum })
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Checks one resource, decrypts it and replaces its variables. Returns it with its text.
fn finish(mut resource: Value, mut text: String, input: &Input) -> Result<(Value, String), String> {
    let field =
        |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind, name) = (field("/apiVersion"), field("/kind"), field("/metadata/name"));
    if api_version.is_empty() || kind.is_empty() || name.is_empty() {
        return Err(format!("failed to decode Kubernetes apiVersion, kind and name from: {text}"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("[noGrp]", &api_version));
    let subject = format!("{kind}.{version}.{group}/{name}");
    if let Some(decryptor) = &input.decryptor {
        let failed = |error: String| format!("decryption failed for '{subject}': {error}");
        if decryptor.object(&mut resource).map_err(failed)? {
            text = yaml(&resource)?;
        }
    }
    let variables = input.variables.as_ref().filter(|variables| variables.are_used());
    let Some(variables) = variables else { return Ok((resource, text)) };
    let disabled = ["labels", "annotations"]
        .iter()
        .any(|field| resource["metadata"][field][SUBSTITUTE_ANNOTATION].as_str() == Some("disabled"));
    if disabled {
        return Ok((resource, text));
    }
    let failed = |error: String| format!("post build failed for '{subject}': {error}");
    let text = variables.apply(&text).map_err(failed)?;
    let value = sluice_yaml::read(&text).map_err(|error| failed(error.to_string()))?;
    Ok((to_json(&value).map_err(failed)?, text))
}

fn yaml(value: &Value) -> Result<String, String> {
    let json = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    sluice_yaml::json_to_yaml(json).map_err(|error| error.to_string())
}

/// Owner labels, then what the server would change anyway, then the common metadata, which goes before all.
fn prepare(object: &mut Object, input: &Input) {
    use sluice_api::meta::{KUSTOMIZATION_NAME_LABEL, KUSTOMIZATION_NAMESPACE_LABEL};
    let owner = [
        (KUSTOMIZATION_NAME_LABEL, input.owner_name.as_str()),
        (KUSTOMIZATION_NAMESPACE_LABEL, input.owner_namespace.as_str()),
    ];
    object.set_tags("labels", owner);
    match input.purpose {
        Purpose::Apply => normalize(object),
        Purpose::Show => {
            let mut value = std::mem::take(object.fields_mut()).into();
            mask(&mut value);
            if let Value::Object(fields) = value {
                *object.fields_mut() = fields;
            }
        }
    }
    if let Some(common) = &input.spec.common_metadata {
        for (field, tags) in [("labels", &common.labels), ("annotations", &common.annotations)] {
            object.set_tags(field, tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        }
    }
}

/// Whether a Secret still is as SOPS encrypted it.
fn is_encrypted(object: &Object) -> bool {
    object.is_secret()
        && object.fields().contains_key("sops")
        && !object.tag("annotations", "kustomize.toolkit.fluxcd.io/decrypt").eq_ignore_ascii_case("disabled")
}

/// Runs kustomize. Each resource comes as JSON and as YAML.
fn kustomize(
    input: &Input,
    root: &Path,
    directory: &Path,
    file: Generated,
) -> Result<Vec<(Value, String)>, String> {
    let mut files = Overlay::new(root, input.network.clone())?;
    let path = directory.join(&file.file);
    if let Some(decryptor) = &input.decryptor {
        let decrypted = decryptor.sources(&mut files, root, directory, &file.content);
        decrypted.map_err(|error| format!("error decrypting sources: {error}"))?;
    }
    files.replace(&path, serde_json::to_vec(&file.content).map_err(|error| error.to_string())?);
    let failed = |files: &Overlay, error: &sluice_kustomize::Error| {
        format!("kustomize build failed: {}", files.relative(error.message()))
    };
    let remote = input.network.as_deref().map(|network| network as &dyn Remote);
    let built = sluice_kustomize::build(&files, remote, &directory.to_string_lossy(), &Options::flux())
        .map_err(|error| failed(&files, &error))?;
    for warning in built.warnings() {
        tracing::debug!("{}", files.relative(&warning.to_string()));
    }
    let mut resources = Vec::with_capacity(built.resources().len());
    for object in built.into_resources() {
        let (value, text) = object.to_value_and_yaml().map_err(|error| failed(&files, &error))?;
        resources.push((to_json(&value)?, text));
    }
    Ok(resources)
}

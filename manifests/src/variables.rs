//! Variables for the substitution after the build.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::Api;
use sha2::{Digest, Sha256};
use sluice_api::kustomize::{PostBuild, SubstituteStrategy};
use sluice_envsubst::{Options, is_variable_name, substitute};
use sluice_runtime::errors;

/// What a variable's name must look like, as messages show it.
const NAME_PATTERN: &str = "^[_[:alpha:]][_[:alpha:][:digit:]]*$";

/// The variables of a Kustomization and how to use them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, String>,
    always: bool,
    strict: bool,
}

impl Variables {
    /// Reads the variables, with the controller's own rights, from the namespace of the Kustomization.
    pub async fn load(
        client: &Client,
        namespace: &str,
        post_build: &PostBuild,
        strict: bool,
    ) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        for reference in &post_build.substitute_from {
            let name = &reference.name;
            sluice_runtime::check_name(&reference.kind, name)
                .map_err(|error| format!("substitute from '{}/{name}' error: {error}", reference.kind))?;
            let failed = |error: &kube::Error| {
                format!("substitute from '{}/{name}' error: {}", reference.kind, errors::describe(error))
            };
            let found = match reference.kind.as_str() {
                "Secret" => {
                    let api = Api::<Secret>::namespaced(client.clone(), namespace);
                    api.get_opt(name).await.map(|secret| secret.map(of_secret))
                }
                _ => {
                    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
                    api.get_opt(name).await.map(|map| map.map(|map| map.data.unwrap_or_default()))
                }
            };
            match found.map_err(|error| failed(&error))? {
                Some(found) => values.extend(found),
                None if reference.optional => {}
                None => {
                    let resource = if reference.kind == "Secret" { "secrets" } else { "configmaps" };
                    return Err(format!(
                        "substitute from '{}/{name}' error: {resource} \"{name}\" not found",
                        reference.kind
                    ));
                }
            }
        }
        Ok(Self::new(values, post_build, strict))
    }

    /// The variables that are given in the spec itself, without asking a cluster for others.
    pub fn given(post_build: &PostBuild, strict: bool) -> Self {
        Self::new(BTreeMap::new(), post_build, strict)
    }

    fn new(mut values: BTreeMap<String, String>, post_build: &PostBuild, strict: bool) -> Self {
        values.extend(post_build.substitute.clone());
        for value in values.values_mut() {
            value.retain(|character| character != '\n');
        }
        let always = post_build.substitute_strategy == Some(SubstituteStrategy::Always);
        Self { values, always, strict }
    }

    /// Stands for names and values.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for (name, value) in &self.values {
            for text in [name, value] {
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.update([u8::from(self.always), u8::from(self.strict)]);
        hasher.finalize().into()
    }

    /// Whether texts are to be evaluated at all.
    pub fn are_used(&self) -> bool {
        self.always || !self.values.is_empty()
    }

    /// Evaluates the text of one object.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        if let Some(name) = self.values.keys().find(|name| !is_variable_name(name)) {
            return Err(format!("envsubst error: '{name}' var name is invalid, must match '{NAME_PATTERN}'"));
        }
        let options = Options { strict: self.strict, ..Options::default() };
        let lookup = |name: &str| self.values.get(name).map(String::as_str);
        let failed =
            |error: &dyn std::fmt::Display| format!("envsubst error: variable substitution failed: {error}");
        let output = substitute(text, &lookup, options).map_err(|error| failed(&error))?;
        String::from_utf8(output).map_err(|error| failed(&error))
    }
}

/// The values of a Secret that are text.
fn of_secret(secret: Secret) -> BTreeMap<String, String> {
    let data = secret.data.unwrap_or_default();
    data.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect()
}

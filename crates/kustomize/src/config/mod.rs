//! The lists of fields that transformers work on: built-in ones, and what configurations add.

pub(crate) mod crds;

use std::sync::{Arc, LazyLock};

use crate::decode::{Object, STRICT_COERCING};
use crate::error::{Context as _, Error, Result};
use crate::fieldspec::{FieldSpec, merge_all};
use crate::id::Gvk;
use crate::kustomization::{field_specs, gvk, read_document};

/// References to the names of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct NameReference {
    pub(crate) gvk: Gvk,
    pub(crate) referrers: Vec<FieldSpec>,
}

/// All lists.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransformerConfig {
    pub(crate) name_prefix: Vec<FieldSpec>,
    pub(crate) name_suffix: Vec<FieldSpec>,
    pub(crate) namespace: Vec<FieldSpec>,
    pub(crate) common_labels: Vec<FieldSpec>,
    pub(crate) labels: Vec<FieldSpec>,
    pub(crate) template_labels: Vec<FieldSpec>,
    pub(crate) common_annotations: Vec<FieldSpec>,
    pub(crate) name_reference: Vec<NameReference>,
    pub(crate) var_reference: Vec<FieldSpec>,
    pub(crate) images: Vec<FieldSpec>,
    pub(crate) replicas: Vec<FieldSpec>,
}

static DEFAULTS: LazyLock<Arc<TransformerConfig>> =
    LazyLock::new(|| Arc::new(parse_defaults(include_str!("defaults.txt"))));

fn parse_defaults(table: &str) -> TransformerConfig {
    let mut config = TransformerConfig::default();
    let mut section = String::new();
    let blank = |word: &str| if word == "-" { String::new() } else { word.to_owned() };
    for line in table.lines() {
        if line.starts_with("//") {
            continue;
        }
        if let Some(header) = line.strip_prefix("# ") {
            let words: Vec<&str> = header.split(' ').collect();
            if let [name, group, version, kind] = words.as_slice() {
                let gvk = Gvk {
                    group: blank(group).into(),
                    version: blank(version).into(),
                    kind: blank(kind).into(),
                };
                config.name_reference.push(NameReference { gvk, referrers: Vec::new() });
                (*name).clone_into(&mut section);
            } else {
                header.clone_into(&mut section);
            }
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let [group, version, kind, path, rest @ ..] = words.as_slice() else { continue };
        let spec = FieldSpec {
            gvk: Gvk { group: blank(group).into(), version: blank(version).into(), kind: blank(kind).into() },
            path: (*path).to_owned(),
            create: !rest.is_empty(),
        };
        if section == "nameReference" {
            if let Some(last) = config.name_reference.last_mut() {
                last.referrers.push(spec);
            }
        } else if let Some((_, list)) = config.lists_mut().into_iter().find(|(name, _)| *name == section) {
            list.push(spec);
        }
    }
    config
}

impl TransformerConfig {
    /// What holds without any configuration.
    pub(crate) fn builtin() -> &'static Arc<Self> {
        &DEFAULTS
    }

    fn lists_mut(&mut self) -> [(&'static str, &mut Vec<FieldSpec>); 10] {
        [
            ("namePrefix", &mut self.name_prefix),
            ("nameSuffix", &mut self.name_suffix),
            ("namespace", &mut self.namespace),
            ("commonAnnotations", &mut self.common_annotations),
            ("commonLabels", &mut self.common_labels),
            ("labels", &mut self.labels),
            ("templateLabels", &mut self.template_labels),
            ("varReference", &mut self.var_reference),
            ("images", &mut self.images),
            ("replicas", &mut self.replicas),
        ]
    }

    /// Reads a configurations file.
    pub(crate) fn parse(text: &[u8]) -> Result<Self> {
        let mut config = read_document(text, "TransformerConfig", STRICT_COERCING, Self::decode)?;
        config.sort();
        Ok(config)
    }

    fn decode(object: &mut Object<'_>) -> Result<Self> {
        let mut config = Self::default();
        for (name, list) in config.lists_mut() {
            *list = field_specs(object, name)?.unwrap_or_default();
        }
        config.name_reference = object.list("nameReference", "NameBackReferences", |reference| {
            Ok(NameReference {
                gvk: gvk(reference)?,
                referrers: field_specs(reference, "fieldSpecs")?.unwrap_or_default(),
            })
        })?;
        Ok(config)
    }

    fn sort(&mut self) {
        for (_, list) in self.lists_mut() {
            list.sort_by_cached_key(|spec| spec.gvk.sort_key());
        }
        self.name_reference.sort_by_cached_key(|reference| reference.gvk.sort_key());
    }

    /// Adds the lists of another configuration to these.
    pub(crate) fn merge(&mut self, mut other: Self) -> Result<()> {
        let names = [
            "NamePrefix",
            "NameSuffix",
            "NameSpace",
            "CommonAnnotations",
            "CommonLabels",
            "Labels",
            "TemplateLabels",
            "VarReference",
            "Images",
            "Replicas",
        ];
        let mine = self.lists_mut();
        for (((_, list), (_, incoming)), name) in mine.into_iter().zip(other.lists_mut()).zip(names) {
            merge_all(list, incoming).with_context(|| format!("failed to merge {name} fieldSpec"))?;
        }
        for reference in other.name_reference {
            self.add_name_reference(reference).context("failed to merge NameReference fieldSpec")?;
        }
        self.sort();
        Ok(())
    }

    pub(crate) fn add_name_reference(&mut self, reference: NameReference) -> Result<()> {
        let mut found = false;
        for known in self.name_reference.iter_mut().filter(|known| known.gvk == reference.gvk) {
            merge_all(&mut known.referrers, &reference.referrers)?;
            found = true;
        }
        if !found {
            self.name_reference.push(reference);
        }
        Ok(())
    }
}

/// Go's words for a value that could not be merged are a dump; ours are short.
pub(crate) fn merging(error: Error) -> Error {
    error.prefixed("merging config")
}

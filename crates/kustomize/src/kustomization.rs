//! The kustomization file.

use std::collections::BTreeMap;

use sluice_yaml::write::write_tree;
use sluice_yaml::{Mapping, Value};

use crate::decode::{Mode, Object, STRICT};
use crate::error::{Context as _, Error, Result};
use crate::fieldspec::FieldSpec;
use crate::id::{Gvk, ResId};
use crate::warning::Warning;

/// Text to text, sorted.
pub(crate) type StringMap = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Kustomization {
    pub(crate) kind: String,
    pub(crate) api_version: String,
    pub(crate) openapi: StringMap,
    pub(crate) name_prefix: String,
    pub(crate) name_suffix: String,
    pub(crate) namespace: String,
    pub(crate) common_labels: StringMap,
    pub(crate) labels: Vec<Label>,
    pub(crate) common_annotations: StringMap,
    pub(crate) patches_strategic_merge: Vec<String>,
    pub(crate) patches_json6902: Vec<Patch>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) images: Vec<Image>,
    pub(crate) replacements: Vec<ReplacementField>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) vars: Vec<Var>,
    pub(crate) sort_options: Option<SortOptions>,
    pub(crate) resources: Vec<String>,
    pub(crate) components: Vec<String>,
    pub(crate) crds: Vec<String>,
    pub(crate) config_map_generator: Vec<GeneratorArgs>,
    pub(crate) secret_generator: Vec<GeneratorArgs>,
    /// What each chart says of itself, as YAML.
    pub(crate) helm_charts: Vec<String>,
    pub(crate) generator_options: Option<GeneratorOptions>,
    pub(crate) configurations: Vec<String>,
    pub(crate) generators: Vec<String>,
    pub(crate) transformers: Vec<String>,
    pub(crate) validators: Vec<String>,
    pub(crate) build_metadata: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Label {
    pub(crate) pairs: StringMap,
    pub(crate) include_selectors: bool,
    pub(crate) include_templates: bool,
    pub(crate) fields: Vec<FieldSpec>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    pub(crate) path: String,
    pub(crate) patch: String,
    pub(crate) target: Option<Selector>,
    pub(crate) options: Option<PatchOptions>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PatchOptions {
    pub(crate) allow_name_change: bool,
    pub(crate) allow_kind_change: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    pub(crate) id: ResId,
    pub(crate) annotations: String,
    pub(crate) labels: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) new_name: String,
    pub(crate) new_tag: String,
    pub(crate) digest: String,
    pub(crate) tag_suffix: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) count: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ReplacementField {
    pub(crate) path: String,
    pub(crate) replacement: Replacement,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Replacement {
    pub(crate) source: Option<Source>,
    pub(crate) source_value: Option<String>,
    pub(crate) targets: Option<Vec<Target>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) id: ResId,
    pub(crate) field_path: String,
    pub(crate) options: Option<FieldOptions>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) select: Option<Selector>,
    pub(crate) reject: Vec<Selector>,
    pub(crate) field_paths: Vec<String>,
    pub(crate) options: Option<FieldOptions>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct FieldOptions {
    pub(crate) delimiter: String,
    pub(crate) index: i64,
    pub(crate) create: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Var {
    pub(crate) name: String,
    pub(crate) id: ResId,
    pub(crate) field_path: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SortOptions {
    pub(crate) order: String,
    pub(crate) legacy: Option<LegacySortOptions>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct LegacySortOptions {
    pub(crate) first: Vec<String>,
    pub(crate) last: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorArgs {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) behavior: String,
    pub(crate) literals: Vec<String>,
    pub(crate) files: Vec<String>,
    pub(crate) envs: Vec<String>,
    /// Whether the last of `envs` comes from the deprecated `env`.
    pub(crate) has_env: bool,
    pub(crate) options: Option<GeneratorOptions>,
    pub(crate) secret_type: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct GeneratorOptions {
    pub(crate) labels: Option<StringMap>,
    pub(crate) annotations: Option<StringMap>,
    pub(crate) disable_name_suffix_hash: bool,
    pub(crate) immutable: bool,
}

impl GeneratorOptions {
    /// Local options with the global ones behind them.
    pub(crate) fn merged(local: Option<Self>, global: Option<&Self>) -> Option<Self> {
        let Some(global) = global else { return local };
        let mut merged = local.unwrap_or_default();
        let fill = |mine: &mut Option<StringMap>, theirs: &Option<StringMap>| {
            if let Some(theirs) = theirs {
                let mine = mine.get_or_insert_default();
                for (key, value) in theirs {
                    mine.entry(key.clone()).or_insert_with(|| value.clone());
                }
            }
        };
        fill(&mut merged.labels, &global.labels);
        fill(&mut merged.annotations, &global.annotations);
        merged.disable_name_suffix_hash |= global.disable_name_suffix_hash;
        merged.immutable |= global.immutable;
        Some(merged)
    }
}

const COMPONENT: &str = "Component";

impl Kustomization {
    /// Reads a kustomization file. Warnings are about deprecated fields.
    pub(crate) fn parse(text: &[u8], root: &str, warnings: &mut Vec<Warning>) -> Result<Self> {
        let value = sluice_yaml::read(text).map_err(Error::from).context("invalid Kustomization")?;
        // Numbers that JSON lacks and keys that it cannot have.
        sluice_yaml::json::to_string(&value).map_err(Error::from).context("invalid Kustomization")?;
        let (mut result, empty) = match Object::root(&value, "Kustomization", STRICT)
            .context("invalid Kustomization")?
        {
            Some(mut object) => {
                let mut deprecated = Vec::new();
                let result = Self::decode(&mut object, &mut deprecated).context("invalid Kustomization")?;
                warnings.append(&mut deprecated);
                (result, !object_says_something(&object, &value))
            }
            None => (Self::default(), true),
        };
        if result.kind.is_empty() {
            result.kind = "Kustomization".into();
        }
        let required = if result.kind == COMPONENT {
            "kustomize.config.k8s.io/v1alpha1"
        } else {
            "kustomize.config.k8s.io/v1beta1"
        };
        if empty {
            return Err(Error::new("kustomization.yaml is empty"));
        }
        let mut problems = Vec::new();
        if result.kind != "Kustomization" && result.kind != COMPONENT {
            problems.push("kind should be Kustomization or Component".to_owned());
        }
        if !result.api_version.is_empty() && result.api_version != required {
            problems.push(format!("apiVersion for {} should be {required}", result.kind));
        }
        if !problems.is_empty() {
            return Err(Error::new(format!(
                "Failed to read kustomization file under {root}:\n{}",
                problems.join("\n")
            )));
        }
        Ok(result)
    }

    pub(crate) fn is_component(&self) -> bool {
        self.kind == COMPONENT
    }

    fn decode(object: &mut Object<'_>, warnings: &mut Vec<Warning>) -> Result<Self> {
        const FIX: &str = "Run 'kustomize edit fix' to update your Kustomization automatically.";
        let mut deprecated = |old: &str, new: &str, experimental: &str| {
            warnings.push(Warning::Deprecated(format!(
                "# Warning: '{old}' is deprecated. Please use '{new}' instead. {experimental}{FIX}"
            )));
        };
        let not_null = |value: Option<&Value>| value.is_some_and(|value| !value.is_null());
        for (old, new, experimental) in [
            ("bases", "resources", ""),
            ("commonLabels", "labels", ""),
            ("imageTags", "images", ""),
            ("patchesJson6902", "patches", ""),
            ("patchesStrategicMerge", "patches", ""),
            ("vars", "replacements", "[EXPERIMENTAL] "),
        ] {
            if not_null(object.take(old)) {
                deprecated(old, new, experimental);
            }
        }
        let mut resources = object.strings("resources")?;
        resources.extend(object.strings("bases")?);
        let mut images = object.list("images", "Image", image)?;
        images.extend(object.list("imageTags", "Image", image)?);
        let mut charts = object.list("helmCharts", "HelmChart", helm_chart)?;
        charts.extend(object.list("helmChartInflationGenerator", "HelmChartArgs", old_helm_chart)?);
        object.nested("helmGlobals", "HelmGlobals", |globals| {
            globals.string("chartHome")?;
            globals.string("configHome")
        })?;
        object.nested("metadata", "ObjectMeta", |metadata| {
            metadata.string("name")?;
            metadata.string("namespace")?;
            metadata.string_map("labels")?;
            metadata.string_map("annotations")
        })?;
        let result = Self {
            kind: object.string("kind")?,
            api_version: object.string("apiVersion")?,
            openapi: object.string_map("openapi")?,
            name_prefix: object.string("namePrefix")?,
            name_suffix: object.string("nameSuffix")?,
            namespace: object.string("namespace")?,
            common_labels: object.string_map("commonLabels")?,
            labels: object.list("labels", "Label", label)?,
            common_annotations: object.string_map("commonAnnotations")?,
            patches_strategic_merge: object.strings("patchesStrategicMerge")?,
            patches_json6902: object.list("patchesJson6902", "Patch", patch)?,
            patches: object.list("patches", "Patch", patch)?,
            images,
            replacements: object.list("replacements", "ReplacementField", replacement_field)?,
            replicas: object.list("replicas", "Replica", replica)?,
            vars: object.list("vars", "Var", var)?,
            sort_options: object.nested("sortOptions", "SortOptions", |options| {
                Ok(SortOptions {
                    order: options.string("order")?,
                    legacy: options.nested("legacySortOptions", "LegacySortOptions", |lists| {
                        Ok(LegacySortOptions {
                            first: lists.strings("orderFirst")?,
                            last: lists.strings("orderLast")?,
                        })
                    })?,
                })
            })?,
            resources,
            components: object.strings("components")?,
            crds: object.strings("crds")?,
            config_map_generator: object.list("configMapGenerator", "ConfigMapArgs", config_map_args)?,
            secret_generator: object.list("secretGenerator", "SecretArgs", secret_args)?,
            helm_charts: charts,
            generator_options: object.nested("generatorOptions", "GeneratorOptions", generator_options)?,
            configurations: object.strings("configurations")?,
            generators: object.strings("generators")?,
            transformers: object.strings("transformers")?,
            validators: object.strings("validators")?,
            build_metadata: object.strings("buildMetadata")?,
        };
        object.finish()?;
        Ok(result)
    }
}

/// Null and `""` say nothing; lists that the migration empties neither.
fn object_says_something(object: &Object<'_>, value: &Value) -> bool {
    let Some(entries) = value.as_mapping() else { return false };
    entries.iter().any(|(key, value)| {
        let quiet = ["kind", "apiVersion"].iter().any(|name| key.eq_ignore_ascii_case(name));
        let migrated = ["bases", "imageTags", "helmChartInflationGenerator"]
            .iter()
            .any(|name| key.eq_ignore_ascii_case(name))
            && value.as_sequence().is_some_and(Vec::is_empty);
        !quiet && !migrated && object.is_set(key)
    })
}

pub(crate) fn gvk(object: &mut Object<'_>) -> Result<Gvk> {
    Ok(Gvk {
        group: object.string("group")?.into(),
        version: object.string("version")?.into(),
        kind: object.string("kind")?.into(),
    })
}

fn res_id(object: &mut Object<'_>) -> Result<ResId> {
    Ok(ResId {
        gvk: object.embedded("Gvk", gvk)?,
        name: object.string("name")?.into(),
        namespace: object.string("namespace")?.into(),
        cluster_scoped: false,
    })
}

pub(crate) fn field_spec(object: &mut Object<'_>) -> Result<FieldSpec> {
    Ok(FieldSpec {
        gvk: object.embedded("Gvk", gvk)?,
        path: object.string("path")?,
        create: object.boolean("create")?,
    })
}

pub(crate) fn field_specs(object: &mut Object<'_>, field: &'static str) -> Result<Option<Vec<FieldSpec>>> {
    object.optional_list(field, "FieldSpec", field_spec)
}

pub(crate) fn selector(object: &mut Object<'_>) -> Result<Selector> {
    Ok(Selector {
        id: object.embedded("ResId", res_id)?,
        annotations: object.string("annotationSelector")?,
        labels: object.string("labelSelector")?,
    })
}

fn label(object: &mut Object<'_>) -> Result<Label> {
    Ok(Label {
        pairs: object.string_map("pairs")?,
        include_selectors: object.boolean("includeSelectors")?,
        include_templates: object.boolean("includeTemplates")?,
        fields: field_specs(object, "fields")?.unwrap_or_default(),
    })
}

pub(crate) fn patch_options(object: &mut Object<'_>) -> Result<PatchOptions> {
    Ok(PatchOptions {
        allow_name_change: object.boolean("allowNameChange")?,
        allow_kind_change: object.boolean("allowKindChange")?,
    })
}

pub(crate) fn patch(object: &mut Object<'_>) -> Result<Patch> {
    Ok(Patch {
        path: object.string("path")?,
        patch: object.string("patch")?,
        target: object.nested("target", "Selector", selector)?,
        options: object.nested("options", "PatchArgs", patch_options)?,
    })
}

pub(crate) fn image(object: &mut Object<'_>) -> Result<Image> {
    Ok(Image {
        name: object.string("name")?,
        new_name: object.string("newName")?,
        new_tag: object.string("newTag")?,
        digest: object.string("digest")?,
        tag_suffix: object.string("tagSuffix")?,
    })
}

pub(crate) fn replica(object: &mut Object<'_>) -> Result<Replica> {
    Ok(Replica { name: object.string("name")?, count: object.integer("count")? })
}

fn field_options(object: &mut Object<'_>) -> Result<FieldOptions> {
    object.string("encoding")?;
    Ok(FieldOptions {
        delimiter: object.string("delimiter")?,
        index: object.integer("index")?,
        create: object.boolean("create")?,
    })
}

pub(crate) fn replacement(object: &mut Object<'_>) -> Result<Replacement> {
    Ok(Replacement {
        source: object.nested("source", "SourceSelector", |source| {
            Ok(Source {
                id: source.embedded("ResId", res_id)?,
                field_path: source.string("fieldPath")?,
                options: source.nested("options", "FieldOptions", field_options)?,
            })
        })?,
        source_value: object.optional_string("sourceValue")?,
        targets: object.optional_list("targets", "TargetSelector", |target| {
            Ok(Target {
                select: target.nested("select", "Selector", selector)?,
                reject: target.list("reject", "Selector", selector)?,
                field_paths: target.strings("fieldPaths")?,
                options: target.nested("options", "FieldOptions", field_options)?,
            })
        })?,
    })
}

pub(crate) fn replacement_field(object: &mut Object<'_>) -> Result<ReplacementField> {
    let path = object.string("path")?;
    Ok(ReplacementField { path, replacement: object.embedded("Replacement", replacement)? })
}

fn var(object: &mut Object<'_>) -> Result<Var> {
    let name = object.string("name")?;
    let id = object
        .nested("objref", "Target", |target| {
            let api_version = target.string("apiVersion")?;
            let mut id = res_id(target)?;
            let parts: Vec<&str> = api_version.split('/').collect();
            match parts.as_slice() {
                [""] => {}
                [version] => id.gvk.version = (*version).into(),
                [group, version] => {
                    id.gvk.group = (*group).into();
                    id.gvk.version = (*version).into();
                }
                _ => {}
            }
            Ok(id)
        })?
        .unwrap_or_default();
    let path =
        object.nested("fieldref", "FieldSelector", |field| field.string("fieldPath"))?.unwrap_or_default();
    Ok(Var { name, id, field_path: path })
}

pub(crate) fn generator_options(object: &mut Object<'_>) -> Result<GeneratorOptions> {
    Ok(GeneratorOptions {
        labels: object.optional_string_map("labels")?,
        annotations: object.optional_string_map("annotations")?,
        disable_name_suffix_hash: object.boolean("disableNameSuffixHash")?,
        immutable: object.boolean("immutable")?,
    })
}

pub(crate) fn config_map_args(object: &mut Object<'_>) -> Result<GeneratorArgs> {
    object.embedded("GeneratorArgs", generator_args)
}

fn generator_args(object: &mut Object<'_>) -> Result<GeneratorArgs> {
    let sources = object.embedded("KvPairSources", key_value_sources)?;
    Ok(GeneratorArgs {
        name: object.string("name")?,
        namespace: object.string("namespace")?,
        behavior: object.string("behavior")?,
        options: object.nested("options", "GeneratorOptions", generator_options)?,
        ..sources
    })
}

/// Where keys and values come from; the rest is empty.
fn key_value_sources(object: &mut Object<'_>) -> Result<GeneratorArgs> {
    let mut envs = object.strings("envs")?;
    let env = object.string("env")?;
    let has_env = !env.is_empty();
    if has_env {
        envs.push(env);
    }
    Ok(GeneratorArgs {
        literals: object.strings("literals")?,
        files: object.strings("files")?,
        envs,
        has_env,
        ..GeneratorArgs::default()
    })
}

pub(crate) fn secret_args(object: &mut Object<'_>) -> Result<GeneratorArgs> {
    let secret_type = object.string("type")?;
    Ok(GeneratorArgs { secret_type, ..config_map_args(object)? })
}

/// What a chart says of itself, but for its values.
fn helm_chart(object: &mut Object<'_>) -> Result<String> {
    let mut said = Mapping::new();
    for field in [
        "name",
        "version",
        "repo",
        "releaseName",
        "namespace",
        "valuesFile",
        "valuesMerge",
        "kubeVersion",
        "nameTemplate",
    ] {
        say(&mut said, field, object.string(field)?);
    }
    for field in ["includeCRDs", "skipHooks", "skipTests", "debug", "devel"] {
        object.boolean(field)?;
    }
    object.strings("additionalValuesFiles")?;
    object.strings("apiVersions")?;
    object.any("valuesInline");
    said_text(said)
}

fn old_helm_chart(object: &mut Object<'_>) -> Result<String> {
    let mut said = Mapping::new();
    for (field, new) in [
        ("chartName", "name"),
        ("chartVersion", "version"),
        ("chartRepoUrl", "repo"),
        ("chartHome", ""),
        ("chartRepoName", ""),
        ("helmBin", ""),
        ("helmHome", ""),
        ("values", "valuesFile"),
        ("valuesMerge", "valuesMerge"),
        ("releaseName", "releaseName"),
        ("releaseNamespace", "namespace"),
    ] {
        say(&mut said, new, object.string(field)?);
    }
    object.strings("extraArgs")?;
    object.any("valuesLocal");
    said_text(said)
}

fn say(said: &mut Mapping, field: &str, value: String) {
    if !field.is_empty() && !value.is_empty() {
        said.insert(field.to_owned(), Value::String(value));
    }
}

fn said_text(said: Mapping) -> Result<String> {
    let mut text = String::new();
    write_tree(&Value::Mapping(said), &mut text)?;
    Ok(text)
}

/// Reads a document of one type with the given strictness.
pub(crate) fn read_document<T: Default>(
    text: &[u8],
    type_name: &'static str,
    mode: Mode,
    read: impl FnOnce(&mut Object<'_>) -> Result<T>,
) -> Result<T> {
    let value = if mode.strict { sluice_yaml::read_strict(text) } else { sluice_yaml::read(text) };
    let value = value.map_err(Error::from).context("error converting YAML to JSON")?;
    decode_value(&value, type_name, mode, read)
}

/// Decodes a value of one type with the given strictness.
pub(crate) fn decode_value<T: Default>(
    value: &Value,
    type_name: &'static str,
    mode: Mode,
    read: impl FnOnce(&mut Object<'_>) -> Result<T>,
) -> Result<T> {
    const DECODING: &str = "error unmarshaling JSON: while decoding JSON";
    let Some(mut object) = Object::root(value, type_name, mode).context(DECODING)? else {
        return Ok(T::default());
    };
    let result = read(&mut object).context(DECODING)?;
    object.finish().context(DECODING)?;
    Ok(result)
}

//! Generators and transformers configured by resources of their own.

use std::borrow::Cow;

use sluice_yaml::Value;

use crate::decode::{LENIENT, Object};
use crate::error::{Context as _, Error, Result};
use crate::fieldspec::FieldSpec;
use crate::generators::{Generated, generate};
use crate::jsonpatch::JsonPatch;
use crate::kustomization::{
    GeneratorArgs, Image, Patch, Replacement, ReplacementField, Replica, Selector, config_map_args,
    decode_value, field_specs, image, patch_options, read_document, replacement, replacement_field, replica,
    secret_args, selector,
};
use crate::loader::{Loader, blame_file};
use crate::options::Options;
use crate::reading::read_resources;
use crate::resource::{Resource, ResourceMap};
use crate::transform::{
    JsonPatchTransformer, NamespaceTransformer, PatchTransformer, StrategicMergeTransformer, SubjectMode,
    Transformer, ValueTarget,
};
use crate::tree;
use crate::value::resource_value;

/// What a plugin configuration amounts to.
pub(crate) enum Plugin {
    Generator(ResourceMap),
    Transformer(Transformer),
}

/// Configures the plugin that a resource describes. Generators have run afterwards.
pub(crate) fn load(loader: &Loader<'_>, config: &Resource, options: &Options) -> Result<Plugin> {
    let gvk = config.gvk();
    if !(gvk.group.is_empty() && gvk.version == "builtin") {
        return Err(Error::new(format!(
            "external plugins disabled; unable to load external plugin '{}'",
            gvk.kind
        )));
    }
    let value = resource_value(&config.node)
        .with_context(|| format!("marshalling yaml from res {}", config.original_id()))?;
    let type_name = TYPES.iter().find(|name| name.strip_suffix("Plugin") == Some(gvk.kind.as_str()));
    let known = Known { loader, value: &value, type_name: type_name.unwrap_or(&"Plugin"), options };
    match known.plugin(&gvk.kind) {
        None => Err(Error::new(format!("unable to load builtin {gvk}"))),
        Some(plugin) => {
            plugin.with_context(|| format!("plugin {} fails configuration", config.original_id()))
        }
    }
}

struct Known<'p> {
    loader: &'p Loader<'p>,
    value: &'p Value,
    type_name: &'static str,
    options: &'p Options,
}

/// The reference's types, which its errors name.
const TYPES: &[&str] = &[
    "AnnotationsTransformerPlugin",
    "ConfigMapGeneratorPlugin",
    "HashTransformerPlugin",
    "IAMPolicyGeneratorPlugin",
    "ImageTagTransformerPlugin",
    "LabelTransformerPlugin",
    "NamespaceTransformerPlugin",
    "PatchJson6902TransformerPlugin",
    "PatchStrategicMergeTransformerPlugin",
    "PatchTransformerPlugin",
    "PrefixTransformerPlugin",
    "ReplacementTransformerPlugin",
    "ReplicaCountTransformerPlugin",
    "SecretGeneratorPlugin",
    "SuffixTransformerPlugin",
    "ValueAddTransformerPlugin",
];

impl Known<'_> {
    fn decode<T: Default>(&self, read: impl FnOnce(&mut Object<'_>) -> Result<T>) -> Result<T> {
        decode_value(self.value, self.type_name, LENIENT, read)
    }

    fn plugin(&self, kind: &str) -> Option<Result<Plugin>> {
        let transformer = match kind {
            "ConfigMapGenerator" => return Some(self.generator(Generated::ConfigMap)),
            "SecretGenerator" => return Some(self.generator(Generated::Secret)),
            "IAMPolicyGenerator" => return Some(self.iam_policy()),
            "HelmChartInflationGenerator" => return Some(Err(helm_refusal(self.options))),
            "AnnotationsTransformer" => self.decode(|object| {
                Ok(Some(Transformer::Annotations {
                    annotations: object.string_map("annotations")?,
                    specs: field_specs(object, "fieldSpecs")?.unwrap_or_default(),
                }))
            }),
            "LabelTransformer" => self.decode(|object| {
                Ok(Some(Transformer::Labels {
                    labels: object.string_map("labels")?,
                    specs: field_specs(object, "fieldSpecs")?.unwrap_or_default(),
                }))
            }),
            "HashTransformer" => Ok(Some(Transformer::Hash)),
            "ImageTagTransformer" => self.decode(|object| {
                let image: Image = object.nested("imageTag", "Image", image)?.unwrap_or_default();
                Ok(Some(Transformer::Images {
                    image,
                    specs: field_specs(object, "fieldSpecs")?.unwrap_or_default(),
                }))
            }),
            "NamespaceTransformer" => self.namespace(),
            "PatchJson6902Transformer" => self.patch_json(),
            "PatchStrategicMergeTransformer" => self.patch_strategic(),
            "PatchTransformer" => self.patch(),
            "PrefixTransformer" => self.affix("prefix"),
            "SuffixTransformer" => self.affix("suffix"),
            "PrefixSuffixTransformer" => self.affix("prefix").and_then(|prefix| {
                let suffix = self.affix("suffix")?;
                Ok(Some(Transformer::Several(prefix.into_iter().chain(suffix).collect())))
            }),
            "ReplacementTransformer" => self
                .decode(|object| object.list("replacements", "ReplacementField", replacement_field))
                .and_then(|fields| replacements(self.loader, fields))
                .map(Some),
            "ReplicaCountTransformer" => self.decode(|object| {
                let replica: Replica = object.nested("replica", "Replica", replica)?.unwrap_or_default();
                Ok(Some(Transformer::Replicas {
                    replica,
                    specs: field_specs(object, "fieldSpecs")?.unwrap_or_default(),
                }))
            }),
            "ValueAddTransformer" => self.value_add(),
            _ => return None,
        };
        Some(transformer.and_then(|transformer| {
            transformer.map(Plugin::Transformer).ok_or_else(|| Error::new("the configuration is empty"))
        }))
    }

    fn generator(&self, what: Generated) -> Result<Plugin> {
        let mut args: GeneratorArgs = self.decode(|object| match what {
            Generated::ConfigMap => object.embedded("ConfigMapArgs", config_map_args),
            Generated::Secret => object.embedded("SecretArgs", secret_args),
        })?;
        // Only kustomization files have the old `env`.
        args.envs.truncate(args.envs.len() - usize::from(args.has_env));
        let (name, namespace) = self.metadata()?;
        if args.name.is_empty() {
            args.name = name;
        }
        if args.namespace.is_empty() {
            args.namespace = namespace;
        }
        Ok(Plugin::Generator(ResourceMap { resources: vec![generate(self.loader, &args, what)?] }))
    }

    fn metadata(&self) -> Result<(String, String)> {
        let names = self.decode(|object| {
            object.nested("metadata", "ObjectMeta", |metadata| {
                Ok((metadata.string("name")?, metadata.string("namespace")?))
            })
        })?;
        Ok(names.unwrap_or_default())
    }

    fn iam_policy(&self) -> Result<Plugin> {
        let (cloud, service, account, project) = self.decode(|object| {
            let names = |object: &mut Object<'_>| {
                Ok((object.string("namespace")?, object.string("name")?, object.string("projectId")?))
            };
            let service = object.nested("kubernetesService", "KubernetesService", names)?.unwrap_or_default();
            let account = object.nested("serviceAccount", "ServiceAccount", names)?.unwrap_or_default();
            let project = match object.string("projectId")? {
                project if project.is_empty() => account.2.clone(),
                project => project,
            };
            Ok((object.string("cloud")?, service, account, project))
        })?;
        if cloud != "gke" {
            return Err(Error::new(format!("cloud provider {cloud} not supported yet")));
        }
        let mut text = format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  annotations:\n    \
             iam.gke.io/gcp-service-account: {}@{project}.iam.gserviceaccount.com\n  name: {}\n",
            account.1, service.1
        );
        if !service.0.is_empty() {
            text.push_str(&format!("  namespace: {}\n", service.0));
        }
        Ok(Plugin::Generator(ResourceMap { resources: read_resources(text.as_bytes())? }))
    }

    fn namespace(&self) -> Result<Option<Transformer>> {
        let (_, namespace) = self.metadata()?;
        self.decode(|object| {
            Ok(Some(Transformer::Namespace(NamespaceTransformer {
                namespace,
                specs: field_specs(object, "fieldSpecs")?.unwrap_or_default(),
                unset_only: object.boolean("unsetOnly")?,
                subjects: SubjectMode::parse(&object.string("setRoleBindingSubjects")?)?,
            })))
        })
    }

    fn affix(&self, name: &'static str) -> Result<Option<Transformer>> {
        let (text, specs): (String, Option<Vec<FieldSpec>>) =
            self.decode(|object| Ok((object.string(name)?, field_specs(object, "fieldSpecs")?)))?;
        let Some(specs) = specs else { return Err(Error::new("fieldSpecs is not expected to be nil")) };
        Ok(Some(match name {
            "prefix" => Transformer::Prefix { prefix: text, specs },
            _ => Transformer::Suffix { suffix: text, specs },
        }))
    }

    fn patch(&self) -> Result<Option<Transformer>> {
        let patch = self.decode(|object| {
            Ok(Patch {
                path: object.string("path")?,
                patch: object.string("patch")?,
                target: object.nested("target", "Selector", selector)?,
                options: object.nested("options", "PatchArgs", patch_options)?,
            })
        })?;
        let config = sluice_yaml::write(self.value).unwrap_or_default();
        patch_transformer(self.loader, &patch, &config).map(Some)
    }

    fn patch_json(&self) -> Result<Option<Transformer>> {
        let (target, path, operations): (Option<Selector>, String, String) = self.decode(|object| {
            Ok((
                object.nested("target", "Selector", selector)?,
                object.string("path")?,
                object.string("jsonOp")?,
            ))
        })?;
        json_transformer(self.loader, target, &path, &operations).map(Some)
    }

    fn patch_strategic(&self) -> Result<Option<Transformer>> {
        let (paths, patches) =
            self.decode(|object| Ok((object.strings("paths")?, object.string("patches")?)))?;
        strategic_transformer(self.loader, &paths, &patches).map(Some)
    }

    fn value_add(&self) -> Result<Option<Transformer>> {
        fn target(object: &mut Object<'_>) -> Result<ValueTarget> {
            Ok(ValueTarget {
                selector: object.nested("selector", "Selector", selector)?,
                field_path: object.string("fieldPath")?,
                file_path_position: object.integer("filePathPosition")?,
            })
        }
        let (value, mut targets, path) = self.decode(|object| {
            Ok((
                object.string("value")?,
                object.list("targets", "Target", target)?,
                object.string("targetFilePath")?,
            ))
        })?;
        if !path.is_empty() {
            let content = self.loader.load(&path)?;
            targets.extend(read_document(&content, "Targets", LENIENT, |object| {
                object.list("targets", "Target", target)
            })?);
        }
        if targets.is_empty() {
            return Err(Error::new("must specify at least one target"));
        }
        for target in &targets {
            if target.field_path.is_empty() {
                return Err(Error::new("fieldPath cannot be empty"));
            }
            if target.file_path_position < 0 {
                return Err(Error::new(format!(
                    "value of FilePathPosition ({}) cannot be negative",
                    target.file_path_position
                )));
            }
        }
        let value = match value.trim() {
            "" => crate::path::base(self.loader.root()).to_owned(),
            value => value.to_owned(),
        };
        Ok(Some(Transformer::ValueAdd { value, targets }))
    }
}

/// Helm is never run here.
pub(crate) fn helm_refusal(options: &Options) -> Error {
    if options.enable_helm {
        Error::new("helm charts are not inflated here: render them first, or use a HelmRelease")
    } else {
        Error::new("must specify --enable-helm")
    }
}

/// Configures an entry of `patches`.
pub(crate) fn patch_transformer(loader: &Loader<'_>, patch: &Patch, config: &str) -> Result<Transformer> {
    let inline = patch.patch.trim();
    let (content, source) = match (inline.is_empty(), patch.path.is_empty()) {
        (true, true) => return Err(Error::new(format!("must specify one of patch and path in\n{config}"))),
        (false, false) => {
            return Err(Error::new(format!("patch and path can't be set at the same time\n{config}")));
        }
        (false, true) => (inline.as_bytes().to_vec(), format!("[patch: {inline:?}]")),
        (true, false) => {
            let content = loader
                .load(&patch.path)
                .with_context(|| format!("failed to get the patch file from path({})", patch.path))?;
            (content, format!("[path: {:?}]", patch.path))
        }
    };
    let strategic = read_resources(&content);
    let json = json_text(&content).and_then(|text| JsonPatch::parse(&text));
    let (strategic, json) = match (strategic, json) {
        (Ok(strategic), Ok(json)) if !strategic.is_empty() && !json.is_empty() => {
            return Err(Error::new(format!("illegally qualifies as both an SM and JSON patch: {source}")));
        }
        (Err(_), Err(_)) => {
            return Err(Error::new(format!("unable to parse SM or JSON patch from {source}")));
        }
        (Ok(mut patches), _) => {
            if let Some(options) = &patch.options {
                for patch in &mut patches {
                    crate::transform::note_options(
                        patch,
                        options.allow_name_change,
                        options.allow_kind_change,
                    )?;
                }
            }
            (Some(patches).filter(|patches| !patches.is_empty()), None)
        }
        (Err(_), Ok(json)) => (None, Some(json)),
    };
    Ok(Transformer::Patch(PatchTransformer { strategic, json, source, target: patch.target.clone() }))
}

/// The text of a file of operations: what looks like JSON may hold any bytes, as in Go.
fn json_text(content: &[u8]) -> Result<Cow<'_, str>> {
    if content.first() == Some(&b'[') {
        return Ok(String::from_utf8_lossy(content));
    }
    Ok(sluice_yaml::text(content)?)
}

/// Configures `patchesStrategicMerge`.
pub(crate) fn strategic_transformer(
    loader: &Loader<'_>,
    paths: &[String],
    inline: &str,
) -> Result<Transformer> {
    if paths.is_empty() && inline.is_empty() {
        return Err(Error::new("empty file path and empty patch content"));
    }
    let mut patches = Vec::new();
    for path in paths {
        match read_resources(path.as_bytes()) {
            Ok(found) => patches.extend(found),
            Err(_) => {
                let content = loader.load(path)?;
                patches.extend(read_resources(&content).map_err(|error| blame_file(error, path))?);
            }
        }
    }
    if !inline.is_empty() {
        patches.extend(read_resources(inline.as_bytes())?);
    }
    if patches.is_empty() {
        return Err(Error::new(format!(
            "patch appears to be empty; files=[{}], Patch={inline}",
            paths.join(" ")
        )));
    }
    Ok(Transformer::StrategicMerge(StrategicMergeTransformer { patches }))
}

/// Configures an entry of `patchesJson6902`.
pub(crate) fn json_transformer(
    loader: &Loader<'_>,
    target: Option<Selector>,
    path: &str,
    inline: &str,
) -> Result<Transformer> {
    // The reference crashes without a target.
    let Some(target) = target.filter(|target| !target.id.name.is_empty()) else {
        return Err(Error::new("must specify the target name"));
    };
    let text = match (path.is_empty(), inline.is_empty()) {
        (true, true) => return Err(Error::new("empty file path and empty jsonOp")),
        (false, false) => return Err(Error::new("must specify a file path or jsonOp, not both")),
        (true, false) => inline.to_owned(),
        (false, true) => {
            let content = loader.load(path)?;
            if content.is_empty() {
                return Err(Error::new(format!("patch file '{path}' empty seems to be empty")));
            }
            json_text(&content)?.into_owned()
        }
    };
    let patch = JsonPatch::parse(&text).with_context(|| format!("decoding {text}"))?;
    if patch.is_empty() {
        return Err(Error::new(format!("patch appears to be empty; file={path}, JsonOp=[]")));
    }
    Ok(Transformer::JsonPatch(JsonPatchTransformer { patch, target }))
}

/// Configures `replacements`: files are read in.
pub(crate) fn replacements(loader: &Loader<'_>, fields: Vec<ReplacementField>) -> Result<Transformer> {
    let mut result: Vec<Replacement> = Vec::new();
    for field in fields {
        if field.path.is_empty() {
            result.push(field.replacement);
            continue;
        }
        let inline = field.replacement.source.is_some()
            || field.replacement.targets.as_ref().is_some_and(|targets| !targets.is_empty());
        if inline {
            return Err(Error::new("cannot specify both path and inline replacement"));
        }
        let content = loader.load(&field.path)?;
        let value =
            sluice_yaml::read(&content).map_err(Error::from).context("error converting YAML to JSON")?;
        match &value {
            Value::Sequence(items) => {
                for item in items {
                    result.push(decode_value(item, "Replacement", LENIENT, replacement)?);
                }
            }
            Value::Mapping(_) => result.push(decode_value(&value, "Replacement", LENIENT, replacement)?),
            _ => {
                return Err(Error::new(
                    "unsupported replacement type encountered within replacement path: invalid",
                ));
            }
        }
    }
    Ok(Transformer::Replacements(result))
}

/// The text of a configuration, for errors.
pub(crate) fn describe(entries: Vec<(&str, Value)>) -> String {
    let map = entries
        .into_iter()
        .filter(|(_, value)| !value.is_null() && value.as_str() != Some(""))
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    sluice_yaml::write(&Value::Mapping(map)).unwrap_or_default()
}

/// A selector as a configuration shows it.
pub(crate) fn selector_value(selector: &Selector) -> Value {
    let members = [
        ("group", selector.id.gvk.group.as_str()),
        ("version", selector.id.gvk.version.as_str()),
        ("kind", selector.id.gvk.kind.as_str()),
        ("name", selector.id.name.as_str()),
        ("namespace", selector.id.namespace.as_str()),
        ("annotationSelector", &selector.annotations),
        ("labelSelector", &selector.labels),
    ];
    Value::Mapping(
        members
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| (key.to_owned(), Value::from(value)))
            .collect(),
    )
}

/// Whether a label that validators may add is the only difference.
pub(crate) fn without_validation_label(resource: &Resource) -> Option<Resource> {
    const LABEL: &str = "validated-by";
    let labels = resource.metadata_map("labels");
    if !labels.iter().any(|(key, _)| key == LABEL) {
        return None;
    }
    let mut copy = resource.clone();
    let rest: Vec<_> = labels.into_iter().filter(|(key, _)| key != LABEL).collect();
    copy.set_metadata_map("labels", rest).ok()?;
    debug_assert!(tree::field(&copy.node, "metadata").is_some());
    Some(copy)
}

//! Accumulation: the resources of a kustomization and of all that it names, transformed in order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_yaml::Value;

use crate::config::{TransformerConfig, crds, merging};
use crate::error::{Context as _, Error, Kind, Result};
use crate::fieldspec::{FieldSpec, merge_all, merge_one};
use crate::generators::{Generated, generate};
use crate::id::ResId;
use crate::kustomization::{GeneratorArgs, GeneratorOptions, Kustomization, Label, Var};
use crate::loader::{Loader, blame_file};
use crate::options::Options;
use crate::origin::{Origin, add_origin, add_transformation, annotate_file, set_origin};
use crate::plugins::{self, Plugin};
use crate::reading::read_map;
use crate::resource::{Resource, ResourceMap};
use crate::scope::Scopes;
use crate::seen::SeenIds;
use crate::state::SchemaState;
use crate::transform::{self, NamespaceTransformer, SubjectMode, Surroundings, Transformer};
use crate::tree;
use crate::warning::Warning;

/// What all directories of a build share.
pub(crate) struct Build<'b> {
    pub(crate) options: &'b Options,
    pub(crate) schema: SchemaState,
    pub(crate) warnings: RefCell<Vec<Warning>>,
    directories: Cell<usize>,
}

/// More directories than this are no honest build.
const MAX_DIRECTORIES: usize = 20_000;
/// Bases of bases.
const MAX_DEPTH: usize = 64;

impl<'b> Build<'b> {
    pub(crate) fn new(options: &'b Options) -> Self {
        Self {
            options,
            schema: SchemaState::new(options.custom_schema),
            warnings: RefCell::default(),
            directories: Cell::new(0),
        }
    }

    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            schema: &self.schema,
            null_deletes_metadata: self.options.null_deletes_metadata,
            refuse_keyless: self.options.refuse_keyless_elements,
        }
    }
}

/// Resources with the configuration and vars that came with them.
#[derive(Default)]
pub(crate) struct Accumulator {
    pub(crate) map: ResourceMap,
    pub(crate) config: Option<Arc<TransformerConfig>>,
    pub(crate) vars: BTreeMap<String, Var>,
}

impl Accumulator {
    fn merge_config(&mut self, incoming: Arc<TransformerConfig>) -> Result<()> {
        match &mut self.config {
            // The built-in one is as it is after being merged into an empty one.
            None if Arc::ptr_eq(&incoming, TransformerConfig::builtin()) => {
                self.config = Some(incoming);
                Ok(())
            }
            // Adding a configuration to itself changes nothing.
            Some(known) if Arc::ptr_eq(known, &incoming) => Ok(()),
            // Even an empty list takes up less than it is given: specific fields hide the same for all kinds.
            known => {
                let known = known.get_or_insert_default();
                Arc::make_mut(known).merge(Arc::unwrap_or_clone(incoming)).map_err(merging)
            }
        }
    }

    fn add_var(&mut self, var: Var) -> Result<()> {
        if self.vars.contains_key(&var.name) {
            return Err(Error::new(format!("var '{}' already encountered", var.name)));
        }
        self.vars.insert(var.name.clone(), var);
        Ok(())
    }

    fn absorb_accumulator(&mut self, other: Self, seen: &mut SeenIds) -> Result<()> {
        self.map.append_seen(other.map, seen)?;
        if let Some(config) = other.config {
            self.merge_config(config)?;
        }
        other.vars.into_values().try_for_each(|var| self.add_var(var))
    }

    /// Notes which resources the vars mean.
    fn register_vars(&mut self, vars: &[Var], scopes: &Scopes) -> Result<()> {
        for var in vars {
            let gvk = &var.id.gvk;
            let cluster_scoped = scopes.is_cluster_scoped(&gvk.api_version(), &gvk.kind);
            let wanted = ResId { cluster_scoped, ..var.id.clone() };
            let by_namespace = !wanted.namespace.is_empty() || cluster_scoped;
            let matches = |id: &ResId| {
                if by_namespace { wanted.equals(id) } else { wanted.name == id.name && wanted.gvk == id.gvk }
            };
            let found: Vec<usize> = (0..self.map.resources.len())
                .filter(|at| {
                    let resource = &self.map.resources[*at];
                    !resource.is_empty() && resource.any_ids().iter().any(&matches)
                })
                .collect();
            match found.as_slice() {
                [] => {}
                [one] => self.map.resources[*one].variables.push(var.name.clone()),
                many => {
                    return Err(Error::new(format!(
                        "found {} resId matches for var {} (unable to disambiguate)",
                        many.len(),
                        transform::describe_var(var)
                    )));
                }
            }
        }
        vars.iter().cloned().try_for_each(|var| self.add_var(var))
    }
}

/// One directory being built.
pub(crate) struct Target<'t> {
    build: &'t Build<'t>,
    loader: Loader<'t>,
    pub(crate) kustomization: Kustomization,
    file: &'static str,
    origin: Option<Origin>,
    build_metadata: Vec<String>,
    depth: usize,
}

impl<'t> Target<'t> {
    /// Reads the kustomization file of a directory.
    pub(crate) fn load(build: &'t Build<'t>, loader: Loader<'t>, depth: usize) -> Result<Self> {
        let (content, file) = loader.kustomization_file()?;
        let kustomization = Kustomization::parse(&content, loader.root(), &mut build.warnings.borrow_mut())
            .map_err(|error| {
            let decoding = error.message().starts_with("invalid Kustomization: ");
            if decoding { error.in_file(loader.locate(file)) } else { error }
        })?;
        let build_metadata = kustomization.build_metadata.clone();
        Ok(Self { build, loader, kustomization, file, origin: None, build_metadata, depth })
    }

    fn set_schema(&self, is_root: bool) -> Result<()> {
        let openapi = &self.kustomization.openapi;
        let content = match openapi.get("path") {
            Some(path) => Some(self.loader.load(path)?),
            None => None,
        };
        self.build.schema.set(openapi.get("version").map(String::as_str), content, is_root)
    }

    /// Builds the root.
    pub(crate) fn build_root(mut self) -> Result<(ResourceMap, Kustomization)> {
        self.set_schema(true)?;
        if !self.build_metadata.is_empty() {
            self.origin = Some(Origin::default());
        }
        let mut accumulator = self.accumulate(Accumulator::default())?;
        Transformer::Hash.run(&mut accumulator.map, &self.build.surroundings())?;
        if let Some(config) = &accumulator.config {
            transform::update_references(&mut accumulator.map, &config.name_reference)?;
            transform::resolve_variables(
                &mut accumulator.map,
                &accumulator.vars,
                &config.var_reference,
                &mut self.build.warnings.borrow_mut(),
            )?;
        }
        drop_local(&mut accumulator.map)?;
        Ok((accumulator.map, self.kustomization))
    }

    fn accumulate(&mut self, accumulator: Accumulator) -> Result<Accumulator> {
        let resources = std::mem::take(&mut self.kustomization.resources);
        let mut accumulator =
            self.accumulate_resources(accumulator, &resources).context("accumulating resources")?;
        let scopes = self.build.schema.scopes();
        if !scopes.is_builtin() {
            // The schema may have come with a base, after other resources.
            accumulator.map.set_scopes(&scopes);
        }
        accumulator.merge_config(self.own_config()?)?;
        for path in &self.kustomization.crds {
            let content = self.loader.load(path).with_context(|| self.loading_crds())?;
            let config = crds::parse(path, &content).with_context(|| self.loading_crds())?;
            accumulator.merge_config(Arc::new(config))?;
        }
        self.run_generators(&mut accumulator)?;
        let components = std::mem::take(&mut self.kustomization.components);
        let mut accumulator =
            self.accumulate_components(accumulator, &components).context("accumulating components")?;
        self.run_transformers(&mut accumulator)?;
        self.run_validators(&mut accumulator)?;
        accumulator.register_vars(&self.kustomization.vars, &self.build.schema.scopes()).with_context(
            || {
                let vars: Vec<String> = self.kustomization.vars.iter().map(transform::describe_var).collect();
                format!("merging vars [{}]", vars.join(" "))
            },
        )?;
        Ok(accumulator)
    }

    fn loading_crds(&self) -> String {
        format!("loading CRDs [{}]", self.kustomization.crds.join(" "))
    }

    fn own_config(&self) -> Result<Arc<TransformerConfig>> {
        if self.kustomization.configurations.is_empty() {
            return Ok(TransformerConfig::builtin().clone());
        }
        let mut added = TransformerConfig::default();
        for path in &self.kustomization.configurations {
            let config = TransformerConfig::parse(&self.loader.load(path)?);
            added.merge(config.map_err(|error| error.in_file(path))?)?;
        }
        let mut config = TransformerConfig::clone(TransformerConfig::builtin());
        config.merge(added)?;
        Ok(Arc::new(config))
    }

    fn accumulate_resources(
        &mut self,
        mut accumulator: Accumulator,
        paths: &[String],
    ) -> Result<Accumulator> {
        let mut seen = SeenIds::default();
        for path in paths {
            let Err(file_error) = self.accumulate_file(&mut accumulator, path, &mut seen) else {
                self.check_size(&accumulator)?;
                continue;
            };
            if file_error.kind() == Kind::Http {
                return Err(file_error);
            }
            let loader = match self.loader.child(path) {
                Ok(loader) => loader,
                Err(error) if file_error.is_malformed_yaml() && error.kind() != Kind::Timeout => {
                    return Err(file_error);
                }
                Err(error) => return Err(error.prefixed(format!("accumulation err='{file_error}'"))),
            };
            let origin = self.origin.as_ref().map(|origin| origin.append(path));
            self.accumulate_directory(&mut accumulator, loader, origin, &mut seen)
                .with_context(|| format!("accumulation err='{file_error}'"))?;
            self.check_size(&accumulator)?;
        }
        Ok(accumulator)
    }

    fn check_size(&self, accumulator: &Accumulator) -> Result<()> {
        match self.build.options.max_resources {
            Some(limit) if accumulator.map.resources.len() > limit => {
                Err(Error::new(format!("the build has more than {limit} resources")))
            }
            _ => Ok(()),
        }
    }

    fn accumulate_components(
        &mut self,
        mut accumulator: Accumulator,
        paths: &[String],
    ) -> Result<Accumulator> {
        for path in paths {
            let loader = self
                .loader
                .child(path)
                .map_err(|error| Error::new(format!("loader.New {:?}", error.message())))?;
            let origin = self.origin.as_ref().map(|origin| origin.append(path));
            let root = loader.root().to_owned();
            accumulator = self
                .directory(loader, origin, true)
                .and_then(|mut child| child.accumulate(accumulator).with_context(|| recursed(&root)))
                .map_err(|error| Error::new(format!("accumulateDirectory: {:?}", error.message())))?;
        }
        Ok(accumulator)
    }

    fn accumulate_directory(
        &self,
        accumulator: &mut Accumulator,
        loader: Loader<'t>,
        origin: Option<Origin>,
        seen: &mut SeenIds,
    ) -> Result<()> {
        let root = loader.root().to_owned();
        let mut child = self.directory(loader, origin, false)?;
        let inner = child.accumulate(Accumulator::default()).with_context(|| recursed(&root))?;
        accumulator
            .absorb_accumulator(inner, seen)
            .with_context(|| format!("recursed merging from path '{root}'"))
    }

    /// The target of another directory that this one names.
    fn directory(&self, loader: Loader<'t>, origin: Option<Origin>, is_component: bool) -> Result<Self> {
        let root = loader.root().to_owned();
        let visited = self.build.directories.get() + 1;
        self.build.directories.set(visited);
        if visited > MAX_DIRECTORIES || self.depth >= MAX_DEPTH {
            return Err(Error::new(format!("too many directories: '{root}' is not built any more")));
        }
        let mut child = Self::load(self.build, loader, self.depth + 1)
            .with_context(|| format!("couldn't make target for path '{root}'"))?;
        child.build_metadata.clone_from(&self.build_metadata);
        child.origin = origin;
        child.set_schema(false)?;
        if is_component != child.kustomization.is_component() {
            return Err(Error::new(if is_component {
                format!("expected kind 'Component' for path '{root}' but got '{}'", child.kustomization.kind)
            } else {
                format!("expected kind != 'Component' for path '{root}'")
            }));
        }
        Ok(child)
    }

    fn accumulate_file(&self, accumulator: &mut Accumulator, path: &str, seen: &mut SeenIds) -> Result<()> {
        let read = || -> Result<ResourceMap> {
            let content = self.loader.load(path)?;
            read_map(&content).map_err(|error| blame_file(error, path))
        };
        let mut map = read().with_context(|| format!("accumulating resources from '{path}'"))?;
        map.set_scopes(&self.build.schema.scopes());
        let file: Arc<str> = self.loader.locate(path).into();
        for resource in &mut map.resources {
            resource.file = Some(file.clone());
            self.build.schema.note_kind(&resource.api_version(), &resource.kind());
        }
        if let Some(origin) = &self.origin {
            annotate_file(&mut map, &origin.append(path))
                .with_context(|| format!("cannot add path annotation for '{path}'"))?;
        }
        accumulator.map.append_seen(map, seen).with_context(|| format!("merging resources from '{path}'"))
    }

    fn run_generators(&mut self, accumulator: &mut Accumulator) -> Result<()> {
        let global = self.kustomization.generator_options.clone();
        let lists = [
            (
                Generated::ConfigMap,
                "ConfigMapGenerator",
                std::mem::take(&mut self.kustomization.config_map_generator),
            ),
            (Generated::Secret, "SecretGenerator", std::mem::take(&mut self.kustomization.secret_generator)),
        ];
        if let Some(chart) = self.kustomization.helm_charts.first() {
            let error = plugins::helm_refusal(self.build.options);
            return Err(trouble("HelmChartInflationGenerator", chart, error));
        }
        // All plugins are configured before the first generator runs.
        let generators = std::mem::take(&mut self.kustomization.generators);
        let external =
            self.load_plugins(&generators, "failed to load generator").context("loading generator plugins");
        for (what, name, all) in lists {
            for args in all {
                let options = GeneratorOptions::merged(args.options.clone(), global.as_ref());
                let mut resource = generate(&self.loader, &GeneratorArgs { options, ..args }, what)?;
                if let Some(origin) = &self.origin {
                    add_origin(&mut resource, &origin.builtin(self.file, name))?;
                }
                accumulator.map.absorb(resource).with_context(|| format!("merging from generator {name}"))?;
            }
        }
        for (config, plugin) in external? {
            let Plugin::Generator(map) = plugin else {
                return Err(Error::new(format!(
                    "loading generator plugins: failed to load generator: plugin {} not a generator",
                    config.original_id()
                )));
            };
            let origin = Origin::plugin(&config);
            for mut resource in map.resources {
                if let Some(origin) = &origin {
                    add_origin(&mut resource, origin)?;
                }
                accumulator
                    .map
                    .absorb(resource)
                    .with_context(|| format!("merging from generator {}", config.original_id()))?;
            }
        }
        Ok(())
    }

    /// Plugin configurations, inline or from files and directories, with what they configure.
    fn load_plugins(&mut self, entries: &[String], failure: &str) -> Result<Vec<(Resource, Plugin)>> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let mut accumulator = Accumulator::default();
        let mut paths = Vec::new();
        for entry in entries {
            match read_map(entry.as_bytes()) {
                Ok(mut map) => {
                    if let Some(origin) = &self.origin {
                        let origin = origin.append(self.file);
                        for resource in &mut map.resources {
                            set_origin(resource, &origin)?;
                        }
                    }
                    accumulator.map.append_all(map).context("configuring external plugin")?;
                }
                Err(_) => paths.push(entry.clone()),
            }
        }
        let accumulator = self.accumulate_resources(accumulator, &paths)?;
        accumulator
            .map
            .resources
            .into_iter()
            .map(|config| {
                let plugin = plugins::load(&self.loader, &config, self.build.options)
                    .map_err(|error| if failure.is_empty() { error } else { error.prefixed(failure) })?;
                Ok((config, plugin))
            })
            .collect()
    }

    fn load_transformers(&mut self, entries: &[String]) -> Result<Vec<(Transformer, Option<Origin>)>> {
        self.load_plugins(entries, "")?
            .into_iter()
            .map(|(config, plugin)| match plugin {
                Plugin::Transformer(transformer) => Ok((transformer, Origin::plugin(&config))),
                Plugin::Generator(_) => {
                    Err(Error::new(format!("plugin {} not a transformer", config.original_id())))
                }
            })
            .collect()
    }

    fn run_transformers(&mut self, accumulator: &mut Accumulator) -> Result<()> {
        let config = accumulator.config.clone().unwrap_or_default();
        let mut transformers: Vec<(Transformer, Option<Origin>)> = self
            .builtin_transformers(&config)?
            .into_iter()
            .map(|(name, transformer)| {
                (transformer, self.origin.as_ref().map(|origin| origin.builtin(self.file, name)))
            })
            .collect();
        let entries = std::mem::take(&mut self.kustomization.transformers);
        transformers.extend(self.load_transformers(&entries)?);
        for (transformer, origin) in &transformers {
            transformer.run(&mut accumulator.map, &self.build.surroundings())?;
            if let Some(origin) = origin {
                add_transformation(&mut accumulator.map, origin)?;
            }
            accumulator.map.drop_empty();
        }
        Ok(())
    }

    fn run_validators(&mut self, accumulator: &mut Accumulator) -> Result<()> {
        let entries = std::mem::take(&mut self.kustomization.validators);
        for (validator, _) in self.load_transformers(&entries)? {
            let mut changed = accumulator.map.clone();
            validator.run(&mut changed, &self.build.surroundings())?;
            let modified =
                |reason: String| Error::new(format!("validator shouldn't modify the resource map: {reason}"));
            if changed.resources.len() != accumulator.map.resources.len() {
                return Err(modified("lists have different number of entries".to_owned()));
            }
            for (before, after) in accumulator.map.resources.iter().zip(&changed.resources) {
                let cleaned = plugins::without_validation_label(after);
                let after = cleaned.as_ref().unwrap_or(after);
                // The reference compares nodes, not texts: what a validator has written anew is a change.
                if !tree::is_same(&before.node, &after.node) {
                    return Err(modified(format!("nodes unequal: {}", before.id())));
                }
            }
            accumulator.map = changed;
        }
        Ok(())
    }

    fn builtin_transformers(&self, config: &TransformerConfig) -> Result<Vec<(&'static str, Transformer)>> {
        let kustomization = &self.kustomization;
        let mut result = Vec::new();
        if !kustomization.patches_strategic_merge.is_empty() {
            let paths = &kustomization.patches_strategic_merge;
            let text = || {
                let paths = paths.iter().map(|path| Value::from(path.as_str())).collect();
                plugins::describe(vec![("paths", Value::Sequence(paths))])
            };
            const NAME: &str = "PatchStrategicMergeTransformer";
            let transformer = plugins::strategic_transformer(&self.loader, paths, "")
                .map_err(|error| trouble(NAME, &text(), error))?;
            result.push((NAME, transformer));
        }
        for patch in &kustomization.patches {
            const NAME: &str = "PatchTransformer";
            let text = plugins::describe(vec![
                ("options", patch_options_value(patch.options.as_ref())),
                ("patch", Value::from(patch.patch.as_str())),
                ("path", Value::from(patch.path.as_str())),
                ("target", patch.target.as_ref().map_or(Value::Null, plugins::selector_value)),
            ]);
            let transformer = plugins::patch_transformer(&self.loader, patch, &text)
                .map_err(|error| trouble(NAME, &text, error))?;
            result.push((NAME, transformer));
        }
        if !kustomization.namespace.is_empty() {
            result.push((
                "NamespaceTransformer",
                Transformer::Namespace(NamespaceTransformer {
                    namespace: kustomization.namespace.clone(),
                    specs: config.namespace.clone(),
                    unset_only: false,
                    subjects: SubjectMode::DefaultOnly,
                }),
            ));
        }
        if !kustomization.name_prefix.is_empty() {
            let prefix = kustomization.name_prefix.clone();
            result.push((
                "PrefixTransformer",
                Transformer::Prefix { prefix, specs: config.name_prefix.clone() },
            ));
        }
        if !kustomization.name_suffix.is_empty() {
            let suffix = kustomization.name_suffix.clone();
            result.push((
                "SuffixTransformer",
                Transformer::Suffix { suffix, specs: config.name_suffix.clone() },
            ));
        }
        if !kustomization.labels.is_empty() || !kustomization.common_labels.is_empty() {
            for label in &kustomization.labels {
                let specs = label_specs(label, config).context("failed to merge labels")?;
                result.push(("LabelTransformer", Transformer::Labels { labels: label.pairs.clone(), specs }));
            }
            let labels = kustomization.common_labels.clone();
            result.push((
                "LabelTransformer",
                Transformer::Labels { labels, specs: config.common_labels.clone() },
            ));
        }
        if !kustomization.common_annotations.is_empty() {
            let annotations = kustomization.common_annotations.clone();
            let specs = config.common_annotations.clone();
            result.push(("AnnotationsTransformer", Transformer::Annotations { annotations, specs }));
        }
        for patch in &kustomization.patches_json6902 {
            const NAME: &str = "PatchJson6902Transformer";
            let text = plugins::describe(vec![
                ("jsonOp", Value::from(patch.patch.as_str())),
                ("path", Value::from(patch.path.as_str())),
                ("target", patch.target.as_ref().map_or(Value::Null, plugins::selector_value)),
            ]);
            let transformer =
                plugins::json_transformer(&self.loader, patch.target.clone(), &patch.path, &patch.patch)
                    .map_err(|error| trouble(NAME, &text, error))?;
            result.push((NAME, transformer));
        }
        for replica in &kustomization.replicas {
            let specs = config.replicas.clone();
            result
                .push(("ReplicaCountTransformer", Transformer::Replicas { replica: replica.clone(), specs }));
        }
        for image in &kustomization.images {
            let specs = config.images.clone();
            result.push(("ImageTagTransformer", Transformer::Images { image: image.clone(), specs }));
        }
        if !kustomization.replacements.is_empty() {
            const NAME: &str = "ReplacementTransformer";
            let transformer = plugins::replacements(&self.loader, kustomization.replacements.clone())
                .map_err(|error| {
                    let paths = kustomization.replacements.iter().map(|entry| entry.path.as_str());
                    let files: Vec<&str> = paths.filter(|path| !path.is_empty()).collect();
                    let config = match files.as_slice() {
                        [] => String::new(),
                        files => format!("Replacements:\n- path: {}\n", files.join("\n- path: ")),
                    };
                    trouble(NAME, &config, error)
                })?;
            result.push((NAME, transformer));
        }
        Ok(result)
    }
}

fn recursed(root: &str) -> String {
    format!("recursed accumulation of path '{root}'")
}

fn trouble(name: &str, config: &str, error: Error) -> Error {
    error.prefixed(format!("trouble configuring builtin {name} with config: `\n{config}`"))
}

fn patch_options_value(options: Option<&crate::kustomization::PatchOptions>) -> Value {
    let Some(options) = options else { return Value::Null };
    let members =
        [("allowKindChange", options.allow_kind_change), ("allowNameChange", options.allow_name_change)];
    Value::Mapping(
        members
            .into_iter()
            .filter(|(_, set)| *set)
            .map(|(key, _)| (key.to_owned(), Value::Bool(true)))
            .collect(),
    )
}

fn label_specs(label: &Label, config: &TransformerConfig) -> Result<Vec<FieldSpec>> {
    let mut specs = label.fields.clone();
    merge_all(&mut specs, &config.labels)?;
    if label.include_selectors {
        merge_all(&mut specs, &config.common_labels)?;
        return Ok(specs);
    }
    if label.include_templates {
        merge_all(&mut specs, &config.template_labels).context("failed to merge template fieldSpec")?;
    }
    let own = FieldSpec { path: "metadata/labels".into(), create: true, ..FieldSpec::default() };
    merge_one(&mut specs, &own)?;
    Ok(specs)
}

/// Drops resources that are only for the build itself.
fn drop_local(map: &mut ResourceMap) -> Result<()> {
    const KEY: &str = "config.kubernetes.io/local-config";
    map.resources.retain(|resource| !resource.is_empty());
    for resource in &map.resources {
        crate::reading::check_metadata(&resource.node)?;
    }
    map.resources.retain(|resource| {
        let local = resource.annotations().and_then(|annotations| tree::field(annotations, KEY));
        local.is_none_or(|value| tree::text(value) == "false")
    });
    map.check_unique()
}

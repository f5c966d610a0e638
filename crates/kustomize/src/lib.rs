//! `kustomize build` as a library: what kustomize 5.8.1 prints, byte for byte, without a cluster.
//!
//! Enter at [`build`]. Files come from a [`FileSystem`], remote bases from a [`Remote`] that the caller provides.
//! There are no globals: builds run in parallel. Hostile input ends in an [`Error`] within set limits.
//! Nothing here starts a program: helm charts, exec and container plugins are refused.

mod blame;
mod config;
mod decode;
mod error;
mod fieldspec;
mod fs;
mod generators;
mod hash;
mod id;
mod jsonpatch;
mod kustomization;
mod loader;
mod merge;
mod options;
mod origin;
mod path;
mod plugins;
mod positions;
mod reading;
mod remote;
mod resource;
mod schema;
mod scope;
mod seen;
mod selector;
mod sort;
mod state;
mod target;
mod transform;
mod tree;
mod value;
mod warning;

pub use error::{Error, Kind};
pub use fs::{DiskFileSystem, FileSystem, MemoryFileSystem, Place, read_file};
pub use options::{CustomSchema, LoadRestriction, Options, Reorder};
pub use remote::{Remote, RepositorySpec};
pub use schema::MergeType;
pub use warning::Warning;

use sluice_yaml::Value;

use crate::loader::Loader;
use crate::resource::{Resource, ResourceMap};
use crate::target::{Build, Target};

/// The result of a build: resources in the order of the output.
#[derive(Debug)]
pub struct Output {
    resources: Vec<Object>,
    warnings: Vec<Warning>,
}

/// One resource of the result.
#[derive(Debug)]
pub struct Object {
    resource: Resource,
}

/// The version of kustomize whose output this is.
pub const KUSTOMIZE_VERSION: &str = "v5.8.1";

/// Builds the kustomization in a directory, or in a remote repository if `remote` is there to fetch it.
pub fn build(
    files: &dyn FileSystem,
    remote: Option<&dyn Remote>,
    target: &str,
    options: &Options,
) -> Result<Output, Error> {
    let mut warnings = Vec::new();
    let output = build_with_warnings(files, remote, target, options, &mut warnings)?;
    Ok(Output { warnings, ..output })
}

/// Like [`build()`], with the warnings also of a build that fails; the output has none then.
pub fn build_with_warnings(
    files: &dyn FileSystem,
    remote: Option<&dyn Remote>,
    target: &str,
    options: &Options,
    warnings: &mut Vec<Warning>,
) -> Result<Output, Error> {
    let build = Build::new(options);
    let output = run(&build, files, remote, target);
    warnings.append(&mut build.warnings.borrow_mut());
    output
}

fn run(
    build: &Build<'_>,
    files: &dyn FileSystem,
    remote: Option<&dyn Remote>,
    target: &str,
) -> Result<Output, Error> {
    let options = build.options;
    let loader = Loader::new(files, remote, options.load_restriction, target)?;
    let (mut map, kustomization) = Target::load(build, loader, 0)?.build_root()?;
    match (&kustomization.sort_options, options.reorder) {
        (Some(sort_options), _) => sort::sort(&mut map, Some(sort_options))?,
        (None, Reorder::Legacy) => sort::sort(&mut map, None)?,
        (None, Reorder::None) => {}
    }
    build.schema.finish()?;
    let asked = |what: &str| kustomization.build_metadata.iter().any(|asked| asked == what);
    if options.managed_by_label || asked("managedByLabel") {
        label_managed(&mut map, build)?;
    }
    for resource in &mut map.resources {
        resource.finish(asked("originAnnotations"), asked("transformerAnnotations"))?;
    }
    let resources = map.resources.into_iter().map(|resource| Object { resource }).collect();
    Ok(Output { resources, warnings: Vec::new() })
}

fn label_managed(map: &mut ResourceMap, build: &Build<'_>) -> Result<(), Error> {
    let labels =
        [("app.kubernetes.io/managed-by".to_owned(), format!("kustomize-{KUSTOMIZE_VERSION}"))].into();
    let specs =
        vec![fieldspec::FieldSpec { path: "metadata/labels".into(), create: true, ..Default::default() }];
    transform::Transformer::Labels { labels, specs }.run(map, &build.surroundings())
}

impl Output {
    /// The resources.
    pub fn resources(&self) -> &[Object] {
        &self.resources
    }

    /// What kustomize prints on standard error.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The resources, to use up one by one.
    pub fn into_resources(self) -> Vec<Object> {
        self.resources
    }

    /// All resources as one YAML stream, cut into pieces of some kilobytes. Resources are given up as they are printed, so
    /// that text and trees of a large build are not in memory together.
    pub fn into_yaml(self) -> Result<Vec<String>, Error> {
        const PIECE: usize = 16 << 10;
        let mut pieces = Vec::new();
        let mut piece = String::with_capacity(PIECE);
        for (at, object) in self.resources.into_iter().enumerate() {
            if at > 0 {
                piece.push_str("---\n");
            }
            object.append_yaml(&mut piece)?;
            if piece.len() > PIECE / 8 * 7 {
                piece.shrink_to_fit();
                pieces.push(std::mem::replace(&mut piece, String::with_capacity(PIECE)));
            }
        }
        pieces.push(piece);
        Ok(pieces)
    }

    /// All resources as one YAML stream.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let mut out = String::new();
        for (at, object) in self.resources.iter().enumerate() {
            if at > 0 {
                out.push_str("---\n");
            }
            object.append_yaml(&mut out)?;
        }
        Ok(out)
    }
}

impl Object {
    /// The group and version, as written.
    pub fn api_version(&self) -> String {
        self.resource.api_version().to_string()
    }

    /// The kind.
    pub fn kind(&self) -> String {
        self.resource.kind().to_string()
    }

    /// The name.
    pub fn name(&self) -> String {
        self.resource.name().to_string()
    }

    /// The namespace; empty if there is none.
    pub fn namespace(&self) -> String {
        self.resource.namespace().to_string()
    }

    /// The whole object.
    pub fn to_value(&self) -> Result<Value, Error> {
        value::resource_value(&self.resource.node).map_err(|error| self.blamed(error))
    }

    /// The object as YAML.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let mut out = String::new();
        self.append_yaml(&mut out)?;
        Ok(out)
    }

    /// The whole object, and as YAML.
    pub fn to_value_and_yaml(&self) -> Result<(Value, String), Error> {
        let value = self.to_value()?;
        let mut out = String::new();
        self.append_value(&value, &mut out)?;
        Ok((value, out))
    }

    fn append_yaml(&self, out: &mut String) -> Result<(), Error> {
        self.append_value(&self.to_value()?, out)
    }

    fn append_value(&self, value: &Value, out: &mut String) -> Result<(), Error> {
        sluice_yaml::write::write_tree(value, out).map_err(|error| self.blamed(error.into()))
    }

    /// The error with object, file and field. The reference shows the whole object, Secrets too.
    fn blamed(&self, error: Error) -> Error {
        let (field, line) = blame::field_at_fault(&self.resource.node);
        let mut place = self.resource.id().to_string();
        if !field.is_empty() {
            place.push_str(&format!(" field '{field}'"));
        }
        if let Some(file) = &self.resource.file {
            place.push_str(&format!(" in File: {file}"));
            if let Some(line) = line {
                place.push_str(&format!(" line {line}"));
            }
        }
        error.prefixed(place)
    }
}

//! Where resources came from and what changed them.

use sluice_yaml::write::{to_node, write_node};
use sluice_yaml::{Node, Value};

use crate::error::Result;
use crate::path::join;
use crate::remote::RepositorySpec;
use crate::resource::{ORIGIN, Resource, ResourceMap, TRANSFORMATIONS};
use crate::tree;

/// One step of a resource's history.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Origin {
    pub(crate) path: String,
    pub(crate) repository: String,
    pub(crate) reference: String,
    pub(crate) configured_in: String,
    pub(crate) configured_by: Configurer,
}

/// The configuration of a plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Configurer {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl Origin {
    /// The origin of something that a path leads to from here.
    pub(crate) fn append(&self, path: &str) -> Self {
        let mut result = self.clone();
        if let Some(spec) = RepositorySpec::parse(path) {
            result.repository = spec.url;
            result.reference = spec.reference;
            // What the reference calls the root of a repository here, by a slip.
            let root = "notCloned";
            result.path = if spec.path.is_empty() { root.to_owned() } else { crate::path::clean(&spec.path) };
            return result;
        }
        result.path = join(&result.path, path);
        result
    }

    /// What a field of the kustomization file configured.
    pub(crate) fn builtin(&self, file: &str, kind: &str) -> Self {
        Self {
            path: String::new(),
            repository: self.repository.clone(),
            reference: self.reference.clone(),
            configured_in: join(&self.path, file),
            configured_by: Configurer {
                api_version: "builtin".into(),
                kind: kind.into(),
                ..Configurer::default()
            },
        }
    }

    /// What a plugin configuration configured; nothing if it is not known where that came from.
    pub(crate) fn plugin(config: &Resource) -> Option<Self> {
        let annotations = config.metadata_map("annotations");
        let text = annotations.iter().find(|(key, _)| key == ORIGIN).map(|(_, value)| value)?;
        let value = sluice_yaml::read(text.as_str()).ok()?;
        let member = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        Some(Self {
            path: String::new(),
            repository: member("repo"),
            reference: member("ref"),
            configured_in: member("path"),
            configured_by: Configurer {
                api_version: config.api_version().to_string(),
                kind: config.kind().to_string(),
                name: config.name().to_string(),
                namespace: config.namespace().to_string(),
            },
        })
    }

    fn to_node(&self) -> Node {
        let entry = |key: &str, value: &str| {
            (!value.is_empty()).then(|| (tree::key(key), to_node(&Value::from(value))))
        };
        let by = &self.configured_by;
        let configurer: Vec<(Node, Node)> = [
            entry("apiVersion", &by.api_version),
            entry("kind", &by.kind),
            entry("name", &by.name),
            entry("namespace", &by.namespace),
        ]
        .into_iter()
        .flatten()
        .collect();
        let mut entries: Vec<(Node, Node)> = [
            entry("path", &self.path),
            entry("repo", &self.repository),
            entry("ref", &self.reference),
            entry("configuredIn", &self.configured_in),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !configurer.is_empty() {
            entries.push((tree::key("configuredBy"), Node::Mapping(configurer.into())));
        }
        Node::Mapping(entries.into())
    }

    fn text(&self) -> String {
        write_node(&self.to_node())
    }
}

/// Sets an origin; annotations become strings.
pub(crate) fn set_origin(resource: &mut Resource, origin: &Origin) -> Result<()> {
    let origin = vec![(ORIGIN.into(), origin.text().into())];
    let annotations = crate::resource::union(resource.metadata_map("annotations"), origin);
    resource.set_metadata_map("annotations", annotations)
}

/// The origin of all resources of a file, as one more annotation.
pub(crate) fn annotate_file(map: &mut ResourceMap, origin: &Origin) -> Result<()> {
    let text = origin.text();
    for resource in &mut map.resources {
        let mut writes = tree::Writes::default();
        let path = ["metadata", "annotations"];
        if let Some(metadata) = tree::field_mut(&mut resource.node, path[0])
            && let Some(annotations) = tree::field_mut(metadata, path[1])
            && tree::is_null(annotations)
        {
            *annotations = Node::Mapping(Vec::new().into());
        }
        let path = ["metadata", "annotations", ORIGIN];
        tree::set_map_field(&mut resource.node, &path, tree::string(text.as_str()), &mut writes)?;
    }
    Ok(())
}

/// The origin of what a generator made, unless it is known.
pub(crate) fn add_origin(resource: &mut Resource, origin: &Origin) -> Result<()> {
    if resource.metadata_map("annotations").iter().any(|(key, _)| key == ORIGIN) {
        return Ok(());
    }
    set_origin(resource, origin)
}

/// Notes a transformer on all resources.
pub(crate) fn add_transformation(map: &mut ResourceMap, origin: &Origin) -> Result<()> {
    let item = write_node(&Node::Sequence(vec![origin.to_node()].into()));
    for resource in &mut map.resources {
        let annotations = resource.metadata_map("annotations");
        if !annotations.iter().any(|(key, _)| key == ORIGIN) {
            set_origin(resource, origin)?;
            continue;
        }
        let known = annotations
            .iter()
            .find(|(key, _)| key == TRANSFORMATIONS)
            .map_or("", |(_, value)| value.as_str());
        let text = format!("{known}{item}");
        let annotations =
            crate::resource::union(annotations.clone(), vec![(TRANSFORMATIONS.into(), text.into())]);
        resource.set_metadata_map("annotations", annotations)?;
    }
    Ok(())
}

//! Names, tags and digests of images.

use sluice_regexp::Regexp;
use sluice_yaml::Node;

use crate::error::Result;
use crate::fieldspec::{FieldSpec, SpecIndex};
use crate::kustomization::Image;
use crate::resource::ResourceMap;
use crate::tree::{self, Writes};

struct Updater<'i> {
    image: &'i Image,
    /// `None` where the name is no expression: the reference panics there, here nothing matches.
    pattern: Option<Regexp>,
}

pub(super) fn update(map: &mut ResourceMap, image: &Image, specs: &[FieldSpec]) -> Result<()> {
    let pattern = format!("^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$", image.name);
    let pattern = crate::selector::compile(&pattern)?;
    let updater = Updater { image, pattern: Some(pattern) };
    let mut index = SpecIndex::new(specs);
    for resource in &mut map.resources {
        if resource.kind() == "CustomResourceDefinition" {
            continue;
        }
        let mut writes = Writes::default();
        updater.walk(&mut resource.node, &mut writes)?;
        writes.apply(&mut resource.node);
    }
    for resource in &mut map.resources {
        if resource.kind() == "CustomResourceDefinition" {
            continue;
        }
        for at in index.for_gvk(&resource.gvk()).iter() {
            let spec = &index.specs[*at];
            let mut writes = Writes::default();
            let result = spec.visit(&mut resource.node, None, &mut |node| updater.set(node, &mut writes));
            result.map_err(|error| spec.blame(error, resource))?;
            writes.apply(&mut resource.node);
        }
    }
    map.drop_empty();
    Ok(())
}

impl Updater<'_> {
    /// Any list of containers, wherever it is.
    fn walk(&self, node: &mut Node, writes: &mut Writes) -> Result<()> {
        match node {
            Node::Scalar(_) => Ok(()),
            Node::Sequence(items) => items.iter_mut().try_for_each(|item| self.walk(item, writes)),
            Node::Mapping(entries) => {
                for (key, value) in entries {
                    let is_containers = matches!(tree::text(key), "containers" | "initContainers");
                    self.walk(value, writes)?;
                    if !is_containers {
                        continue;
                    }
                    let Node::Sequence(containers) = value else { continue };
                    for container in containers {
                        if let Some(image) = tree::get_mut(container, "image")? {
                            self.set(image, writes)?;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn set(&self, node: &mut Node, writes: &mut Writes) -> Result<()> {
        let text = match &*node {
            node if tree::is_null(node) => tree::owned_text(node),
            Node::Scalar(scalar) => scalar.text.clone(),
            other => return Err(tree::wrong_kind("ScalarNode", other)),
        };
        if !self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(text.as_str())) {
            return Ok(());
        }
        tree::set_scalar(node, tree::untyped(self.renamed(&text)), writes)
    }

    fn renamed(&self, text: &str) -> String {
        let (mut name, mut tag, mut digest) = split(text);
        let image = self.image;
        let extended;
        if !image.new_name.is_empty() {
            name = &image.new_name;
        }
        if !image.new_tag.is_empty() && !image.digest.is_empty() {
            (tag, digest) = (&image.new_tag, &image.digest);
        } else if !image.new_tag.is_empty() {
            (tag, digest) = (&image.new_tag, "");
        } else if !image.digest.is_empty() {
            (tag, digest) = ("", &image.digest);
        } else if !image.tag_suffix.is_empty() {
            extended = format!("{tag}{}", image.tag_suffix);
            (tag, digest) = (&extended, "");
        }
        let mut result = name.to_owned();
        if !tag.is_empty() {
            result.push(':');
            result.push_str(tag);
        }
        if !digest.is_empty() {
            result.push('@');
            result.push_str(digest);
        }
        result
    }
}

/// Name, tag and digest.
fn split(text: &str) -> (&str, &str, &str) {
    let from = text.find('/').unwrap_or(0);
    let at = text[from..].find('@').map(|at| at + from);
    let colon = text[from..].find(':').map(|at| at + from);
    match (colon, at) {
        (None, None) => (text, "", ""),
        (Some(colon), Some(at)) if at > colon => (&text[..colon], &text[colon + 1..at], &text[at + 1..]),
        (_, Some(at)) => (&text[..at], "", &text[at + 1..]),
        (Some(colon), None) => (&text[..colon], &text[colon + 1..], ""),
    }
}

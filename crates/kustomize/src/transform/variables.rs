//! `vars`: values of fields put in the place of `$(NAME)`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sluice_yaml::Node;
use sluice_yaml::node::ScalarNode;
use sluice_yaml::number::format_float;
use sluice_yaml::resolve::Tag;

use crate::error::{Error, Result};
use crate::fieldspec::{FieldSpec, SpecIndex};
use crate::kustomization::Var;
use crate::resource::{Resource, ResourceMap};
use crate::transform::replacements::lookup;
use crate::tree::{self, Writes};
use crate::warning::Warning;

/// The value of a var.
#[derive(Clone, Debug)]
enum Known {
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// A map or list, which cannot be put into text.
    Collection,
}

/// The values of all vars, and the names of those that stood somewhere.
struct Variables<'v> {
    values: BTreeMap<&'v str, Known>,
    replaced: RefCell<BTreeSet<&'v str>>,
}

impl Variables<'_> {
    /// What to put in the place of a name; nothing if it is unknown or a map or list.
    fn replacement(&self, name: &str) -> Option<&Known> {
        let (name, value) = self.values.get_key_value(name)?;
        if matches!(value, Known::Collection) {
            return None;
        }
        self.replaced.borrow_mut().insert(name);
        Some(value)
    }
}

/// Resolves all vars in the fields where they may stand.
pub(crate) fn resolve_variables(
    map: &mut ResourceMap,
    vars: &BTreeMap<String, Var>,
    specs: &[FieldSpec],
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    if vars.is_empty() {
        return Ok(());
    }
    let mut values = BTreeMap::new();
    for var in vars.values() {
        values.insert(var.name.as_str(), find_value(map, var)?);
    }
    let known = Variables { values, replaced: RefCell::default() };
    let result = resolve_in(map, &known, specs);
    let replaced = known.replaced.borrow();
    let unused: Vec<&str> = known.values.keys().filter(|name| !replaced.contains(*name)).copied().collect();
    if !unused.is_empty() {
        let text = format!("well-defined vars that were never replaced: {}", unused.join(","));
        warnings.push(Warning::Logged(text));
    }
    result
}

fn resolve_in(map: &mut ResourceMap, known: &Variables<'_>, specs: &[FieldSpec]) -> Result<()> {
    let mut index = SpecIndex::new(specs);
    for resource in &mut map.resources {
        let applicable = index.for_gvk(&resource.gvk());
        for at in applicable.iter() {
            let spec = &index.specs[*at];
            let mut writes = Writes::default();
            let result = spec.visit(&mut resource.node, None, &mut |node| set(node, known, &mut writes));
            result.map_err(|error| spec.blame(error, resource))?;
            writes.apply(&mut resource.node);
        }
    }
    Ok(())
}

fn find_value(map: &ResourceMap, var: &Var) -> Result<Known> {
    let mut var = var.clone();
    if var.field_path.is_empty() {
        var.field_path = "metadata.name".into();
    }
    let Some(resource) = map.resources.iter().find(|resource| resource.variables.contains(&var.name)) else {
        return Err(Error::new(format!(
            "var '{}' cannot be mapped to a field in the set of known resources",
            describe(&var)
        )));
    };
    field_value(resource, &var.field_path).map_err(|_| {
        Error::new(format!("field specified in var '{}' not found in corresponding resource", describe(&var)))
    })
}

/// Go's `%v` of a var.
pub(crate) fn describe(var: &Var) -> String {
    format!("{{{} {} {{{}}}}}", var.name, var.id.gvk, var.field_path)
}

fn field_value(resource: &Resource, path: &str) -> Result<Known> {
    let mut steps = Vec::new();
    for step in tree::split_path_with_brackets(path, '.') {
        // `name[0]` is two steps.
        let indexed = step.strip_suffix(']').and_then(|inner| inner.rsplit_once('['));
        match indexed {
            Some((name, index)) if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => {
                if !name.is_empty() {
                    steps.push(name.to_owned());
                }
                steps.push(index.to_owned());
            }
            _ => steps.push(step),
        }
    }
    let missing = || Error::new(format!("no field named '{path}'"));
    let node = lookup(&resource.node, &steps)?.ok_or_else(missing)?;
    let Node::Scalar(scalar) = node else { return Ok(Known::Collection) };
    let bad = |_| Error::new("invalid syntax");
    Ok(match scalar.tag {
        Tag::Int => Known::Integer(scalar.text.parse().map_err(|_| Error::new("invalid syntax"))?),
        Tag::Float => Known::Float(scalar.text.parse().map_err(bad)?),
        Tag::Bool => match scalar.text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Known::Bool(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Known::Bool(false),
            _ => return Err(Error::new("invalid syntax")),
        },
        _ => Known::Text(scalar.text.to_string()),
    })
}

fn is_string(node: &Node) -> bool {
    matches!(node, Node::Scalar(scalar) if matches!(scalar.tag, Tag::Str | Tag::None))
}

fn set(node: &mut Node, known: &Variables<'_>, writes: &mut Writes) -> Result<()> {
    if tree::is_null(node) {
        return Ok(());
    }
    match node {
        Node::Scalar(scalar) => {
            if matches!(scalar.tag, Tag::Str | Tag::None) {
                update(scalar, known, writes);
            }
            Ok(())
        }
        Node::Mapping(entries) => {
            for (key, value) in entries {
                if !is_string(key) {
                    let tag = match key {
                        Node::Scalar(key) => key.tag.short(),
                        _ => "",
                    };
                    return Err(Error::new(format!(
                        "invalid map key: value='{}', tag='{tag}'",
                        tree::text(key)
                    )));
                }
                if is_string(value)
                    && let Node::Scalar(scalar) = value
                {
                    update(scalar, known, writes);
                }
            }
            Ok(())
        }
        Node::Sequence(items) => items.iter_mut().try_for_each(|item| match item {
            item if !is_string(item) => Err(Error::new("invalid value type expect a string")),
            Node::Scalar(scalar) => {
                update(scalar, known, writes);
                Ok(())
            }
            _ => Ok(()),
        }),
    }
}

fn update(scalar: &mut ScalarNode, known: &Variables<'_>, writes: &mut Writes) {
    let (text, tag) = match expand(&scalar.text, known) {
        Known::Integer(value) => (value.to_string(), Tag::Int),
        Known::Float(value) => (format!("{value}"), Tag::Float),
        Known::Bool(value) => (value.to_string(), Tag::Bool),
        Known::Text(text) => (text, Tag::Str),
        Known::Collection => return,
    };
    writes.assign(scalar, ScalarNode { tag, ..tree::untyped(text) });
}

/// Replaces `$(NAME)` by the value of the var, `$$` by `$`; what is unknown stays.
fn expand(text: &str, known: &Variables<'_>) -> Known {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if after.is_empty() {
            out.push('$');
            rest = after;
        } else if let Some(left) = after.strip_prefix('$') {
            out.push('$');
            rest = left;
        } else if let Some(inner) = after.strip_prefix('(') {
            let Some(end) = inner.find(')') else {
                out.push_str("$(");
                rest = inner;
                continue;
            };
            let name = &inner[..end];
            let whole = text.len() == name.len() + 3;
            match known.replacement(name) {
                Some(value) if whole => return value.clone(),
                Some(Known::Text(value)) => out.push_str(value),
                Some(Known::Integer(value)) => out.push_str(&value.to_string()),
                Some(Known::Float(value)) => out.push_str(&general_float(*value)),
                Some(Known::Bool(value)) => out.push_str(if *value { "true" } else { "false" }),
                Some(Known::Collection) | None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = &inner[end + 1..];
        } else {
            out.push('$');
            let length = after.chars().next().map_or(0, char::len_utf8);
            out.push_str(&after[..length]);
            rest = &after[length..];
        }
    }
    out.push_str(rest);
    Known::Text(out)
}

/// Go's `%v` of a float: an exponent only from 21 digits on.
fn general_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        format_float(value)
    } else {
        format!("{value}")
    }
}

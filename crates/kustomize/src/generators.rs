//! ConfigMaps and Secrets from literals, files and environment files.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sluice_yaml::node::ScalarNode;
use sluice_yaml::resolve::Tag;
use sluice_yaml::{Node, Style};
use smol_str::SmolStr;

use crate::error::{Context as _, Error, Result};
use crate::kustomization::GeneratorArgs;
use crate::loader::Loader;
use crate::path::base;
use crate::resource::{Behavior, Resource, data_value};
use crate::tree;

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Generated {
    ConfigMap,
    Secret,
}

/// Makes one resource.
pub(crate) fn generate(loader: &Loader<'_>, args: &GeneratorArgs, what: Generated) -> Result<Resource> {
    if args.name.is_empty() {
        return Err(Error::new("a configmap must have a name"));
    }
    let kind = if what == Generated::Secret { "Secret" } else { "ConfigMap" };
    let mut metadata = vec![entry("name", tree::string(args.name.as_str()))];
    if !args.namespace.is_empty() {
        metadata.push(entry("namespace", tree::string(args.namespace.as_str())));
    }
    let pairs = load_pairs(loader, args)?;
    let mut root = vec![entry("apiVersion", tree::string("v1")), entry("kind", tree::string(kind))];
    let mut data = Vec::new();
    let mut binary = Vec::new();
    for (key, value) in pairs {
        let value = match (what, String::from_utf8(value)) {
            (Generated::ConfigMap, Ok(text)) => {
                data.push((tree::key(&key), Node::Scalar(data_value(text.into()))));
                continue;
            }
            (_, Ok(text)) => text.into_bytes(),
            (_, Err(error)) => error.into_bytes(),
        };
        let list = if what == Generated::Secret { &mut data } else { &mut binary };
        list.push((tree::key(&key), Node::Scalar(data_value(encode(&value)))));
    }
    if what == Generated::Secret {
        let secret_type = if args.secret_type.is_empty() { "Opaque" } else { &args.secret_type };
        root.push(entry("type", tree::string(secret_type)));
    }
    if !data.is_empty() || what == Generated::Secret {
        root.push((tree::key("data"), Node::Mapping(data.into())));
    }
    if !binary.is_empty() {
        root.push((tree::key("binaryData"), Node::Mapping(binary.into())));
    }
    let options = args.options.clone().unwrap_or_default();
    for (name, map) in [("labels", &options.labels), ("annotations", &options.annotations)] {
        let Some(map) = map.as_ref().filter(|map| !map.is_empty()) else { continue };
        if map.contains_key("") {
            // For the reference a blank name means the map itself, which is no scalar.
            return Err(tree::wrong_kind("ScalarNode", &tree::Kind::Mapping.empty()));
        }
        let entries = map
            .iter()
            .map(|(key, value)| {
                entry(key, ScalarNode { style: Style::Single, ..tree::string(value.as_str()) })
            })
            .collect();
        metadata.push((tree::key(name), Node::Mapping(entries)));
    }
    if options.immutable {
        root.push(entry("immutable", ScalarNode { tag: Tag::Bool, ..tree::untyped("true") }));
    }
    root.push((tree::key("metadata"), Node::Mapping(metadata.into())));
    let mut resource = Resource::new(Node::Mapping(root.into()));
    resource.meta.behavior = Behavior::parse(&args.behavior);
    resource.meta.needs_hash = !options.disable_name_suffix_hash;
    resource.rewrite_annotations()?;
    resource.mark();
    Ok(resource)
}

fn entry(key: &str, value: ScalarNode) -> (Node, Node) {
    (tree::key(key), Node::Scalar(value))
}

/// Base64 in lines of 70 characters, each ended, once it is that long.
fn encode(bytes: &[u8]) -> SmolStr {
    const LINE: usize = 70;
    let encoded = STANDARD.encode(bytes);
    if encoded.len() < LINE {
        return encoded.into();
    }
    let mut out = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, left) = rest.split_at(LINE.min(rest.len()));
        out.push_str(line);
        out.push('\n');
        rest = left;
    }
    out.into()
}

fn load_pairs(loader: &Loader<'_>, args: &GeneratorArgs) -> Result<BTreeMap<String, Vec<u8>>> {
    let list = |items: &[String]| format!("[{}]", items.join(" "));
    let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
    for path in &args.envs {
        env_file(loader, path, &mut pairs)
            .with_context(|| format!("env source files: {}", list(&args.envs)))
            .context("loading KV pairs")?;
    }
    for source in &args.literals {
        let pair = literal(source)
            .with_context(|| format!("literal sources {}", list(&args.literals)))
            .context("loading KV pairs")?;
        pairs.push(pair);
    }
    for source in &args.files {
        let pair = file(loader, source)
            .with_context(|| format!("file sources: {}", list(&args.files)))
            .context("loading KV pairs")?;
        pairs.push(pair);
    }
    let mut result = BTreeMap::new();
    for (key, value) in pairs {
        if result.contains_key(&key) {
            return Err(Error::new(format!("configmap {} illegally repeats the key `{key}`", args.name)));
        }
        result.insert(key, value);
    }
    Ok(result)
}

fn literal(source: &str) -> Result<(String, Vec<u8>)> {
    match source.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), unquoted(value).as_bytes().to_vec())),
        _ => Err(Error::new(format!("invalid literal source {source}, expected key=value"))),
    }
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if text.len() >= 2
            && let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    text
}

fn file(loader: &Loader<'_>, source: &str) -> Result<(String, Vec<u8>)> {
    let (key, path) = match source.matches('=').count() {
        0 => (base(&crate::path::clean(source)).to_owned(), source),
        1 => {
            let (key, path) = source.split_once('=').unwrap_or((source, ""));
            if key.is_empty() {
                return Err(Error::new(format!(
                    "missing key name for file path \"{path}\" in source \"{source}\""
                )));
            }
            if path.is_empty() {
                return Err(Error::new(format!(
                    "missing file path for key name \"{key}\" in source \"{source}\""
                )));
            }
            (key.to_owned(), path)
        }
        _ => return Err(Error::new(format!("source \"{source}\" key name or file path contains '='"))),
    };
    Ok((key, loader.load(path)?))
}

fn env_file(loader: &Loader<'_>, path: &str, pairs: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    const LONGEST_LINE: usize = 64 * 1024;
    let content = loader.load(path)?;
    let mut lines: Vec<&[u8]> = content.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    for (number, line) in lines.into_iter().enumerate() {
        if line.len() >= LONGEST_LINE {
            // The reference's line reader gives up here without a word.
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            // Not the bytes: the file may be of a Secret.
            return Err(Error::new(format!("line {} of '{path}' has invalid utf8 bytes", number + 1)));
        };
        let text = if number == 0 { text.strip_prefix('\u{FEFF}').unwrap_or(text) } else { text };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        if !key.is_empty() {
            pairs.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    Ok(())
}

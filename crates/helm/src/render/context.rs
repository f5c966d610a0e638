//! Which templates there are, under which names, and what `.` is in each.

use sluice_gotemplate::{Map, Value};

use super::files::Files;
use super::values::VALUES;
use super::{RenderInput, metadata, objects, values};
use crate::chart::{Chart, File};

/// One template file.
pub(super) struct Template<'a> {
    pub(super) name: String,
    pub(super) file: &'a File,
    base_path: String,
    /// What the templates of this chart share as `.`.
    context: Map,
}

impl Template<'_> {
    /// Whether the file only defines templates for others.
    pub(super) fn is_partial(&self) -> bool {
        self.name.rsplit('/').next().is_some_and(|base| base.starts_with('_'))
    }

    /// `.` of this template. All templates of a chart see one map; only `.Template` is set anew.
    pub(super) fn data(&self) -> Value {
        let own = Map::of_entries(
            &VALUES,
            [
                ("Name", Value::string(self.name.as_str())),
                ("BasePath", Value::string(self.base_path.as_str())),
            ],
        );
        self.context.insert("Template", Value::Map(own));
        Value::Map(self.context.viewed_as(&VALUES))
    }
}

/// All templates in the order in which they are parsed and executed: more separators first, then from z to a, so
/// that a parent's definition wins over a child's.
pub(super) fn all_templates(input: RenderInput<'_>) -> Vec<Template<'_>> {
    let mut walk = Walk {
        release: objects::release(input.release),
        capabilities: objects::capabilities(input.capabilities),
        templates: Vec::new(),
    };
    let values = values::to_template(input.values);
    walk.chart(input.chart, &input.chart.path_below(None), values.viewed_as(&VALUES), true);
    let mut templates = walk.templates;
    // Of charts that share a path the last one counts.
    templates.reverse();
    let depth = |name: &str| name.bytes().filter(|byte| *byte == b'/').count();
    templates.sort_by(|a, b| (depth(&b.name), &b.name).cmp(&(depth(&a.name), &a.name)));
    templates.dedup_by(|a, b| a.name == b.name);
    templates
}

struct Walk<'a> {
    release: Value,
    capabilities: Value,
    templates: Vec<Template<'a>>,
}

impl<'a> Walk<'a> {
    fn chart(&mut self, chart: &'a Chart, path: &str, values: Map, is_root: bool) -> Map {
        let subcharts = Map::new();
        let context = Map::from_entries([
            ("Chart", metadata::chart(&chart.metadata, is_root)),
            ("Files", Files::of(&chart.files)),
            ("Release", self.release.clone()),
            ("Capabilities", self.capabilities.clone()),
            ("Values", Value::Map(values.clone())),
            ("Subcharts", Value::Map(subcharts.clone())),
        ]);
        for subchart in &chart.subcharts {
            let section = values::section(&values, subchart.name());
            let path = subchart.path_below(Some(path));
            let inner = self.chart(subchart, &path, section, false);
            subcharts.insert(subchart.name(), Value::Map(inner));
        }
        for file in &chart.templates {
            let base = file.name.rsplit('/').next().unwrap_or(&file.name);
            if chart.is_library() && !base.starts_with('_') {
                continue;
            }
            self.templates.push(Template {
                name: format!("{path}/{}", file.name),
                file,
                base_path: format!("{path}/templates"),
                context: context.clone(),
            });
        }
        context
    }
}

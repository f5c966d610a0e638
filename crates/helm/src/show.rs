//! `helm show`.

use crate::chart::Chart;
use crate::metadata_yaml::metadata_yaml;

/// Parts of a chart that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them.
    All,
    /// `Chart.yaml`.
    Chart,
    /// `values.yaml`.
    Values,
    /// The readme.
    Readme,
    /// The CRDs.
    Crds,
}

/// The text that `helm show` prints.
pub fn show(chart: &Chart, part: Part) -> String {
    let mut text = String::new();
    let all = part == Part::All;
    if all || part == Part::Chart {
        text.push_str(&metadata_yaml(&chart.metadata));
        text.push('\n');
    }
    if (all || part == Part::Values) && chart.values.is_some() {
        if all {
            text.push_str("---\n");
        }
        for file in chart.raw.iter().filter(|file| &*file.name == "values.yaml") {
            text.push_str(&file.text());
            text.push('\n');
        }
    }
    if all || part == Part::Readme {
        let is_readme = |name: &str| {
            ["readme.md", "readme.txt", "readme"].iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        if let Some(file) = chart.files.iter().find(|file| is_readme(&file.name)) {
            if all {
                text.push_str("---\n");
            }
            text.push_str(&file.text());
            text.push('\n');
        }
    }
    if all || part == Part::Crds {
        for (_, file) in chart.crds().iter() {
            if !file.data.starts_with(b"---") {
                text.push_str("---\n");
            }
            text.push_str(&file.text());
            text.push('\n');
        }
    }
    text
}

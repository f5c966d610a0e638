//! Charts of nested subcharts with few names, so that they collide: dependencies with aliases, conditions, tags and
//! imported values, undeclared subcharts, several versions of one chart, libraries, nulls, globals in tables of tables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fastrand::Rng;

use crate::charts::Case;

/// Names of charts, and so of sections of values.
const CHARTS: [&str; 4] = ["red", "blue", "sea", "sky"];
/// Keys of values.
const KEYS: [&str; 5] = ["a", "b", "c", "on", "data"];
const VERSIONS: [&str; 3] = ["0.1.0", "1.0.0", "1.2.3"];
const RANGES: [&str; 7] = ["*", ">=0.1.0", "^1.0", "1.2.3", "0.1.x", "~1.2", "nope"];
const TAGS: [&str; 3] = ["front", "back", "on"];
const PATHS: [&str; 9] = [".", "a", "data", "a.b", "global", "global.a", "global.a.b", "red", "data.c"];
const MAX_DEPTH: usize = 3;

/// What each chart prints: its values, its metadata, and what it does to tables that others may hold too.
const TEMPLATE: &str = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: NAME}
data:
  before: {{ .Values | toJson | quote }}
  template: {{ .Template.Name }} {{ .Template.BasePath }}
  chart: {{ .Chart.Name }} {{ .Chart.Version }} {{ .Chart.IsRoot }}
  dependencies: {{ .Chart.Dependencies | toJson | quote }}
{{- range $name, $inner := .Subcharts }}
  sub-{{ $name }}: {{ $inner.Values | toJson | quote }}
{{- end }}
{{- include "shared" . }}
{{- include "NAME" . }}
{{- range $key := list "a" "b" "data" }}
{{- $table := dig "global" $key "b" "" $.Values.AsMap }}
{{- if kindIs "map" $table }}{{ $_ := set $table "set-by" "NAME" }}{{ end }}
{{- end }}
  after: {{ .Values | toJson | quote }}
"#;

/// A chart and a set of values, the same for the same seed.
pub(crate) fn random_case(seed: u64) -> Case {
    let mut make = Make { rng: Rng::with_seed(seed), files: BTreeMap::new() };
    make.chart("", "root", 0);
    let set = make.values(true);
    Case {
        name: "root".to_owned(),
        files: make.files.into_iter().collect(),
        sets: BTreeMap::from([("set".to_owned(), set)]),
    }
}

struct Make {
    rng: Rng,
    files: BTreeMap<String, String>,
}

impl Make {
    fn one<'t>(&mut self, all: &[&'t str]) -> &'t str {
        self.rng.choice(all).copied().unwrap_or_default()
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.rng.usize(..times) == 0
    }

    fn chart(&mut self, folder: &str, name: &str, depth: usize) {
        let mut text = format!("apiVersion: v2\nname: {name}\nversion: {}\n", self.one(&VERSIONS));
        if depth > 0 && self.once_in(8) {
            text.push_str("type: library\n");
        }
        let mut present = Vec::new();
        let count = if depth < MAX_DEPTH { self.rng.usize(..=3 - depth.min(2)) } else { 0 };
        for index in 0..count {
            let subchart = self.one(&CHARTS);
            present.push(subchart);
            // Two versions of a chart stand in folders of different names.
            self.chart(&format!("{folder}charts/{subchart}-{index}/"), subchart, depth + 1);
        }
        let mut dependencies = String::new();
        for subchart in present {
            // The second time under another name, most likely.
            while !self.once_in(3) {
                let dependency = self.dependency(subchart);
                let _ = writeln!(dependencies, "- {dependency}");
                if self.rng.bool() {
                    break;
                }
            }
        }
        if !dependencies.is_empty() {
            let _ = write!(text, "dependencies:\n{dependencies}");
        }
        self.files.insert(format!("{folder}Chart.yaml"), text);
        if !self.once_in(6) {
            let values = self.values(false);
            self.files.insert(format!("{folder}values.yaml"), values);
        }
        self.files.insert(format!("{folder}templates/all.yaml"), TEMPLATE.replace("NAME", name));
        let helpers = format!(
            "{{{{ define \"shared\" }}}}\n  shared: {name}-{depth} {{{{ .Chart.Name }}}}{{{{ end }}}}\n\
             {{{{ define \"{name}\" }}}}\n  own: {name} {{{{ .Template.BasePath }}}}{{{{ end }}}}\n"
        );
        self.files.insert(format!("{folder}templates/_helpers.tpl"), helpers);
        if self.once_in(5) {
            self.files.insert(format!("{folder}crds/{name}.yaml"), format!("kind: Crd\nname: {name}\n"));
        }
    }

    fn dependency(&mut self, name: &str) -> String {
        let mut fields = format!("name: {name}, version: {:?}", self.one(&RANGES));
        if self.rng.bool() {
            let _ = write!(fields, ", alias: {}", self.one(&CHARTS));
        }
        if self.once_in(3) {
            let first = format!("{}.{}", self.one(&CHARTS), self.one(&KEYS));
            let second = self.one(&KEYS);
            let _ = write!(fields, ", condition: {:?}", format!("{first},{second}"));
        }
        if self.once_in(4) {
            let _ = write!(fields, ", tags: [{}, {}]", self.one(&TAGS), self.one(&TAGS));
        }
        if self.once_in(2) {
            let imports: Vec<String> = (0..=self.rng.usize(..3)).map(|_| self.import()).collect();
            let _ = write!(fields, ", import-values: [{}]", imports.join(", "));
        }
        format!("{{{fields}}}")
    }

    fn import(&mut self) -> String {
        if self.once_in(3) {
            return self.one(&KEYS).to_owned();
        }
        let child = self.one(&PATHS[1..]);
        format!("{{child: {child}, parent: {}}}", self.one(&PATHS))
    }

    /// A table with a line for each entry.
    fn values(&mut self, is_set: bool) -> String {
        let mut entries: BTreeMap<&str, String> = BTreeMap::new();
        for _ in 0..self.rng.usize(..6) {
            let key = self.one(&KEYS);
            entries.insert(key, self.value(3));
        }
        for _ in 0..self.rng.usize(..3) {
            // Now and then something that no section may be.
            let section = if self.once_in(40) { self.value(1) } else { self.table(3) };
            entries.insert(self.one(&CHARTS), section);
        }
        if self.rng.bool() {
            entries.insert("global", if self.once_in(20) { self.value(1) } else { self.globals() });
        }
        if self.once_in(3) {
            entries.insert("exports", self.exports());
        }
        if self.once_in(3) && !is_set || self.once_in(6) {
            let (tag, on) = (self.one(&TAGS), self.one(&["true", "false", "1"]));
            entries.insert("tags", format!("{{{tag}: {on}}}"));
        }
        entries.iter().fold(String::new(), |text, (key, value)| text + key + ": " + value + "\n")
    }

    /// Tables in tables in tables: those are shared.
    fn globals(&mut self) -> String {
        let mut entries = BTreeMap::new();
        for _ in 0..=self.rng.usize(..3) {
            let key = self.one(&["a", "b", "data"]);
            let value = if self.once_in(3) { self.value(2) } else { format!("{{b: {}}}", self.value(2)) };
            entries.insert(key, value);
        }
        flow(&entries)
    }

    fn exports(&mut self) -> String {
        let mut entries = BTreeMap::new();
        for _ in 0..=self.rng.usize(..2) {
            let key = self.one(&KEYS);
            entries.insert(key, self.table(2));
        }
        flow(&entries)
    }

    fn table(&mut self, depth: usize) -> String {
        let mut entries = BTreeMap::new();
        for _ in 0..self.rng.usize(..4) {
            let names: &[&str] = if self.once_in(3) { &CHARTS } else { &KEYS };
            let key = if self.once_in(8) { "global" } else { self.one(names) };
            let inner = depth.saturating_sub(1);
            // What has the name of a chart or is global is a table in nearly all charts.
            let is_section = !KEYS.contains(&key) && depth > 0 && !self.once_in(30);
            let value = if is_section { self.table(inner) } else { self.value(inner) };
            entries.insert(key, value);
        }
        flow(&entries)
    }

    fn value(&mut self, depth: usize) -> String {
        if depth > 0 && self.once_in(2) {
            return self.table(depth);
        }
        match self.rng.usize(..9) {
            0 | 1 => "null".to_owned(),
            2 => self.rng.bool().to_string(),
            3 => self.rng.usize(..9).to_string(),
            4 if depth > 0 => format!("[{}, {{a: null}}]", self.value(0)),
            5 => "1.5".to_owned(),
            6 => "{}".to_owned(),
            _ => format!("text{}", self.rng.usize(..9)),
        }
    }
}

fn flow(entries: &BTreeMap<&str, String>) -> String {
    let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{{}}}", entries.join(", "))
}

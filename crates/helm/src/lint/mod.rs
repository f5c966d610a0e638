//! `helm lint`: common mistakes in charts.

mod chart_file;
mod deprecations;
mod names;
mod templates;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sluice_gotemplate::{Host, Limits};

use crate::capabilities::KubeVersion;
use crate::chart::{Chart, File, LoadError, load_files, read_files};
use crate::document;
use crate::schema::{FetchSchema, NoFetch, check};
use crate::values::{Values, merge_tables};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Likely works.
    Warning,
    /// Likely does not work.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
        })
    }
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How bad it is.
    pub severity: Severity,
    /// The file, below the chart's folder.
    pub path: String,
    /// The line in the file, if it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.severity, self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// What to look at, beside the chart.
#[derive(Debug, Clone)]
pub struct LintOptions {
    /// Values over the chart's own.
    pub values: Values,
    /// The namespace of the release that is rendered for the check.
    pub namespace: String,
    /// The version of Kubernetes.
    pub kube_version: Option<KubeVersion>,
    /// Whether `values.schema.json` is not looked at.
    pub skip_schema_validation: bool,
    /// How schemas that others refer to are read.
    pub schemas: Arc<dyn FetchSchema>,
}

impl Default for LintOptions {
    fn default() -> Self {
        LintOptions {
            values: Values::new(),
            namespace: "default".to_owned(),
            kube_version: None,
            skip_schema_validation: false,
            schemas: Arc::new(NoFetch),
        }
    }
}

/// The findings of one chart.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    messages: Vec<Message>,
}

impl Findings {
    /// All findings in the order of the checks.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Whether one of them is at least so bad.
    pub fn any_at_least(&self, severity: Severity) -> bool {
        self.messages.iter().any(|message| message.severity >= severity)
    }

    fn add(&mut self, severity: Severity, path: &str, text: impl Into<String>) {
        self.messages.push(Message { severity, path: path.to_owned(), line: None, text: text.into() });
    }

    fn add_at(&mut self, severity: Severity, path: &str, line: Option<usize>, text: impl Into<String>) {
        self.messages.push(Message { severity, path: path.to_owned(), line, text: text.into() });
    }

    fn unless(&mut self, good: bool, severity: Severity, path: &str, text: impl FnOnce() -> String) {
        if !good {
            self.add(severity, path, text());
        }
    }
}

/// Checks the chart in a folder or archive. It is rendered with `host`, which should say that this is lint.
pub fn lint(path: &Path, options: &LintOptions, host: &mut (dyn Host + Send)) -> Result<Findings, LoadError> {
    let files = read_files(path)?;
    let mut findings = Findings::default();
    let chart_file = find(&files, "Chart.yaml").cloned();
    chart_file::check(chart_file.as_ref(), &mut findings);
    check_values(&files, options, &mut findings);
    let has_templates = files.iter().any(|file| file.name.starts_with(templates::TEMPLATES));
    let loaded = load_files(files);
    match &loaded {
        Ok(chart) => templates::check(chart, options, host, Limits::default(), &mut findings),
        Err(_) if !has_templates => templates::missing(&mut findings),
        Err(error) => findings.add(Severity::Error, templates::TEMPLATES, error.to_string()),
    }
    match loaded {
        Ok(chart) => {
            check_dependencies(&chart, path, &mut findings);
            check_crds(&chart, &mut findings);
        }
        Err(error) => findings.add(Severity::Error, "", format!("unable to load chart\n\t{error}")),
    }
    Ok(findings)
}

fn find<'a>(files: &'a [File], name: &str) -> Option<&'a File> {
    files.iter().find(|file| &*file.name == name)
}

/// The line that a YAML error names.
fn line_of(error: &sluice_yaml::Error) -> Option<usize> {
    match error {
        sluice_yaml::Error::Syntax { line, .. } => *line,
        _ => None,
    }
}

fn check_values(files: &[File], options: &LintOptions, findings: &mut Findings) {
    const PATH: &str = "values.yaml";
    let Some(file) = find(files, PATH) else {
        findings.add(Severity::Info, PATH, "file does not exist");
        return;
    };
    let own = match document::to_json_with_floats(&file.data) {
        Ok(serde_json::Value::Object(own)) => own,
        Ok(serde_json::Value::Null) => Values::new(),
        Ok(_) => {
            findings.add(Severity::Error, PATH, "unable to parse YAML: the file must hold a map");
            return;
        }
        Err(error) => {
            let text = format!("unable to parse YAML: error converting YAML to JSON: {error}");
            findings.add_at(Severity::Error, PATH, line_of(&error), text);
            return;
        }
    };
    let Some(schema) = find(files, "values.schema.json").filter(|_| !options.skip_schema_validation) else {
        return;
    };
    let mut values = options.values.clone();
    merge_tables(&mut values, &own);
    if let Err(error) = check(&schema.data, &serde_json::Value::Object(values), &*options.schemas) {
        findings.add(Severity::Error, PATH, error.to_string());
    }
}

fn check_dependencies(chart: &Chart, path: &Path, findings: &mut Findings) {
    let place = path.display().to_string();
    let named: Vec<&str> = chart.metadata.dependencies().map(|dependency| dependency.name.as_str()).collect();
    let there: Vec<&str> = chart.subcharts.iter().map(Chart::name).collect();
    let missing = |wanted: &[&str], found: &[&str]| -> String {
        let missing: Vec<&str> = wanted.iter().filter(|name| !found.contains(name)).copied().collect();
        missing.join(",")
    };
    let unnamed = missing(&there, &named);
    findings.unless(unnamed.is_empty(), Severity::Error, &place, || {
        format!("chart metadata is missing these dependencies: {unnamed}")
    });
    let absent = missing(&named, &there);
    findings.unless(absent.is_empty(), Severity::Warning, &place, || {
        format!("chart directory is missing these dependencies: {absent}")
    });
}

fn check_crds(chart: &Chart, findings: &mut Findings) {
    for (_, file) in chart.crds().iter() {
        let text = file.text();
        for document in crate::manifest::split(&text) {
            let head = match crate::manifest::read_head(document) {
                Ok(head) => head,
                Err(error) => {
                    findings.add(
                        Severity::Error,
                        &file.name,
                        format!("unable to parse YAML: {}", error.message),
                    );
                    return;
                }
            };
            if head == crate::manifest::Head::default() {
                continue;
            }
            findings.unless(
                head.api_version.starts_with("apiextensions.k8s.io"),
                Severity::Error,
                &file.name,
                || "apiVersion is not in 'apiextensions.k8s.io'".to_owned(),
            );
            findings.unless(head.kind == "CustomResourceDefinition", Severity::Error, &file.name, || {
                "object kind is not 'CustomResourceDefinition'".to_owned()
            });
        }
    }
}

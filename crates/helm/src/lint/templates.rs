//! What the templates print.

use sluice_gotemplate::{Host, Limits};

use super::{Findings, LintOptions, Severity, deprecations, names};
use crate::capabilities::Capabilities;
use crate::chart::{Chart, process_dependencies};
use crate::go::{quote, trim};
use crate::manifest::{Head, read_head, split};
use crate::render::{ReleaseOptions, RenderInput, render};
use crate::schema::NoFetch;
use crate::values::{coalesce, validate};

const TEMPLATES: &str = "templates/";

/// Renders the chart and looks at every document.
pub(super) fn check(
    chart: &Chart,
    options: &LintOptions,
    host: &mut (dyn Host + Send),
    limits: Limits,
    findings: &mut Findings,
) {
    if chart.templates.is_empty() {
        findings.add(Severity::Warning, TEMPLATES, "directory does not exist");
        return;
    }
    let mut capabilities = Capabilities::default();
    if let Some(version) = &options.kube_version {
        capabilities.kube_version = version.clone();
    }
    let mut chart = chart.clone();
    if process_dependencies(&mut chart, &options.values).is_err() {
        return;
    }
    let Ok(values) = coalesce(&chart, &options.values) else { return };
    if !options.skip_schema_validation
        && let Err(error) = validate(&chart, &values, &NoFetch)
    {
        findings.add(Severity::Error, TEMPLATES, error.to_string());
        return;
    }
    let release = ReleaseOptions {
        name: "test-release".to_owned(),
        namespace: options.namespace.clone(),
        revision: 0,
        is_upgrade: false,
    };
    let input =
        RenderInput { chart: &chart, values: &values, release: &release, capabilities: &capabilities };
    let rendered = match render(input, host, limits, None) {
        Ok(rendered) => rendered,
        Err(error) => {
            findings.add(Severity::Error, TEMPLATES, error.to_string());
            return;
        }
    };
    for template in &chart.templates {
        let path = &*template.name;
        let extension =
            path.rsplit('/').next().and_then(|base| base.rsplit_once('.')).map_or("", |(_, end)| end);
        findings.unless(matches!(extension, "yaml" | "yml" | "tpl" | "txt"), Severity::Error, path, || {
            let extension = if extension.is_empty() { String::new() } else { format!(".{extension}") };
            format!("file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt")
        });
        if !extension.eq_ignore_ascii_case("yaml") && !extension.eq_ignore_ascii_case("yml") {
            continue;
        }
        if let Some(text) = rendered.get(&format!("{}/{path}", chart.name()))
            && !check_text(path, text, &capabilities, findings)
        {
            return;
        }
    }
}

/// Looks at one printed file; false if nothing more can be said.
fn check_text(path: &str, text: &str, capabilities: &Capabilities, findings: &mut Findings) -> bool {
    if let Some(line) = text.lines().find(|line| !trim(line).is_empty())
        && line.starts_with([' ', '\t'])
    {
        findings.add(
            Severity::Warning,
            path,
            format!(
                "document starts with an illegal indent: {}, which may cause parsing problems",
                quote(line)
            ),
        );
    }
    for document in split(text) {
        let head = match read_head(document) {
            Ok(head) => head,
            Err(error) => {
                findings.add(Severity::Error, path, format!("unable to parse YAML: {error}"));
                return false;
            }
        };
        if head == Head::default()
            && document.lines().all(|line| line.trim_start().starts_with('#') || trim(line).is_empty())
        {
            continue;
        }
        check_document(path, text, &head, capabilities, findings);
    }
    true
}

fn check_document(path: &str, text: &str, head: &Head, capabilities: &Capabilities, findings: &mut Findings) {
    if let Some(problem) = names::problem(&head.kind, &head.name) {
        findings.add(Severity::Warning, path, problem);
    }
    if let Some(warning) = deprecations::warning(&head.api_version, &head.kind, &capabilities.kube_version) {
        findings.add(Severity::Warning, path, warning);
    }
    let selects = matches!(head.kind.as_str(), "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet");
    if selects && !text.contains("matchLabels") && !text.contains("matchExpressions") {
        findings.add(
            Severity::Error,
            path,
            format!(
                "a {} must contain matchLabels or matchExpressions, and {} does not",
                head.kind,
                quote(&head.name)
            ),
        );
    }
    if head.kind == "List" && text.contains("helm.sh/resource-policy") {
        findings.add(
            Severity::Error,
            path,
            "annotation 'helm.sh/resource-policy' within List objects are ignored",
        );
    }
}

//! What the templates print.

use sluice_gotemplate::{Host, Limits, Origin};

use super::{Findings, LintOptions, Severity, deprecations, names};
use crate::capabilities::Capabilities;
use crate::chart::{Chart, process_dependencies};
use crate::document;
use crate::go::{quote, trim};
use crate::manifest::{Head, Place, read_head, split};
use crate::render::{ReleaseOptions, RenderInput, origin, render};
use crate::values::{coalesce, validate};

pub(super) const TEMPLATES: &str = "templates/";

/// Says that there are no templates.
pub(super) fn missing(findings: &mut Findings) {
    findings.add(Severity::Warning, TEMPLATES, "directory does not exist");
}

/// Renders the chart and looks at every document.
pub(super) fn check(
    chart: &Chart,
    options: &LintOptions,
    host: &mut (dyn Host + Send),
    limits: Limits,
    findings: &mut Findings,
) {
    if chart.templates.is_empty() {
        missing(findings);
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
        && let Err(error) = validate(&chart, &values, &*options.schemas)
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
        let file = format!("{}/{path}", chart.name());
        let mut locate = |line| origin(input, host, limits, None, &file, line);
        if let Some(text) = rendered.get(&file)
            && !check_text(path, text, &capabilities, &mut locate, findings)
        {
            return;
        }
    }
}

/// Looks at one printed file; false if nothing more can be said.
fn check_text(
    path: &str,
    text: &str,
    capabilities: &Capabilities,
    locate: &mut dyn FnMut(usize) -> Option<Origin>,
    findings: &mut Findings,
) -> bool {
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
        let document = with_indent(text, document);
        let head = match read_head(document) {
            Ok(head) => head,
            Err(error) => {
                let message = error.message.replace("util.SimpleHead", "rules.k8sYamlStruct");
                let origin = locate(error.place(text, document).line);
                let place = Place { origin, ..Place::default() };
                findings.add(Severity::Error, path, format!("unable to parse YAML: {message}{place}"));
                return false;
            }
        };
        if head == Head::default()
            && document.lines().all(|line| line.trim_start().starts_with('#') || trim(line).is_empty())
        {
            continue;
        }
        if head.kind == "List" && has_policy(document) {
            findings.add(
                Severity::Error,
                path,
                "annotation 'helm.sh/resource-policy' within List objects are ignored",
            );
        }
        check_document(path, text, &head, capabilities, findings);
    }
    true
}

/// A document of a text with the blanks before its first line, which splitting takes away: the other lines have theirs.
fn with_indent<'t>(text: &'t str, document: &'t str) -> &'t str {
    let Some(start) = (document.as_ptr() as usize).checked_sub(text.as_ptr() as usize) else {
        return document;
    };
    let Some(before) = text.get(..start) else { return document };
    let indented = before.trim_end_matches([' ', '\t']).len();
    text.get(indented..start + document.len()).unwrap_or(document)
}

/// Whether an item of a list has the annotation that only objects of their own may have.
fn has_policy(list: &str) -> bool {
    let Ok(list) = document::to_json(list.as_bytes()) else { return false };
    let items = list.get("items").and_then(serde_json::Value::as_array);
    items.into_iter().flatten().any(|item| {
        item.pointer("/metadata/annotations").is_some_and(|all| all.get("helm.sh/resource-policy").is_some())
    })
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
}

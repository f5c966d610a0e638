//! What was found, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;

use super::find::Repository;
use super::{Finding, Level};
use crate::output::{Colour, Style};

/// A line for each finding, by file.
pub(super) fn human(findings: &[Finding], repository: &Repository, style: Style) -> String {
    let mut text = String::new();
    let mut file = None;
    for finding in findings {
        if file != Some(&finding.file) {
            let _ = writeln!(text, "{}", style.paint(Colour::Bold, &finding.file));
            file = Some(&finding.file);
        }
        let (colour, word) = match finding.level {
            Level::Error => (Colour::Red, "error"),
            Level::Warning => (Colour::Yellow, "warning"),
        };
        let subject =
            if finding.subject.is_empty() { String::new() } else { format!("{}: ", finding.subject) };
        let _ =
            writeln!(text, "  {} {subject}{} [{}]", style.paint(colour, word), finding.message, finding.rule);
    }
    let kinds = repository.objects.iter().filter(|found| found.kind().is_some());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for found in kinds {
        *counts.entry(found.object.kind()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let _ = writeln!(
        text,
        "{}",
        if counts.is_empty() { "nothing of Flux's kinds".to_owned() } else { counts.join(", ") }
    );
    text
}

/// SARIF 2.1.0, as code scanning reads it.
pub(super) fn sarif(findings: &[Finding]) -> Result<String> {
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let results: Vec<_> = findings
        .iter()
        .map(|finding| {
            let level = if finding.level == Level::Error { "error" } else { "warning" };
            let subject = if finding.subject.is_empty() { String::new() } else { format!("{}: ", finding.subject) };
            json!({
                "ruleId": finding.rule, "level": level, "message": {"text": subject + &finding.message},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": finding.file, "uriBaseId": "%SRCROOT%"}}}],
            })
        })
        .collect();
    let report = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "sluice", "version": env!("CARGO_PKG_VERSION"),
                     "rules": rules.iter().map(|rule| json!({"id": rule})).collect::<Vec<_>>()}},
            "results": results,
        }],
    });
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

/// JUnit: a case for each object.
pub(super) fn junit(findings: &[Finding], repository: &Repository) -> String {
    let mut cases: BTreeMap<(String, String), Vec<&Finding>> = repository
        .objects
        .iter()
        .filter(|found| found.kind().is_some())
        .map(|found| ((found.file.clone(), found.subject()), Vec::new()))
        .collect();
    for finding in findings {
        let subject =
            if finding.subject.is_empty() { finding.rule.to_owned() } else { finding.subject.clone() };
        cases.entry((finding.file.clone(), subject)).or_default().push(finding);
    }
    let failed =
        cases.values().filter(|findings| findings.iter().any(|finding| finding.level == Level::Error));
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"sluice test\" tests=\"{}\" failures=\"{}\">\n",
        cases.len(),
        failed.count()
    );
    for ((file, subject), findings) in &cases {
        let _ = write!(text, "    <testcase classname=\"{}\" name=\"{}\"", escaped(file), escaped(subject));
        if findings.is_empty() {
            text.push_str("/>\n");
            continue;
        }
        text.push_str(">\n");
        for finding in findings {
            let tag = if finding.level == Level::Error { "failure" } else { "system-out" };
            let message = escaped(&finding.message);
            let _ = if finding.level == Level::Error {
                writeln!(text, "      <{tag} type=\"{}\" message=\"{message}\"/>", finding.rule)
            } else {
                writeln!(text, "      <{tag}>{}: {message}</{tag}>", finding.rule)
            };
        }
        text.push_str("    </testcase>\n");
    }
    text + "  </testsuite>\n</testsuites>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_what_people_get() {
        let finding = Finding {
            file: "a.yaml".into(),
            subject: "Kustomization/apps/a".into(),
            level: Level::Error,
            rule: "schema",
            message: "spec.\"x\" <unknown>".into(),
        };
        let repository = Repository::default();
        let findings = [finding];
        let text = human(&findings, &repository, Style::new(false));
        assert!(
            text.starts_with("a.yaml\n  error Kustomization/apps/a: spec.\"x\" <unknown> [schema]\n"),
            "{text}"
        );
        let sarif: serde_json::Value = serde_json::from_str(&sarif(&findings).unwrap()).unwrap();
        assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "schema");
        let junit = junit(&findings, &repository);
        assert!(junit.contains("message=\"spec.&quot;x&quot; &lt;unknown&gt;\"/>"), "{junit}");
        assert!(junit.contains("tests=\"1\" failures=\"1\""), "{junit}");
    }
}

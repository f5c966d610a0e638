//! Lint says what helm says (seen with helm 4.3.1).

use std::fs;

use sluice_gotemplate::Host;
use sluice_helm::lint::{LintOptions, lint};

struct Lint;

impl Host for Lint {
    fn is_lint(&self) -> bool {
        true
    }
}

const GOOD: &str = "apiVersion: v2\nname: c\nversion: 0.1.0\nicon: 'https://example.com/i.png'\n";

fn findings(chart: &str, template: Option<&str>) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("Chart.yaml"), chart).expect("a file");
    fs::write(folder.path().join("values.yaml"), "").expect("a file");
    if let Some(template) = template {
        fs::create_dir(folder.path().join("templates")).expect("a folder");
        fs::write(folder.path().join("templates/a.yaml"), template).expect("a file");
    }
    let findings = lint(folder.path(), &LintOptions::default(), &mut Lint).expect("findings");
    findings.messages().iter().map(|message| message.to_string() + "\n").collect()
}

#[test]
fn findings_are_those_of_helm() {
    let cases = [
        (
            "apiVersion: v2\nversion: 0.1.0\nicon: 'https://example.com/i.png'\n",
            None,
            "[ERROR] Chart.yaml: name is required\n[WARNING] templates/: directory does not exist\n\
             [ERROR] : unable to load chart\n\tvalidation: chart.metadata.name is required\n",
        ),
        (
            GOOD,
            Some("  kind: X\n  metadata: {name: x}\n"),
            "[WARNING] templates/a.yaml: document starts with an illegal indent: \"  kind: X\", which may cause \
             parsing problems\n",
        ),
        (
            GOOD,
            Some(
                "kind: List\nmetadata: {name: x, annotations: {helm.sh/resource-policy: keep}}\nitems: []\n",
            ),
            "",
        ),
        (
            GOOD,
            Some(
                "kind: List\nmetadata: {name: x}\nitems: [{metadata: {annotations: {helm.sh/resource-policy: keep}}}]\n",
            ),
            "[ERROR] templates/a.yaml: annotation 'helm.sh/resource-policy' within List objects are ignored\n",
        ),
        (
            GOOD,
            Some("- 1\n"),
            "[ERROR] templates/a.yaml: unable to parse YAML: error unmarshaling JSON: while decoding JSON: json: \
             cannot unmarshal array into Go value of type rules.k8sYamlStruct\n  printed by c/templates/a.yaml:1\n",
        ),
    ];
    for (chart, template, expected) in cases {
        assert_eq!(findings(chart, template), expected, "{chart}{template:?}");
    }
    assert_eq!(
        findings(&format!("{GOOD}zoo: 1\nfoo: 1\n"), Some("kind: X\nmetadata: {name: x}\n")),
        "[WARNING] Chart.yaml: failed to strictly parse chart metadata file\n\terror unmarshaling JSON: while decoding \
         JSON: json: unknown field \"foo\"\n"
    );
}

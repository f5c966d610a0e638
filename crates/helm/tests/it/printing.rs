//! What actions print of helm's own objects (seen with helm 4.3.1).

use std::fs;

use sluice_gotemplate::SystemHost;
use sluice_helm::TemplateOptions;
use sluice_helm::template::template;
use sluice_helm::values::Values;

#[test]
fn an_action_follows_the_pointer_to_the_capabilities_and_a_function_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("templates")).expect("a folder");
    let chart = "apiVersion: v2\nname: c\nversion: 0.1.0\n";
    fs::write(folder.path().join("Chart.yaml"), chart).expect("a file");
    let text = "x: |\n  {{ .Capabilities }}\ny: {{ printf \"%v\" .Capabilities | trunc 12 | quote }}\n";
    fs::write(folder.path().join("templates/a.yaml"), text).expect("a file");
    let text = template(folder.path(), &Values::new(), &TemplateOptions::default(), &mut SystemHost, None)
        .expect("a text");
    assert!(text.contains("\n  {{v1."), "{text}");
    assert!(text.contains("\ny: \"&{{v1."), "{text}");
}

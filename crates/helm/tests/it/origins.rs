//! Which line of a template printed what is no YAML.

use sluice_gotemplate::SystemHost;
use sluice_helm::chart::{File, load_files};
use sluice_helm::manifest::{Customization, PostRenderStrategy};
use sluice_helm::template::{TemplateError, TemplateOptions, render_chart};
use sluice_helm::{Chart, Values};

const HELPERS: &str = "\
{{- define \"labels\" -}}
app: x
team: a: b
{{- end }}
{{- define \"whole\" }}
kind: ConfigMap
metadata:
  name: {{ .name }}
  labels: {a: b
{{- end }}
";

fn chart(template: &str) -> Chart {
    let files = vec![
        File::new("Chart.yaml", &b"apiVersion: v2\nname: c\nversion: 1.0.0\n"[..]),
        File::new("templates/_helpers.tpl", HELPERS.as_bytes()),
        File::new("templates/a.yaml", template.as_bytes()),
        // It is rendered before, and changes what the other sees.
        File::new("templates/z.yaml", &b"{{- $_ := set .Values \"lines\" (list 1 2 3) }}"[..]),
    ];
    load_files(files).expect("a chart")
}

fn error(template: &str) -> TemplateError {
    let (mut chart, options) = (chart(template), TemplateOptions::default());
    render_chart(&mut chart, &Values::new(), &options, &mut SystemHost, None).expect_err(template)
}

#[test]
fn the_line_of_the_template_is_told() {
    let start = "kind: ConfigMap\nmetadata:\n";
    for (rest, place) in [
        // Text, its line moved by what actions before it printed and did not print.
        ("  name: a: b\n", "a.yaml:3"),
        ("{{- /* nothing\n\n */}}\n  name: a: b\n", "a.yaml:6"),
        ("  list: [{{ range .Values.lines }}\n    {{ . }},{{ end }}\n  ]\n  name: a: b\n", "a.yaml:6"),
        ("{{ if true }}\n  name: x\n{{- end }}\n  other: \"x\n", "a.yaml:6"),
        ("  name: x\nthis is no key\ndata: {}\n", "a.yaml:4"),
        // What an action printed, also if that is more than a line.
        ("  name: {{ \"a: b\" }}\n", "a.yaml:3"),
        ("  labels:\n    {{- include \"labels\" . | nindent 4 }}\n  name: x\n", "a.yaml:4"),
        (
            "  name: x\ndata:\n{{ range .Values.lines }}\n  {{ . }}: {{ if eq . 2 }}a: b{{ end }}\n{{- end }}\n",
            "a.yaml:6",
        ),
        // A later document.
        ("  name: x\n---\n{{ \"\\n\\n\" }}\n# note\nkind: Secret\nmetadata: a: b\n", "a.yaml:8"),
        // Another template, called and not included.
        ("  name: x\n---\n{{ template \"whole\" (dict \"name\" \"a: b\") }}\n", "_helpers.tpl:8"),
        // Only the document as a whole is wrong.
        ("  name: x\n---\n\n- {{ 1 }}\n", "a.yaml:6"),
    ] {
        let template = format!("{start}{rest}");
        let message = error(&template).to_string();
        assert!(message.starts_with("YAML parse error on c/templates/a.yaml: "), "{message}");
        assert!(message.ends_with(&format!("\n  printed by c/templates/{place}")), "{template}\n{message}");
    }
}

#[test]
fn it_is_told_of_what_is_post_rendered() {
    let mut chart = chart("{{- if true }}\nkind: ConfigMap\n{{- end }}\nmetadata: a: b\n");
    for strategy in [PostRenderStrategy::Combined, PostRenderStrategy::Separate, PostRenderStrategy::NoHooks]
    {
        let options = TemplateOptions { post_render_strategy: strategy, ..TemplateOptions::default() };
        let mut none = Customization::default();
        let error = render_chart(&mut chart, &Values::new(), &options, &mut SystemHost, Some(&mut none));
        let message = error.expect_err("no YAML").to_string();
        assert!(message.ends_with("\n  printed by c/templates/a.yaml:4"), "{message}");
    }
}

//! Charts that want too much end in an error.

use sluice_gotemplate::{Limits, SystemHost};
use sluice_helm::chart::{File, load_files};
use sluice_helm::template::render_chart;
use sluice_helm::{TemplateOptions, Values};

fn message(template: &str) -> String {
    let files = vec![
        File::new("Chart.yaml", &b"apiVersion: v2\nname: c\nversion: 1.0.0\n"[..]),
        File::new("templates/a.yaml", template.as_bytes()),
    ];
    let mut chart = load_files(files).expect("a chart");
    let limits = Limits { output: 4 << 20, steps: 2_000_000, allocation: 64 << 20, ..Limits::default() };
    let options = TemplateOptions { limits, ..TemplateOptions::default() };
    match render_chart(&mut chart, &Values::new(), &options, &mut SystemHost, None) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn endless_templates_end() {
    for template in [
        "{{ define \"a\" }}{{ include \"a\" . }}{{ end }}{{ include \"a\" . }}",
        "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}",
        "{{ $t := \"{{ tpl .t . }}\" }}{{ tpl $t (dict \"t\" $t) }}",
        "{{ range until 1000000000 }}x{{ end }}",
        "{{ range $i := 10000000000 }}{{ end }}",
        "{{ repeat 1000000000 \"x\" }}",
        "{{ $s := \"xxxxxxxxxxxxxxxx\" }}{{ range until 60 }}{{ $s = print $s $s }}{{ end }}",
        "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ toYaml $d }}{{ toJson $d }}{{ fail \"done\" }}",
    ] {
        assert!(!message(template).is_empty(), "{template}");
    }
}

#[test]
fn alias_bombs_end() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    let files = vec![
        File::new("Chart.yaml", &b"apiVersion: v2\nname: c\nversion: 1.0.0\n"[..]),
        File::new("values.yaml", bomb.as_bytes()),
    ];
    assert!(load_files(files).is_err());
    assert!(message(&bomb).contains("YAML parse error on c/templates/a.yaml"));
    let deep = "[".repeat(100_000);
    assert!(message(&deep).contains("YAML parse error on c/templates/a.yaml"));
}

/// What a chart says whose subchart `sub` has the tables `x` and `y`.
fn imports(imports: &str) -> String {
    let root = format!(
        "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{{name: sub, version: '*', import-values: [{imports}]}}]\n"
    );
    let tables = (0..40).fold(String::new(), |text, index| text + &format!("t{index}: {{k: {index}}}\n"));
    let files = vec![
        File::new("Chart.yaml", root.as_bytes()),
        File::new("charts/sub/Chart.yaml", &b"apiVersion: v2\nname: sub\nversion: 1.0.0\n"[..]),
        File::new("charts/sub/values.yaml", tables.as_bytes()),
        File::new("templates/a.yaml", &b"a: {{ .Values | toJson | len }}"[..]),
    ];
    let mut chart = load_files(files).expect("a chart");
    match render_chart(&mut chart, &Values::new(), &TemplateOptions::default(), &mut SystemHost, None) {
        Ok(rendered) => rendered.manifest(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn tables_imported_into_themselves_end() {
    let endless = "chart dependencies processing failed: import-values of chart c put tables into each other without end";
    assert!(imports("{child: t0, parent: a}, {child: t1, parent: a.b}").contains("\na: "));
    assert_eq!(imports("{child: t0, parent: a}, {child: t0, parent: a.b}"), endless);
    // Twice in each of 40 levels: 2^40 tables.
    let mut bomb = "{child: t0, parent: p}".to_owned();
    let mut path = "p".to_owned();
    for level in 1..40 {
        bomb.push_str(&format!(
            ", {{child: t{level}, parent: {path}.l}}, {{child: t{level}, parent: {path}.r}}"
        ));
        path.push_str(".l");
    }
    assert_eq!(imports(&bomb), endless);
}

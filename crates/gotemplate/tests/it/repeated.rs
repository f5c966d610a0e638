//! Actions that stand in many places are parsed once: each must mean, print and fail as if it stood alone.

use sluice_gotemplate::{Ctx, Functions, Limits, SystemHost, TemplateSet, Value};

/// Renders the last of the texts, after the others were parsed, and after nothing was.
fn render(texts: &[&str]) -> Result<String, String> {
    let mut alone = TemplateSet::new("t", Functions::helm());
    let mut after = alone.clone();
    let mut results = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let name = if index + 1 == texts.len() { "last".to_owned() } else { format!("t{index}") };
        alone.complete();
        results = [&mut alone, &mut after].map(|set| set.parse(&name, text)).into();
    }
    let data = Value::map([("s", "text".into()), ("yes", Value::Bool(true)), ("n", Value::int(3))]);
    let mut rendered = [&alone, &after].into_iter().zip(results).map(|(set, parsed)| {
        parsed.map_err(|error| error.to_string())?;
        let printed = Ctx::new(set, &mut SystemHost, Limits::default()).execute("last", &data);
        printed.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| error.to_string())
    });
    let first = rendered.next().expect("two sets");
    assert_eq!(rendered.next(), Some(first.clone()));
    first
}

#[test]
fn equal_actions_print_the_same() {
    assert_eq!(render(&["{{ .s }}", "{{ .s }} {{ .s }}\n{{- .s -}}\n {{- .s -}} {{ .s }}"]), {
        Ok("text texttexttexttext".to_owned())
    });
    let quoted = "{{ `a}}` }}{{ `a}}` }}{{ \"}}\\\"}}\" }}{{ \"}}\\\"}}\" }}{{ '}' }}{{ '}' }}";
    assert_eq!(render(&[quoted, quoted]), Ok("a}}a}}}}\"}}}}\"}}125125".to_owned()));
    let blocks = "{{ if .yes }}a{{ end }}{{ if .no }}b{{ else if .yes }}c{{ end }}{{ with .s }}{{ . }}{{ end }}\
                  {{ range .n }}{{ . }}{{ end }}{{ range .n }}{{ . }}{{ end }}";
    assert_eq!(render(&[blocks, blocks]), Ok("actext012012".to_owned()));
}

#[test]
fn variables_are_those_of_the_place() {
    let text = "{{ $x := 1 }}{{ $x }}{{ if .yes }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}{{ $x = 3 }}{{ $x }}";
    assert_eq!(render(&[text, text]), Ok("1213".to_owned()));
    assert_eq!(
        render(&["{{ $x := 1 }}{{ print $x }}", "{{ print $x }}"]),
        Err("template: last:1: undefined variable \"$x\"".to_owned())
    );
    let root = "{{ with .s }}{{ $.n }}{{ end }}{{ $.n }}";
    assert_eq!(render(&[root, root]), Ok("33".to_owned()));
}

#[test]
fn equal_actions_fail_where_they_stand() {
    assert_eq!(
        render(&["{{ .s.x }}", "{{ if .no }}{{ .s.x }}{{ end }}\n  {{ if .yes }}{{ .s.x }}{{ end }}"]),
        Err("template: last:2:20: executing \"last\" at <.s.x>: can't evaluate field x in type interface {}"
            .to_owned())
    );
    assert_eq!(
        render(&[
            "{{ define \"d\" }}\n\n {{- .s | upper | fail }}{{ end }}",
            "{{ if .no }}{{ .s | upper | fail }}{{ end }}{{ template \"d\" . }}"
        ]),
        Err("template: t0:3:18: executing \"d\" at <fail>: error calling fail: HELM_ERR_STARTTEXTHELM_ERR_END".to_owned())
    );
    assert_eq!(
        render(&["{{ if (index .n 1) }}{{ end }}", "\n{{- if .no }}{{ end }}\n{{ if (index .n 1) }}{{ end }}"]),
        Err("template: last:3:7: executing \"last\" at <index .n 1>: error calling index: can't index item of \
             type int"
            .to_owned())
    );
}

#[test]
fn errors_of_a_text_tell_its_lines() {
    for (text, expected) in [
        ("{{ .s }}\n{{ .s }}\n{{ .s", "template: last:3: unclosed action"),
        ("{{ .s }}\n{{\n}}", "template: last:3: missing value for command"),
        ("{{ .s }}\n{{ .s }}{{ end }}", "template: last:2: unexpected {{end}}"),
        ("{{ if .s }}\n{{ .s }}\n", "template: last:3: unexpected EOF"),
        ("{{ .s }}\n{{ \"a\n\" }}", "template: last:2: unterminated quoted string"),
        (
            "{{ .s }}\n{{ .s\n\n ` }}",
            "template: last:4: unterminated raw quoted string in action started at last:2",
        ),
    ] {
        assert_eq!(render(&["{{ .s }}{{ if .s }}{{ end }}", text]), Err(expected.to_owned()));
    }
}

//! Templates that ask for too much end in an error, soon and without a crash.

use std::time::{Duration, Instant};

use sluice_gotemplate::{
    Ctx, Error, Functions, Limits, Map, MissingKey, SystemHost, TemplateSet, Value, with_large_stack,
};

fn small() -> Limits {
    Limits { output: 1 << 18, steps: 500_000, allocation: 1 << 25, ..Limits::default() }
}

fn run_within(template: &str, limits: Limits) -> Result<Vec<u8>, Error> {
    let mut set = TemplateSet::new("gotpl", Functions::helm()).with_missing_key(MissingKey::Zero);
    set.parse("t", template)?;
    let mut host = SystemHost;
    let mut ctx = Ctx::new(&set, &mut host, limits);
    ctx.execute("t", &Value::Map(Map::new()))
}

#[track_caller]
fn fails(template: &str, message: &str) {
    let started = Instant::now();
    let text = run_within(template, small()).map(|printed| printed.len()).expect_err("too much").to_string();
    assert!(text.contains(message), "{}", text.chars().take(400).collect::<String>());
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
}

#[test]
fn templates_that_call_themselves_end() {
    fails(
        r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#,
        "exceeded maximum template depth",
    );
    fails(
        r#"{{ define "a" }}{{ tpl "{{ template \"a\" . }}" . }}{{ end }}{{ template "a" . }}"#,
        "exceeded maximum",
    );
    fails(
        r#"{{ define "a" }}{{ include "b" . }}{{ end }}{{ define "b" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#,
        "",
    );
}

#[test]
fn a_large_stack_reaches_the_recursion_limit_of_helm() {
    let text = with_large_stack(|| {
        let template = r#"{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#;
        run_within(template, Limits::default()).map_err(|error| error.to_string())
    });
    let text = text.expect("a thread").expect_err("no end");
    assert!(text.ends_with("rendering template has a nested reference name: a: unable to execute template"));
}

#[test]
fn endless_loops_and_large_texts_end() {
    fails("{{ range until 10000000000 }}x{{ end }}", "exceeds the limit");
    fails("{{ range 10000000000 }}{{ end }}", "exceeds the limit of 500000 steps");
    fails("{{ range 10000000000 }}xxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{ end }}", "exceeds the limit");
    fails(r#"{{ repeat 1000000000000 "x" }}"#, "exceeds the limit");
    fails(r#"{{ $x := "aaaaaaaaaa" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}"#, "exceeds the limit");
    fails(
        r#"{{ $x := "aaaaaaaaaa" }}{{ range 100 }}{{ $x = replace "a" $x $x }}{{ end }}"#,
        "exceeds the limit",
    );
    fails(
        r#"{{ $x := "a\na" }}{{ range 100 }}{{ $x = indent 1000 $x | cat $x }}{{ end }}"#,
        "exceeds the limit",
    );
    fails(
        r#"{{ $x := "ab" }}{{ range 100 }}{{ $x = regexReplaceAll "(.)" $x "${1}${1}${1}${1}" }}{{ end }}"#,
        "limit",
    );
    fails(r#"{{ printf "%1000000d%1000000d%1000000d" 1 2 3 }}"#, "exceeds the limit");
    fails("{{ $x := list 1 }}{{ range 100 }}{{ $x = concat $x $x }}{{ end }}", "exceeds the limit");
    fails("{{ seq 1 100000000000 }}", "exceeds the limit");
}

#[test]
fn deep_values_neither_print_nor_drop_recursively() {
    let nest = "{{ $x := list }}{{ range 100000 }}{{ $x = list $x }}{{ end }}";
    assert!(run_within(nest, small()).is_ok());
    fails(&format!("{nest}{{{{ $x }}}}"), "nested too deeply");
    assert_eq!(run_within(&format!("{nest}{{{{ toYaml $x }}}}"), small()).expect("swallowed"), b"");
    fails(&format!("{nest}{{{{ mustToJson $x }}}}"), "encountered a cycle");
    fails(&format!("{nest}{{{{ mustDeepCopy $x }}}}"), "nested too deeply");
    let maps = "{{ $x := dict }}{{ range 100000 }}{{ $x = dict \"a\" $x }}{{ end }}";
    assert!(run_within(maps, small()).is_ok());
    assert!(run_within(&format!("{maps}{{{{ deepEqual $x $x }}}}"), small()).is_ok());
}

#[test]
fn a_map_that_holds_itself_is_told_and_freed() {
    let knot = r#"{{ $x := dict "a" (dict) }}{{ $_ := set $x.a "b" $x }}"#;
    assert!(run_within(knot, small()).is_ok());
    fails(&format!("{knot}{{{{ $x }}}}"), "nested too deeply");
    fails(&format!("{knot}{{{{ mustToYaml $x }}}}"), "encountered a cycle");
    fails(&format!("{knot}{{{{ mustToToml $x }}}}"), "nested too deeply");
    assert!(
        run_within(&format!("{knot}{{{{ $_ := mustMerge $x (deepCopy (dict \"a\" $x.a.b)) }}}}"), small())
            .is_err()
    );

    // What the template tied together is untied again: nobody but the test holds the map.
    let mut set = TemplateSet::new("gotpl", Functions::helm());
    set.parse("t", r#"{{ $_ := set . "self" . }}{{ $_ := set .inner "outer" (list .) }}"#).expect("valid");
    let inner = Map::new();
    let data = Map::from_entries([("inner", Value::Map(inner.clone()))]);
    let mut host = SystemHost;
    Ctx::new(&set, &mut host, small()).execute("t", &Value::Map(data.clone())).expect("fine");
    assert!(!data.contains_key("self"));
    assert!(!(data.contains_key("inner") && inner.contains_key("outer")));
}

#[test]
fn deep_nesting_of_the_text_is_refused() {
    let nested = |open: &str, close: &str, count: usize| open.repeat(count) + "1" + &close.repeat(count);
    fails(&format!("{{{{ {} }}}}", nested("(", ")", 100_000)), "max expression depth exceeded");
    fails(&nested("{{ if 1 }}", "{{ end }}", 100_000), "max nesting depth exceeded");
    let chain = format!("{{{{ if 0 }}}}{}{{{{ end }}}}", "{{ else if 0 }}".repeat(100_000));
    fails(&chain, "max nesting depth exceeded");
    let fine = nested("{{ if 1 }}", "{{ end }}", 500);
    let printed = with_large_stack(|| run_within(&fine, small()).map_err(|error| error.to_string()));
    assert_eq!(printed.expect("a thread").expect("rendered"), b"1");
}

#[test]
fn time_is_limited() {
    let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
    let error = run_within("{{ range 10000000000 }}{{ end }}", limits).expect_err("no end");
    assert!(error.to_string().contains("exceeds the limit of 50ms"), "{error}");
}

#[test]
fn random_bytes_never_crash_the_parser() {
    let pieces = [
        "{{", "}}", "{{-", "-}}", " ", "if", "range", "end", "else", "with", "define", "\"a\"", "`", "'x'",
        "$x", ":=", "=", "|", "(", ")", ".", ".a", "1", "0x", "1e", "nil", "true", "print", "template",
        "block", "break", "/*", "*/", "\n", "é", "\u{0}", ",", "text",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..4000 {
        let mut text = String::from("{{");
        for _ in 0..random.usize(1..40) {
            text.push_str(pieces[random.usize(..pieces.len())]);
            if random.bool() {
                text.push(' ');
            }
        }
        let _ = run_within(&text, small());
    }
}

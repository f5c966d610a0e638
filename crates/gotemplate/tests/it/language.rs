//! What the engine offers beside helm's use of it.

use sluice_gotemplate::{
    Ctx, Failure, Func, Functions, Limits, Map, MissingKey, SystemHost, TemplateSet, Type, Value,
};

fn render(set: &TemplateSet, name: &str, data: &Value) -> Result<String, String> {
    let mut host = SystemHost;
    let printed = Ctx::new(set, &mut host, Limits::default()).execute(name, data);
    printed.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| error.to_string())
}

#[track_caller]
fn check(set: TemplateSet, template: &str, expected: Result<&str, &str>) {
    let mut set = set;
    let data = Value::map([("a", Value::int(1)), ("s", "text".into())]);
    let result = match set.parse("t", template) {
        Ok(()) => render(&set, "t", &data),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(result.as_deref().map_err(String::as_str), expected);
}

fn plain() -> TemplateSet {
    TemplateSet::new("t", Functions::builtin())
}

#[test]
fn missing_keys_are_what_the_set_says() {
    check(plain(), "{{ .b }}", Ok("<no value>"));
    check(plain().with_missing_key(MissingKey::Zero), "{{ .b }}", Ok("<no value>"));
    check(
        plain().with_missing_key(MissingKey::Error),
        "{{ .b }}",
        Err("template: t:1:3: executing \"t\" at <.b>: map has no entry for key \"b\""),
    );
    check(plain(), "{{ .b.c }}", Ok("<no value>"));
    check(
        plain().with_missing_key(MissingKey::Zero),
        "{{ .b.c }}",
        Err("template: t:1:5: executing \"t\" at <.b.c>: nil pointer evaluating interface {}.c"),
    );
}

#[test]
fn delimiters_can_be_others() {
    check(plain().with_delimiters("<<", ">>"), "{{ x }} << .a ->> \n y<</* c */>>", Ok("{{ x }} 1y"));
    check(plain().with_delimiters("", "END"), "{{ .s END", Ok("text"));
}

#[test]
fn builtin_functions_stand_alone() {
    check(plain(), "{{ slice .s 1 3 }} {{ slice .s }}", Ok("ex text"));
    check(plain(), "{{ upper .s }}", Err("template: t:1: function \"upper\" not defined"));
    check(
        plain(),
        "{{ html \"<a>\" }} {{ js `'x'` }} {{ urlquery \"a b&\" }}",
        Ok("&lt;a&gt; \\'x\\' a+b%26"),
    );
    check(plain(), "{{ break }}", Err("template: t:1: {{break}} outside {{range}}"));
    check(plain(), "{{ 1 | and 2 }} {{ or 0 \"\" }}|{{ not 0 }}", Ok("1 |true"));
}

#[test]
fn later_templates_replace_earlier_ones_unless_they_are_blank() {
    let mut set = plain();
    set.parse("one", r#"{{ define "x" }}first{{ end }}{{ template "x" }}"#).expect("valid");
    set.parse("two", r#"{{ define "x" }}second{{ end }}"#).expect("valid");
    set.parse("three", r#"{{ define "x" }}  {{/* nothing */}}{{ end }}"#).expect("valid");
    assert_eq!(render(&set, "one", &Value::Missing).as_deref(), Ok("second"));
    assert!(set.contains("three"));
    let error =
        set.parse("four", r#"{{ define "y" }}1{{ end }}{{ define "y" }}2{{ end }}"#).expect_err("twice");
    assert_eq!(error.to_string(), "template: four:1: template: multiple definition of template \"y\"");
}

#[test]
fn own_functions_are_called_with_what_they_ask_for() {
    static DOUBLE: Func = Func::new("double", &[Type::INT], Type::INT, |_, args| match &args[0] {
        Value::Int(int) if int.signed() > 100 => Err(Failure::new("too much")),
        Value::Int(int) => Ok(Value::int(int.signed() * 2)),
        _ => Ok(Value::Missing),
    });
    let mut functions = Functions::default();
    functions.insert(&DOUBLE);
    let set = TemplateSet::new("t", functions.into());
    check(set.clone(), "{{ double 4 }} {{ .a | double }}", Ok("8 2"));
    check(
        set.clone(),
        "{{ double 400 }}",
        Err("template: t:1:3: executing \"t\" at <double 400>: error calling double: too much"),
    );
    check(
        set,
        "{{ double .s }}",
        Err("template: t:1:10: executing \"t\" at <.s>: wrong type for value; expected int; got string"),
    );
}

#[test]
fn maps_are_shared() {
    let mut set = TemplateSet::new("t", Functions::helm());
    set.parse("t", r#"{{ $_ := set .m "k" 1 }}{{ .m.k }}"#).expect("valid");
    let inner = Map::new();
    let data = Value::map([("m", Value::Map(inner.clone()))]);
    assert_eq!(render(&set, "t", &data).as_deref(), Ok("1"));
    assert!(inner.contains_key("k"));
}

#[test]
fn parsed_sets_go_to_other_threads() {
    fn is_sync<T: Send + Sync>(_: &T) {}
    is_sync(&plain());
}

#[test]
fn deferred_templates_are_parsed_when_they_are_asked_for() {
    let mut set = TemplateSet::new("t", Functions::helm());
    set.parse("_partial", r#"{{ define "name" }}app{{ end }}"#).expect("valid");
    for (name, text, deferred) in [
        ("map", r#"{{ template "name" }}: {{ .a }}"#, true),
        ("user", r#"{{ include "map" . | sha256sum | trunc 4 }} {{ template "map" . }}"#, true),
        ("broken", "{{ if }}", true),
        ("caller", r#"{{ template "broken" }}"#, true),
        ("definer", r#"{{ define "map" }}other{{ end }}"#, false),
    ] {
        assert_eq!(set.defer(name, &text.as_bytes().into()), deferred, "{name}");
    }
    assert!(set.is_unambiguous() && set.contains("map") && !set.contains("definer"));
    let data = Value::map([("a", Value::int(1))]);
    let mut host = SystemHost;
    let mut context = Ctx::new(&set, &mut host, Limits::default());
    let mut once = |name: &str| {
        let printed = context.execute_once(name, &data).map_err(|error| error.to_string());
        printed.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    assert_eq!(once("user").as_deref(), Ok("77f1 app: 1"));
    assert_eq!(once("map").as_deref(), Ok("app: 1"));
    assert_eq!(once("map").as_deref(), Ok("app: 1"), "a second time");
    assert_eq!(once("broken").unwrap_err(), "template: broken:1: missing value for if");
    assert!(once("caller").unwrap_err().contains(r#"template "broken" not defined"#));
    let mut taken = set.clone();
    taken.parse("definer", r#"{{ define "map" }}other{{ end }}"#).expect("valid");
    assert!(!taken.is_unambiguous());
}

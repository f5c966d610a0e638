use sluice_envsubst::{Error, MAX_DEPTH, Options, is_variable_name, substitute};

fn run(text: &str, value: &str) -> Result<Vec<u8>, Error> {
    substitute(text, &|_| Some(value), Options { max_output: 1 << 20, ..Options::default() })
}

#[test]
fn deep_nesting_is_an_error() {
    let text = |depth: usize| format!("{}x{}", "${v:=".repeat(depth), "}".repeat(depth));
    assert_eq!(run(&text(MAX_DEPTH), "").unwrap(), b"x");
    assert_eq!(run(&text(100_000), ""), Err(Error::TooDeep));
}

#[test]
fn output_is_bounded_in_sums_and_in_replacements() {
    let large = "a".repeat(100_000);
    assert!(run(&"${v}".repeat(1000), &large) == Err(Error::TooLarge(1 << 20)));
    assert!(run("${v//a/${v}}", &large) == Err(Error::TooLarge(1 << 20)));
}

#[test]
fn a_costly_pattern_on_a_large_value_is_an_error() {
    let large = "a".repeat(200_000);
    assert!(run("${v##*x*y}", &large) == Err(Error::TooComplex("v".to_owned())));
}

#[test]
fn an_empty_search_text_is_found_before_each_character() {
    let lookup = |name: &str| Some(if name == "v" { "né" } else { "" });
    let run = |text| String::from_utf8(substitute(text, &lookup, Options::default()).unwrap()).unwrap();
    assert_eq!(run("${v//${e}/-}"), "-n-é-");
    assert_eq!(run("${v/${e}/-}"), "-né");
}

#[test]
fn variable_names_are_ascii_words() {
    for (name, valid) in
        [("a", true), ("_A9", true), ("9a", false), ("a-b", false), ("é", false), ("", false)]
    {
        assert_eq!(is_variable_name(name), valid, "{name:?}");
    }
}

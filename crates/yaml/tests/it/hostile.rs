use sluice_yaml::event::Events;
use sluice_yaml::{Dialect, read, read_all, read_members, read_node};

#[test]
fn deep_nesting_is_an_error() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        assert!(read(&text).is_err());
        assert!(read_node(&text).is_err());
    }
}

#[test]
fn deep_lines_of_a_wanted_member_are_an_error() {
    let mut text = String::from("metadata:\n");
    for depth in 1..3000 {
        text.push_str(&format!("{:depth$}a:\n", ""));
    }
    text.push_str(&format!("{}b: c\n", " ".repeat(3000)));
    // The stack of a small thread: a worker has little more left when it comes here.
    let reader = std::thread::Builder::new().stack_size(1 << 20);
    let reader = reader.spawn(move || read_members(&text, |name| name == "metadata").expect_err("too deep"));
    let error = reader.expect("a thread").join().expect("no panic");
    assert_eq!(error.to_string(), "yaml: line 513: exceeded max depth of 512");
}

#[test]
fn alias_bombs_are_errors() {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_eq!(read(&text).expect_err("a bomb").to_string(), "yaml: document contains excessive aliasing");
    assert_eq!(
        read_node(&text).expect_err("a bomb").to_string(),
        "yaml: document contains excessive aliasing"
    );
}

#[test]
fn every_prefix_of_an_odd_document_is_read_or_refused() {
    let text = "%YAML 1.1\n---\n? &a !!str 'k''e\ny'\n: |2+\n   x\n\n  y\n\"\\x41\\u263A\\\n  z\": [*a, {b: c, ? d}, !<t> >-\n";
    for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
        let _ = read(&text[..end]);
        let _ = read_node(&text[..end]);
    }
}

/// What a reader of events says of a text.
fn events(text: &str, dialect: Dialect) -> Result<usize, String> {
    let mut events = Events::new(text, dialect);
    let mut count = 0;
    while events.next_event().map_err(|error| error.to_string())?.is_some() {
        count += 1;
    }
    assert!(events.next_event().expect("no second error").is_none());
    Ok(count)
}

#[test]
fn forbidden_characters_are_errors_wherever_they_are() {
    // The scanner takes a NUL for the end; in quotes it once waited for that end forever.
    for hole in ["\0", "\u{7}", "\u{7f}", "\u{80}"] {
        for text in
            ["\"*\"", "'*'", "\"*", "'a\n*\n", "a: *b", "# *\na: b", "a: |\n  *\n", "[a, *]", "&*a b", "*"]
        {
            let text = text.replace('*', hole);
            for dialect in [Dialect::Sigs, Dialect::V3] {
                let error = events(&text, dialect).expect_err(&text);
                assert_eq!(error, "yaml: control characters are not allowed", "{text:?}");
            }
            assert!(read(&text).is_err() && read_node(&text).is_err(), "{text:?}");
        }
    }
    assert_eq!(events("a: \"b\u{85}\u{a0}\u{1f600}\"", Dialect::V3), Ok(8));
}

#[test]
fn many_anchors_are_found_at_once() {
    let items: Vec<String> = (0..200_000).map(|i| format!("- &a{i} x\n- *a{i}\n")).collect();
    assert!(read_node(items.concat()).is_ok());
}

#[test]
fn anchors_within_anchors_are_not_copied_without_end() {
    let opened: Vec<String> = (0..400).map(|i| format!("&a{i} [")).collect();
    let text = format!("{}{}{}", opened.concat(), "x,".repeat(100_000), "]".repeat(400));
    for error in [read(&text).map(drop), read_node(&text).map(drop)] {
        assert_eq!(error.expect_err("a bomb").to_string(), "yaml: document contains excessive aliasing");
    }
}

#[test]
fn tag_directives_are_limited() {
    let tagged = |count: usize| {
        let directives: Vec<String> = (0..count).map(|i| format!("%TAG !a{i}! b\n")).collect();
        read_all(format!("{}--- !a7!x y\n", directives.concat()))
    };
    assert!(tagged(60).is_ok());
    assert!(tagged(100_000).is_err());
    let text = format!("%TAG !a! {}\n---\n{}", "b".repeat(1 << 20), "- !a!x y\n".repeat(100_000));
    assert!(read(text).is_err());
}

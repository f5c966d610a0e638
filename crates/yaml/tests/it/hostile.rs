use sluice_yaml::{read, read_node};

#[test]
fn deep_nesting_is_an_error() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        assert!(read(&text).is_err());
        assert!(read_node(&text).is_err());
    }
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

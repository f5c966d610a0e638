//! Files that mean harm end in an error, soon.

use sluice_sops::{Error, Format, Keyring, Options, decrypt};

fn fails(data: &str, format: Format) -> Error {
    let ring = Keyring::new();
    decrypt(data.as_bytes(), format, format, &[&ring], Options::default()).expect_err("no file to decrypt")
}

#[test]
fn deep_nesting_is_refused() {
    let depth = 100_000;
    for (data, format) in [
        ("[".repeat(depth), Format::Yaml),
        ("{a: ".repeat(depth), Format::Yaml),
        ("- ".repeat(depth), Format::Yaml),
        (format!("{{\"a\":{}", "[".repeat(depth)), Format::Json),
        (format!("sops_a{}=x", "__map_b".repeat(depth)), Format::Dotenv),
    ] {
        assert!(matches!(fails(&data, format), Error::Load(_) | Error::Metadata(_)));
    }
}

#[test]
fn aliases_that_grow_without_end_are_refused() {
    let mut data = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        data.push_str(&format!("a{level}: &a{level} [{}]\n", vec![format!("*a{before}"); 10].join(", ")));
    }
    let error = fails(&data, Format::Yaml);
    assert!(error.to_string().contains("excessive aliasing"), "{error}");
}

#[test]
fn many_keys_comments_and_sections_take_no_longer_than_they_should() {
    let lines = |line: fn(usize) -> String| (0..100_000).map(line).collect::<Vec<_>>().join("\n");
    let ini = lines(|i| format!("k{i}=v"));
    let yaml = lines(|i| format!("# c\nk{i}: v # d"));
    let returns = "k:\r".to_owned() + &"- v # d\r".repeat(100_000);
    assert_eq!(fails(&returns, Format::Yaml), Error::MetadataNotFound);
    assert_eq!(fails(&ini, Format::Ini), Error::MetadataNotFound);
    assert_eq!(fails(&yaml, Format::Yaml), Error::MetadataNotFound);
}

#[test]
fn characters_that_yaml_forbids_are_errors() {
    // A NUL in quotes, which the reader once never got past.
    for data in ["a: \"\0\"\n", "a: '\0", "a: b # \u{7}\n"] {
        let error = fails(data, Format::Yaml).to_string();
        assert!(error.contains("control characters are not allowed"), "{error}");
    }
}

#[test]
fn what_is_no_file_of_the_format_is_an_error_without_its_content() {
    for (data, format) in [
        ("s3cr3t", Format::Dotenv),
        ("s3cr3t", Format::Ini),
        ("\"s3cr3t", Format::Ini),
        ("{\"a\": s3cr3t}", Format::Json),
        ("\"s3cr3t\"", Format::Json),
        ("", Format::Json),
        ("- s3cr3t", Format::Yaml),
        ("s3cr3t", Format::Yaml),
    ] {
        let error = fails(data, format).to_string();
        assert!(!error.is_empty() && !error.contains("s3cr3t"), "{format:?}: {error}");
    }
}

#[test]
fn metadata_that_makes_no_sense_is_an_error() {
    let keys = "pgp: [{created_at: '2026-01-01T00:00:00Z', enc: x, fp: y}]";
    for (metadata, wanted) in [
        ("{}", "parsing time \"\""),
        ("{lastmodified: 2026-01-01T00:00:00Z}", "No keys found in file"),
        (
            &format!(
                "{{lastmodified: 2026-01-01T00:00:00Z, {keys}, encrypted_regex: a, encrypted_suffix: b}}"
            ),
            "Cannot use more than one of",
        ),
        (&format!("{{lastmodified: '2026-13-01T00:00:00Z', {keys}}}"), "out of range"),
        (
            &format!("{{lastmodified: 2026-01-01T00:00:00Z, {keys}, shamir_threshold: many}}"),
            "shamir_threshold",
        ),
        ("text", "not a mapping"),
    ] {
        let error = fails(&format!("a: b\nsops: {metadata}\n"), Format::Yaml).to_string();
        assert!(error.contains(wanted), "{metadata}: {error}");
    }
}

//! Targets for what comes from registries, Git authors and artifact servers beside charts and kustomizations.

use sluice_artifact::ignore::Patterns;
use sluice_artifact::{Rules, extract};
use sluice_policy::setters::{Image, Setters};
use sluice_sops::{Format, Keyring};

use crate::charts::{archives, set_checksum};
use crate::targets::bytes;

pub(crate) const TAR_WORDS: &[&str] = &[
    "../",
    "/",
    "./",
    "..",
    "\\",
    "\0",
    "a",
    "dir/",
    "ustar",
    "00000000000",
    "77777777777",
    "\u{80}",
    "2",
    "5",
    "x",
    "g",
    "L",
    "K",
    "30 path=../../x\n",
    "20 size=99999999999\n",
    "\u{ff}",
];

/// Unpacks the tar as an artifact; nothing may appear beside the target.
pub(crate) fn unpack(input: &[u8]) {
    let mut tar = input.to_vec();
    // Sums are mended, so that mutated headers are looked at.
    for block in tar.chunks_exact_mut(512).filter(|block| block[257..].starts_with(b"ustar")) {
        set_checksum(block);
    }
    let Ok(outer) = tempfile::tempdir() else { return };
    let target = outer.path().join("target");
    if std::fs::create_dir(&target).is_err() {
        return;
    }
    let mut options = extract::Options::artifact();
    (options.max_bytes, options.max_entries) = (Some(1 << 20), 1000);
    let _ = extract::extract_tar(&tar[..], &target, &options);
    let beside = std::fs::read_dir(outer.path()).map_or(0, Iterator::count);
    assert_eq!(beside, 1, "something appeared beside the target");
}

pub(crate) fn tars() -> Vec<Vec<u8>> {
    archives()
}

pub(crate) const VARIABLE_WORDS: &[&str] = &[
    "${",
    "}",
    "$",
    "$$",
    "$${",
    ":-",
    ":=",
    ":+",
    ":?",
    "##",
    "%%",
    "#",
    "%",
    "/",
    "//",
    "/#",
    "/%",
    "^^",
    ",,",
    "^",
    ",",
    ":",
    ":1:2",
    ":-1",
    ": -1",
    "*",
    "?",
    "[a-z]",
    "\\",
    "\u{e9}",
    "\u{1f600}",
    "name",
    "99999999999999999999",
    "@Q",
    "\n",
];

pub(crate) fn variables() -> Vec<Vec<u8>> {
    bytes(&[
        "a: ${name}\nb: ${name:=x}\nc: ${name:-${other}}\nd: ${name:1:3}\ne: ${#name}\n",
        "${name^^} ${name,,} ${name/a/b} ${name//a/b} ${name##*/} ${name%%.*} $${name} $name",
        "${long%%*a*a*a*a*b}",
    ])
}

pub(crate) fn substitute(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let long = "a".repeat(300);
    let lookup = |name: &str| match name {
        "name" => Some("path/to/a.b.c"),
        "long" => Some(long.as_str()),
        _ => None,
    };
    for strict in [false, true] {
        let options = sluice_envsubst::Options { strict, max_output: 1 << 20 };
        if let Ok(output) = sluice_envsubst::substitute(&text, &lookup, options) {
            assert!(output.len() <= options.max_output, "the output is bounded");
        }
    }
}

pub(crate) const IGNORE_WORDS: &[&str] = &[
    "*",
    "**",
    "**/",
    "/",
    "!",
    "\\",
    "?",
    "[",
    "]",
    "[^a-",
    "[[:alpha:]]",
    "#",
    " ",
    "\\ ",
    "\r\n",
    "\n",
    "a",
    ".git",
    "{a,b}",
];

pub(crate) fn ignores() -> Vec<Vec<u8>> {
    bytes(&[
        "*.log\n!keep.log\n/build/\n**/node_modules/**\ndocs/*.md\n",
        "a/**/b\n[a-z]?.txt\n\\#x\n\\!y\ntrailing\\ \n",
        "*a*a*a*a*a*a*a*b\n",
    ])
}

pub(crate) fn ignore(input: &[u8]) {
    let mut patterns = Patterns::new();
    patterns.read(b"", input);
    patterns.read(b"deep/er", input);
    let rules = Rules::with_defaults(patterns);
    for path in [
        "a.log",
        "deep/er/build/x",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac",
        "a/x/y/b",
        ".git/config",
        "",
    ] {
        for directory in [false, true] {
            let _ = rules.ignores(path.as_bytes(), directory);
        }
    }
}

pub(crate) const SOPS_WORDS: &[&str] = &[
    "sops:",
    "ENC[AES256_GCM,data:",
    ",iv:",
    ",tag:",
    ",type:str]",
    "type:int]",
    "age:",
    "- recipient:",
    "enc: |",
    "lastmodified:",
    "mac:",
    "version:",
    "shamir_threshold: 2",
    "key_groups:",
    "encrypted_regex:",
    "-----BEGIN AGE ENCRYPTED FILE-----",
    "-----END AGE ENCRYPTED FILE-----",
    "pgp:",
    "null",
    "[]",
    "&a ",
    "*a",
    "==",
    "\n    ",
    "unencrypted_suffix: _",
];

const ALICE: &str = include_str!("../../../crates/sops/tests/cases/keys/age-alice.agekey");

pub(crate) fn secrets() -> Vec<Vec<u8>> {
    bytes(&[
        include_str!("../../../crates/sops/tests/cases/yaml-encrypted-regex/encrypted.yaml"),
        include_str!("../../../crates/sops/tests/cases/yaml-multi-document/encrypted.yaml"),
    ])
}

pub(crate) fn decrypt(input: &[u8]) {
    let mut keys = Keyring::new();
    if keys.add_age(ALICE).is_err() {
        return;
    }
    for (format, verify_mac) in [
        (Format::Yaml, false),
        (Format::Yaml, true),
        (Format::Json, false),
        (Format::Dotenv, false),
        (Format::Ini, false),
    ] {
        let options = sluice_sops::Options { verify_mac };
        let _ = sluice_sops::decrypt(input, format, format, &[&keys], options);
    }
}

pub(crate) const OCI_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "-1",
    "1e999",
    "99999999999999999999",
    "schemaVersion",
    "manifests",
    "layers",
    "config",
    "digest",
    "sha256:",
    "@",
    "/",
    "..",
    "localhost",
    "application/vnd.oci.image.index.v1+json",
    "\"auths\"",
    "Og==",
    "\u{1f600}",
    "\\u0000",
    "\\ud800",
];

pub(crate) fn registries() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"a","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[{"mediaType":"b","digest":"sha256:00","size":1}],"annotations":{"a":"b"}}"#,
        r#"{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha256:00","size":1,"platform":{"os":"linux","architecture":"amd64"}}]}"#,
        r#"{"auths":{"https://ghcr.io/v2/":{"auth":"dXNlcjpwYXNz"},"localhost:5000":{"username":"u","password":"p"}}}"#,
        "registry.example.com:5000/team/app:1.2.3@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    ])
}

pub(crate) fn registry(input: &[u8]) {
    for media_type in
        ["", "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"]
    {
        let _ = sluice_oci::parse_manifest(media_type, input);
    }
    let reference = sluice_oci::Reference::parse(&String::from_utf8_lossy(input));
    if let (Ok(config), Ok(reference)) = (sluice_oci::DockerConfig::parse(input), &reference) {
        let _ = config.find(&reference.registry, &reference.repository);
    }
    if let Ok(reference) = reference {
        let _ = (reference.context(), reference.with_tag("x"), reference.identifier().len());
    }
}

pub(crate) const MARKER_WORDS: &[&str] = &[
    " # {\"$imagepolicy\": \"ns:app\"}",
    "{\"$imagepolicy\": \"ns:app:tag\"}",
    ":name\"}",
    ":digest\"}",
    "#",
    "\n",
    "---\n",
    "- ",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "image: ",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "\r\n",
    "\t",
    "\u{feff}",
    "\u{2028}",
    "!!str ",
    "@sha256:",
];

pub(crate) fn markers() -> Vec<Vec<u8>> {
    bytes(&[
        "kind: Deployment\nspec:\n  containers:\n  - name: a\n    image: app:1.0.0 # {\"$imagepolicy\": \"ns:app\"}\n",
        "images:\n- name: app\n  newName: 'app' # {\"$imagepolicy\": \"ns:app:name\"}\n  newTag: \"1\" # {\"$imagepolicy\": \"ns:app:tag\"}\n",
        "a: {b: x, # {\"$imagepolicy\": \"ns:app\"}\n  c: y}\n---\nkind: B\nd: |\n  e # {\"$imagepolicy\": \"ns:app\"}\n",
    ])
}

pub(crate) fn set_images(input: &[u8]) {
    let image = Image { name: "r/app".into(), tag: "2.0.0".into(), digest: String::new() };
    let setters = Setters::new("ns", [("app".to_owned(), image)].into());
    let Ok(updated) = sluice_policy::setters::update(input, &setters) else { return };
    let Some(content) = updated.content else { return };
    // What was written stays as it is the next time.
    if let Ok(again) = sluice_policy::setters::update(&content, &setters) {
        assert!(again.content.is_none(), "a second run changes it again");
    }
}

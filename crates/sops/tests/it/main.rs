//! Files that the real sops encrypted, with what it prints for them.

mod hostile;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sluice_sops::{Format, KeyService, Keyring, Options, decrypt};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn format(name: &str) -> Format {
    match name {
        "yaml" => Format::Yaml,
        "json" => Format::Json,
        "dotenv" => Format::Dotenv,
        "ini" => Format::Ini,
        _ => Format::Binary,
    }
}

fn keyring(case: &Value) -> Keyring {
    let mut ring = Keyring::new();
    for name in case["keys"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("name of a key");
        let data = fs::read(cases().join("keys").join(name)).expect("key");
        if Path::new(name).extension().is_some_and(|extension| extension == "asc") {
            ring.add_pgp(&data).expect("OpenPGP key");
        } else {
            ring.add_age(std::str::from_utf8(&data).expect("age key is text")).expect("age key");
        }
    }
    ring
}

/// What an error must be, given the reference's: without places that were looked in, and without values.
fn expected_error(error: &str) -> String {
    let error = error.trim_start_matches("Error decrypting tree: ");
    let mut out = String::new();
    let mut rest = error;
    while let Some(at) = rest.find("parsing \"") {
        let (head, tail) = rest.split_at(at + "parsing \"".len());
        let end = tail.find('"').expect("quotes close");
        out.push_str(head);
        out.push_str("<redacted>");
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

/// The lines of an error of keys that do not tell what the tool tried.
fn frame(error: &str) -> Vec<&str> {
    error.lines().filter(|line| !line.trim_start().starts_with(['-', '|'])).collect()
}

fn check(folder: &Path, verify_mac: bool, failures: &mut Vec<String>) {
    let case: Value =
        serde_json::from_slice(&fs::read(folder.join("case.json")).expect("case")).expect("case is JSON");
    let id = case["id"].as_str().expect("id");
    let text = |name: &str| case[name].as_str().unwrap_or_default();
    let answer = if verify_mac || case["ignore_mac"].is_null() { &case } else { &case["ignore_mac"] };
    let data = fs::read(folder.join(text("encrypted"))).expect("encrypted file");
    let ring = keyring(&case);
    let services: [&dyn KeyService; 1] = [&ring];
    let result = decrypt(
        &data,
        format(text("input_type")),
        format(text("output_type")),
        &services,
        Options { verify_mac },
    );
    match (answer["ok"].as_bool(), result) {
        (Some(true), Ok(plain)) => {
            let name = answer["plain"].as_str().expect("plain file");
            let wanted = fs::read(folder.join(name)).expect("plain file");
            if plain != wanted {
                let (plain, wanted) = (String::from_utf8_lossy(&plain), String::from_utf8_lossy(&wanted));
                let line = plain.lines().zip(wanted.lines()).position(|(a, b)| a != b).unwrap_or_default();
                failures.push(format!(
                    "{id}: line {}: {:?} instead of {:?}",
                    line + 1,
                    plain.lines().nth(line),
                    wanted.lines().nth(line)
                ));
            }
        }
        (Some(true), Err(error)) => failures.push(format!("{id}: {error}")),
        (_, Ok(_)) => failures.push(format!("{id}: no error")),
        (_, Err(error)) => {
            let error = error.to_string();
            let wanted = expected_error(answer["error"].as_str().unwrap_or_default());
            if frame(&error) != frame(&wanted) {
                failures.push(format!("{id}: error {error:?} instead of {wanted:?}"));
            }
        }
    }
}

fn all(verify_mac: bool) {
    let mut failures = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(cases()).expect("cases") {
        let folder = entry.expect("case").path();
        if folder.join("case.json").exists() {
            check(&folder, verify_mac, &mut failures);
            count += 1;
        }
    }
    failures.sort();
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(count > 60, "only {count} cases");
}

#[test]
fn every_file_decrypts_as_the_reference_does_it() {
    all(true);
}

#[test]
fn every_file_decrypts_as_flux_does_it_without_the_code() {
    all(false);
}

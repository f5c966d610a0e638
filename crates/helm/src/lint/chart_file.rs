//! `Chart.yaml`.

use serde_json::Value;
use sluice_semver::{Constraints, Version};

use super::{Findings, Severity, line_of};
use crate::chart::{FIELDS, File, Metadata};
use crate::document;
use crate::go::quote;

const PATH: &str = "Chart.yaml";

/// All checks of the file.
pub(super) fn check(file: Option<&File>, findings: &mut Findings) {
    let Some(file) = file else {
        findings.add(Severity::Error, PATH, "unable to parse YAML\n\tno such file");
        return;
    };
    let document = match document::to_json(&file.data) {
        Ok(document) => document,
        Err(error) => {
            let text = format!("unable to parse YAML\n\terror converting YAML to JSON: {error}");
            findings.add_at(Severity::Error, PATH, line_of(&error), text);
            return;
        }
    };
    let mut metadata = Metadata::default();
    if let Err(error) = metadata.merge(&document) {
        findings.add(Severity::Error, PATH, format!("unable to parse YAML\n\t{error}"));
        return;
    }
    if let Err(error) = sluice_yaml::read_strict(&file.data) {
        let text =
            format!("failed to strictly parse chart metadata file\n\terror converting YAML to JSON: {error}");
        findings.add_at(Severity::Warning, PATH, line_of(&error), text);
    }
    let keys = document.as_object().into_iter().flat_map(serde_json::Map::keys);
    if let Some(key) = keys.filter(|key| !FIELDS.contains(&key.as_str())).min() {
        let text = format!(
            "failed to strictly parse chart metadata file\n\terror unmarshaling JSON: while decoding JSON: json: \
             unknown field {}",
            quote(key)
        );
        findings.add(Severity::Warning, PATH, text);
    }
    names(&metadata, &document, findings);
    addresses(&metadata, findings);
    features(&metadata, findings);
}

fn names(metadata: &Metadata, document: &Value, findings: &mut Findings) {
    if metadata.name.is_empty() {
        findings.add(Severity::Error, PATH, "name is required");
    } else {
        findings.unless(!metadata.name.contains('/'), Severity::Error, PATH, || {
            format!("chart name {} is invalid", quote(&metadata.name))
        });
    }
    match metadata.api_version.as_str() {
        "v1" | "v2" => {}
        "" => findings.add(
            Severity::Error,
            PATH,
            "apiVersion is required. The value must be either \"v1\" or \"v2\"",
        ),
        other => findings.add(
            Severity::Error,
            PATH,
            format!("apiVersion '{other}' is not valid. The value must be either \"v1\" or \"v2\""),
        ),
    }
    text_field(document, "version", findings);
    version(&metadata.version, findings);
    text_field(document, "appVersion", findings);
}

fn text_field(document: &Value, name: &str, findings: &mut Findings) {
    let found = match document.get(name) {
        None | Some(Value::String(_)) => return,
        Some(Value::Null) => "<nil>",
        Some(Value::Bool(_)) => "bool",
        Some(Value::Number(_)) => "float64",
        Some(Value::Array(_)) => "[]interface {}",
        Some(Value::Object(_)) => "map[string]interface {}",
    };
    findings.add(Severity::Error, PATH, format!("{name} should be of type string but it's of type {found}"));
}

fn version(text: &str, findings: &mut Findings) {
    if text.is_empty() {
        findings.add(Severity::Error, PATH, "version is required");
        return;
    }
    match (Version::parse(text), Constraints::parse(">0.0.0-0")) {
        (Ok(version), Ok(range)) => {
            if let Err(reasons) = range.validate(&version) {
                let reason = reasons.first().cloned().unwrap_or_default();
                findings.add(Severity::Error, PATH, format!("version {reason}"));
            }
        }
        _ => findings.add(Severity::Error, PATH, format!("version '{text}' is not a valid SemVer")),
    }
}

fn addresses(metadata: &Metadata, findings: &mut Findings) {
    for maintainer in &metadata.maintainers {
        let problem = match maintainer {
            None => "a maintainer entry is empty".to_owned(),
            Some(maintainer) if maintainer.name.is_empty() => "each maintainer requires a name".to_owned(),
            Some(maintainer) if !maintainer.email.is_empty() && !is_email(&maintainer.email) => {
                format!("invalid email '{}' for maintainer '{}'", maintainer.email, maintainer.name)
            }
            Some(maintainer) if !maintainer.url.is_empty() && !is_address(&maintainer.url) => {
                format!("invalid url '{}' for maintainer '{}'", maintainer.url, maintainer.name)
            }
            Some(_) => continue,
        };
        findings.add(Severity::Error, PATH, problem);
        break;
    }
    if let Some(source) = metadata.sources.iter().find(|source| !is_url(source)) {
        findings.add(Severity::Error, PATH, format!("invalid source URL '{source}'"));
    }
    if metadata.icon.is_empty() {
        findings.add(Severity::Info, PATH, "icon is recommended");
    } else {
        findings.unless(is_url(&metadata.icon), Severity::Error, PATH, || {
            format!("invalid icon URL '{}'", metadata.icon)
        });
    }
}

fn features(metadata: &Metadata, findings: &mut Findings) {
    let version = &metadata.api_version;
    findings.unless(metadata.kind.is_empty() || version == "v2", Severity::Error, PATH, || {
        format!("chart type is not valid in apiVersion '{version}'. It is valid in apiVersion 'v2'")
    });
    findings.unless(metadata.dependencies().next().is_none() || version == "v2", Severity::Error, PATH, || {
        format!(
            "dependencies are not valid in the Chart file with apiVersion '{version}'. They are valid in apiVersion \
             'v2'"
        )
    });
    findings.unless(Version::parse_strict(&metadata.version).is_ok(), Severity::Warning, PATH, || {
        format!("version '{}' is not a valid SemVerV2", metadata.version)
    });
}

fn is_email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && domain.contains('.') && !text.contains(char::is_whitespace)
    })
}

/// With a scheme.
fn is_url(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
            && !text.contains(char::is_whitespace)
    })
}

/// With or without a scheme.
fn is_address(text: &str) -> bool {
    is_url(text) || (text.contains('.') && !text.contains(char::is_whitespace) && !text.starts_with('.'))
}

//! Names of certificates' owners, as text (RFC 4514) and as certificates have them.

use std::collections::BTreeMap;

use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::name::Name;

/// The attributes that have names.
const NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.17", "POSTALCODE"),
];

type Attributes = BTreeMap<String, String>;

/// Reads a name such as `C=US, ST=WA, O=Notary`.
pub(super) fn parse(text: &str) -> Result<Attributes, String> {
    let wrong = |problem: &str| format!("the name '{text}' {problem}");
    if text.contains("=#") {
        return Err(wrong("has '=#', which is not supported"));
    }
    let mut attributes = Attributes::new();
    for part in split(text) {
        let (key, value) = part.split_once('=').ok_or_else(|| wrong("has a part without '='"))?;
        let key = match key.trim() {
            "S" => "ST",
            key => key,
        };
        if attributes.insert(key.to_owned(), value.trim().to_owned()).is_some() {
            return Err(wrong("has an attribute twice"));
        }
    }
    complete(attributes).map_err(|problem| wrong(&problem))
}

/// The parts between commas, without backslashes. A plus sign, which would join parts, stands for itself.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut characters) = (Vec::new(), String::new(), text.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => part.extend(characters.next()),
            ',' | ';' => parts.push(std::mem::take(&mut part)),
            other => part.push(other),
        }
    }
    parts.push(part);
    parts
}

/// The attributes of a certificate's owner.
pub(super) fn of(name: &Name) -> Result<Attributes, String> {
    let mut attributes = Attributes::new();
    for part in name.0.iter().flat_map(|set| set.0.iter()) {
        let oid = part.oid.to_string();
        let Some((_, key)) = NAMES.iter().find(|(known, _)| *known == oid) else { continue };
        let value = &part.value;
        let utf8 = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
        let text = utf8
            .or_else(|_| value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned()))
            .or_else(|_| value.decode_as::<Ia5StringRef<'_>>().map(|text| text.as_str().to_owned()));
        let text = text.map_err(|_| format!("the certificate's {key} is no text"))?;
        if attributes.insert((*key).to_owned(), text).is_some() {
            return Err(format!("the certificate has several {key}"));
        }
    }
    complete(attributes).map_err(|problem| format!("the certificate's owner {problem}"))
}

fn complete(attributes: Attributes) -> Result<Attributes, String> {
    let missing = ["C", "ST", "O"].iter().find(|key| attributes.get(**key).is_none_or(String::is_empty));
    match missing {
        Some(key) => Err(format!("has no {key}: C, ST and O are needed")),
        None => Ok(attributes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = parse(r"CN=a\, b, O = Acme,S=WA,C=US").unwrap();
        let entry = |key: &str| name.get(key).map(String::as_str);
        assert_eq!((entry("CN"), entry("O"), entry("ST")), (Some("a, b"), Some("Acme"), Some("WA")));
        assert!(parse("O=Acme,C=US").unwrap_err().ends_with("has no ST: C, ST and O are needed"));
        assert!(parse("C=US,C=DE,ST=WA,O=x").unwrap_err().ends_with("has an attribute twice"));
        assert!(parse("US").is_err() && parse("CN=#04,C=US,ST=WA,O=x").is_err());
    }
}

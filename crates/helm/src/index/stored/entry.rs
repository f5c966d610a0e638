//! An entry of an index, checked without keeping more than is needed for that.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sluice_semver::Version;

/// The version of an entry in JSON; `None` if it is not sure that helm takes it as it stands.
///
/// Fields of other names, in another case or of other types than those of the struct may be good as well, or errors
/// that have words: the real decoder knows.
pub(super) fn version_of(json: &[u8]) -> Option<Version> {
    let entry: Entry<'_> = serde_json::from_slice(json).ok()?;
    let is_printed = |text: &str| text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let name = &*entry.name;
    let good = is_printed(name)
        && !matches!(name, "" | "." | "..")
        && !name.contains('/')
        && matches!(&*entry.kind, "" | "application" | "library")
        && entry.dependencies.iter().all(|dependency| {
            dependency.alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        });
    if good { Version::parse(&entry.version).ok() } else { None }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    dependencies: Vec<Dependency<'a>>,
    #[serde(default, rename = "maintainers")]
    _maintainers: Vec<Maintainer>,
    #[serde(default, rename = "annotations")]
    _annotations: Table,
    #[serde(default, rename = "keywords")]
    _keywords: Texts,
    #[serde(default, rename = "sources")]
    _sources: Texts,
    #[serde(default, rename = "urls")]
    _urls: Texts,
    #[serde(default, rename = "deprecated")]
    _deprecated: bool,
    #[serde(default, rename = "removed")]
    _removed: bool,
    #[serde(default, rename = "apiVersion")]
    _api_version: Text,
    #[serde(default, rename = "appVersion")]
    _app_version: Text,
    #[serde(default, rename = "condition")]
    _condition: Text,
    #[serde(default, rename = "created")]
    _created: Text,
    #[serde(default, rename = "description")]
    _description: Text,
    #[serde(default, rename = "digest")]
    _digest: Text,
    #[serde(default, rename = "home")]
    _home: Text,
    #[serde(default, rename = "icon")]
    _icon: Text,
    #[serde(default, rename = "kubeVersion")]
    _kube_version: Text,
    #[serde(default, rename = "tags")]
    _tags: Text,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency<'a> {
    #[serde(borrow, default)]
    alias: Cow<'a, str>,
    #[serde(default, rename = "condition")]
    _condition: Text,
    #[serde(default, rename = "enabled")]
    _enabled: bool,
    #[serde(default, rename = "name")]
    _name: Text,
    #[serde(default, rename = "repository")]
    _repository: Text,
    #[serde(default, rename = "tags")]
    _tags: Texts,
    #[serde(default, rename = "version")]
    _version: Text,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Maintainer {
    #[serde(default, rename = "email")]
    _email: Text,
    #[serde(default, rename = "name")]
    _name: Text,
    #[serde(default, rename = "url")]
    _url: Text,
}

/// Text that is not kept; other scalars become text, and `null` leaves the field as it is.
#[derive(Default)]
struct Text;

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

impl Visitor<'_> for Text {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E: Error>(self) -> Result<Self, E> {
        Ok(self)
    }
}

/// A list of texts that are not kept.
#[derive(Default)]
struct Texts;

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Texts)
    }
}

impl<'de> Visitor<'de> for Texts {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Text>()?.is_some() {}
        Ok(self)
    }
}

/// Texts by name that are not kept.
#[derive(Default)]
struct Table;

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table)
    }
}

impl<'de> Visitor<'de> for Table {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Name, Text>()?.is_some() {}
        Ok(self)
    }
}

/// A key that is not kept.
struct Name;

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text).map(|_| Name)
    }
}

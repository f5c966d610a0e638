//! The versions of the specification: what each calls a schema, and the schemas of the schemas.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::check::Checker;
use super::url::{escape, split};

/// A version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Draft {
    Four,
    Six,
    Seven,
    Y2019,
    Y2020,
}

/// What holds where a schema names none.
pub(super) const LATEST: Draft = Draft::Y2020;

/// Where a keyword keeps schemas.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Itself,
    Items,
    ItselfOrItems,
    Values,
}

const KEYWORDS: &[(&str, Draft, Place)] = &[
    ("definitions", Draft::Four, Place::Values),
    ("not", Draft::Four, Place::Itself),
    ("allOf", Draft::Four, Place::Items),
    ("anyOf", Draft::Four, Place::Items),
    ("oneOf", Draft::Four, Place::Items),
    ("properties", Draft::Four, Place::Values),
    ("additionalProperties", Draft::Four, Place::Itself),
    ("patternProperties", Draft::Four, Place::Values),
    ("items", Draft::Four, Place::ItselfOrItems),
    ("additionalItems", Draft::Four, Place::Itself),
    ("dependencies", Draft::Four, Place::Values),
    ("propertyNames", Draft::Six, Place::Itself),
    ("contains", Draft::Six, Place::Itself),
    ("if", Draft::Seven, Place::Itself),
    ("then", Draft::Seven, Place::Itself),
    ("else", Draft::Seven, Place::Itself),
    ("$defs", Draft::Y2019, Place::Values),
    ("dependentSchemas", Draft::Y2019, Place::Values),
    ("unevaluatedProperties", Draft::Y2019, Place::Itself),
    ("unevaluatedItems", Draft::Y2019, Place::Itself),
    ("contentSchema", Draft::Y2019, Place::Itself),
    ("prefixItems", Draft::Y2020, Place::Items),
];

impl Draft {
    /// The version that an address stands for.
    pub(super) fn from_url(dialect: &str) -> Option<Draft> {
        let (url, fragment) = split(dialect);
        let path = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
        if !fragment.is_empty() {
            return None;
        }
        match path {
            "json-schema.org/schema" => Some(LATEST),
            "json-schema.org/draft/2020-12/schema" => Some(Draft::Y2020),
            "json-schema.org/draft/2019-09/schema" => Some(Draft::Y2019),
            "json-schema.org/draft-07/schema" => Some(Draft::Seven),
            "json-schema.org/draft-06/schema" => Some(Draft::Six),
            "json-schema.org/draft-04/schema" => Some(Draft::Four),
            _ => None,
        }
    }

    /// The address of its schema of schemas.
    pub(super) fn url(self) -> &'static str {
        match self {
            Draft::Four => "http://json-schema.org/draft-04/schema",
            Draft::Six => "http://json-schema.org/draft-06/schema",
            Draft::Seven => "http://json-schema.org/draft-07/schema",
            Draft::Y2019 => "https://json-schema.org/draft/2019-09/schema",
            Draft::Y2020 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    /// The keyword of an address.
    pub(super) fn id_keyword(self) -> &'static str {
        if self == Draft::Four { "id" } else { "$id" }
    }

    /// The address that a schema gives itself, without its fragment.
    pub(super) fn id(self, keywords: &Map<String, Value>) -> Option<&str> {
        if self < Draft::Y2019 && keywords.contains_key("$ref") {
            return None;
        }
        let id = keywords.get(self.id_keyword()).and_then(Value::as_str)?;
        Some(split(id).0).filter(|id| !id.is_empty())
    }

    /// The schemas within a schema, with their pointers.
    pub(super) fn subschemas<'a>(
        self,
        keywords: &'a Map<String, Value>,
        pointer: &str,
    ) -> Vec<(String, &'a Value)> {
        let mut found = Vec::new();
        for (keyword, since, place) in KEYWORDS {
            let Some(value) = keywords.get(*keyword).filter(|_| *since <= self) else { continue };
            let at = format!("{pointer}/{keyword}");
            match (place, value) {
                (Place::Values, Value::Object(map)) => {
                    found.extend(map.iter().map(|(name, inner)| (format!("{at}/{}", escape(name)), inner)));
                }
                (Place::Items | Place::ItselfOrItems, Value::Array(items)) => {
                    let items = items.iter().enumerate();
                    found.extend(items.map(|(index, inner)| (format!("{at}/{index}"), inner)));
                }
                _ => {}
            }
            if matches!(place, Place::Itself | Place::ItselfOrItems) {
                found.push((at, value));
            }
        }
        found
    }

    /// What schemas of this version are checked with.
    pub(super) fn metaschema(self) -> Option<&'static Checker<'static>> {
        static ALL: [LazyLock<Option<Checker<'static>>>; 5] = [
            LazyLock::new(|| Checker::of_draft(Draft::Four)),
            LazyLock::new(|| Checker::of_draft(Draft::Six)),
            LazyLock::new(|| Checker::of_draft(Draft::Seven)),
            LazyLock::new(|| Checker::of_draft(Draft::Y2019)),
            LazyLock::new(|| Checker::of_draft(Draft::Y2020)),
        ];
        ALL[self as usize].as_ref()
    }
}

/// The documents that the specification publishes, by their address behind `json-schema.org/`, without what is only
/// said to people.
static PUBLISHED: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    // The file is part of the program; a case reads it.
    serde_json::from_str(include_str!("metaschemas.json")).unwrap_or_default()
});

/// Whether an address is the specification's own: nothing there is checked or fetched.
pub(super) fn is_published(url: &str) -> bool {
    path(url).is_some()
}

/// A document of the specification.
pub(super) fn published(url: &str) -> Option<&'static Value> {
    let path = path(url)?;
    PUBLISHED.get(if path == "schema" { "draft/2020-12/schema" } else { path })
}

fn path(url: &str) -> Option<&str> {
    url.strip_prefix("http://json-schema.org/").or_else(|| url.strip_prefix("https://json-schema.org/"))
}

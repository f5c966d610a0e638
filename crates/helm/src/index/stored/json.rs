//! Indexes in JSON, read version by version.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::ConvertError;
use super::spool::Spool;

pub(super) type Take<'a> = &'a mut dyn FnMut(&str, Option<&Value>) -> Result<(), ConvertError>;

/// Reads JSON; `None` for what is no JSON.
pub(super) fn read<I: Read, S: Write>(
    input: &mut I,
    spool: &mut Spool<'_, S>,
) -> Result<Option<Map<String, Value>>, ConvertError> {
    let mut reader = BufReader::with_capacity(256 * 1024, input);
    if reader.fill_buf()?.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    let mut take = |name: &str, value: Option<&Value>| match value {
        Some(value) => spool.entry(name, value),
        None => {
            spool.chart(name);
            Ok(())
        }
    };
    let mut failed = None;
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let parsed = RootSeed { take: &mut take, failed: &mut failed }.deserialize(&mut deserializer);
    match (failed, parsed) {
        (Some(error), _) => Err(error),
        (None, Ok(root)) => Ok(deserializer.end().is_ok().then_some(root)),
        (None, Err(error)) if error.is_io() => Err(io::Error::from(error).into()),
        (None, Err(_)) => Ok(None),
    }
}

/// The whole document: entries are handed over, the rest is kept.
pub(super) struct RootSeed<'a, 'b> {
    pub(super) take: Take<'a>,
    pub(super) failed: &'b mut Option<ConvertError>,
}

impl<'de> DeserializeSeed<'de> for RootSeed<'_, '_> {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RootSeed<'_, '_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut root = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "entries" {
                map.next_value_seed(ChartsSeed { take: &mut *self.take, failed: &mut *self.failed })?;
            } else {
                root.insert(key, map.next_value()?);
            }
        }
        Ok(root)
    }
}

struct ChartsSeed<'a, 'b> {
    take: Take<'a>,
    failed: &'b mut Option<ConvertError>,
}

impl<'de> DeserializeSeed<'de> for ChartsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ChartsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of lists")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let seed = VersionsSeed { name: &name, take: &mut *self.take, failed: &mut *self.failed };
            map.next_value_seed(seed)?;
        }
        Ok(())
    }
}

struct VersionsSeed<'a, 'b> {
    name: &'a str,
    take: Take<'a>,
    failed: &'b mut Option<ConvertError>,
}

impl<'de> DeserializeSeed<'de> for VersionsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for VersionsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of versions")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.give(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        (self.take)(self.name, None).map_err(|error| {
            *self.failed = Some(error);
            serde::de::Error::custom("ended")
        })?;
        while let Some(value) = list.next_element::<Value>()? {
            if let Err(error) = (self.take)(self.name, Some(&value)) {
                *self.failed = Some(error);
                // The rest is of no interest.
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Err(serde::de::Error::custom("ended"));
            }
        }
        Ok(())
    }
}

impl VersionsSeed<'_, '_> {
    fn give<E: serde::de::Error>(self, value: Option<&Value>) -> Result<(), E> {
        (self.take)(self.name, value).map_err(|error| {
            *self.failed = Some(error);
            E::custom("ended")
        })
    }
}

//! What a template may learn of the world.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::value::{Map, Value};

/// Clock, randomness and lookups. Tests give their own and get the same bytes each time.
pub trait Host {
    /// The time.
    fn now(&mut self) -> Timestamp {
        Timestamp::now()
    }

    /// The zone of times that name none.
    fn time_zone(&mut self) -> TimeZone {
        TimeZone::system()
    }

    /// Fills the buffer with randomness fit for keys.
    fn random(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        getrandom::fill(buffer).map_err(|error| error.to_string())
    }

    /// Helm's `lookup`: an object, or a list if `name` is empty; an empty map if there is none.
    fn lookup(
        &mut self,
        _api_version: &str,
        _kind: &str,
        _namespace: &str,
        _name: &str,
    ) -> Result<Value, String> {
        Ok(Value::Map(Map::new()))
    }

    /// Helm's `getHostByName`: an address, or nothing.
    fn resolve_host(&mut self, _name: &str) -> String {
        String::new()
    }

    /// Whether `required` and `fail` let pass, as in `helm lint`.
    fn is_lint(&self) -> bool {
        false
    }
}

/// The system's clock and randomness; no cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemHost;

impl Host for SystemHost {}

//! Execution.

use crate::error::Error;
use crate::host::Host;
use crate::limits::Limits;
use crate::set::TemplateSet;
use crate::value::Value;

/// An execution: what its templates and functions share.
pub struct Ctx<'a> {
    set: &'a TemplateSet,
    host: &'a mut dyn Host,
    limits: Limits,
}

impl<'a> Ctx<'a> {
    /// Prepares executions of the templates of a set, within limits that they share.
    pub fn new(set: &'a TemplateSet, host: &'a mut dyn Host, limits: Limits) -> Self {
        Self { set, host, limits }
    }

    /// Executes a template with `.` being `data`; gives what it printed.
    pub fn execute(&mut self, name: &str, data: &Value) -> Result<Vec<u8>, Error> {
        let _ = (data, self.set, self.limits);
        let _ = self.host.now();
        Err(Error::plain(format!("template: {name}: not yet")))
    }
}

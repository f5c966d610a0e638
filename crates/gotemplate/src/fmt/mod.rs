//! Printing as Go's `fmt` does.

mod float;
mod format;
mod printer;
mod quote;
mod scalar;

pub(crate) use float::format_float;
pub(crate) use format::printf;
pub(crate) use printer::Printer;
pub(crate) use quote::{code_point, is_printable, quoted};
pub(crate) use scalar::rune_count;

use crate::error::Failure;
use crate::value::Value;

/// Go's `Sprint`: spaces only between two operands that are no strings.
pub(crate) fn print(values: &[Value], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut printer = Printer::new(limit);
    let mut after_string = false;
    for (index, value) in values.iter().enumerate() {
        let is_string = matches!(value, Value::String(_));
        if index > 0 && !is_string && !after_string {
            printer.write(b" ");
        }
        printer.argument(value, 'v');
        after_string = is_string;
    }
    printer.finish()
}

/// Go's `Sprintln`: spaces between all operands and a newline.
pub(crate) fn println(values: &[Value], limit: usize) -> Result<Vec<u8>, Failure> {
    let mut printer = Printer::new(limit);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.write(b" ");
        }
        printer.argument(value, 'v');
    }
    printer.write(b"\n");
    printer.finish()
}

/// A value as `%v` prints it.
pub(crate) fn display(value: &Value, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut printer = Printer::new(limit);
    printer.argument(value, 'v');
    printer.finish()
}

/// A value as `%v` prints it, for messages.
pub(crate) fn shown(value: &Value) -> String {
    shown_under(value, 'v')
}

/// A value as `%s` prints it, for messages.
pub(crate) fn shown_as_string(value: &Value) -> String {
    shown_under(value, 's')
}

fn shown_under(value: &Value, verb: char) -> String {
    const LONG: usize = 1 << 16;
    let mut printer = Printer::new(LONG);
    printer.argument(value, verb);
    match printer.finish() {
        Ok(text) => crate::value::decode(&text).into_owned(),
        Err(_) => "…".to_owned(),
    }
}

//! Values under verbs.

use super::scalar::{Flags, Integer};
use crate::error::Failure;
use crate::value::{Int, ObjectKind, Value};

/// How deep values may nest where they are printed; a map that holds itself reaches it.
const DEEPEST: u32 = 200;

/// Collects what is printed, up to a limit.
pub(crate) struct Printer {
    out: Vec<u8>,
    limit: usize,
    overflow: bool,
    too_deep: bool,
    pub(super) flags: Flags,
    erroring: bool,
}

impl Printer {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            out: Vec::new(),
            limit,
            overflow: false,
            too_deep: false,
            flags: Flags::default(),
            erroring: false,
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, Failure> {
        if self.too_deep {
            return Err(Failure::new("value is nested too deeply to be printed"));
        }
        if self.overflow {
            return Err(Failure::new(format!("text exceeds the limit of {} bytes", self.limit)));
        }
        Ok(self.out)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() > self.limit {
            self.overflow = true;
        } else {
            self.out.extend_from_slice(bytes);
        }
    }

    pub(super) fn fill(&mut self, byte: u8, count: usize) {
        if self.out.len() + count > self.limit {
            self.overflow = true;
        } else {
            self.out.resize(self.out.len() + count, byte);
        }
    }

    pub(super) fn write_char(&mut self, c: char) {
        self.write(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// An argument of a print function under a verb.
    pub(crate) fn argument(&mut self, value: &Value, verb: char) {
        if value.is_nil() {
            match verb {
                'T' | 'v' => self.pad(b"<nil>"),
                _ => self.bad_verb(value, verb),
            }
            return;
        }
        match verb {
            'T' => {
                let name = self.truncated(value.type_name().as_bytes());
                self.pad(name);
            }
            'p' => self.pointer(value, verb),
            _ => self.value(value, verb, 0),
        }
    }

    pub(super) fn bad_verb(&mut self, value: &Value, verb: char) {
        let erroring = std::mem::replace(&mut self.erroring, true);
        self.write(b"%!");
        self.write_char(verb);
        self.write(b"(");
        if value.is_nil() {
            self.write(b"<nil>");
        } else {
            self.write(value.type_name().as_bytes());
            self.write(b"=");
            self.value(value, 'v', 0);
        }
        self.write(b")");
        self.erroring = erroring;
    }

    fn value(&mut self, value: &Value, verb: char, depth: u32) {
        if self.overflow || self.too_deep {
            return;
        }
        if depth > DEEPEST {
            self.too_deep = true;
            return;
        }
        let fits = match value {
            Value::Missing | Value::Nil => {
                match verb {
                    _ if depth > 0 && self.flags.syntax => self.write(b"interface {}(nil)"),
                    _ => self.write(b"<nil>"),
                }
                true
            }
            Value::Bool(value) => self.boolean(*value, verb),
            Value::Int(int) => self.int(*int, verb),
            Value::Float(value) => self.float(*value, verb),
            Value::Complex(real, imaginary) => self.complex(*real, *imaginary, verb),
            Value::String(text) => self.string(text, verb),
            Value::Bytes(bytes) => {
                self.bytes(bytes, verb, depth);
                true
            }
            Value::List(list) => {
                if self.flags.syntax && list.kind().is_nil {
                    self.write(list.kind().name.as_bytes());
                    self.write(b"(nil)");
                } else {
                    self.open(list.kind().name, b"[");
                    for (index, value) in list.values().iter().enumerate() {
                        self.separate(index);
                        self.value(value, verb, depth + 1);
                    }
                    self.close();
                }
                true
            }
            Value::Map(map) => {
                self.open(map.kind().name, b"map[");
                for (index, (key, value)) in map.entries().iter().enumerate() {
                    self.separate(index);
                    self.entry(&Value::String(key.clone()), value, verb, depth);
                }
                self.close();
                true
            }
            Value::Object(object) => {
                let stringable = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q');
                if object.has_string_method() && stringable && !self.flags.syntax && !self.erroring {
                    let text = object.print();
                    self.string(&text, verb)
                } else {
                    self.object(object.as_ref(), verb, depth);
                    true
                }
            }
        };
        if !fits {
            self.bad_verb(value, verb);
        }
    }

    fn object(&mut self, object: &dyn crate::value::Object, verb: char, depth: u32) {
        let is_map = object.kind() == ObjectKind::Map;
        let Some(entries) = object.entries() else {
            self.structure(object, verb, depth);
            return;
        };
        self.open(object.type_name(), if is_map { b"map[" } else { b"[" });
        for (index, (key, value)) in entries.iter().enumerate() {
            self.separate(index);
            if is_map {
                self.entry(key, value, verb, depth);
            } else {
                self.value(value, verb, depth + 1);
            }
        }
        self.close();
    }

    fn structure(&mut self, object: &dyn crate::value::Object, verb: char, depth: u32) {
        let Some(fields) = object.fields() else {
            let text = object.print();
            self.write(&text);
            return;
        };
        if depth > 0 && object.kind() == ObjectKind::Pointer {
            // Go prints the address here. None would be the same from run to run, so one is made up.
            self.write(b"0xc000000000");
            return;
        }
        let mut type_name = object.type_name();
        if object.kind() == ObjectKind::Pointer {
            type_name = type_name.trim_start_matches('*');
            self.write(b"&");
        }
        if self.flags.syntax {
            self.write(type_name.as_bytes());
        }
        self.write(b"{");
        for (index, (name, value)) in fields.iter().enumerate() {
            self.separate(index);
            if self.flags.names || self.flags.syntax {
                self.write(name.as_bytes());
                self.write(b":");
            }
            self.value(value, verb, depth + 1);
        }
        self.write(b"}");
    }

    fn open(&mut self, type_name: &str, bracket: &[u8]) {
        if self.flags.syntax {
            self.write(type_name.as_bytes());
            self.write(b"{");
        } else {
            self.write(bracket);
        }
    }

    fn close(&mut self) {
        self.write(if self.flags.syntax { b"}" } else { b"]" });
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.write(if self.flags.syntax { b", " } else { b" " });
        }
    }

    fn entry(&mut self, key: &Value, value: &Value, verb: char, depth: u32) {
        self.value(key, verb, depth + 1);
        self.write(b":");
        self.value(value, verb, depth + 1);
    }

    fn int(&mut self, int: Int, verb: char) -> bool {
        let stringable = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q');
        if stringable
            && !self.flags.syntax
            && !self.erroring
            && let Some(text) = crate::time::named_int(int)
        {
            return self.string(text.as_bytes(), verb);
        }
        self.integer(integer(int), verb)
    }

    fn bytes(&mut self, bytes: &[u8], verb: char, depth: u32) {
        match verb {
            'v' | 'd' if depth == 0 && self.flags.syntax => {
                self.write(b"[]byte{");
                for (index, byte) in bytes.iter().enumerate() {
                    self.separate(index);
                    self.hexadecimal(u64::from(*byte), true);
                }
                self.write(b"}");
            }
            's' | 'q' | 'x' | 'X' => {
                self.string(bytes, verb);
            }
            _ => {
                self.open("[]uint8", b"[");
                for (index, byte) in bytes.iter().enumerate() {
                    self.separate(index);
                    let value = Integer { negative: false, magnitude: u64::from(*byte), unsigned: true };
                    if !self.integer(value, verb) {
                        let value = Value::Int(Int::new(crate::value::IntKind::Uint8, i64::from(*byte)));
                        self.bad_verb(&value, verb);
                    }
                }
                self.close();
            }
        }
    }

    /// Addresses differ from run to run in Go; here they are honest but as arbitrary.
    fn pointer(&mut self, value: &Value, verb: char) {
        let address = match value {
            Value::Map(map) => map.identity(),
            Value::List(list) => list.values().as_ptr() as usize,
            Value::Bytes(bytes) => bytes.as_ptr() as usize,
            Value::Object(object) => std::rc::Rc::as_ptr(object).cast::<u8>() as usize,
            _ => {
                self.bad_verb(value, verb);
                return;
            }
        };
        let prefix = !self.flags.sharp;
        self.hexadecimal(address as u64, prefix);
    }
}

fn integer(int: Int) -> Integer {
    let unsigned = int.kind().is_unsigned();
    Integer {
        negative: !unsigned && int.signed() < 0,
        magnitude: if unsigned { int.unsigned() } else { int.signed().unsigned_abs() },
        unsigned,
    }
}
